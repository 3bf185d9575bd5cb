//! Scores of a batch of rows in memory, and sums over them that join into those of the whole set, for
//! engines that cut a set into pieces and send them to many machines.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use segzero_datasets::{
    Error, ErrorKind, MaskColumn, MaskError, Masks, batch_id, batch_size, row_error,
};

use crate::counting::Counting;
use crate::predictions::Prediction;
use crate::protocol::{MeanOver, Protocol};
use crate::truth::Truths;
use crate::{Cell, IouSum, Partial, Row, Status, Summary};

/// One row, scored.
struct Scored {
    row: Row,
    cell: Cell,
    /// What is wrong with its prediction.
    error: Option<Error>,
}

/// The columns of a batch.
struct Columns<'a> {
    batch: &'a RecordBatch,
    target: MaskColumn<'a>,
    prediction: MaskColumn<'a>,
    ignore: Option<MaskColumn<'a>>,
    no_target: Option<&'a BooleanArray>,
}

impl<'a> Columns<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Self, Error> {
        let optional = |name: &str| batch.column_by_name(name);
        let ignore = optional("ignore").map(|_| MaskColumn::new(batch, "ignore")).transpose()?;
        Ok(Self {
            batch,
            target: MaskColumn::new(batch, "mask")?,
            prediction: MaskColumn::new(batch, "prediction")?,
            ignore,
            no_target: optional("no_target").and_then(|column| column.as_boolean_opt()),
        })
    }

    /// Scores a row.
    ///
    /// # Errors
    /// When its target cannot be read.
    fn score(&self, at: usize, protocol: &Protocol) -> Result<Scored, Error> {
        let wrong = |field: &'static str| move |kind| row_error(at, field, kind);
        let stated = batch_size(self.batch, at)?;
        let null = || ErrorKind::Missing { what: "the value (null)".to_owned() };
        let target = self.target.get(at, stated).and_then(|mask| mask.ok_or_else(null));
        let target = target.map_err(wrong("mask"))?;
        let size = stated.unwrap_or(target.size());
        if target.size() != size {
            let kind = MaskError::SizeMismatch { expected: size, found: target.size() };
            return Err(wrong("mask")(kind.into()));
        }
        let ignore = self.ignore.map(|ignore| ignore.get(at, Some(size))).transpose();
        let ignore = ignore.map_err(wrong("ignore"))?.flatten();
        let parts = usize::from(!target.is_empty());
        let masks = Masks { target, overlap: None, ignore, parts };
        let truths = Truths::of_masks(&masks, protocol).map_err(|e| wrong("ignore")(e.into()))?;
        let (prediction, mut error) = match self.prediction.get(at, Some(size)) {
            Ok(mask) => (mask, None),
            Err(kind) => (None, Some(wrong("prediction")(kind))),
        };
        let no_target = self.no_target.filter(|flags| flags.is_valid(at)).map(|f| f.value(at));
        let prediction = prediction.map(|mask| Prediction::of_mask(mask, no_target));
        let why = if error.is_some() { Status::Unreadable } else { Status::Missing };
        let mut counting = Counting::new(&truths, prediction.as_ref(), size, None);
        let (judged, mismatch) = counting.judge(0, why, protocol);
        error = error.or(mismatch.map(|mismatch| wrong("prediction")(mismatch.into())));
        let counts = counting.at(0).ok().flatten();
        let mut row = self.row(at, protocol);
        let cell = Cell::of(&row).with(&judged.outcome, judged.target, judged.places);
        row.status = judged.outcome.status;
        row.intersection = judged.outcome.intersection;
        row.union = judged.outcome.union;
        row.iou = judged.outcome.iou.value();
        row.said_nothing = judged.outcome.said_nothing;
        row.target_area = Some(judged.target);
        row.prediction_area = counts.map(|counts| counts.prediction);
        row.box_iou = judged.places.box_iou;
        Ok(Scored { row, cell, error })
    }

    /// Names only what the protocol groups by.
    fn row(&self, at: usize, protocol: &Protocol) -> Row {
        let id = |names: &[&'static str]| {
            names.iter().find_map(|&name| batch_id(self.batch, name, at)).unwrap_or_default()
        };
        match protocol.mean {
            MeanOver::Unit => Row::default(),
            MeanOver::Sample => {
                Row { key: id(&["sample", "ann_id", "key", "id"]), ..Row::default() }
            }
            MeanOver::Image => Row { image: id(&["image_id"]), ..Row::default() },
        }
    }
}

/// The columns of [`score_batch`]'s result.
pub fn scores_schema() -> Schema {
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    Schema::new(vec![
        Field::new("status", DataType::Utf8, true),
        number("intersection"),
        number("union"),
        Field::new("iou", DataType::Float64, true),
        Field::new("said_nothing", DataType::Boolean, true),
        number("target_area"),
        number("prediction_area"),
        Field::new("box_iou", DataType::Float64, true),
        Field::new("error", DataType::Utf8, true),
    ])
}

/// Scores the rows of a batch: `mask` is the target, `prediction` the predicted mask or null, both in
/// any form of [`MaskColumn`]; `ignore` (a mask), `no_target` (what the prediction says in words),
/// `img_height` and `img_width` may be there. The result has a row for each. Where the target cannot be
/// read, everything but `error` is null; where the prediction cannot, `error` says why beside the score.
///
/// # Errors
/// A column that is missing or holds no masks.
pub fn score_batch(batch: &RecordBatch, protocol: &Protocol) -> Result<RecordBatch, Error> {
    let columns = Columns::new(batch)?;
    let scored: Vec<_> = (0..batch.num_rows()).map(|row| columns.score(row, protocol)).collect();
    let row = |scored: &Result<Scored, Error>, value: fn(&Row) -> Option<u64>| {
        scored.as_ref().ok().and_then(|scored| value(&scored.row)).map(|n| n as i64)
    };
    let number = |value: fn(&Row) -> Option<u64>| -> ArrayRef {
        Arc::new(scored.iter().map(|scored| row(scored, value)).collect::<Int64Array>())
    };
    let rows = || scored.iter().map(|scored| scored.as_ref().ok());
    let status = rows().map(|scored| scored.map(|scored| scored.row.status.name()));
    let said = rows().map(|scored| scored.map(|scored| scored.row.said_nothing));
    let errors = scored.iter().map(|scored| match scored {
        Ok(scored) => scored.error.as_ref().map(Error::to_string),
        Err(error) => Some(error.to_string()),
    });
    let columns: Vec<ArrayRef> = vec![
        Arc::new(status.collect::<StringArray>()),
        number(|row| Some(row.intersection)),
        number(|row| Some(row.union)),
        Arc::new(rows().map(|scored| scored.map(|s| s.row.iou)).collect::<Float64Array>()),
        Arc::new(said.collect::<BooleanArray>()),
        number(|row| row.target_area),
        number(|row| row.prediction_area),
        Arc::new(rows().map(|scored| scored?.row.box_iou).collect::<Float64Array>()),
        Arc::new(errors.collect::<StringArray>()),
    ];
    RecordBatch::try_new(Arc::new(scores_schema()), columns).map_err(arrow)
}

fn arrow(error: ArrowError) -> Error {
    let expected = "columns of equal length".to_owned();
    Error::new("batch", ErrorKind::Unexpected { expected, found: error.to_string() })
}

/// Whole numbers of a partial, by the names of their columns.
const NUMBERS: [&str; 13] = [
    "n",
    "skipped",
    "failed",
    "intersection",
    "union",
    "no_target",
    "both_empty",
    "targets",
    "found",
    "denied",
    "boxes_found",
    "boxes",
    "among",
];

/// The same numbers of a partial.
fn numbers(partial: &mut Partial) -> [&mut u64; 13] {
    let [boxes_found, boxes] = &mut partial.boxes;
    [
        &mut partial.n,
        &mut partial.skipped,
        &mut partial.failed,
        &mut partial.intersection,
        &mut partial.union,
        &mut partial.no_target,
        &mut partial.both_empty,
        &mut partial.targets,
        &mut partial.found,
        &mut partial.denied,
        boxes_found,
        boxes,
        &mut partial.among,
    ]
}

/// The columns of [`iou_partial`]'s result. Numbers are signed, as most engines have no others; `iou`
/// is the sum of IoUs in units of 2^-64, which any engine may add up as well.
pub fn partial_schema() -> Schema {
    let number = |name: &str| Field::new(name, DataType::Int64, false);
    let mut fields = vec![
        Field::new("protocol", DataType::Utf8, false),
        number("group"),
        Field::new("iou", DataType::Decimal128(38, 0), false),
    ];
    fields.extend(NUMBERS.map(number));
    fields.push(Field::new_list("reached", Field::new_list_field(DataType::Int64, true), false));
    Schema::new(fields)
}

/// The partials of a batch: sums over the rows of a batch as [`score_batch`] scores them, of which there
/// is one row, or, where the protocol takes its mean over samples or images, one for each of those.
///
/// # Errors
/// As [`score_batch`]; a protocol that repeats the first units, which a piece of the set cannot know.
pub fn iou_partial(batch: &RecordBatch, protocol: &Protocol) -> Result<RecordBatch, Error> {
    if protocol.replicas > 1 {
        let (expected, found) = ("a protocol without replicas", protocol.replicas.to_string());
        let kind = ErrorKind::Unexpected { expected: expected.to_owned(), found };
        return Err(Error::new("protocol", kind).field("replicas"));
    }
    let columns = Columns::new(batch)?;
    let mut groups: BTreeMap<i64, Partial> = BTreeMap::new();
    for row in 0..batch.num_rows() {
        match columns.score(row, protocol) {
            Ok(Scored { cell, .. }) => {
                let group = match protocol.mean {
                    MeanOver::Unit => 0,
                    MeanOver::Sample => cell.sample,
                    MeanOver::Image => cell.image,
                };
                groups.entry(group.cast_signed()).or_default().add(&cell, protocol);
            }
            Err(_) => groups.entry(0).or_default().failed += 1,
        }
    }
    table(&protocol.name, groups)
}

/// Partials of pieces, in any order, as those of the pieces together.
///
/// # Errors
/// Batches that are no partials, or of different protocols.
pub fn merge_partials(batches: &[RecordBatch]) -> Result<RecordBatch, Error> {
    let (mut name, mut groups) = (None, BTreeMap::<i64, Partial>::new());
    for batch in batches {
        for row in read(batch)? {
            let (protocol, group, partial) = row;
            let known = name.get_or_insert_with(|| protocol.clone());
            if *known != protocol {
                let expected = format!("partials of `{known}`");
                return Err(unexpected("protocol", expected, protocol));
            }
            groups.entry(group).or_default().merge(&partial);
        }
    }
    table(&name.unwrap_or_default(), groups)
}

/// The numbers that partials sum up to (all but the median, which is none), and how many rows had no
/// readable target.
///
/// # Errors
/// A batch that is no partials, or of another protocol.
pub fn finish_partials(batch: &RecordBatch, protocol: &Protocol) -> Result<(Summary, u64), Error> {
    let merged = merge_partials(std::slice::from_ref(batch))?;
    let mut partials = Vec::with_capacity(merged.num_rows());
    for (name, _, partial) in read(&merged)? {
        if name != protocol.name {
            return Err(unexpected("protocol", format!("partials of `{}`", protocol.name), name));
        }
        partials.push(partial);
    }
    let failed = partials.iter().map(|partial| partial.failed).sum();
    Ok((Partial::summary_of(&partials, protocol), failed))
}

fn unexpected(field: &str, expected: String, found: String) -> Error {
    Error::new("batch", ErrorKind::Unexpected { expected, found }).field(field)
}

fn table(protocol: &str, mut groups: BTreeMap<i64, Partial>) -> Result<RecordBatch, Error> {
    let sums = groups.values().map(|partial| partial.iou.parts().0 as i128);
    let sums: Decimal128Array = sums.map(Some).collect();
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(groups.keys().map(|_| protocol))),
        Arc::new(Int64Array::from_iter_values(groups.keys().copied())),
        Arc::new(sums.with_precision_and_scale(38, 0).map_err(arrow)?),
    ];
    for position in 0..NUMBERS.len() {
        let number = |partial: &mut Partial| *numbers(partial)[position] as i64;
        columns.push(Arc::new(Int64Array::from_iter_values(groups.values_mut().map(number))));
    }
    let reached = groups.values().map(|partial| {
        Some(partial.reached.iter().map(|&reached| Some(reached as i64)).collect::<Vec<_>>())
    });
    columns.push(Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(reached)));
    RecordBatch::try_new(Arc::new(partial_schema()), columns).map_err(arrow)
}

/// The rows of partials: protocol, group, sums.
fn read(batch: &RecordBatch) -> Result<Vec<(String, i64, Partial)>, Error> {
    let missing = |name: &str| {
        let what = "the column (partials are made by `iou_partial`)".to_owned();
        Error::new("batch", ErrorKind::Missing { what }).field(name)
    };
    let column = |name: &str| batch.column_by_name(name).ok_or_else(|| missing(name));
    let whole =
        |name: &str| column(name)?.as_primitive_opt::<Int64Type>().ok_or_else(|| missing(name));
    let (names, groups) = (column("protocol")?, whole("group")?);
    let sums = column("iou")?.as_primitive_opt::<Decimal128Type>().ok_or_else(|| missing("iou"))?;
    let columns = NUMBERS.iter().map(|name| whole(name)).collect::<Result<Vec<_>, _>>()?;
    let reached = column("reached")?;
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut partial = Partial::default();
        for (number, column) in numbers(&mut partial).into_iter().zip(&columns) {
            *number = column.value(row).max(0).cast_unsigned();
        }
        partial.iou = IouSum::from_parts((sums.value(row).max(0).cast_unsigned(), partial.n));
        let counts = match reached.data_type() {
            DataType::LargeList(_) => reached.as_list::<i64>().value(row),
            DataType::List(_) => reached.as_list::<i32>().value(row),
            _ => return Err(missing("reached")),
        };
        let counts = counts.as_primitive_opt::<Int64Type>().ok_or_else(|| missing("reached"))?;
        partial.reached = counts.values().iter().map(|&n| n.max(0).cast_unsigned()).collect();
        let name = match names.data_type() {
            DataType::LargeUtf8 => names.as_string::<i64>().value(row),
            DataType::Utf8 => names.as_string::<i32>().value(row),
            _ => return Err(missing("protocol")),
        };
        rows.push((name.to_owned(), groups.value(row), partial));
    }
    Ok(rows)
}
