//! The headline figures of segmentation, as ratios of sums.

use serde::{Deserialize, Serialize};

use super::{Difference, Interval, Options};

/// What one unit adds to the headline figures, by the rules of whatever protocol scored it. `None`
/// says that the unit is not among those over which a figure is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// The unit's IoU, in the mean that is gIoU.
    pub iou: Option<f64>,
    /// Pixels that join the sum of intersections of cIoU.
    pub intersection: u64,
    /// Pixels that join the sum of unions.
    pub union: u64,
    /// Whether the IoU reaches 0.5, 0.6, 0.7, 0.8, 0.9.
    pub reaches: Option<[bool; 5]>,
    /// Of a unit without a target: whether the answer is that there is none (N-acc.).
    pub is_rejected: Option<bool>,
    /// Of a unit with a target: whether the answer is that there is one (T-acc.).
    pub is_accepted: Option<bool>,
    /// Whether the box is found.
    pub box_is_found: Option<bool>,
    /// Predicted points that lie on the target.
    pub points_on_target: u32,
    /// Predicted points.
    pub points: u32,
    /// Boundary IoU.
    pub boundary_iou: Option<f64>,
}

/// Number of the headline figures.
const FIGURES: usize = 12;

/// Columns of a row: 4 sums, and 16 counts, two to a column. Additions carry from no count into
/// the next while a resample holds less than 2^32 units and points.
const COLUMNS: usize = 12;

/// One thing for each headline figure, named as in [`crate::Summary`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Headline<T> {
    /// Mean IoU.
    pub giou: T,
    /// Sum of intersections over sum of unions.
    pub ciou: T,
    /// Share of units that reach an IoU of 0.5, 0.6, 0.7, 0.8, 0.9.
    pub precision: [T; 5],
    /// Share of the units without a target that are answered so.
    pub no_target_accuracy: T,
    /// Share of the units with a target that are answered so.
    pub target_accuracy: T,
    /// Share of the boxes that are found.
    pub box_accuracy: T,
    /// Share of the points that lie on the target.
    pub points_on_target: T,
    /// Mean Boundary IoU.
    pub boundary_iou: T,
}

impl Headline<Option<Interval>> {
    /// Intervals of the headline figures. A unit is its cluster (any number that stands for its
    /// image, the same in every unit of it) and its terms.
    pub fn intervals(units: impl IntoIterator<Item = (u64, Terms)>, options: &Options) -> Self {
        let units = units.into_iter().map(|(cluster, terms)| (cluster, terms.columns()));
        super::intervals(units, figures, options).into()
    }
}

impl Headline<Option<Difference>> {
    /// Paired comparison of two runs: each unit with its terms in the first and the second.
    pub fn compare(units: impl IntoIterator<Item = (u64, [Terms; 2])>, options: &Options) -> Self {
        let units = units.into_iter().map(|(cluster, terms)| (cluster, terms.map(Terms::columns)));
        super::compare(units, figures, options).into()
    }
}

/// An IoU of 1. Sums of 2^28 units fit 64 bits, and an IoU is off by at most 2^-37.
const ONE: f64 = (1u64 << 36) as f64;

impl Terms {
    fn columns(self) -> [u64; COLUMNS] {
        let share = |share: Option<f64>| share.map_or(0, |share| (share * ONE).round() as u64);
        let count = |is_so: bool| u32::from(is_so);
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        // How often something is so, of how often it can be.
        let answer = |so: Option<bool>| pair(count(so == Some(true)), count(so.is_some()));
        let [a, b, c, d, e] = self.reaches.unwrap_or_default().map(count);
        [
            share(self.iou),
            self.intersection,
            self.union,
            share(self.boundary_iou),
            pair(count(self.boundary_iou.is_some()), count(self.iou.is_some())),
            pair(a, b),
            pair(c, d),
            pair(e, count(self.reaches.is_some())),
            answer(self.is_rejected),
            answer(self.is_accepted),
            answer(self.box_is_found),
            pair(self.points_on_target, self.points),
        ]
    }
}

/// Figures of sums of columns, in the order of [`Headline`].
fn figures(sums: &[u64; COLUMNS]) -> [Option<f64>; FIGURES] {
    let [iou, intersection, union, boundary, counts @ ..] = *sums;
    let halves = |column: u64| [column >> 32, column & u64::from(u32::MAX)];
    let [units, ab, cd, e, rejected, accepted, boxes, points] = counts.map(halves);
    let ratio = |[part, whole]: [u64; 2]| (whole > 0).then(|| part as f64 / whole as f64);
    let mean = |[sum, n]: [u64; 2]| ratio([sum, n]).map(|mean| mean / ONE);
    let reached = |count| ratio([count, e[1]]);
    [
        mean([iou, units[1]]),
        ratio([intersection, union]),
        reached(ab[0]),
        reached(ab[1]),
        reached(cd[0]),
        reached(cd[1]),
        reached(e[0]),
        ratio(rejected),
        ratio(accepted),
        ratio(boxes),
        ratio(points),
        mean([boundary, units[0]]),
    ]
}

impl<T> From<[T; FIGURES]> for Headline<T> {
    fn from(figures: [T; FIGURES]) -> Self {
        let [giou, ciou, a, b, c, d, e, rejected, accepted, boxes, points, boundary_iou] = figures;
        Self {
            giou,
            ciou,
            precision: [a, b, c, d, e],
            no_target_accuracy: rejected,
            target_accuracy: accepted,
            box_accuracy: boxes,
            points_on_target: points,
            boundary_iou,
        }
    }
}
