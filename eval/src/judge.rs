//! [`judge`]: from pixel counts to an outcome, by a protocol's rules.

use crate::protocol::{Empty, Missing, NoTarget, Protocol};
use crate::{Counts, Iou, Status};

/// What one unit is worth under a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How the numbers came about.
    pub status: Status,
    /// What joins the sum of intersections.
    pub intersection: u64,
    /// What joins the sum of unions.
    pub union: u64,
    /// The unit's IoU: not always `intersection / union`.
    pub iou: Iou,
    /// Whether the answer was taken as "there is no such object".
    pub said_nothing: bool,
}

impl Outcome {
    fn new(status: Status, intersection: u64, union: u64, iou: Iou) -> Self {
        Self { status, intersection, union, iou, said_nothing: false }
    }

    const SKIPPED: Self = Self {
        status: Status::Skipped,
        intersection: 0,
        union: 0,
        iou: Iou::ZERO,
        said_nothing: false,
    };
}

/// The outcome of a prediction with these counts. `no_target` is what the prediction says in words.
pub fn judge(counts: Counts, no_target: Option<bool>, protocol: &Protocol) -> Outcome {
    match protocol.no_target {
        NoTarget::Rela | NoTarget::Gsva => by_flag(counts, no_target, protocol),
        NoTarget::Skip if counts.target == 0 => Outcome::SKIPPED,
        NoTarget::Flag if no_target == Some(true) => {
            by_masks(Counts { intersection: 0, prediction: 0, ..counts }, protocol)
        }
        NoTarget::Flag | NoTarget::Mask | NoTarget::Skip => by_masks(counts, protocol),
    }
}

fn by_masks(counts: Counts, protocol: &Protocol) -> Outcome {
    let said_nothing = counts.prediction == 0;
    let outcome = match (counts.target, counts.union()) {
        (_, 0) => match protocol.empty {
            Empty::One => Outcome::new(Status::BothEmpty, 0, 0, Iou::ONE),
            Empty::Zero => Outcome::new(Status::BothEmpty, 0, 0, Iou::ZERO),
            Empty::Skip => return Outcome::SKIPPED,
        },
        (0, union) => Outcome::new(Status::NoTarget, 0, union, Iou::ZERO),
        (_, union) => {
            let iou = Iou::new(counts.intersection, union);
            Outcome::new(Status::Scored, counts.intersection, union, iou)
        }
    };
    Outcome { said_nothing, ..outcome }
}

/// ReLA's table of cases (`protocols.md` §4.5).
fn by_flag(counts: Counts, no_target: Option<bool>, protocol: &Protocol) -> Outcome {
    let said_nothing = no_target.unwrap_or(counts.prediction == 0);
    let Counts { intersection, target, .. } = counts;
    let union = counts.union();
    let outcome = match (target == 0, said_nothing) {
        (true, true) => Outcome::new(Status::BothEmpty, 0, 0, Iou::ONE),
        (true, false) => Outcome::new(Status::NoTarget, 0, union, Iou::ZERO),
        (false, true) => {
            let counted = protocol.no_target == NoTarget::Gsva;
            let intersection = if counted { intersection } else { 0 };
            Outcome::new(Status::Denied, intersection, union, Iou::ZERO)
        }
        (false, false) => {
            Outcome::new(Status::Scored, intersection, union, Iou::new(intersection, union))
        }
    };
    Outcome { said_nothing, ..outcome }
}

/// The outcome of a unit without a usable prediction. `why` is one of [`Status::Missing`],
/// [`Status::SizeMismatch`], [`Status::Unreadable`]; `target` the area of the target.
pub fn judge_missing(why: Status, target: u64, protocol: &Protocol) -> Outcome {
    match protocol.missing {
        Missing::Skip => Outcome::SKIPPED,
        Missing::MeanOnly => Outcome::new(why, 0, 0, Iou::ZERO),
        Missing::Wrong if target == 0 && protocol.empty == Empty::Skip => Outcome::SKIPPED,
        Missing::Wrong => Outcome::new(why, 0, target, Iou::ZERO),
        Missing::Empty => {
            let outcome = judge(Counts { target, ..Counts::default() }, None, protocol);
            let skipped = outcome.status == Status::Skipped;
            Outcome { status: if skipped { Status::Skipped } else { why }, ..outcome }
        }
    }
}
