//! Boundaries against OpenCV's erosion (`fixtures/boundary/generate.py`), and against the
//! definition pixel by pixel.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use proptest::prelude::*;
use segzero_datasets::{Mask, Size};
use segzero_test_support::fixture;

/// Height, width, ratio, distance, counts of the mask, counts of its boundary.
type Case = (u32, u32, f64, u32, Vec<u32>, Vec<u32>);

#[derive(serde::Deserialize)]
struct Fixture {
    boundaries: Vec<Case>,
}

#[test]
fn boundaries_equal_opencv() {
    let path = fixture(env!("CARGO_MANIFEST_DIR"), "boundary/boundary.json");
    let fixture: Fixture = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(fixture.boundaries.len(), 95);
    for (height, width, _, distance, mask, boundary) in fixture.boundaries {
        let size = Size::new(width, height);
        let mask = Mask::from_runs(size, &mask).unwrap();
        let expected = Mask::from_runs(size, &boundary).unwrap();
        assert_eq!(mask.boundary(distance), expected, "{mask:?} {distance}");
    }
}

/// The definition: a pixel of the mask whose square, image or not, holds one that is not.
fn by_pixels(mask: &Mask, distance: u32) -> Mask {
    let size = mask.size();
    let pixels = mask.to_bitmap();
    let (w, h, d) = (i64::from(size.width), i64::from(size.height), i64::from(distance));
    let is_set = |x: i64, y: i64| {
        (0..w).contains(&x) && (0..h).contains(&y) && pixels[(y * w + x) as usize] != 0
    };
    let whole = |x, y| (-d..=d).all(|dy| (-d..=d).all(|dx| is_set(x + dx, y + dy)));
    let rows = (0..h).flat_map(|y| (0..w).map(move |x| (x, y)));
    let boundary: Vec<u8> = rows.map(|(x, y)| u8::from(is_set(x, y) && !whole(x, y))).collect();
    Mask::from_bitmap(size, &boundary).unwrap()
}

proptest! {
    #[test]
    fn boundaries_follow_the_definition(
        (width, height, distance) in (1u32..40, 1u32..140, 0u32..6),
        holes in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let size = Size::new(width, height);
        let mut pixels = vec![1; size.pixels() as usize];
        holes.iter().for_each(|hole| pixels[hole.index(size.pixels() as usize)] = 0);
        let mask = Mask::from_bitmap(size, &pixels).unwrap();
        prop_assert_eq!(mask.boundary(distance), by_pixels(&mask, distance));
    }
}

#[test]
fn a_distance_beyond_the_image_keeps_the_mask() {
    let size = Size::new(30, 20);
    for distance in [10, 15, 1 << 31, u32::MAX] {
        assert_eq!(Mask::full(size).boundary(distance), Mask::full(size));
        assert!(Mask::empty(size).boundary(distance).is_empty());
    }
    assert!(Mask::full(size).boundary(0).is_empty());
    assert!(Mask::empty(Size::new(0, 0)).boundary(3).is_empty());
}
