//! Which samples get pictures.

use std::collections::HashMap;

use ahash::RandomState;
use segzero_eval::{Row, Status};

use super::Report;
use crate::preview::mix;

/// How samples are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GalleryOptions {
    /// How many samples get pictures: a quarter the worst, a quarter the best, the rest at random.
    pub count: usize,
    /// Seed of the draw.
    pub seed: u64,
}

impl Default for GalleryOptions {
    fn default() -> Self {
        Self { count: 200, seed: 42 }
    }
}

/// One scored unit with its row in every run.
#[derive(Clone, Debug)]
pub(super) struct Unit<'a> {
    /// Its row in the first run that has it.
    pub first: &'a Row,
    /// Its row in each run.
    pub rows: Vec<Option<&'a Row>>,
}

impl Unit<'_> {
    /// Mean IoU over the runs that count it.
    fn iou(&self) -> Option<f64> {
        let counted = |row: &&Row| row.status != Status::Skipped;
        let ious: Vec<f64> =
            self.rows.iter().flatten().copied().filter(counted).map(|row| row.iou).collect();
        (!ious.is_empty()).then(|| ious.iter().sum::<f64>() / ious.len() as f64)
    }

    /// The last run's IoU less the first's, where both count the unit.
    fn change(&self) -> Option<f64> {
        let iou =
            |row: &Option<&Row>| row.filter(|row| row.status != Status::Skipped).map(|row| row.iou);
        Some(iou(self.rows.last()?)? - iou(self.rows.first()?)?)
    }

    /// Whether some run has a prediction to look at.
    fn is_answered(&self) -> bool {
        self.rows.iter().flatten().any(|row| row.status.is_usable())
    }
}

/// Positions of the chosen units. The parts have none in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Lowest IoU, worst first; units without any prediction, which have nothing to show, come last.
    pub worst: Vec<usize>,
    /// Highest IoU, best first.
    pub best: Vec<usize>,
    /// Drawn from all the others.
    pub random: Vec<usize>,
    /// Lost most from the first run to the last, the largest loss first.
    pub losses: Vec<usize>,
    /// Won most, the largest win first.
    pub wins: Vec<usize>,
}

impl Chosen {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = usize> {
        let lists = [&self.worst, &self.best, &self.random, &self.losses, &self.wins];
        lists.into_iter().flatten().copied()
    }
}

impl Report {
    /// The units of all runs, in the order of the first that has them.
    pub(super) fn units(&self) -> Vec<Unit<'_>> {
        let mut units: Vec<Unit> = Vec::new();
        let mut known: HashMap<_, usize, RandomState> = HashMap::default();
        for (run, entry) in self.entries.iter().enumerate() {
            for row in &entry.run.scores.rows {
                let name = (&*row.dataset, &*row.split, &*row.key, row.query);
                let unit = *known.entry(name).or_insert_with(|| {
                    units.push(Unit { first: row, rows: vec![None; self.entries.len()] });
                    units.len() - 1
                });
                // A unit that stands in the data twice is shown as it is first.
                units[unit].rows[run].get_or_insert(row);
            }
        }
        units
    }

    /// Chooses the samples that get pictures, the same ones for the same seed.
    pub fn choose(&self, options: &GalleryOptions) -> Chosen {
        choose(&self.units(), options)
    }

    /// Chooses the samples whose IoU changed most from the first run to the last, losses and wins
    /// alike.
    pub fn choose_changes(&self, count: usize) -> Chosen {
        let mut changes: Vec<(f64, usize)> = self
            .units()
            .iter()
            .enumerate()
            .filter_map(|(at, unit)| Some((unit.change()?, at)))
            .filter(|(change, _)| *change != 0.0)
            .collect();
        changes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let at = |change: &(f64, usize)| change.1;
        let losses = changes.iter().take_while(|change| change.0 < 0.0);
        let wins = changes.iter().rev().take_while(|change| change.0 > 0.0);
        Chosen {
            losses: losses.take(count.div_ceil(2)).map(at).collect(),
            wins: wins.take(count.div_ceil(2)).map(at).collect(),
            ..Chosen::default()
        }
    }
}

fn choose(units: &[Unit], options: &GalleryOptions) -> Chosen {
    let rank = |unit: usize| mix(options.seed ^ mix(unit as u64));
    let mut order: Vec<(bool, f64, u64, usize)> = units
        .iter()
        .enumerate()
        .filter_map(|(at, unit)| Some((!unit.is_answered(), unit.iou()?, rank(at), at)))
        .collect();
    // Equal IoUs, of which there are many zeros, are in random order.
    order.sort_by(|a, b| {
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)).then(a.3.cmp(&b.3))
    });
    let count = options.count.min(units.len());
    let quarter = (count / 4).min(order.len() / 2);
    let answered = order.iter().filter(|unit| !unit.0).count().max(quarter);
    let at = |unit: &(bool, f64, u64, usize)| unit.3;
    let worst: Vec<usize> = order[..quarter].iter().map(at).collect();
    let from = (answered - quarter).max(quarter);
    let best: Vec<usize> = order[from..answered].iter().rev().map(at).collect();
    let mut taken = vec![false; units.len()];
    worst.iter().chain(&best).for_each(|&unit| taken[unit] = true);
    let mut rest: Vec<usize> = (0..units.len()).filter(|&unit| !taken[unit]).collect();
    rest.sort_by_key(|&unit| rank(unit));
    rest.truncate(count - worst.len() - best.len());
    Chosen { worst, best, random: rest, ..Chosen::default() }
}
