//! Predicted boxes, points and boundaries against the target's.

use segzero_datasets::{Bbox, Mask, Size};

use crate::boundary::boundary_counts;
use crate::predictions::Prediction;
use crate::truth::Truth;

/// How well boxes and points meet a target.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Places {
    /// IoU of the predicted box with the target's.
    pub box_iou: Option<f64>,
    /// The predicted points that lie on the target, and all of them.
    pub points: Option<[u32; 2]>,
    /// Boundary IoU's intersection and union, where it was asked for.
    pub boundary: Option<[u64; 2]>,
}

impl Places {
    /// Boxes and points are in pixels of the image, so there is nothing to say of a target that is
    /// not at the image's own `size`. `ratio` is the width of boundaries for Boundary IoU.
    pub fn of(
        truth: &Truth,
        prediction: Option<&Prediction>,
        size: Size,
        ratio: Option<f64>,
    ) -> Self {
        let boundary = ratio.and_then(|ratio| boundary_of(truth, prediction, ratio));
        if truth.target.size() != size {
            return Self { boundary, ..Self::default() };
        }
        let points = prediction.and_then(|found| points_on(&truth.target, &found.points));
        Self { box_iou: truth.bbox.map(|bbox| box_iou(bbox, size, prediction)), points, boundary }
    }
}

/// The best of the stated boxes (VisionReasoner), the mask's where none is stated, 0 where there is
/// no prediction for an image of this size. Corners are pixel indices and areas go from corner to
/// corner, as Seg-Zero's evaluators have it.
fn box_iou(target: Bbox, size: Size, prediction: Option<&Prediction>) -> f64 {
    let Some(Prediction { mask, boxes, .. }) = prediction else { return 0.0 };
    let iou = |found: [f64; 4]| corner_iou(corners(target), found);
    if !boxes.is_empty() {
        return boxes.iter().map(|&found| iou(found)).fold(0.0, f64::max);
    }
    let of_mask = mask.bbox().filter(|_| mask.size() == size);
    of_mask.map_or(0.0, |bbox| iou(corners(bbox)))
}

fn corners(bbox: Bbox) -> [f64; 4] {
    [bbox.x0, bbox.y0, bbox.x1, bbox.y1].map(f64::from)
}

/// IoU of two boxes `[x0, y0, x1, y1]` whose areas go from corner to corner; 0 where neither has any.
pub fn corner_iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let area = |r: [f64; 4]| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let common = [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])];
    let intersection = area(common);
    let union = area(a) + area(b) - intersection;
    if union > 0.0 { intersection / union } else { 0.0 }
}

/// How many of the points lie on the target, and how many there are; `None` where there is none of
/// either. A point is the pixel that it falls into.
fn points_on(target: &Mask, points: &[[f64; 2]]) -> Option<[u32; 2]> {
    if points.is_empty() || target.is_empty() {
        return None;
    }
    let size = target.size();
    let on = points.iter().filter(|point| {
        let [x, y] = point.map(f64::floor);
        let inside =
            (0.0..f64::from(size.width)).contains(&x) && (0.0..f64::from(size.height)).contains(&y);
        inside && target.contains(x as u32, y as u32)
    });
    Some([on.count() as u32, points.len() as u32])
}

/// Boundary IoU's intersection and union, ignored pixels excluded; `None` where both masks are
/// empty, or the prediction is at another size than that at which the protocol compares.
fn boundary_of(truth: &Truth, prediction: Option<&Prediction>, ratio: f64) -> Option<[u64; 2]> {
    let size = truth.target.size();
    let nothing = Mask::empty(size);
    let mask = prediction.map_or(&nothing, |prediction| &prediction.mask);
    let outside;
    let mask = match &truth.ignore {
        None => mask,
        Some(ignore) => {
            outside = mask.difference(ignore).ok()?;
            &outside
        }
    };
    // Masks of different size have no boundary in common; that is the only error.
    let (intersection, union) = boundary_counts(&truth.target, mask, ratio).ok()?;
    (union > 0).then_some([intersection, union])
}
