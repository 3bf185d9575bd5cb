//! [`Partial`]: sums over some of the units, which join into those over all.

use crate::protocol::{MeanOver, Protocol, Reach};
use crate::{Cell, IouSum, Precision, Status, Summary};

/// Sums over units under one protocol. All of them are whole numbers (IoUs are summed in fixed point),
/// so partials of any cut of the units, joined in any order, are the same bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// Number of scored units.
    pub n: u64,
    /// Units that the protocol leaves out.
    pub skipped: u64,
    /// Units without a readable target; they are in no other number.
    pub failed: u64,
    /// Sum of their IoUs.
    pub iou: IouSum,
    /// Sum of their Boundary IoUs, where those were asked for.
    pub boundary: IouSum,
    /// Sum of intersections, pixels.
    pub intersection: u64,
    /// Sum of unions, pixels.
    pub union: u64,
    /// Units without a target.
    pub no_target: u64,
    /// Units without a target whose answer is that there is none.
    pub both_empty: u64,
    /// Units with a target.
    pub targets: u64,
    /// Units with a target whose answer is that there is one.
    pub found: u64,
    /// Units with a target whose answer is that there is none.
    pub denied: u64,
    /// Targets whose box is found, and targets that have one.
    pub boxes: [u64; 2],
    /// Predicted points on the target, and all of them.
    pub points: [u64; 2],
    /// Units that precision is a share of.
    pub among: u64,
    /// Those of them that reach each threshold of the protocol.
    pub reached: Vec<u64>,
}

impl Partial {
    /// Adds a unit.
    pub fn add(&mut self, cell: &Cell, protocol: &Protocol) {
        if cell.status == Status::Skipped {
            self.skipped += 1;
            return;
        }
        self.n += 1;
        cell.add_to(&mut self.iou, protocol.epsilon.iou);
        self.boundary.extend(cell.boundary);
        // Masks have less than 2^32 pixels and there are less than 2^32 rows: no overflow.
        self.intersection += cell.intersection;
        self.union += cell.union;
        match cell.has_target {
            Some(true) => {
                self.targets += 1;
                self.found += u64::from(cell.is_positive());
                self.denied += u64::from(cell.said_nothing);
            }
            Some(false) => {
                self.no_target += 1;
                self.both_empty += u64::from(cell.said_nothing);
            }
            None => {}
        }
        self.boxes[0] += u64::from(cell.box_iou > 0.5);
        self.boxes[1] += u64::from(cell.box_iou >= 0.0);
        for (sum, count) in self.points.iter_mut().zip(cell.points) {
            *sum += u64::from(count);
        }
        self.reached.resize(protocol.thresholds.len(), 0);
        if protocol.precision == Reach::AtLeastOfTargets && cell.has_target == Some(false) {
            return;
        }
        self.among += 1;
        for (reached, &tenths) in self.reached.iter_mut().zip(&protocol.thresholds) {
            *reached += u64::from(cell.reaches(tenths, protocol.precision));
        }
    }

    /// Joins the sums over other units of the same protocol.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.iou.merge(other.iou);
        self.boundary.merge(other.boundary);
        self.intersection += other.intersection;
        self.union += other.union;
        self.no_target += other.no_target;
        self.both_empty += other.both_empty;
        self.targets += other.targets;
        self.found += other.found;
        self.denied += other.denied;
        self.among += other.among;
        let lists: [(&mut [u64], &[u64]); 3] = {
            self.reached.resize(self.reached.len().max(other.reached.len()), 0);
            [
                (&mut self.boxes, &other.boxes),
                (&mut self.points, &other.points),
                (&mut self.reached, &other.reached),
            ]
        };
        for (ours, theirs) in lists {
            ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours += theirs);
        }
    }

    /// The numbers, without the median, which sums do not tell, and without gIoU where that is no mean
    /// over units.
    pub fn summary(&self, protocol: &Protocol) -> Summary {
        let share = |(&tenths, &reached): (&u32, &u64)| {
            let share = ratio(reached, self.among)?;
            Some(Precision { at: f64::from(tenths) / 10.0, share })
        };
        let epsilon = protocol.epsilon;
        let giou = || self.iou.mean_with(epsilon.mean);
        Summary {
            n: self.n,
            skipped: self.skipped,
            giou: (protocol.mean == MeanOver::Unit).then(giou).flatten(),
            ciou: (self.union > 0)
                .then(|| self.intersection as f64 / (self.union as f64 + epsilon.cumulative)),
            median_iou: None,
            precision: protocol.thresholds.iter().zip(&self.reached).filter_map(share).collect(),
            intersection: self.intersection,
            union: self.union,
            no_target: self.no_target,
            both_empty: self.both_empty,
            empty_prediction: self.denied,
            no_target_accuracy: ratio(self.both_empty, self.no_target),
            target_accuracy: ratio(self.found, self.targets),
            box_accuracy: ratio(self.boxes[0], self.boxes[1]),
            points_on_target: ratio(self.points[0], self.points[1]),
            boundary_iou: self.boundary.mean(),
        }
    }

    /// The numbers of all groups of units together. Groups are the samples or images that the protocol
    /// takes its mean over, each whole; under any other protocol, what you like.
    pub fn summary_of(groups: &[Self], protocol: &Protocol) -> Summary {
        let mut all = Self::default();
        groups.iter().for_each(|group| all.merge(group));
        let giou = match protocol.mean {
            MeanOver::Unit => all.iou.mean_with(protocol.epsilon.mean),
            MeanOver::Sample | MeanOver::Image => {
                mean_of_means(groups.iter().map(|group| group.iou), protocol)
            }
        };
        Summary { giou, ..all.summary(protocol) }
    }
}

/// The mean over groups of the means within them.
pub(crate) fn mean_of_means(
    groups: impl Iterator<Item = IouSum>,
    protocol: &Protocol,
) -> Option<f64> {
    let mut sum = IouSum::default();
    groups.filter_map(IouSum::mean).for_each(|mean| sum.add_value(mean));
    sum.mean_with(protocol.epsilon.mean)
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
