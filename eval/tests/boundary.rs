//! Boundary IoU's width and counts.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use segzero_datasets::{Mask, Size};
use segzero_eval::{BOUNDARY_RATIO, boundary_counts, boundary_distance};

/// Against Python's rounding (`datasets/tests/fixtures/boundary/generate.py`).
#[test]
fn widths_are_rounded_as_in_python() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../datasets/tests/fixtures/boundary/boundary.json");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let widths: Vec<(u32, u32, f64, u32)> = serde_json::from_value(json["widths"].clone()).unwrap();
    assert_eq!(widths.len(), 48);
    for (height, width, ratio, expected) in widths {
        let found = boundary_distance(Size::new(width, height), ratio);
        assert_eq!(found, expected, "{width}x{height}, {ratio}");
    }
    assert_eq!(boundary_distance(Size::new(640, 480), f64::NAN), 1);
}

#[test]
fn counts_are_those_of_the_boundaries() {
    // A diagonal of 50 px makes boundaries of 1 px: frames of 40 x 30 and, shifted by 1, of 39 x 30.
    let size = Size::new(40, 30);
    assert_eq!(boundary_distance(size, BOUNDARY_RATIO), 1);
    let full = Mask::full(size);
    let frame = 2 * 40 + 2 * 28;
    assert_eq!(boundary_counts(&full, &full, BOUNDARY_RATIO).unwrap(), (frame, frame));
    let shifted = Mask::from_runs(size, &[30, 39 * 30]).unwrap();
    let (hit, of) = boundary_counts(&full, &shifted, BOUNDARY_RATIO).unwrap();
    // Both hold the two rows' ends but column 0, and the last column.
    assert_eq!(hit, 2 * 39 + 28);
    assert_eq!(of, frame + (2 * 39 + 2 * 28) - hit);
    assert_eq!(boundary_counts(&full, &Mask::empty(size), 0.02).unwrap(), (0, frame));
    assert!(boundary_counts(&full, &Mask::full(Size::new(30, 40)), 0.02).is_err());
}
