//! [`prep_batch`]: a batch of rows in memory → a batch of training examples, for engines that cut a
//! data set into pieces and send them to many machines.
//!
//! A piece knows nothing of the others. So what depends on the whole set is not done here: the draw of
//! so many examples, images that other splits hold out, `#2` after a key that comes again, and `.2`
//! after the name of an image whose name another image has.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use segzero_datasets::{Format, HeldOut, ImageSource, Sample, Source, batch_samples};

use crate::example::example_id;
use crate::options::{PrepOptions, SolutionFormat};
use crate::plan::safe_stem;
use crate::render::{Group, Member, Rendered, render};
use crate::select::{Leaks, SelectOptions, Skip, skip_by_mask, skip_by_record};
use crate::writer::{arrays, schema};
use crate::{BadRecord, Columns, Example, PrepError};

/// How a batch is prepared.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// Name of the data set, with which the examples' ids begin.
    pub dataset: String,
    /// Split, as the data set spells it.
    pub split: String,
    /// Every other choice; without a count, and without a look at other splits
    /// ([`Leaks::Allow`]).
    pub prep: PrepOptions,
}

/// A row of the result.
enum Row {
    Example(Box<Example>),
    /// No example was made of it.
    LeftOut {
        id: Option<String>,
        skip: Skip,
        error: Option<String>,
    },
}

/// The Arrow schema of a prepared batch: that of a training set, and two columns of text. `skip` says
/// why a row is no example (null where it is one), and `error`, where that is `bad`, what is wrong.
pub fn batch_schema(columns: Columns) -> Schema {
    let own = ["skip", "error"].map(|name| Field::new(name, DataType::Utf8, true));
    let set = schema(columns);
    let set = set.fields.iter().map(|field| field.as_ref().clone());
    Schema::new(set.chain(own).collect::<Vec<_>>())
}

/// Makes the examples of a batch of the evaluation schema (see [`batch_samples`]). Rows of one image
/// that follow each other share its pixels; of VisionReasoner's format, all rows of an image must be
/// in one batch. A row that cannot be used is a row of the result that says so.
///
/// # Errors
/// Options that do not go together, or that need the whole set; a column that is missing.
pub fn prep_batch(batch: &RecordBatch, options: &BatchOptions) -> Result<RecordBatch, PrepError> {
    let prep = &options.prep;
    prep.check()?;
    if prep.select.count.is_some() {
        return Err(PrepError::Options(
            "a batch is prepared whole: draw examples from all of them",
        ));
    }
    if prep.select.leaks != Leaks::Allow {
        return Err(PrepError::Options("a batch knows no other split: leave out its images first"));
    }
    let source = Source {
        name: options.dataset.clone(),
        split_by: None,
        format: Format::HfEval,
        annotations: "batch".into(),
        images: None,
    };
    let (groups, mut rows) = gather(batch, options, &source)?;
    for (last, group) in groups {
        let Rendered { examples, bad } = render(&group, prep, &source);
        rows.extend(examples.into_iter().map(|example| (last, Row::Example(Box::new(example)))));
        rows.extend(bad.into_iter().map(|bad| (last, Row::bad(None, &bad))));
    }
    // As a set on disk has its images: in the order in which the rows complete them.
    rows.sort_by_key(|(position, _)| *position);
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    table(&rows, prep.columns).map_err(|e| PrepError::write("batch", e))
}

impl Row {
    fn bad(id: Option<String>, bad: &BadRecord) -> Self {
        Self::LeftOut { id, skip: Skip::Bad, error: Some(bad.to_string()) }
    }
}

/// Something, and the row that completed it.
type Placed<T> = (usize, T);

/// The images of a batch with their chosen objects, and the rows that are left out.
type Gathered = (Vec<Placed<Group>>, Vec<Placed<Row>>);

fn gather(
    batch: &RecordBatch,
    options: &BatchOptions,
    source: &Source,
) -> Result<Gathered, PrepError> {
    let is_by_image = options.prep.solution == SolutionFormat::VisionReasoner;
    let (mut groups, mut left_out) = (Vec::<Placed<Group>>::new(), Vec::new());
    let mut of_image: HashMap<String, usize> = HashMap::new();
    for (row, sample) in batch_samples(batch, &options.dataset, &options.split)?.enumerate() {
        let mut sample = match sample {
            Ok(sample) => sample,
            Err(error) => {
                left_out.push((row, Row::bad(None, &BadRecord::from(error))));
                continue;
            }
        };
        if let Some(skip) = skip(&sample, &options.prep) {
            let id = Some(example_id([&sample]));
            match skip {
                Ok(skip) => left_out.push((row, Row::LeftOut { id, skip, error: None })),
                Err(error) => {
                    let bad = BadRecord::of_mask(error, &sample, &source.annotations);
                    left_out.push((row, Row::bad(id, &bad)));
                }
            }
            continue;
        }
        let known = of_image.get(&sample.image.id).copied();
        let at = match known.filter(|&at| is_by_image || at + 1 == groups.len()) {
            Some(at) => at,
            None => {
                of_image.insert(sample.image.id.clone(), groups.len());
                let (stem, image) = (safe_stem(&sample.image.file_name), sample.image.clone());
                groups.push((row, Group { stem, image, members: Vec::new(), examples: 0 }));
                groups.len() - 1
            }
        };
        let (last, group) = &mut groups[at];
        *last = row;
        group.examples += 1;
        sample.image.source = ImageSource::Absent;
        group.members.push(Member { sample, queries: vec![0] });
    }
    Ok((groups, left_out))
}

/// Why a sample is left out, if it is.
fn skip(sample: &Sample, options: &PrepOptions) -> Option<Result<Skip, segzero_datasets::Error>> {
    let select: &SelectOptions = &options.select;
    if let Some(skip) = skip_by_record(sample, select, &HeldOut::default()) {
        return Some(Ok(skip));
    }
    let size = sample.image.size.filter(|_| select.needs_mask())?;
    match sample.geometry.rasterize(size, options.fill) {
        Ok(masks) => skip_by_mask(&masks, select).map(Ok),
        Err(error) => Some(Err(error)),
    }
}

fn table(rows: &[Row], columns: Columns) -> io::Result<RecordBatch> {
    let examples: Vec<Option<&Example>> = rows
        .iter()
        .map(|row| match row {
            Row::Example(example) => Some(example.as_ref()),
            Row::LeftOut { .. } => None,
        })
        .collect();
    let mut table = arrays(&examples, columns)?;
    let text = |value: fn(&Row) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<StringArray>())
    };
    table[0] = text(|row| match row {
        Row::Example(example) => Some(&example.id),
        Row::LeftOut { id, .. } => id.as_deref(),
    });
    table.push(text(|row| match row {
        Row::Example(_) => None,
        Row::LeftOut { skip, .. } => Some(skip.name()),
    }));
    table.push(text(|row| match row {
        Row::Example(_) => None,
        Row::LeftOut { error, .. } => error.as_deref(),
    }));
    RecordBatch::try_new(Arc::new(batch_schema(columns)), table).map_err(io::Error::other)
}
