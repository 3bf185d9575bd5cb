//! Box and circles of masks, as arrays.

use numpy::{PyArrayMethods, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use segzero_datasets::Masks as Rasterised;
use segzero_prep::circles::Scratch;
use segzero_prep::{Target, TargetOptions};

use crate::failure::value_error;
use crate::masks::Masks;
use crate::options::mode;

/// Box and circles of each mask, as a dictionary of arrays.
#[pyfunction]
pub fn box_and_circles<'py>(
    py: Python<'py>,
    masks: &Masks,
    points: &str,
    circles: usize,
    border: &str,
    parts: &str,
) -> PyResult<Bound<'py, PyDict>> {
    if circles == 0 {
        return Err(value_error("`circles` must be at least 1"));
    }
    let (points, border, parts) = (mode(points)?, mode(border)?, mode(parts)?);
    let options = TargetOptions { points, circles, border, parts };
    let found: Vec<Option<Target>> = py.detach(|| {
        let mut scratch = Scratch::default();
        let mut target = |mask: &segzero_datasets::Mask| {
            let masks = Rasterised::whole(mask.clone());
            Target::from_masks_in(&masks, &options, &mut scratch)
        };
        masks.0.iter().map(&mut target).collect()
    });
    let (mut boxes, mut centers, mut radii) = (Vec::new(), Vec::new(), Vec::new());
    for target in &found {
        let target = target.as_ref();
        let corners = |t: &Target| [t.bbox.x0, t.bbox.y0, t.bbox.x1, t.bbox.y1];
        boxes.extend(target.map_or([-1; 4], corners));
        // `seg-zero` may find fewer points than were asked for.
        let known = target.map_or(&[][..], |target| &target.circles);
        for i in 0..circles {
            let circle = known.get(i);
            centers.extend(circle.map_or([-1; 2], |c| [c.center.x, c.center.y]));
            radii.push(circle.map_or(0, |c| c.radius_squared));
        }
    }
    let n = masks.0.len();
    let flag = |of: fn(&Target) -> bool| {
        found.iter().map(|target| target.as_ref().is_some_and(of)).collect::<Vec<_>>()
    };
    let arrays = PyDict::new(py);
    arrays.set_item("boxes", boxes.to_pyarray(py).reshape([n, 4])?)?;
    arrays.set_item("centers", centers.to_pyarray(py).reshape([n, circles, 2])?)?;
    arrays.set_item("radii_squared", radii.to_pyarray(py).reshape([n, circles])?)?;
    arrays.set_item("found", flag(|_| true).to_pyarray(py))?;
    arrays.set_item("degenerate", flag(|t| t.flags.degenerate).to_pyarray(py))?;
    arrays.set_item("touches_border", flag(|t| t.flags.touches_border).to_pyarray(py))?;
    arrays.set_item("tie", flag(|t| t.flags.tie).to_pyarray(py))?;
    Ok(arrays)
}
