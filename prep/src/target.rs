//! [`Target`]: the box and the points that Seg-Zero trains on.

use segzero_datasets::{Bbox, Masks, Point, Size};
use serde::{Deserialize, Serialize};

/// A circle of pixels around a pixel centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circle {
    /// The centre.
    pub center: Point,
    /// Squared distance, in pixels, from the centre to the nearest pixel centre that is background;
    /// the pixels of the circle are those at a smaller squared distance. 0: degenerate.
    pub radius_squared: u64,
}

/// What a reader of the data should know of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// A later circle found nothing left and repeats the first.
    pub degenerate: bool,
    /// The mask touches the image border.
    pub touches_border: bool,
    /// More than one pixel had the largest radius of the first circle.
    pub tie: bool,
}

/// Box and circles of one object, in pixels of the frame `size`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Frame of all coordinates.
    pub size: Size,
    /// Tightest box, inclusive pixel indices.
    pub bbox: Bbox,
    /// Circles, as many as asked for, largest first.
    pub circles: Vec<Circle>,
    /// Remarks.
    pub flags: Flags,
}

/// How the points are chosen (`peers.md` §3.4; Seg-Zero issue 11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PointRule {
    /// The paper's words: largest inscribed circle, its disc removed, largest circle of the rest, ...
    #[default]
    Inscribed,
    /// The authors' function, bit for bit: farthest pixel from the background; then the farthest
    /// among the pixels beyond the median distance from it.
    SegZero,
    /// Second point: largest value of the first distance map outside the first disc.
    Outside,
}

/// Whether pixels beyond the image edge are background.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Border {
    /// They are: circles lie inside the image.
    #[default]
    Background,
    /// They are not (scipy, OpenCV).
    Open,
}

/// How a scaled coordinate becomes an integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// `trunc(x * (target / original) + 0.5)` in f64, the reference's.
    #[default]
    HalfUp,
    /// Python's `round`.
    HalfEven,
    /// Truncation.
    Floor,
}

/// What the box's right and bottom mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxConvention {
    /// Last pixel inside, the reference's.
    #[default]
    Inclusive,
    /// One past it.
    Exclusive,
}

/// Which pixels of a mask of several parts count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parts {
    /// All.
    #[default]
    Union,
    /// The largest 4-connected component only.
    Largest,
}

/// How targets are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetOptions {
    /// Rule for the points.
    pub points: PointRule,
    /// Number of circles (Seg-Zero 2, VisionReasoner 1).
    pub circles: usize,
    /// Border rule of `inscribed` and `outside`; `seg-zero` is always open.
    pub border: Border,
    /// Which pixels count.
    pub parts: Parts,
}

impl Default for TargetOptions {
    fn default() -> Self {
        Self {
            points: PointRule::Inscribed,
            circles: 2,
            border: Border::Background,
            parts: Parts::Union,
        }
    }
}

impl Target {
    /// Box and circles of a rasterised sample at its original size; `None` for an empty mask.
    pub fn from_masks(masks: &Masks, options: &TargetOptions) -> Option<Self> {
        let _ = (masks, options);
        todo!("helper C")
    }

    /// The same target in a frame of another size. Radii are scaled by the geometric mean of the two
    /// axis factors (a circle becomes an ellipse where the aspect ratio changes).
    #[must_use]
    pub fn scaled_to(&self, size: Size, rounding: Rounding, box_convention: BoxConvention) -> Self {
        let _ = (size, rounding, box_convention);
        todo!("helper C")
    }
}
