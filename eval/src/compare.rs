//! [`Comparison`]: two runs over the same units, pair by pair.

use std::cmp::Ordering;
use std::collections::HashMap;

use ahash::RandomState;
use serde::Serialize;

use crate::resample::{Difference, Headline, Options, Terms};
use crate::{Cell, Names, Protocol, Row, Run, Status, Summary};

/// Two runs, compared on the units that both have.
#[derive(Debug, Serialize)]
pub struct Comparison<'a> {
    /// The rules, which are those of both.
    pub protocol: &'a Protocol,
    /// Numbers of the base over the common units.
    pub base: Summary,
    /// Numbers of the new run over the common units.
    pub new: Summary,
    /// How the differences were tested.
    pub options: Options,
    /// The new run's figures less the base's.
    pub figures: Headline<Option<Difference>>,
    /// Units that only the base has.
    pub only_base: Names,
    /// Units that only the new run has.
    pub only_new: Names,
    /// The common units, the largest loss first, the largest win last; ties in the base's order.
    #[serde(skip)]
    pub pairs: Vec<Pair<'a>>,
}

/// One unit in both runs.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// Its row in the base.
    pub base: &'a Row,
    /// Its row in the new run.
    pub new: &'a Row,
}

impl Pair<'_> {
    /// The new IoU less the old one.
    pub fn change(&self) -> f64 {
        self.new.iou - self.base.iou
    }
}

/// Why two runs cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// Their rules differ.
    #[error(
        "the runs were scored by different rules: `{field}` is {base} in one, {new} in the other"
    )]
    Rules {
        /// The first rule that differs.
        field: &'static str,
        /// Its value in the base.
        base: String,
        /// Its value in the new run.
        new: String,
    },
    /// They have no unit in common.
    #[error("the runs have no unit in common: the one has `{base}`, the other `{new}`")]
    NothingInCommon {
        /// A unit of the base.
        base: String,
        /// A unit of the new run.
        new: String,
    },
    /// A run has no rows.
    #[error("{which} has no rows")]
    Empty {
        /// `the base` or `the new run`.
        which: &'static str,
    },
}

/// Compares two runs on the units that both have; a unit is found by data set, split, sample key and
/// query.
///
/// # Errors
/// When the rules differ, either run is empty, or they share no unit.
pub fn compare<'a>(
    base: &'a Run,
    new: &'a Run,
    options: Options,
) -> Result<Comparison<'a>, CompareError> {
    let protocol = &base.scores.totals.protocol;
    let differences = protocol.differences(&new.scores.totals.protocol);
    if let Some((field, base, new)) = differences.into_iter().next() {
        return Err(CompareError::Rules { field, base, new });
    }
    let (base, new) = (&base.scores.rows, &new.scores.rows);
    let first =
        |rows: &[Row], which| rows.first().map(Row::query_key).ok_or(CompareError::Empty { which });
    let example = (first(base, "the base")?, first(new, "the new run")?);
    let (mut pairs, only_base, only_new) = join(base, new);
    if pairs.is_empty() {
        return Err(CompareError::NothingInCommon { base: example.0, new: example.1 });
    }
    let cells: Vec<[Cell; 2]> =
        pairs.iter().map(|pair| [Cell::of(pair.base), Cell::of(pair.new)]).collect();
    let terms = |[base, new]: &[Cell; 2]| -> Option<(u64, [Terms; 2])> {
        // A unit that the rules leave out of one run alone would make the two incomparable.
        let both = [base.terms(protocol), new.terms(protocol)];
        let [Some(before), Some(after)] = both else { return None };
        Some((base.image, [before, after]))
    };
    let figures = Headline::<Option<Difference>>::compare(cells.iter().filter_map(terms), &options);
    let of = |side: usize| {
        let cells: Vec<Cell> = cells.iter().map(|pair| pair[side]).collect();
        Summary::of(&cells, protocol)
    };
    let (before, after) = (of(0), of(1));
    pairs.retain(|pair| pair.base.status != Status::Skipped || pair.new.status != Status::Skipped);
    pairs.sort_by(|a, b| a.change().partial_cmp(&b.change()).unwrap_or(Ordering::Equal));
    Ok(Comparison {
        protocol,
        base: before,
        new: after,
        options,
        figures,
        only_base,
        only_new,
        pairs,
    })
}

/// Pairs in the base's order, and the units that only one side has.
fn join<'a>(base: &'a [Row], new: &'a [Row]) -> (Vec<Pair<'a>>, Names, Names) {
    type Key<'a> = (&'a str, &'a str, &'a str, Option<i64>);
    let key = |row: &'a Row| -> Key<'a> { (&row.dataset, &row.split, &row.key, row.query) };
    let mut by_key: HashMap<Key<'_>, &Row, RandomState> = HashMap::default();
    for row in new {
        by_key.entry(key(row)).or_insert(row);
    }
    let (mut only_base, mut only_new) = (Names::default(), Names::default());
    let mut pairs = Vec::with_capacity(base.len());
    for row in base {
        match by_key.remove(&key(row)) {
            Some(found) => pairs.push(Pair { base: row, new: found }),
            None => only_base.push(|| row.query_key()),
        }
    }
    for row in new.iter().filter(|row| by_key.contains_key(&key(row))) {
        only_new.push(|| row.query_key());
    }
    (pairs, only_base, only_new)
}
