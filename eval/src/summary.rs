//! [`Summary`]: the numbers of a set of rows.

use serde::{Deserialize, Serialize};

use crate::{Iou, IouSum, Row, Status};

/// IoU thresholds of [`Summary::precision`], in tenths.
pub const THRESHOLDS: [u32; 5] = [5, 6, 7, 8, 9];

/// The numbers of a set of rows; fractions, not percent. `None` where there is nothing to divide by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of scored units.
    pub n: u64,
    /// Mean IoU over the units (LISA's gIoU; also mIoU).
    pub giou: Option<f64>,
    /// Sum of intersections over sum of unions (also oIoU, overall IoU).
    pub ciou: Option<f64>,
    /// Median IoU; the mean of the middle two where `n` is even.
    pub median_iou: Option<f64>,
    /// Share of units whose IoU is at least 0.5, 0.6, ... 0.9.
    pub precision: Vec<Precision>,
    /// Sum of intersections, pixels.
    pub intersection: u64,
    /// Sum of unions, pixels.
    pub union: u64,
    /// Units without a target.
    pub no_target: u64,
    /// Units without a target whose prediction is empty, which count as IoU 1.
    pub both_empty: u64,
    /// Units with a target whose prediction is empty.
    pub empty_prediction: u64,
    /// Share of the units without a target whose prediction is empty (gRefCOCO's N-acc.).
    pub no_target_accuracy: Option<f64>,
    /// Share of the units with a target whose prediction is not empty (gRefCOCO's T-acc.).
    pub target_accuracy: Option<f64>,
}

/// Share of units at or above an IoU threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Precision {
    /// The threshold, reached by an IoU equal to it.
    pub at: f64,
    /// Share of units.
    pub share: f64,
}

impl Summary {
    /// The numbers of these rows; independent of their order.
    pub fn of(rows: &[Row]) -> Self {
        let n = rows.len() as u64;
        let mut ious: Vec<Iou> = rows.iter().map(Row::exact_iou).collect();
        let mut sum = IouSum::default();
        sum.extend(ious.iter().copied());
        let at_least = |tenths: u32| ious.iter().filter(|iou| iou.at_least_tenths(tenths)).count();
        let precision = THRESHOLDS.iter().map(|&tenths| Precision {
            at: f64::from(tenths) / 10.0,
            share: ratio(at_least(tenths) as u64, n).unwrap_or(0.0),
        });
        let precision = precision.collect();
        // Masks have less than 2^32 pixels and there are less than 2^32 rows: no overflow.
        let intersection = rows.iter().map(|row| row.intersection).sum();
        let union = rows.iter().map(|row| row.union).sum();
        let count = |keep: fn(&Row) -> bool| rows.iter().filter(|row| keep(row)).count() as u64;
        let no_target = count(|row| row.target_area == 0);
        let both_empty = count(|row| row.status == Status::BothEmpty);
        let found = count(|row| row.target_area > 0 && row.prediction_area > 0);
        Self {
            n,
            giou: sum.mean(),
            ciou: ratio(intersection, union),
            median_iou: median(&mut ious),
            precision,
            intersection,
            union,
            no_target,
            both_empty,
            empty_prediction: count(|row| row.status == Status::Scored && row.prediction_area == 0),
            no_target_accuracy: ratio(both_empty, no_target),
            target_accuracy: ratio(found, n - no_target),
        }
    }
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
