//! [`Summary`]: the numbers of a set of rows under a protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::protocol::{MeanOver, Protocol, Reach};
use crate::{Cell, Iou, IouSum, Status};

/// The numbers of a set of rows; fractions, not percent. `None` where there is nothing to divide by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of scored units.
    pub n: u64,
    /// Units that the protocol leaves out.
    pub skipped: u64,
    /// Mean IoU over the units (LISA's gIoU; also mIoU).
    pub giou: Option<f64>,
    /// Sum of intersections over sum of unions (also oIoU, overall IoU).
    pub ciou: Option<f64>,
    /// Median IoU; the mean of the middle two where `n` is even.
    pub median_iou: Option<f64>,
    /// Share of units that reach an IoU, per threshold of the protocol.
    pub precision: Vec<Precision>,
    /// Sum of intersections, pixels.
    pub intersection: u64,
    /// Sum of unions, pixels.
    pub union: u64,
    /// Units without a target.
    pub no_target: u64,
    /// Units without a target whose answer is that there is none.
    pub both_empty: u64,
    /// Units with a target whose answer is that there is none.
    pub empty_prediction: u64,
    /// Share of the units without a target whose answer is that there is none (N-acc.).
    pub no_target_accuracy: Option<f64>,
    /// Share of the units with a target whose answer is that there is one (T-acc.).
    pub target_accuracy: Option<f64>,
    /// Share of the targets whose box is found: IoU above 0.5.
    pub box_accuracy: Option<f64>,
    /// Share of the predicted points that lie on the target.
    pub points_on_target: Option<f64>,
    /// Mean Boundary IoU.
    pub boundary_iou: Option<f64>,
}

/// Share of units that reach an IoU threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Precision {
    /// The threshold.
    pub at: f64,
    /// Share of units.
    pub share: f64,
}

impl Summary {
    /// The numbers of these cells. Independent of their order, unless [`Protocol::replicas`] repeats
    /// the first of them.
    pub fn of(cells: &[Cell], protocol: &Protocol) -> Self {
        let counted = || cells.iter().filter(|cell| cell.status != Status::Skipped);
        let kept: Vec<&Cell> = counted().chain(counted().take(padding(cells, protocol))).collect();
        let n = kept.len() as u64;
        let sum = |term: fn(&Cell) -> u64| kept.iter().map(|cell| term(cell)).sum::<u64>();
        let count = |keep: fn(&Cell) -> bool| kept.iter().filter(|cell| keep(cell)).count() as u64;
        // Masks have less than 2^32 pixels and there are less than 2^32 rows: no overflow.
        let (intersection, union) = (sum(|cell| cell.intersection), sum(|cell| cell.union));
        let no_target = count(|cell| cell.has_target == Some(false));
        let targets = count(|cell| cell.has_target == Some(true));
        let both_empty = count(|cell| cell.has_target == Some(false) && cell.said_nothing);
        let found = count(|cell| cell.has_target == Some(true) && cell.is_positive());
        let boxes = count(|cell| cell.box_iou >= 0.0);
        let [hits, points] = [sum(|cell| u64::from(cell.points[0])), sum(|c| c.points[1].into())];
        Self {
            n,
            skipped: (cells.len() - counted().count()) as u64,
            giou: mean_iou(&kept, protocol),
            ciou: (union > 0)
                .then(|| intersection as f64 / (union as f64 + protocol.epsilon.cumulative)),
            median_iou: median(&mut kept.iter().map(|cell| cell.iou).collect::<Vec<_>>()),
            precision: precision(&kept, protocol),
            intersection,
            union,
            no_target,
            both_empty,
            empty_prediction: count(|cell| cell.has_target == Some(true) && cell.said_nothing),
            no_target_accuracy: ratio(both_empty, no_target),
            target_accuracy: ratio(found, targets),
            box_accuracy: ratio(count(|cell| cell.box_iou > 0.5), boxes),
            points_on_target: ratio(hits, points),
            boundary_iou: boundary(&kept),
        }
    }
}

/// How many of the first units a distributed sampler repeats, so that every process gets as many.
fn padding(cells: &[Cell], protocol: &Protocol) -> usize {
    let counted = cells.iter().filter(|cell| cell.status != Status::Skipped).count();
    let replicas = protocol.replicas.max(1) as usize;
    counted.next_multiple_of(replicas) - counted
}

fn mean_iou(kept: &[&Cell], protocol: &Protocol) -> Option<f64> {
    let group = match protocol.mean {
        MeanOver::Unit => {
            let mut sum = IouSum::default();
            kept.iter().for_each(|cell| cell.add_to(&mut sum, protocol.epsilon.iou));
            return sum.mean_with(protocol.epsilon.mean);
        }
        MeanOver::Sample => |cell: &Cell| cell.sample,
        MeanOver::Image => |cell: &Cell| cell.image,
    };
    let mut groups: BTreeMap<u64, IouSum> = BTreeMap::new();
    for cell in kept {
        cell.add_to(groups.entry(group(cell)).or_default(), protocol.epsilon.iou);
    }
    let mut sum = IouSum::default();
    groups.values().filter_map(|group| group.mean()).for_each(|mean| sum.add_value(mean));
    sum.mean_with(protocol.epsilon.mean)
}

fn precision(kept: &[&Cell], protocol: &Protocol) -> Vec<Precision> {
    let of_targets = protocol.precision == Reach::AtLeastOfTargets;
    let among = |cell: &&&Cell| !of_targets || cell.has_target != Some(false);
    let all = kept.iter().filter(among).count() as u64;
    let share = |tenths: u32| {
        let reached = |cell: &&&Cell| cell.reaches(tenths, protocol.precision);
        let count = kept.iter().filter(among).filter(reached).count() as u64;
        Some(Precision { at: f64::from(tenths) / 10.0, share: ratio(count, all)? })
    };
    protocol.thresholds.iter().filter_map(|&tenths| share(tenths)).collect()
}

fn boundary(kept: &[&Cell]) -> Option<f64> {
    let mut sum = IouSum::default();
    for cell in kept {
        if let Some(iou) = cell.boundary {
            sum.add(iou);
        }
    }
    sum.mean()
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Reorders `ious`.
fn median(ious: &mut [Iou]) -> Option<f64> {
    if ious.is_empty() {
        return None;
    }
    let middle = ious.len() / 2;
    let odd = ious.len() % 2 == 1;
    let (below, &mut upper, _) = ious.select_nth_unstable(middle);
    let lower = below.iter().max().filter(|_| !odd).map_or(upper, |&iou| iou);
    Some((lower.value() + upper.value()) / 2.0)
}
