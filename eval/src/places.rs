//! Predicted boxes and points against the target.

use segzero_datasets::{Bbox, Mask, Size};

use crate::predictions::Prediction;
use crate::truth::Truth;

/// How well boxes and points meet a target.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Places {
    /// IoU of the predicted box with the target's.
    pub box_iou: Option<f64>,
    /// The predicted points that lie on the target, and all of them.
    pub points: Option<[u32; 2]>,
}

impl Places {
    /// Boxes and points are in pixels of the image, so there is nothing to say of a target that is
    /// not at the image's own `size`.
    pub fn of(truth: &Truth, prediction: Option<&Prediction>, size: Size) -> Self {
        if truth.target.size() != size {
            return Self::default();
        }
        let points = prediction.and_then(|found| points_on(&truth.target, &found.points));
        Self { box_iou: truth.bbox.map(|bbox| box_iou(bbox, size, prediction)), points }
    }
}

/// The best of the stated boxes (VisionReasoner), the mask's where none is stated, 0 where there is
/// no prediction for an image of this size. Corners are pixel indices and areas go from corner to
/// corner, as Seg-Zero's evaluators have it.
fn box_iou(target: Bbox, size: Size, prediction: Option<&Prediction>) -> f64 {
    let Some(Prediction { mask, boxes, .. }) = prediction else { return 0.0 };
    let iou = |found: [f64; 4]| rectangle_iou(corners(target), found);
    if !boxes.is_empty() {
        return boxes.iter().map(|&found| iou(found)).fold(0.0, f64::max);
    }
    let of_mask = mask.bbox().filter(|_| mask.size() == size);
    of_mask.map_or(0.0, |bbox| iou(corners(bbox)))
}

fn corners(bbox: Bbox) -> [f64; 4] {
    [bbox.x0, bbox.y0, bbox.x1, bbox.y1].map(f64::from)
}

/// IoU of two `[x0, y0, x1, y1]`; 0 where either has no area.
fn rectangle_iou(a: [f64; 4], b: [f64; 4]) -> f64 {
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
