//! [`Cell`]: what the numbers need of a row, without its strings.

use std::cmp::Ordering;
use std::hash::Hash;

use ahash::RandomState;

use crate::breakdown::Groups;
use crate::places::Places;
use crate::protocol::{MeanOver, Protocol, Reach};
use crate::resample::Terms;
use crate::{Iou, IouSum, Outcome, Row, Status};

/// What the numbers need of a row: a million of them take 130 MB, a million rows three times that.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// How the row came about.
    pub status: Status,
    /// Whether the answer was taken as "there is no such object".
    pub said_nothing: bool,
    /// Whether there is a target, where that is known.
    pub has_target: Option<bool>,
    /// What joins the sum of intersections.
    pub intersection: u64,
    /// What joins the sum of unions.
    pub union: u64,
    /// The IoU.
    pub iou: Iou,
    /// Hash of data set, split and sample key.
    pub sample: u64,
    /// Hash of data set and image id: units of one image are not independent.
    pub image: u64,
    /// IoU of the boxes; negative where there is none.
    pub box_iou: f64,
    /// Points on the target, and all.
    pub points: [u32; 2],
    /// Boundary IoU, where it was asked for.
    pub boundary: Option<Iou>,
    /// The row's group on every axis of [`crate::Breakdown`].
    pub groups: Groups,
}

/// Hashes that are the same in every run, so that what is sorted by them is too.
fn hash(parts: impl Hash) -> u64 {
    RandomState::with_seeds(0x5e67, 0x7a65, 0x726f, 0x2503).hash_one(parts)
}

fn boundary_iou([intersection, union]: [u64; 2]) -> Iou {
    Iou::new(intersection, union)
}

impl Cell {
    /// The cell of a row.
    pub fn of(row: &Row) -> Self {
        Self {
            status: row.status,
            said_nothing: row.said_nothing,
            has_target: row.target_area.map(|area| area > 0),
            intersection: row.intersection,
            union: row.union,
            iou: row.exact_iou(),
            sample: hash((&row.dataset, &row.split, &row.key)),
            image: hash((&row.dataset, &row.image)),
            box_iou: row.box_iou.unwrap_or(-1.0),
            points: row.points.unwrap_or_default(),
            boundary: row.boundary.map(boundary_iou),
            groups: Groups::of(row),
        }
    }

    /// The same unit with another outcome.
    pub(crate) fn with(&self, outcome: &Outcome, target: u64, places: Places) -> Self {
        Self {
            status: outcome.status,
            said_nothing: outcome.said_nothing,
            has_target: Some(target > 0),
            intersection: outcome.intersection,
            union: outcome.union,
            iou: outcome.iou,
            box_iou: places.box_iou.unwrap_or(-1.0),
            points: places.points.unwrap_or_default(),
            boundary: places.boundary.map(boundary_iou),
            ..*self
        }
    }

    /// Hash of the unit: of its sample and query.
    pub fn unit(&self, query: Option<i64>) -> u64 {
        hash((self.sample, query))
    }

    /// Whether the answer is that there is such an object.
    pub fn is_positive(&self) -> bool {
        self.status.is_usable() && !self.said_nothing
    }

    /// What the unit adds to the headline figures under a protocol; `None` where that leaves it
    /// out. gIoU has no terms where it is no mean over units.
    pub fn terms(&self, protocol: &Protocol) -> Option<Terms> {
        if self.status == Status::Skipped {
            return None;
        }
        let among = protocol.precision != Reach::AtLeastOfTargets || self.has_target != Some(false);
        let reaches = [5, 6, 7, 8, 9].map(|tenths| self.reaches(tenths, protocol.precision));
        Some(Terms {
            iou: (protocol.mean == MeanOver::Unit).then(|| self.iou.value()),
            intersection: self.intersection,
            union: self.union,
            reaches: among.then_some(reaches),
            is_rejected: (self.has_target == Some(false)).then_some(self.said_nothing),
            is_accepted: (self.has_target == Some(true)).then(|| self.is_positive()),
            box_is_found: (self.box_iou >= 0.0).then_some(self.box_iou > 0.5),
            points_on_target: self.points[0],
            points: self.points[1],
            boundary_iou: self.boundary.map(Iou::value),
        })
    }

    /// Whether the IoU counts at a threshold.
    pub(crate) fn reaches(&self, tenths: u32, rule: Reach) -> bool {
        match self.iou.cmp_tenths(tenths) {
            Ordering::Greater => true,
            Ordering::Equal => rule != Reach::Above,
            Ordering::Less => false,
        }
    }

    /// Adds the IoU, with `epsilon` added to its union, to a sum. An IoU that is no fraction of
    /// pixels (an empty union that counts as 1) is added as it is.
    pub(crate) fn add_to(&self, sum: &mut IouSum, epsilon: f64) {
        if epsilon == 0.0 || self.status != Status::Scored {
            sum.add(self.iou);
        } else {
            sum.add_value(self.intersection as f64 / (self.union as f64 + epsilon));
        }
    }
}
