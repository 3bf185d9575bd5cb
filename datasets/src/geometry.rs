//! [`Geometry`]: a mask as its data set states it, and its rasterisation into [`Masks`].

use std::path::PathBuf;

use crate::mask::{PolygonFault, check_size};
use crate::{Error, ErrorKind, FillRegime, Mask, MaskError, Size};

/// A mask as the data set states it. Kept unrasterised, so that many samples stay small.
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
    /// Number of polygons of the target; a run-length mask or mask file counts 1, no target 0.
    pub parts: usize,
}

impl Geometry {
    /// Rasterises at the image's original `size`. `fill` matters for ReasonSeg only.
    ///
    /// # Errors
    /// A mask whose size is not `size`, a bad polygon, an unreadable mask file, or
    /// [`Geometry::Solution`], which has no mask. The error names the field (and the mask file);
    /// the caller adds the annotation file and the record.
    pub fn rasterize(&self, size: Size, fill: FillRegime) -> Result<Masks, Error> {
        match self {
            Self::Coco(annotations) => rasterize_coco(annotations, size)
                .map_err(|e| Error::new("", e).field("segmentation")),
            Self::ReasonSeg(shapes) => {
                rasterize_shapes(shapes, size, fill).map_err(|e| Error::new("", e).field("shapes"))
            }
            Self::File(path) => std::fs::read(path)
                .map_err(ErrorKind::Io)
                .and_then(|bytes| Mask::read_file(&bytes))
                .and_then(|mask| Ok(Masks::whole(checked(&mask, size)?.clone())))
                .map_err(|e| Error::new(path, e)),
            Self::Mask(mask) => checked(mask, size)
                .map(|mask| Masks::whole(mask.clone()))
                .map_err(|e| Error::new("", e).field("mask")),
            Self::Solution(_) => {
                let what = "a mask (a training set holds boxes and points only)".to_owned();
                Err(Error::new("", ErrorKind::Missing { what }).field("mask"))
            }
        }
    }

    /// As [`Geometry::rasterize`], for the last use: runs are taken, not copied.
    ///
    /// # Errors
    /// As [`Geometry::rasterize`].
    pub fn into_masks(self, size: Size, fill: FillRegime) -> Result<Masks, Error> {
        match self {
            Self::Mask(mask) if mask.size() == size => Ok(Masks::whole(mask)),
            other => other.rasterize(size, fill),
        }
    }
}

impl Masks {
    /// A mask in one part.
    fn whole(target: Mask) -> Self {
        Self { target, overlap: None, ignore: None, parts: 1 }
    }
}

fn checked(mask: &Mask, size: Size) -> Result<&Mask, MaskError> {
    if mask.size() != size {
        return Err(MaskError::SizeMismatch { expected: size, found: mask.size() });
    }
    Ok(mask)
}

fn some_if_any(mask: Mask) -> Option<Mask> {
    (!mask.is_empty()).then_some(mask)
}

/// The union over annotations. Overlap is counted within each annotation, as REFER does.
fn rasterize_coco(annotations: &[CocoSegmentation], size: Size) -> Result<Masks, MaskError> {
    check_size(size)?;
    let mut union: Option<Mask> = None;
    let mut overlap = Mask::empty(size);
    let mut parts = 0;
    for annotation in annotations {
        let mask = match annotation {
            CocoSegmentation::Rle(mask) => {
                parts += 1;
                checked(mask, size)?.clone()
            }
            CocoSegmentation::Polygons(polygons) => {
                parts += polygons.len();
                let (mask, twice) = Mask::from_polygons_with_overlap(size, polygons)?;
                if !twice.is_empty() {
                    overlap = overlap.union(&twice)?;
                }
                mask
            }
        };
        union = Some(match union {
            None => mask,
            Some(union) => union.union(&mask)?,
        });
    }
    let target = union.unwrap_or_else(|| Mask::empty(size));
    Ok(Masks { target, overlap: some_if_any(overlap), ignore: None, parts })
}

/// ReasonSeg's painting (LISA `get_mask_from_json`; `protocols.md` §2): vertices truncated towards
/// zero, the largest shape first, so that smaller ones lie on top. Of equally large ones the later
/// in the file is painted first, as numpy's `argsort` reversed does while it sorts stably.
fn rasterize_shapes(shapes: &[Shape], size: Size, fill: FillRegime) -> Result<Masks, MaskError> {
    let mut painted = Vec::with_capacity(shapes.len());
    for (polygon, shape) in shapes.iter().enumerate() {
        let fault = |reason| MaskError::Polygon { polygon, reason };
        if shape.points.iter().flatten().any(|c| !c.is_finite()) {
            return Err(fault(PolygonFault::NotFinite));
        }
        let vertices: Vec<_> = shape.points.iter().map(|p| p.map(|c| c as i32)).collect();
        let mask = Mask::fill_polygon(size, &vertices, fill).map_err(|e| match e {
            MaskError::Polygon { reason, .. } => fault(reason),
            other => other,
        })?;
        painted.push((mask.area(), mask, shape.label));
    }
    painted.sort_by_key(|shape| shape.0);
    let (mut target, mut ignore) = (Mask::empty(size), Mask::empty(size));
    for (_, mask, label) in painted.iter().rev() {
        let (on, off) = match label {
            Label::Target => (&mut target, &mut ignore),
            Label::Ignore => (&mut ignore, &mut target),
        };
        *on = on.union(mask)?;
        *off = off.difference(mask)?;
    }
    let parts = shapes.iter().filter(|shape| shape.label == Label::Target).count();
    Ok(Masks { target, overlap: None, ignore: some_if_any(ignore), parts })
}
