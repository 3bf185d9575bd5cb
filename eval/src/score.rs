//! [`score`]: samples against predictions, in parallel, in order.

use rayon::prelude::*;
use segzero_datasets::{Error, ErrorKind, FillRegime, Geometry, Masks, Query, Sample, Size};
use serde::{Deserialize, Serialize};

use crate::predictions::{OnBadRecord, Predictions, is_size_mismatch};
use crate::size::sample_size;
use crate::{Counts, Problems, Row, Scores, Status};

/// What one row is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Every query of every sample. A prediction is found by the query's key, or else by the
    /// sample's, and then stands for all its queries.
    #[default]
    Query,
    /// Every sample once. A prediction is found by the sample's key, or else by its first query's.
    Sample,
}

/// How to score.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What one row is.
    pub unit: Unit,
    /// Fill rule of ReasonSeg's polygons.
    pub fill: FillRegime,
    /// What to do with samples and predictions that cannot be read.
    pub on_bad: OnBadRecord,
}

/// Samples that are read while as many are being scored.
/// Few enough that their masks are still in the cache when they are scored.
const CHUNK: usize = 256;

/// Scores every sample. Samples are taken from the iterator in chunks and dropped when scored; only
/// rows are kept, in the iterator's order. `progress` hears the number of samples done so far.
///
/// # Errors
/// The first sample or prediction, in the samples' order, that cannot be read, unless
/// [`Options::on_bad`] says to skip. A prediction of the wrong size is not an error but a status.
pub fn score(
    samples: impl IntoIterator<Item = Result<Sample, Error>, IntoIter: Send>,
    predictions: &Predictions,
    options: &Options,
    mut progress: impl FnMut(u64),
) -> Result<Scores, Error> {
    let mut samples = samples.into_iter();
    let mut take = move || samples.by_ref().take(CHUNK).collect::<Vec<_>>();
    let mut collected = Collected::new(predictions, options);
    let mut chunk = take();
    let mut done = 0;
    while !chunk.is_empty() {
        done += chunk.len() as u64;
        let score_one = |sample: Result<Sample, Error>| score_sample(sample?, predictions, options);
        let (next, scored) =
            rayon::join(&mut take, || chunk.into_par_iter().map(score_one).collect::<Vec<_>>());
        for result in scored {
            collected.add(result)?;
        }
        progress(done);
        chunk = next;
    }
    Ok(collected.finish())
}

/// One row with what the row does not tell.
struct Scored {
    row: Row,
    /// Which prediction was used.
    used: Option<usize>,
    /// Why the prediction could not be used.
    fault: Option<Error>,
}

/// Gathers rows in order.
struct Collected<'a> {
    predictions: &'a Predictions,
    on_bad: OnBadRecord,
    rows: Vec<Row>,
    used: Vec<bool>,
    problems: Problems,
}

impl<'a> Collected<'a> {
    fn new(predictions: &'a Predictions, options: &Options) -> Self {
        let problems = Problems {
            duplicate: predictions.duplicate.clone(),
            bad_predictions: predictions.bad.clone(),
            ..Problems::default()
        };
        let used = vec![false; predictions.len()];
        Self { predictions, on_bad: options.on_bad, rows: Vec::new(), used, problems }
    }

    fn add(&mut self, result: Result<Vec<Scored>, Error>) -> Result<(), Error> {
        let scored = match (result, self.on_bad) {
            (Ok(scored), _) => scored,
            (Err(error), OnBadRecord::Stop) => return Err(error),
            (Err(error), OnBadRecord::Skip) => {
                self.problems.bad_samples.push(|| error.to_string());
                return Ok(());
            }
        };
        for Scored { row, used, fault } in scored {
            if let Some(position) = used {
                self.used[position] = true;
            }
            match (row.status, fault) {
                (Status::SizeMismatch, Some(error)) => {
                    let name = || format!("{}: {}", row.query_key(), error.kind);
                    self.problems.size_mismatch.push(name);
                }
                (_, Some(error)) if self.on_bad == OnBadRecord::Stop => return Err(error),
                (_, Some(error)) => {
                    let name = || format!("{}: {error}", row.query_key());
                    self.problems.unreadable.push(name);
                }
                (_, None) => {}
            }
            self.rows.push(row);
        }
        Ok(())
    }

    fn finish(mut self) -> Scores {
        self.problems.unmatched = self.predictions.unused(&self.used);
        Scores::new(self.rows, self.problems)
    }
}

/// All rows of one sample.
///
/// # Errors
/// When the sample itself has no readable mask.
fn score_sample(
    mut sample: Sample,
    predictions: &Predictions,
    options: &Options,
) -> Result<Vec<Scored>, Error> {
    if options.unit == Unit::Sample {
        sample.queries.truncate(1);
    }
    let named = |mut error: Error| {
        error.record.get_or_insert_with(|| format!("sample `{}`", sample.key));
        if error.path.as_os_str().is_empty() {
            error.path = sample.image.file_name.clone().into();
        }
        error
    };
    let size = sample_size(&sample).map_err(named)?;
    let geometry = std::mem::replace(&mut sample.geometry, Geometry::Coco(Vec::new()));
    let queries = std::mem::take(&mut sample.queries);
    let truth = geometry.into_masks(size, options.fill).map_err(named)?;
    let mut rows = Vec::with_capacity(queries.len());
    for query in queries {
        let used = find(&sample, &query, predictions, options.unit);
        let (status, counts, fault) = score_prediction(&truth, used, size, predictions)
            .map_err(|e| named(Error::new("", e)))?;
        let mut row = Row {
            dataset: sample.dataset.to_string(),
            split: sample.split.to_string(),
            key: sample.key.clone(),
            query: query.id.filter(|_| options.unit == Unit::Query),
            text: query.text,
            image: sample.image.id.clone(),
            status,
            intersection: counts.intersection,
            union: counts.union(),
            target_area: counts.target,
            prediction_area: counts.prediction,
            iou: 0.0,
        };
        row.iou = row.exact_iou().value();
        rows.push(Scored { row, used, fault });
    }
    Ok(rows)
}

/// Position of the prediction for a query.
fn find(sample: &Sample, query: &Query, predictions: &Predictions, unit: Unit) -> Option<usize> {
    if query.id.is_none() {
        // The query has no key of its own.
        return predictions.find(&sample.key);
    }
    let (of_query, of_sample) = (sample.query_key(query), sample.key.as_str());
    let (first, second) = match unit {
        Unit::Query => (of_query.as_str(), of_sample),
        Unit::Sample => (of_sample, of_query.as_str()),
    };
    predictions.find(first).or_else(|| predictions.find(second))
}

/// Status and counts of one prediction, and the error of one that cannot be used.
///
/// # Errors
/// When target and ignored region do not fit together.
fn score_prediction(
    truth: &Masks,
    used: Option<usize>,
    size: Size,
    predictions: &Predictions,
) -> Result<(Status, Counts, Option<Error>), ErrorKind> {
    let Some(position) = used else {
        return Ok((Status::Missing, Counts::of_target(truth)?, None));
    };
    match predictions.mask(position, size) {
        Ok(mask) => {
            let counts = Counts::of(truth, &mask)?;
            Ok((Status::of_counts(counts), counts, None))
        }
        Err(error) => {
            let mismatch = is_size_mismatch(&error);
            let status = if mismatch { Status::SizeMismatch } else { Status::Unreadable };
            Ok((status, Counts::of_target(truth)?, Some(error)))
        }
    }
}
