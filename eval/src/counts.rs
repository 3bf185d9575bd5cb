use segzero_datasets::{Mask, MaskError, Masks};

use crate::protocol::Protocol;
use crate::truth::Truth;

/// Pixel counts of one prediction against one target; ignored pixels are in none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pixels of both.
    pub intersection: u64,
    /// Pixels of the target.
    pub target: u64,
    /// Pixels of the prediction.
    pub prediction: u64,
}

impl Counts {
    /// Counts on runs, ignored pixels excluded; nothing is decoded to pixels.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn of(truth: &Masks, prediction: &Mask) -> Result<Self, MaskError> {
        Truth::new(truth, &Protocol::default())?.counts(prediction)
    }

    /// Pixels of either.
    pub fn union(self) -> u64 {
        self.target + self.prediction - self.intersection
    }
}
