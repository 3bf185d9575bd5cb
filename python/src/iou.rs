//! Overlap of masks and of boxes.

use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, ToPyArray};
use pyo3::prelude::*;
use segzero_datasets::{Mask, MaskError};
use segzero_eval::{Iou, corner_iou};

use crate::failure::{at, same_length, value_error};
use crate::masks::Masks;

/// Pixels of both, of the first, of the second.
fn counts(a: &Mask, b: &Mask) -> Result<[u64; 3], MaskError> {
    Ok([a.intersection_area(b)?, a.area(), b.area()])
}

/// 0 where both are empty, as pycocotools has it.
fn iou([intersection, a, b]: [u64; 3]) -> f64 {
    Iou::new(intersection, a + b - intersection).value()
}

fn pairs(py: Python<'_>, a: &Masks, b: &Masks) -> PyResult<Vec<[u64; 3]>> {
    same_length(["masks", "masks to compare them with"], [a.0.len(), b.0.len()])?;
    let counted = py.detach(|| {
        let of = |(i, (a, b)): (usize, (&Mask, &Mask))| counts(a, b).map_err(|e| (i, e));
        a.0.iter().zip(&b.0).enumerate().map(of).collect::<Result<Vec<_>, _>>()
    });
    counted.map_err(|(i, e)| at(i, "pair", e))
}

/// IoU of each pair.
#[pyfunction]
pub fn mask_iou<'py>(py: Python<'py>, a: &Masks, b: &Masks) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let ious: Vec<f64> = pairs(py, a, b)?.into_iter().map(iou).collect();
    Ok(ious.to_pyarray(py))
}

/// Pixels of both, of the first and of the second of each pair.
#[pyfunction]
pub fn mask_counts<'py>(
    py: Python<'py>,
    a: &Masks,
    b: &Masks,
) -> PyResult<Bound<'py, PyArray2<u64>>> {
    let counts = pairs(py, a, b)?;
    counts.as_flattened().to_pyarray(py).reshape([counts.len(), 3])
}

/// IoU of each of `a` with each of `b`.
#[pyfunction]
pub fn mask_iou_matrix<'py>(
    py: Python<'py>,
    a: &Masks,
    b: &Masks,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let ious = py.detach(|| {
        let rows = a.0.iter().flat_map(|a| b.0.iter().map(move |b| counts(a, b).map(iou)));
        rows.collect::<Result<Vec<_>, _>>()
    });
    ious.map_err(value_error)?.to_pyarray(py).reshape([a.0.len(), b.0.len()])
}

/// Boxes of four numbers.
fn corners(boxes: &PyReadonlyArray2<'_, f64>) -> PyResult<Vec<[f64; 4]>> {
    let rows = boxes.as_array();
    if rows.shape()[1] != 4 {
        return Err(value_error("a box is x0, y0, x1 and y1"));
    }
    Ok(rows.rows().into_iter().map(|row| [row[0], row[1], row[2], row[3]]).collect())
}

/// IoU of each pair of boxes.
#[pyfunction]
pub fn box_iou<'py>(
    py: Python<'py>,
    a: PyReadonlyArray2<'py, f64>,
    b: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (a, b) = (corners(&a)?, corners(&b)?);
    same_length(["boxes", "boxes to compare them with"], [a.len(), b.len()])?;
    let ious = py.detach(|| a.iter().zip(&b).map(|(&a, &b)| corner_iou(a, b)).collect::<Vec<_>>());
    Ok(ious.to_pyarray(py))
}

/// IoU of each of the boxes `a` with each of `b`.
#[pyfunction]
pub fn box_iou_matrix<'py>(
    py: Python<'py>,
    a: PyReadonlyArray2<'py, f64>,
    b: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let (a, b) = (corners(&a)?, corners(&b)?);
    let ious = py.detach(|| {
        let rows = a.iter().flat_map(|&a| b.iter().map(move |&b| corner_iou(a, b)));
        rows.collect::<Vec<_>>()
    });
    ious.to_pyarray(py).reshape([a.len(), b.len()])
}
