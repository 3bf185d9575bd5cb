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

impl Geometry {
    /// As [`Geometry::rasterize`], but COCO polygons are filled by OpenCV: vertices truncated to
    /// integers, outline included, one polygon after the other (PSALM and its family).
    ///
    /// # Errors
    /// As [`Geometry::rasterize`].
    pub fn rasterize_opencv(&self, size: Size, fill: FillRegime) -> Result<Masks, Error> {
        let Self::Coco(annotations) = self else { return self.rasterize(size, fill) };
        let filled = |annotation: &CocoSegmentation| match annotation {
            CocoSegmentation::Rle(mask) => checked(mask, size).cloned(),
            CocoSegmentation::Polygons(polygons) => {
                let mut mask = Mask::empty(size);
                for (polygon, flat) in polygons.iter().enumerate() {
                    let vertices = flat.chunks_exact(2).map(|v| [v[0], v[1]]);
                    mask = mask.union(&fill_truncated(size, polygon, vertices, fill)?)?;
                }
                Ok(mask)
            }
        };
        let union = |annotations: &[CocoSegmentation]| {
            check_size(size)?;
            annotations.iter().try_fold(Mask::empty(size), |sum, one| sum.union(&filled(one)?))
        };
        let target = union(annotations).map_err(|e| Error::new("", e).field("segmentation"))?;
        let parts = annotations.iter().map(|annotation| match annotation {
            CocoSegmentation::Rle(_) => 1,
            CocoSegmentation::Polygons(polygons) => polygons.len(),
        });
        Ok(Masks { target, overlap: None, ignore: None, parts: parts.sum() })
    }

    /// The same geometry in an image of another size: polygons are scaled, masks resized by nearest
    /// neighbour.
    ///
    /// # Errors
    /// A mask whose size is not `from`, or an unreadable mask file.
    pub fn scaled(&self, from: Size, to: Size) -> Result<Self, Error> {
        let x = f64::from(to.width) / f64::from(from.width);
        let y = f64::from(to.height) / f64::from(from.height);
        let resized = |mask: &Mask| checked(mask, from).and_then(|mask| mask.resized_nearest(to));
        let annotation = |annotation: &CocoSegmentation| match annotation {
            CocoSegmentation::Rle(mask) => resized(mask).map(CocoSegmentation::Rle),
            CocoSegmentation::Polygons(polygons) => {
                let scaled = |flat: &Vec<f64>| {
                    flat.iter().zip([x, y].into_iter().cycle()).map(|(c, s)| c * s).collect()
                };
                Ok(CocoSegmentation::Polygons(polygons.iter().map(scaled).collect()))
            }
        };
        let in_masks = |e: MaskError| Error::new("", e).field("segmentation");
        Ok(match self {
            Self::Coco(annotations) => {
                let scaled: Result<_, _> = annotations.iter().map(annotation).collect();
                Self::Coco(scaled.map_err(in_masks)?)
            }
            Self::ReasonSeg(shapes) => {
                let scaled = shapes.iter().map(|shape| Shape {
                    label: shape.label,
                    points: shape.points.iter().map(|[px, py]| [px * x, py * y]).collect(),
                });
                Self::ReasonSeg(scaled.collect())
            }
            Self::Mask(mask) => Self::Mask(resized(mask).map_err(in_masks)?),
            Self::File(_) | Self::Solution(_) => {
                let masks = self.rasterize(from, FillRegime::default())?;
                Self::Mask(masks.target.resized_nearest(to).map_err(in_masks)?)
            }
        })
    }
}

impl Masks {
    /// A mask in one part.
    pub fn whole(target: Mask) -> Self {
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

/// A polygon with its vertices truncated towards zero, filled by OpenCV. `polygon` is its position,
/// for messages.
fn fill_truncated(
    size: Size,
    polygon: usize,
    points: impl Iterator<Item = [f64; 2]> + Clone,
    fill: FillRegime,
) -> Result<Mask, MaskError> {
    let fault = |reason| MaskError::Polygon { polygon, reason };
    if points.clone().flatten().any(|c| !c.is_finite()) {
        return Err(fault(PolygonFault::NotFinite));
    }
    let vertices: Vec<_> = points.map(|p| p.map(|c| c as i32)).collect();
    Mask::fill_polygon(size, &vertices, fill).map_err(|e| match e {
        MaskError::Polygon { reason, .. } => fault(reason),
        other => other,
    })
}

/// ReasonSeg's painting (LISA `get_mask_from_json`; `protocols.md` §2): vertices truncated towards
/// zero, the largest shape first, so that smaller ones lie on top. Of equally large ones the later
/// in the file is painted first, as numpy's `argsort` reversed does while it sorts stably.
fn rasterize_shapes(shapes: &[Shape], size: Size, fill: FillRegime) -> Result<Masks, MaskError> {
    let mut painted = Vec::with_capacity(shapes.len());
    for (polygon, shape) in shapes.iter().enumerate() {
        let mask = fill_truncated(size, polygon, shape.points.iter().copied(), fill)?;
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
