//! [`Summary`]: the numbers of a set of rows under a protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::partial::mean_of_means;
use crate::protocol::{MeanOver, Protocol};
use crate::{Cell, Iou, IouSum, Partial, Status};

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
    pub fn of<'a, C>(cells: C, protocol: &Protocol) -> Self
    where
        C: IntoIterator<Item = &'a Cell, IntoIter: Clone>,
    {
        let cells = cells.into_iter();
        let counted = cells.clone().filter(|cell| cell.status != Status::Skipped);
        let n = counted.clone().count() as u64;
        // How many of the first units a distributed sampler repeats, so that every process gets as
        // many.
        let padding = n.next_multiple_of(u64::from(protocol.replicas.max(1))) - n;
        let kept = counted.clone().chain(counted.take(padding as usize));
        let mut sums = Partial::default();
        kept.clone().for_each(|cell| sums.add(cell, protocol));
        let mut ious: Vec<Iou> = kept.clone().map(|cell| cell.iou).collect();
        let skipped = cells.count() as u64 - n;
        let summary = sums.summary(protocol);
        let giou = match protocol.mean {
            MeanOver::Unit => summary.giou,
            MeanOver::Sample => grouped(kept, |cell| cell.sample, protocol),
            MeanOver::Image => grouped(kept, |cell| cell.image, protocol),
        };
        Self { giou, skipped, median_iou: median(&mut ious), ..summary }
    }
}

/// The mean over groups of the means within them.
fn grouped<'a>(
    cells: impl Iterator<Item = &'a Cell>,
    group: fn(&Cell) -> u64,
    protocol: &Protocol,
) -> Option<f64> {
    let mut groups: BTreeMap<u64, IouSum> = BTreeMap::new();
    for cell in cells {
        cell.add_to(groups.entry(group(cell)).or_default(), protocol.epsilon.iou);
    }
    mean_of_means(groups.into_values(), protocol)
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
