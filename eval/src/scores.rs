//! [`Scores`]: what an evaluation found, sample by sample.

use std::collections::HashSet;

use ahash::RandomState;
use serde::{Deserialize, Serialize};

use crate::breakdown::Breakdown;
use crate::protocol::Protocol;
use crate::resample::{self, Headline, Interval};
use crate::{Cell, Row, Summary};

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Everything but the rows.
    #[serde(flatten)]
    pub totals: Totals,
    /// One row a unit, in the order of the data set.
    pub rows: Vec<Row>,
}

/// The numbers of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// The rules by which the rows were scored.
    pub protocol: Protocol,
    /// The numbers by them; computed from the rows alone.
    pub summary: Summary,
    /// How sure the headline figures are, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// The same numbers by size of the object, length of the query, ...
    #[serde(default)]
    pub breakdowns: Vec<Breakdown>,
    /// The numbers of the same predictions by other rules, where those were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Verdict>,
    /// What was wrong with the input.
    pub problems: Problems,
}

/// Intervals of the headline figures, and how they were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// What was drawn, how often, and the probability that an interval holds.
    pub options: resample::Options,
    /// The intervals; fractions.
    pub figures: Headline<Option<Interval>>,
}

impl Intervals {
    /// Intervals of the figures of these cells. Independent of their order.
    pub fn of(cells: &[Cell], protocol: &Protocol, options: resample::Options) -> Self {
        let units = cells.iter().filter_map(|cell| Some((cell.image, cell.terms(protocol)?)));
        Self { options, figures: Headline::<Option<Interval>>::intervals(units, &options) }
    }
}

/// The numbers of one evaluation by other rules than its rows'.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rules.
    pub protocol: Protocol,
    /// The numbers.
    pub summary: Summary,
}

/// What was wrong with the input. None of it removes a row, unless the protocol says so.
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
    /// Predictions without a mask, whose boxes were filled instead.
    #[serde(default)]
    pub filled_boxes: Names,
    /// Units whose prediction is a reply that holds no answer; they count as missing.
    #[serde(default)]
    pub unanswered: Names,
    /// Predictions of an image that several samples could claim; none got it.
    #[serde(default)]
    pub ambiguous: Names,
    /// Prediction records whose key others have too; the best counted, or all together.
    #[serde(default)]
    pub several: Names,
}

impl Problems {
    /// Whether every unit was scored on a prediction of its own.
    pub fn is_complete(&self) -> bool {
        [&self.missing, &self.size_mismatch, &self.unreadable, &self.bad_samples]
            .iter()
            .all(|names| names.count == 0)
    }

    /// Takes over what another shard found, except `repeated`, which only all rows together tell.
    fn merge(&mut self, other: Self) {
        self.missing.merge(other.missing);
        self.size_mismatch.merge(other.size_mismatch);
        self.unreadable.merge(other.unreadable);
        self.duplicate.merge(other.duplicate);
        self.unmatched.merge(other.unmatched);
        self.bad_predictions.merge(other.bad_predictions);
        self.bad_samples.merge(other.bad_samples);
        self.filled_boxes.merge(other.filled_boxes);
        self.unanswered.merge(other.unanswered);
        self.ambiguous.merge(other.ambiguous);
        self.several.merge(other.several);
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

impl Totals {
    /// The numbers of these cells under one protocol.
    pub fn of(cells: &[Cell], protocol: Protocol, problems: Problems) -> Self {
        Self {
            summary: Summary::of(cells, &protocol),
            intervals: None,
            breakdowns: Breakdown::all(cells, &protocol),
            others: Vec::new(),
            protocol,
            problems,
        }
    }
}

impl Scores {
    /// Scores of these rows. `problems.repeated` is taken from the rows.
    pub fn new(rows: Vec<Row>, protocol: Protocol, mut problems: Problems) -> Self {
        problems.repeated = Names::default();
        let mut seen = Seen::default();
        let mut cells = Vec::with_capacity(rows.len());
        for row in &rows {
            let cell = Cell::of(row);
            if !seen.insert(&cell, row.query) {
                problems.repeated.push(|| row.query_key());
            }
            cells.push(cell);
        }
        Self { totals: Totals::of(&cells, protocol, problems), rows }
    }

    /// Scores of both: exactly those of one evaluation over the rows of `self`, then `other`; the
    /// numbers do not depend on which comes first. A unit that both hold (a sampler that pads the
    /// last batch) is counted in [`Problems::repeated`].
    ///
    /// # Errors
    /// The name of the other protocol, where the rules differ.
    pub fn merge(self, other: Self) -> Result<Self, String> {
        if self.totals.protocol != other.totals.protocol {
            return Err(other.totals.protocol.name);
        }
        let mut problems = self.totals.problems;
        problems.merge(other.totals.problems);
        let mut rows = self.rows;
        rows.extend(other.rows);
        Ok(Self::new(rows, self.totals.protocol, problems))
    }

    /// The rows' cells, in their order.
    pub fn cells(&self) -> Vec<Cell> {
        self.rows.iter().map(Cell::of).collect()
    }
}

/// Which units were seen. By 64-bit hash: two units of a million share one by chance once in 37
/// million such runs, and then a warning is wrong, not a number.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashSet<u64, RandomState>);

impl Seen {
    /// Whether the unit is new.
    pub fn insert(&mut self, cell: &Cell, query: Option<i64>) -> bool {
        self.0.insert(cell.unit(query))
    }
}
