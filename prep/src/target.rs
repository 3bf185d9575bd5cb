//! [`Target`]: the box and the points that Seg-Zero trains on.

use std::cell::RefCell;

use segzero_datasets::{Bbox, Masks, Point, Size};
use serde::{Deserialize, Serialize};

use crate::circles::{Circles, Scratch, inscribed, largest_part, seg_zero};

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
    /// A later circle found nothing left and repeats the first; for `seg-zero`, no pixel lay beyond
    /// the median distance.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PointRule {
    /// The paper's words: largest inscribed circle, its disc removed, largest circle of the rest, ...
    #[default]
    Inscribed,
    /// The authors' function, bit for bit: farthest pixel from the background; then the farthest
    /// among the pixels beyond the median distance from it. Its border is open, and it leaves pixels
    /// that two polygons cover out of the box and of the candidates for the second point.
    SegZero,
    /// Second point: largest value of the first distance map outside the first disc.
    Outside,
}

/// Whether pixels beyond the image edge are background.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Border {
    /// They are: circles lie inside the image.
    #[default]
    Background,
    /// They are not (scipy, OpenCV).
    Open,
}

/// How a scaled coordinate becomes an integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BoxConvention {
    /// Last pixel inside, the reference's.
    #[default]
    Inclusive,
    /// One past it.
    Exclusive,
}

/// Which pixels of a mask of several parts count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Parts {
    /// All.
    #[default]
    Union,
    /// The largest 4-connected component only; of equal ones, the first in raster order. Pixels that
    /// share only a corner are apart: no circle passes from one to the other.
    Largest,
}

/// How targets are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetOptions {
    /// Rule for the points.
    pub points: PointRule,
    /// Number of circles (Seg-Zero 2, VisionReasoner 1); `seg-zero` defines no more than 2.
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
        thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
        SCRATCH.with_borrow_mut(|scratch| Self::from_masks_in(masks, options, scratch))
    }

    /// [`Target::from_masks`] with memory of the caller's.
    pub fn from_masks_in(
        masks: &Masks,
        options: &TargetOptions,
        scratch: &mut Scratch,
    ) -> Option<Self> {
        let part;
        let mask = match options.parts {
            Parts::Union => &masks.target,
            Parts::Largest => {
                part = largest_part(&masks.target);
                &part
            }
        };
        let TargetOptions { points, border, circles, .. } = *options;
        if points == PointRule::SegZero {
            let ones = masks.overlap.as_ref().and_then(|overlap| mask.difference(overlap).ok());
            let ones = ones.as_ref().unwrap_or(mask);
            let found = seg_zero(mask, ones, circles, scratch)?;
            Some(Self::assemble(mask.size(), found))
        } else {
            let found = inscribed(mask, points, border, circles, scratch)?;
            Some(Self::assemble(mask.size(), found))
        }
    }

    fn assemble(size: Size, found: Circles) -> Self {
        let Circles { bbox, circles, degenerate, tie } = found;
        let last = [bbox.x1, bbox.y1].map(|last| last as u32 + 1);
        let touches_border =
            bbox.x0 == 0 || bbox.y0 == 0 || last[0] == size.width || last[1] == size.height;
        Self { size, bbox, circles, flags: Flags { degenerate, touches_border, tie } }
    }

    /// The same target in a frame of another size. Radii are scaled by the geometric mean of the two
    /// axis factors (a circle becomes an ellipse where the aspect ratio changes).
    ///
    /// As in the reference a coordinate may come to lie one past the last pixel where the frame
    /// shrinks (`trunc(1999 * 0.42 + 0.5)` is 840).
    #[must_use]
    pub fn scaled_to(&self, size: Size, rounding: Rounding, box_convention: BoxConvention) -> Self {
        // The factor is rounded first, as the reference's `840 / width` is.
        let factor_x = f64::from(size.width) / f64::from(self.size.width);
        let factor_y = f64::from(size.height) / f64::from(self.size.height);
        let x = |x: i32| rounding.apply(f64::from(x) * factor_x);
        let y = |y: i32| rounding.apply(f64::from(y) * factor_y);
        let past = match box_convention {
            BoxConvention::Inclusive => 0,
            BoxConvention::Exclusive => 1,
        };
        let Bbox { x0, y0, x1, y1 } = self.bbox;
        let circle = |circle: &Circle| Circle {
            center: Point::new(x(circle.center.x), y(circle.center.y)),
            radius_squared: (circle.radius_squared as f64 * factor_x * factor_y).round() as u64,
        };
        Self {
            size,
            bbox: Bbox { x0: x(x0), y0: y(y0), x1: x(x1 + past), y1: y(y1 + past) },
            circles: self.circles.iter().map(circle).collect(),
            flags: self.flags,
        }
    }
}

impl Rounding {
    /// A scaled coordinate as an integer.
    fn apply(self, coordinate: f64) -> i32 {
        match self {
            Self::HalfUp => (coordinate + 0.5).trunc() as i32,
            Self::HalfEven => coordinate.round_ties_even() as i32,
            Self::Floor => coordinate.trunc() as i32,
        }
    }
}
