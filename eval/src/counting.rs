//! [`Counting`]: one prediction against the truths of its unit, and what that is worth.

use segzero_datasets::{Mask, MaskError, Size};

use crate::judge::{judge, judge_missing};
use crate::places::Places;
use crate::predictions::Prediction;
use crate::protocol::Protocol;
use crate::truth::Truths;
use crate::{Counts, Outcome, Status};

/// One unit under one protocol.
pub(crate) struct Judged {
    pub outcome: Outcome,
    /// Pixels of the target.
    pub target: u64,
    pub places: Places,
}

/// The counts of one prediction against each of the truths, taken once where they are asked for.
pub(crate) struct Counting<'a> {
    truths: &'a Truths,
    prediction: Option<&'a Prediction>,
    size: Size,
    resized: Vec<Mask>,
    /// By truth, as far as they were asked for.
    known: Vec<(Option<Counts>, Option<Places>)>,
    boundary: Option<f64>,
}

impl<'a> Counting<'a> {
    pub fn new(
        truths: &'a Truths,
        prediction: Option<&'a Prediction>,
        size: Size,
        boundary: Option<f64>,
    ) -> Self {
        let known = vec![(None, None); truths.all().len()];
        Self { truths, prediction, size, resized: Vec::new(), known, boundary }
    }

    /// What the unit is worth under a protocol by which the truth at a position holds; `why` there is
    /// no prediction, where there is none. A prediction of neither size comes with the mismatch.
    pub fn judge(
        &mut self,
        at: usize,
        why: Status,
        protocol: &Protocol,
    ) -> (Judged, Option<MaskError>) {
        let target = self.truths.all()[at].area;
        let said = self.prediction.and_then(|prediction| prediction.no_target);
        let (outcome, mismatch) = match self.at(at) {
            Ok(Some(counts)) => (judge(counts, said, protocol), None),
            Ok(None) => (judge_missing(why, target, protocol), None),
            Err(mismatch) => {
                (judge_missing(Status::SizeMismatch, target, protocol), Some(mismatch))
            }
        };
        (Judged { outcome, target, places: self.places(at) }, mismatch)
    }

    /// How boxes and points meet a truth.
    fn places(&mut self, position: usize) -> Places {
        let truth = &self.truths.all()[position];
        let of = || Places::of(truth, self.prediction, self.size, self.boundary);
        *self.known[position].1.get_or_insert_with(of)
    }

    /// The counts against a truth; `None` where there is no prediction.
    pub fn at(&mut self, position: usize) -> Result<Option<Counts>, MaskError> {
        let Some(prediction) = self.prediction else { return Ok(None) };
        if let Some(counts) = self.known[position].0 {
            return Ok(Some(counts));
        }
        let truth = &self.truths.all()[position];
        let (mask, frame) = (&prediction.mask, truth.target.size());
        let counts = if mask.size() == frame {
            truth.counts(mask)?
        } else if mask.size() != self.size {
            return Err(MaskError::SizeMismatch { expected: self.size, found: mask.size() });
        } else {
            let resized = match self.resized.iter().position(|mask| mask.size() == frame) {
                Some(resized) => resized,
                None => {
                    self.resized.push(mask.resized_nearest(frame)?);
                    self.resized.len() - 1
                }
            };
            truth.counts(&self.resized[resized])?
        };
        self.known[position].0 = Some(counts);
        Ok(Some(counts))
    }
}
