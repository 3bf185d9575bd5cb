//! Boundary IoU (Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation
//! Evaluation", CVPR 2021): the IoU of the two masks' boundaries alone.

use segzero_datasets::{Mask, MaskError, Size};

/// The paper's width of a boundary, as a share of the image's diagonal.
pub const BOUNDARY_RATIO: f64 = 0.02;

/// Width of a boundary in pixels: `ratio` of the image's diagonal, rounded (halves to the even
/// neighbour, as Python does), and at least 1.
pub fn boundary_distance(size: Size, ratio: f64) -> u32 {
    let [w, h] = [size.width, size.height].map(u64::from);
    let diagonal = ((w * w + h * h) as f64).sqrt();
    // The cast saturates; NaN gives 0.
    ((ratio * diagonal).round_ties_even() as u32).max(1)
}

/// Intersection and union, in pixels, of the boundaries of target and prediction, whose width is
/// [`boundary_distance`] of their size.
///
/// # Errors
/// When the sizes differ.
pub fn boundary_counts(
    target: &Mask,
    prediction: &Mask,
    ratio: f64,
) -> Result<(u64, u64), MaskError> {
    let distance = boundary_distance(target.size(), ratio);
    let [target, prediction] = [target, prediction].map(|mask| mask.boundary(distance));
    let intersection = target.intersection_area(&prediction)?;
    Ok((intersection, target.area() + prediction.area() - intersection))
}
