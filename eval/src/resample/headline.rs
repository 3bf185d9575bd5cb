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

/// Columns of a row: the numerators in the order of [`Headline`], then the denominators that are
/// not a count of units already there.
const COLUMNS: usize = 20;

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
        let count = |is_counted: bool| u64::from(is_counted);
        let yes = |answer: Option<bool>| count(answer == Some(true));
        let [a, b, c, d, e] = self.reaches.unwrap_or_default().map(count);
        [
            share(self.iou),
            self.intersection,
            a,
            b,
            c,
            d,
            e,
            yes(self.is_rejected),
            yes(self.is_accepted),
            yes(self.box_is_found),
            self.points_on_target.into(),
            share(self.boundary_iou),
            count(self.iou.is_some()),
            self.union,
            count(self.reaches.is_some()),
            count(self.is_rejected.is_some()),
            count(self.is_accepted.is_some()),
            count(self.box_is_found.is_some()),
            self.points.into(),
            count(self.boundary_iou.is_some()),
        ]
    }
}

/// Figures of sums of columns.
fn figures(sums: &[u64; COLUMNS]) -> [Option<f64>; FIGURES] {
    std::array::from_fn(|figure| {
        let below = match figure {
            0 | 1 => FIGURES + figure,
            2..7 => FIGURES + 2,
            _ => FIGURES + figure - 4,
        };
        let scale = if matches!(figure, 0 | 11) { ONE } else { 1.0 };
        let (part, whole) = (sums[figure], sums[below]);
        (whole > 0).then(|| part as f64 / scale / whole as f64)
    })
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
