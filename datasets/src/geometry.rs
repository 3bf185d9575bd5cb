//! [`Geometry`]: a mask as its data set states it, and its rasterisation into [`Masks`].

use std::path::PathBuf;

use crate::{Error, FillRegime, Mask, Size};

/// A mask as the data set states it. Kept unrasterised, so that a hundred thousand samples stay small.
#[derive(Clone, Debug)]
pub enum Geometry {
    /// COCO segmentations, one per annotation; their union is the target. Empty: no target.
    Coco(Vec<CocoSegmentation>),
    /// ReasonSeg shapes, painted largest first (`protocols.md` §2).
    ReasonSeg(Vec<Shape>),
    /// A mask file, PNG (non-zero is target) or `.npy`.
    File(PathBuf),
    /// Runs already.
    Mask(Mask),
    /// A training target only (Seg-Zero's `solution` string): there is no mask.
    Solution(String),
}

/// COCO's `segmentation` field.
#[derive(Clone, Debug, PartialEq)]
pub enum CocoSegmentation {
    /// Flat `[x0, y0, x1, y1, ...]` polygons, pixels of the original image.
    Polygons(Vec<Vec<f64>>),
    /// Run lengths, as counts or decoded from the compressed string; carries its own size.
    Rle(Mask),
}

/// One labelled polygon of a ReasonSeg file.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// What the polygon marks.
    pub label: Label,
    /// `[x, y]` vertices, pixels of the original image, as written (may be fractional).
    pub points: Vec<[f64; 2]>,
}

/// What a ReasonSeg polygon marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Part of the answer.
    Target,
    /// Neither right nor wrong (value 255).
    Ignore,
}

/// A rasterised sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masks {
    /// Union of all target parts.
    pub target: Mask,
    /// Pixels that two or more polygons of one annotation cover (REFER's value >= 2), if any.
    pub overlap: Option<Mask>,
    /// Pixels to ignore (ReasonSeg's 255), if any.
    pub ignore: Option<Mask>,
    /// Number of polygons (1 for run-length masks, 0 for no target).
    pub parts: usize,
}

impl Geometry {
    /// Rasterises at the image's original `size`. `fill` matters for ReasonSeg only.
    ///
    /// # Errors
    /// A mask whose size is not `size`, a bad polygon, an unreadable mask file, or
    /// [`Geometry::Solution`], which has no mask. The caller adds the record.
    pub fn rasterize(&self, size: Size, fill: FillRegime) -> Result<Masks, Error> {
        let _ = (size, fill);
        todo!("helper A")
    }
}
