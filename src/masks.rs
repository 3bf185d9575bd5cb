//! Masks as commands write them: lines that `segzero eval` reads, PNG, and drawn over their image.

use std::path::Path;

use segzero_datasets::{Bbox, Mask, Size};
use segzero_prep::image::{PngEffort, Rgb, encode_png};
use segzero_reports::{Marks, overlay, write_whole};
use serde::Serialize;

use crate::failure::Failure;

/// A prediction; `N` is the type of coordinates, which are in pixels of the image.
#[derive(Serialize)]
pub struct Prediction<'a, N> {
    key: &'a str,
    image: &'a Path,
    /// Height and width.
    size: [u32; 2],
    /// COCO's compressed run lengths.
    counts: String,
    boxes: &'a [[N; 4]],
    points: &'a [[N; 2]],
}

impl<'a, N> Prediction<'a, N> {
    /// A mask under a key, with the boxes and points that were asked.
    pub fn new(
        key: &'a str,
        image: &'a Path,
        mask: &Mask,
        boxes: &'a [[N; 4]],
        points: &'a [[N; 2]],
    ) -> Self {
        let Size { width, height } = mask.size();
        let counts = mask.to_coco_string();
        Self { key, image, size: [height, width], counts, boxes, points }
    }
}

/// The pixels of any of the masks.
///
/// # Errors
/// Masks of different sizes.
pub fn union<'a>(size: Size, masks: impl IntoIterator<Item = &'a Mask>) -> Result<Mask, Failure> {
    let empty = Mask::empty(size);
    masks.into_iter().try_fold(empty, |sum, mask| sum.union(mask)).map_err(Failure::new)
}

/// First and last column and row.
pub fn edges(mask: &Mask) -> Option<[i32; 4]> {
    mask.bbox().map(|Bbox { x0, y0, x1, y1 }| [x0, y0, x1, y1])
}

/// Writes a PNG of 0 and 255.
///
/// # Errors
/// What the operating system says.
pub fn write_mask(path: &Path, mask: &Mask) -> Result<(), Failure> {
    write_whole(path, |out| mask.write_png(out)).map_err(not_written(path))
}

/// Writes the image with mask and marks drawn on it, as PNG.
///
/// # Errors
/// What the operating system says.
pub fn write_overlay(path: &Path, image: Rgb, mask: &Mask, marks: &Marks) -> Result<(), Failure> {
    let png = encode_png(&overlay(image, mask, marks), PngEffort::Fast).map_err(Failure::new)?;
    write_whole(path, |out| out.write_all(&png)).map_err(not_written(path))
}

/// The error of a file that could not be written.
pub fn not_written(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |e| Failure::new(format_args!("could not write `{}`: {e}", path.display()))
}
