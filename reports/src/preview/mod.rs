//! [`Page`]: samples to look at, one [`Card`] each, as one HTML file that needs no network.
//!
//! Overlays are vectors over the image, not burned into it, so that a reader can switch them. The
//! page's frame is `page.html`, with `page.css` and `page.js` beside it; the data go in as JSON and
//! are turned into elements by `textContent`, so no text of a data set can become markup.

mod build;
mod choose;
mod page;
mod path;

pub use crate::frame::PageError;
pub use crate::pictures::Images;
pub(crate) use build::load;
pub use build::{BuildError, Builder, BuilderOptions};
pub use choose::choose;
pub(crate) use choose::mix;
pub use page::Page;
pub use path::svg_path;

use segzero_datasets::{Mask, Size};
use segzero_prep::Target;

/// One sample, ready to be drawn.
#[derive(Clone, Debug)]
pub struct Card {
    /// The sample's key, or the example's id.
    pub key: String,
    /// Split, as the data set spells it.
    pub split: String,
    /// Position of its image in [`Page::pictures`].
    pub picture: usize,
    /// Frame of all coordinates below: the original image, or the image of a training set.
    pub frame: Size,
    /// What is said of the object, and what was predicted for it.
    pub said: Vec<Said>,
    /// The mask, where there is one.
    pub mask: Option<Mask>,
    /// Pixels that do not count (ReasonSeg's `ignore`).
    pub ignore: Option<Mask>,
    /// Boxes and circles; several in a set of several objects.
    pub targets: Vec<Target>,
    /// Name and value, for the reader: ids, file name, categories.
    pub facts: Vec<(&'static str, String)>,
    /// Remarks: `touches border`, `tie`, ...
    pub flags: Vec<&'static str>,
}

/// A query with what was predicted for it.
#[derive(Clone, Debug)]
pub struct Said {
    /// The text, as the annotator wrote it.
    pub text: String,
    /// The prediction, where predictions are shown.
    pub prediction: Option<Prediction>,
}

/// A prediction for one query.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Its mask, unless it is missing or cannot be used.
    pub mask: Option<Mask>,
    /// Its IoU by the rules of `segzero eval`.
    pub iou: f64,
}

/// An image, small enough for a page; encoded, so that thousands stay small.
#[derive(Clone, Debug)]
pub struct Picture {
    /// File name in the data set.
    pub file_name: String,
    /// A JPEG, at most as large as asked for.
    pub jpeg: Vec<u8>,
    /// Size before it was made smaller.
    pub original: Size,
}

impl Card {
    /// Pixels of the mask.
    pub fn area(&self) -> Option<u64> {
        self.mask.as_ref().map(Mask::area)
    }

    /// Mean IoU of its queries, where predictions are shown.
    pub fn iou(&self) -> Option<f64> {
        let ious: Vec<f64> =
            self.said.iter().filter_map(|said| Some(said.prediction.as_ref()?.iou)).collect();
        (!ious.is_empty()).then(|| ious.iter().sum::<f64>() / ious.len() as f64)
    }

    /// Second radius over the first, of the first object.
    pub fn radius_ratio(&self) -> Option<f64> {
        let [first, second, ..] = self.targets.first()?.circles.as_slice() else { return None };
        (first.radius_squared > 0)
            .then(|| (second.radius_squared as f64 / first.radius_squared as f64).sqrt())
    }
}

#[cfg(test)]
pub(crate) mod tests;
