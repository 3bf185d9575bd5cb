//! [`Scores`]: what an evaluation found, sample by sample.

use std::collections::HashSet;

use ahash::RandomState;
use serde::{Deserialize, Serialize};

use crate::{Counts, Iou, Summary};

/// The result of an evaluation. Serialises to the file that `segzero eval --out` writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The numbers; computed from `rows` alone.
    pub summary: Summary,
    /// What was wrong with the input.
    pub problems: Problems,
    /// One row a unit, in the order of the data set.
    pub rows: Vec<Row>,
}

/// One scored unit. Areas are pixels of the original image outside the ignored region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Data set name.
    pub dataset: String,
    /// Split, as the data set spells it.
    pub split: String,
    /// The sample's key.
    pub key: String,
    /// The query's id, where queries have one and are scored one by one.
    pub query: Option<i64>,
    /// The query's text.
    pub text: String,
    /// The image's id in the data set's own terms.
    pub image: String,
    /// How the numbers below came about.
    pub status: Status,
    /// Pixels of both target and prediction.
    pub intersection: u64,
    /// Pixels of either.
    pub union: u64,
    /// Pixels of the target.
    pub target_area: u64,
    /// Pixels of the prediction.
    pub prediction_area: u64,
    /// `intersection / union`, with 1 for [`Status::BothEmpty`] and 0 for any other empty union.
    pub iou: f64,
}

/// How a row came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// There is a target and a prediction, which may be empty.
    Scored,
    /// There is no target, and the prediction is empty: IoU 1.
    BothEmpty,
    /// There is no target, but the prediction has pixels: IoU 0, and they join the union.
    NoTarget,
    /// There is no prediction: counts as a wrong one, IoU 0, the target joins the union.
    Missing,
    /// The prediction's size is not the image's: as `Missing`.
    SizeMismatch,
    /// The prediction cannot be read and bad records are skipped: as `Missing`.
    Unreadable,
}

impl Status {
    /// Whether the prediction took part in the score.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Scored | Self::BothEmpty | Self::NoTarget)
    }

    /// Status of a prediction that was read, from its counts.
    pub fn of_counts(counts: Counts) -> Self {
        match (counts.target, counts.prediction) {
            (0, 0) => Self::BothEmpty,
            (0, _) => Self::NoTarget,
            _ => Self::Scored,
        }
    }
}

impl Row {
    /// The IoU as an exact fraction.
    pub fn exact_iou(&self) -> Iou {
        match self.status {
            Status::BothEmpty => Iou::ONE,
            _ => Iou::new(self.intersection, self.union),
        }
    }

    /// The key by which a prediction for this row is found: `key:query`, or `key` alone.
    pub fn query_key(&self) -> String {
        match self.query {
            Some(query) => format!("{}:{query}", self.key),
            None => self.key.clone(),
        }
    }
}

/// What was wrong with the input. None of it removes a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problems {
    /// Units without a prediction.
    pub missing: Names,
    /// Units whose prediction has another size than the image.
    pub size_mismatch: Names,
    /// Units whose prediction could not be read.
    pub unreadable: Names,
    /// Units that stand in the data more than once; each is scored.
    pub repeated: Names,
    /// Predictions whose key an earlier one has; the first counts.
    pub duplicate: Names,
    /// Predictions that no sample asked for.
    pub unmatched: Names,
    /// Prediction records that could not be read at all.
    pub bad_predictions: Names,
    /// Samples that could not be read; they have no row, because they have no target.
    pub bad_samples: Names,
}

impl Problems {
    /// Whether every unit was scored on a prediction of its own.
    pub fn is_complete(&self) -> bool {
        [&self.missing, &self.size_mismatch, &self.unreadable, &self.bad_samples]
            .iter()
            .all(|names| names.count == 0)
    }
}

/// How often something happened, and the first few names of where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Exact count.
    pub count: u64,
    /// The first [`Names::KEPT`] of them.
    pub first: Vec<String>,
}

impl Names {
    /// How many names are kept.
    pub const KEPT: usize = 10;

    /// Counts one more.
    pub fn push(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(name());
        }
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        let room = Self::KEPT.saturating_sub(self.first.len());
        self.first.extend(other.first.into_iter().take(room));
    }
}

impl Scores {
    /// Scores of these rows. `problems` holds what rows do not tell; `missing` and `repeated` are
    /// taken from the rows.
    pub fn new(rows: Vec<Row>, mut problems: Problems) -> Self {
        let summary = Summary::of(&rows);
        (problems.missing, problems.repeated) = (Names::default(), Names::default());
        let mut seen = HashSet::with_capacity_and_hasher(rows.len(), RandomState::default());
        for row in &rows {
            if row.status == Status::Missing {
                problems.missing.push(|| row.query_key());
            }
            if !seen.insert((&row.dataset, &row.split, &row.key, row.query)) {
                problems.repeated.push(|| row.query_key());
            }
        }
        drop(seen);
        Self { summary, problems, rows }
    }

    /// Scores of both: exactly those of one evaluation over the rows of `self`, then `other`. A
    /// unit that both hold (a sampler that pads the last batch) is counted in
    /// [`Problems::repeated`].
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let (mut problems, theirs) = (self.problems, other.problems);
        problems.size_mismatch.merge(theirs.size_mismatch);
        problems.unreadable.merge(theirs.unreadable);
        problems.duplicate.merge(theirs.duplicate);
        problems.unmatched.merge(theirs.unmatched);
        problems.bad_predictions.merge(theirs.bad_predictions);
        problems.bad_samples.merge(theirs.bad_samples);
        let mut rows = self.rows;
        rows.extend(other.rows);
        Self::new(rows, problems)
    }
}
