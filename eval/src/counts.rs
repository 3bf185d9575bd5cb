use segzero_datasets::{Mask, MaskError, Masks};

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
    /// Counts on runs; nothing is decoded to pixels.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn of(truth: &Masks, prediction: &Mask) -> Result<Self, MaskError> {
        match &truth.ignore {
            None => Self::of_pair(&truth.target, prediction),
            Some(ignore) => {
                let target = truth.target.difference(ignore)?;
                Self::of_pair(&target, &prediction.difference(ignore)?)
            }
        }
    }

    /// Counts where there is no usable prediction: the target alone.
    ///
    /// # Errors
    /// When target and ignored region differ in size.
    pub fn of_target(truth: &Masks) -> Result<Self, MaskError> {
        let target = match &truth.ignore {
            None => truth.target.area(),
            Some(ignore) => truth.target.difference(ignore)?.area(),
        };
        Ok(Self { target, ..Self::default() })
    }

    fn of_pair(target: &Mask, prediction: &Mask) -> Result<Self, MaskError> {
        Ok(Self {
            intersection: target.intersection_area(prediction)?,
            target: target.area(),
            prediction: prediction.area(),
        })
    }

    /// Pixels of either.
    pub fn union(self) -> u64 {
        self.target + self.prediction - self.intersection
    }
}
