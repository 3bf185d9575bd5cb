//! Masks as commands write them: lines that `segzero eval` reads, PNG, and drawn over their image.

use std::path::{Path, PathBuf};

use segzero_datasets::{Bbox, Mask, Size};
use segzero_eval::answer::Repair;
use segzero_prep::image::{PngEffort, Rgb, encode_png};
use segzero_reports::{Marks, overlay, write_whole};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// A prediction; `N` is the type of coordinates, which are in pixels of the image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prediction<N> {
    key: String,
    image: PathBuf,
    /// Height and width.
    size: [u32; 2],
    /// COCO's compressed run lengths.
    counts: String,
    boxes: Vec<[N; 4]>,
    points: Vec<[N; 2]>,
}

impl<N> Prediction<N> {
    /// A mask under a key, with the boxes and points that were asked.
    pub fn new(
        key: &str,
        image: &Path,
        mask: &Mask,
        boxes: Vec<[N; 4]>,
        points: Vec<[N; 2]>,
    ) -> Self {
        let Size { width, height } = mask.size();
        let (key, image) = (key.to_owned(), image.to_owned());
        Self { key, image, size: [height, width], counts: mask.to_coco_string(), boxes, points }
    }

    /// What it is for.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// A prediction that came of a reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answered {
    #[serde(flatten)]
    pub prediction: Prediction<f64>,
    /// Predicted IoU of each object; none where boxes were filled.
    pub ious: Vec<f32>,
    /// What stands between `<think>` and `</think>`.
    pub thinking: Option<String>,
    /// What had to be repaired.
    pub repairs: Vec<Repair>,
    /// The reply.
    pub text: String,
    /// All replies, where there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<String>,
}

/// A repair as it is written in files.
pub fn repair_name(repair: &Repair) -> String {
    let name = serde_json::to_value(repair).ok();
    name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
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
