//! COCO polygons against vectors made with pycocotools 2.0.11 (`protocols.md` §6.1).

use segzero_datasets::{Bbox, Mask, MaskError, Size, mask::PolygonFault};
use segzero_test_support::fixture;

/// Height, width, polygon, runs, string, area, box as `[x, y, width, height]`.
type Vector<'a> = (u32, u32, &'a [f64], &'a [u32], &'a str, u64, [f64; 4]);

#[rustfmt::skip]
const VECTORS: &[Vector] = &[
    (5, 5, &[1., 1., 4., 1., 4., 4., 1., 4.], &[6, 3, 2, 3, 2, 3, 6], "6320004", 9, [1., 1., 3., 3.]),
    (5, 5, &[0.5, 0.5, 3.5, 0.5, 3.5, 3.5, 0.5, 3.5], &[6, 3, 2, 3, 2, 3, 6], "6320004", 9, [1., 1., 3., 3.]),
    (5, 5, &[0.4, 0.4, 3.6, 0.4, 3.6, 3.6, 0.4, 3.6], &[0, 4, 1, 4, 1, 4, 1, 4, 6], "041000005", 16, [0., 0., 4., 4.]),
    (5, 5, &[0., 0., 5., 0., 5., 5., 0., 5.], &[0, 25], "0i0", 25, [0., 0., 5., 5.]),
    (6, 7, &[-2., -2., 9., -2., 9., 8., -2., 8.], &[0, 42], "0Z1", 42, [0., 0., 7., 6.]),
    (6, 7, &[1., 1., 5., 2., 3., 5.], &[7, 1, 5, 3, 4, 2, 4, 1, 15], "7152OO0O;", 7, [1., 1., 4., 3.]),
    (6, 7, &[1., 1., 5., 5., 5., 1., 1., 5.], &[7, 3, 4, 1, 5, 1, 4, 3, 14], "734N10O2:", 8, [1., 1., 4., 3.]),
    (6, 7, &[2.2, 1.1, 6.9, 1.1, 6.9, 5.7], &[19, 1, 5, 2, 4, 3, 3, 4, 1], "c0151O1O1N", 10, [3., 1., 4., 4.]),
    (6, 7, &[1., 1., 1., 1., 1., 1.], &[42], "Z1", 0, [0.; 4]),
    (4, 6, &[-5., 1., -1., 1., -1., 3., -5., 3.], &[24], "h0", 0, [0.; 4]),
    (10, 10, &[1., 1., 8., 1., 8., 8., 5., 8., 5., 4., 3., 4., 3., 8., 1., 8.], &[11, 7, 3, 7, 3, 3, 7, 3, 7, 7, 3, 7, 3, 7, 22], ";7300L4004L000c0", 41, [1., 1., 7., 7.]),
];

#[test]
fn conformance_vectors() {
    for &(height, width, polygon, runs, string, area, bbox) in VECTORS {
        let mask = Mask::from_polygons(Size::new(width, height), &[polygon]).unwrap();
        assert_eq!(mask.runs(), runs, "{polygon:?}");
        assert_eq!(mask.to_coco_string(), string, "{polygon:?}");
        assert_eq!(mask.area(), area, "{polygon:?}");
        let found = mask.bbox().map_or([0.0; 4], Bbox::to_coco_xywh);
        assert_eq!(found, bbox, "{polygon:?}");
    }
}

/// Height, width, polygons, union, overlap, intersection of the first two, area, box.
type Case = (u32, u32, Vec<Vec<f64>>, String, String, String, u64, [f64; 4]);

/// 250 random lists of polygons, half of them leaving the image (`fixtures/masks/generate.py`).
#[test]
fn random_polygons_equal_pycocotools() {
    let json = std::fs::read(fixture(env!("CARGO_MANIFEST_DIR"), "masks/polygons.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&json).unwrap();
    assert_eq!(cases.len(), 250);
    for (height, width, polygons, union, overlap, both, area, bbox) in cases {
        let size = Size::new(width, height);
        let (mask, twice) = Mask::from_polygons_with_overlap(size, &polygons).unwrap();
        assert_eq!(mask.to_coco_string(), union, "{polygons:?}");
        assert_eq!(twice.to_coco_string(), overlap, "{polygons:?}");
        assert_eq!(mask.area(), area, "{polygons:?}");
        assert_eq!(mask.bbox().map_or([0.0; 4], Bbox::to_coco_xywh), bbox, "{polygons:?}");
        assert_eq!(Mask::from_polygons(size, &polygons).unwrap(), mask);

        let parts: Vec<Mask> =
            polygons.iter().map(|p| Mask::from_polygons(size, &[p]).unwrap()).collect();
        let first_two =
            parts.iter().take(2).fold(Mask::full(size), |a, b| a.intersection(b).unwrap());
        assert_eq!(first_two.to_coco_string(), both, "{polygons:?}");
        let merged = parts.iter().fold(Mask::empty(size), |a, b| a.union(b).unwrap());
        assert_eq!(merged, mask);
    }
}

#[test]
fn union_and_overlap_of_two_squares() {
    let size = Size::new(5, 5);
    let squares = [[1., 1., 4., 1., 4., 4., 1., 4.], [2., 2., 5., 2., 5., 5., 2., 5.]];
    let (union, overlap) = Mask::from_polygons_with_overlap(size, &squares).unwrap();
    assert_eq!(union.to_coco_string(), "6321O01O");
    assert_eq!(overlap.to_coco_string(), "<2303");
    assert_eq!(Mask::from_polygons(size, &squares).unwrap(), union);
}

#[test]
fn no_polygons_are_an_empty_mask() {
    let none: &[Vec<f64>] = &[];
    let mask = Mask::from_polygons(Size::new(5, 5), none).unwrap();
    assert_eq!(mask.to_coco_string(), "i0");
}

#[test]
fn bad_polygons_are_refused() {
    let good = vec![1., 1., 4., 1., 4., 4.];
    let cases = [
        (vec![1., 1., 4., 1., 4., 4., 1.], PolygonFault::OddLength),
        (vec![1., 1., 4., 1.], PolygonFault::TooShort),
        (vec![], PolygonFault::TooShort),
        (vec![1., 1., 4., f64::NAN, 4., 4.], PolygonFault::NotFinite),
        (vec![1., 1., 4., f64::INFINITY, 4., 4.], PolygonFault::NotFinite),
        (vec![1., 1., -1e300, 1., 4., 4.], PolygonFault::NotFinite),
    ];
    for (polygon, reason) in cases {
        let found = Mask::from_polygons(Size::new(5, 5), &[good.clone(), polygon]);
        assert_eq!(found, Err(MaskError::Polygon { polygon: 1, reason }));
    }
}

/// Memory follows what the polygon crosses, not the size that a file claims.
#[test]
fn a_small_polygon_in_a_huge_image_is_cheap() {
    let size = Size::new(i32::MAX as u32, 1);
    let triangle = [-1e6, 0., 5., -4., 5., 9.];
    let mask = Mask::from_polygons(size, &[triangle]).unwrap();
    assert_eq!(mask.runs(), [0, 5, i32::MAX as u32 - 5]);
}

#[test]
fn an_outline_that_crosses_columns_without_end_is_refused() {
    let zigzag: Vec<f64> = (0..20).flat_map(|i| [f64::from(i % 2) * 1e6, 0.5]).collect();
    let found = Mask::from_polygons(Size::new(1_000_000, 1), &[zigzag]);
    assert_eq!(found, Err(MaskError::Polygon { polygon: 0, reason: PolygonFault::TooComplex }));
}
