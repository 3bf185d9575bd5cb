//! Whole batches: preparation, scores, and sums that join.

use arrow_array::RecordBatch;
use pyo3::prelude::*;
use segzero_eval::{Protocol, Summary};
use segzero_prep::{BatchOptions, SolutionFormat, batch_schema, prep_batch};
use serde::Serialize;

use crate::arrow::{Batch, batches};
use crate::failure::value_error;
use crate::options::{merged, protocol};

/// Runs over each batch without Python's lock.
fn each<E: std::fmt::Display + Send>(
    py: Python<'_>,
    batches: &[RecordBatch],
    of: impl Fn(&RecordBatch) -> Result<RecordBatch, E> + Sync + Send,
) -> PyResult<Vec<Batch>> {
    let done = py.detach(|| batches.iter().map(of).collect::<Result<Vec<_>, _>>());
    Ok(done.map_err(value_error)?.into_iter().map(Batch).collect())
}

/// Training examples of each batch. `options` is JSON of names and values.
#[pyfunction]
pub fn prep(
    batch: &Bound<'_, PyAny>,
    dataset: String,
    split: String,
    options: &str,
) -> PyResult<Vec<Batch>> {
    let options = BatchOptions { dataset, split, prep: merged(options)? };
    let rows = batches(batch)?;
    if options.prep.solution == SolutionFormat::VisionReasoner && rows.len() > 1 {
        return Err(value_error("`vision-reasoner` needs all rows of an image in one batch"));
    }
    each(batch.py(), &rows, |batch| prep_batch(batch, &options))
}

/// A batch without rows of the columns that [`prep`] gives.
#[pyfunction]
pub fn prep_schema(options: &str) -> PyResult<Batch> {
    Ok(Batch(RecordBatch::new_empty(batch_schema(merged(options)?.columns).into())))
}

/// Scores of each batch, row for row.
#[pyfunction]
pub fn score(batch: &Bound<'_, PyAny>, rules: &str) -> PyResult<Vec<Batch>> {
    let protocol = protocol(rules)?;
    let rows = batches(batch)?;
    each(batch.py(), &rows, |batch| segzero_eval::score_batch(batch, &protocol))
}

/// Sums over the rows of all batches.
#[pyfunction]
pub fn iou_partial(batch: &Bound<'_, PyAny>, rules: &str) -> PyResult<Batch> {
    let protocol = protocol(rules)?;
    let rows = batches(batch)?;
    join(each(batch.py(), &rows, |batch| segzero_eval::iou_partial(batch, &protocol))?)
}

/// Partials of pieces as those of the whole.
#[pyfunction]
pub fn merge(partials: Vec<Bound<'_, PyAny>>) -> PyResult<Batch> {
    let parts = partials.iter().map(batches).collect::<PyResult<Vec<_>>>()?;
    join(parts.into_iter().flatten().map(Batch).collect())
}

fn join(parts: Vec<Batch>) -> PyResult<Batch> {
    let parts: Vec<RecordBatch> = parts.into_iter().map(|part| part.0).collect();
    segzero_eval::merge_partials(&parts).map(Batch).map_err(value_error)
}

/// The numbers of partials, as JSON.
#[pyfunction]
pub fn finish(partials: &Bound<'_, PyAny>, rules: &str) -> PyResult<String> {
    #[derive(Serialize)]
    struct Numbers {
        #[serde(flatten)]
        summary: Summary,
        failed: u64,
        protocol: Protocol,
    }
    let protocol = protocol(rules)?;
    let merged = join(batches(partials)?.into_iter().map(Batch).collect())?;
    let (summary, failed) =
        segzero_eval::finish_partials(&merged.0, &protocol).map_err(value_error)?;
    serde_json::to_string(&Numbers { summary, failed, protocol }).map_err(value_error)
}

/// A batch without rows of the columns that [`score`] gives.
#[pyfunction]
pub fn scores_schema() -> Batch {
    Batch(RecordBatch::new_empty(segzero_eval::scores_schema().into()))
}

/// A batch without rows of the columns that [`iou_partial`] gives.
#[pyfunction]
pub fn partial_schema() -> Batch {
    Batch(RecordBatch::new_empty(segzero_eval::partial_schema().into()))
}
