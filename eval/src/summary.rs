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
        let mut tally = Tally::new(protocol);
        kept.clone().for_each(|cell| tally.add(cell));
        let skipped = cells.count() as u64 - n;
        let giou = match protocol.mean {
            MeanOver::Unit => tally.sum.mean_with(protocol.epsilon.mean),
            MeanOver::Sample => mean_of_means(kept, |cell| cell.sample, protocol),
            MeanOver::Image => mean_of_means(kept, |cell| cell.image, protocol),
        };
        Self { giou, skipped, ..tally.summary() }
    }
}

/// Everything that one look at each cell gives.
struct Tally<'a> {
    protocol: &'a Protocol,
    ious: Vec<Iou>,
    sum: IouSum,
    boundary: IouSum,
    intersection: u64,
    union: u64,
    no_target: u64,
    both_empty: u64,
    targets: u64,
    found: u64,
    denied: u64,
    boxes: [u64; 2],
    points: [u64; 2],
    /// Units that precision is a share of, and those that reach each threshold.
    among: u64,
    reached: Vec<u64>,
}

impl<'a> Tally<'a> {
    fn new(protocol: &'a Protocol) -> Self {
        Self {
            protocol,
            ious: Vec::new(),
            sum: IouSum::default(),
            boundary: IouSum::default(),
            intersection: 0,
            union: 0,
            no_target: 0,
            both_empty: 0,
            targets: 0,
            found: 0,
            denied: 0,
            boxes: [0; 2],
            points: [0; 2],
            among: 0,
            reached: vec![0; protocol.thresholds.len()],
        }
    }

    fn add(&mut self, cell: &Cell) {
        self.ious.push(cell.iou);
        cell.add_to(&mut self.sum, self.protocol.epsilon.iou);
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
        let precision = self.protocol.precision;
        if precision == Reach::AtLeastOfTargets && cell.has_target == Some(false) {
            return;
        }
        self.among += 1;
        for (reached, &tenths) in self.reached.iter_mut().zip(&self.protocol.thresholds) {
            *reached += u64::from(cell.reaches(tenths, precision));
        }
    }

    /// Without the fields that more than one look decides: `giou` and `skipped`.
    fn summary(mut self) -> Summary {
        let epsilon = self.protocol.epsilon.cumulative;
        let share = |(&tenths, &reached): (&u32, &u64)| {
            let share = ratio(reached, self.among)?;
            Some(Precision { at: f64::from(tenths) / 10.0, share })
        };
        let precision = self.protocol.thresholds.iter().zip(&self.reached).filter_map(share);
        Summary {
            n: self.ious.len() as u64,
            skipped: 0,
            giou: None,
            ciou: (self.union > 0)
                .then(|| self.intersection as f64 / (self.union as f64 + epsilon)),
            precision: precision.collect(),
            median_iou: median(&mut self.ious),
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
}

/// The mean over groups of the means within them.
fn mean_of_means<'a>(
    cells: impl Iterator<Item = &'a Cell>,
    group: fn(&Cell) -> u64,
    protocol: &Protocol,
) -> Option<f64> {
    let mut groups: BTreeMap<u64, IouSum> = BTreeMap::new();
    for cell in cells {
        cell.add_to(groups.entry(group(cell)).or_default(), protocol.epsilon.iou);
    }
    let mut sum = IouSum::default();
    groups.values().filter_map(|group| group.mean()).for_each(|mean| sum.add_value(mean));
    sum.mean_with(protocol.epsilon.mean)
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
