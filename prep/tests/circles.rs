//! Boxes and points against scipy and numpy (`fixtures/circles/generate.py`), and golden values.

#![allow(clippy::unwrap_used)]

use ndarray::Array2;
use segzero_datasets::{Bbox, Mask, Masks, Point, Size};
use segzero_prep::circles::{Scratch, Simd};
use segzero_prep::{
    Border, BoxConvention, Circle, Flags, Parts, PointRule, Rounding, Target, TargetOptions,
};
use serde_json::Value;

fn options(points: PointRule, border: Border, circles: usize) -> TargetOptions {
    TargetOptions { points, border, circles, parts: Parts::Union }
}

fn masks_of(target: Mask, overlap: Option<Mask>) -> Masks {
    Masks { target, overlap, ignore: None, parts: 1 }
}

/// A mask of the pixels `(x, y)` for which `inside` holds.
fn mask(width: u32, height: u32, inside: impl Fn(i32, i32) -> bool) -> Mask {
    let pixels = Array2::from_shape_fn((height as usize, width as usize), |(y, x)| {
        u8::from(inside(x as i32, y as i32))
    });
    Mask::from_bitmap(Size::new(width, height), pixels.as_slice().unwrap()).unwrap()
}

fn read_mask(case: &Value, field: &str) -> Option<Mask> {
    let runs: Vec<u32> = serde_json::from_value(case[field].clone()).ok()?;
    let [width, height] = serde_json::from_value(case["size"].clone()).unwrap();
    Some(Mask::from_runs(Size::new(width, height), &runs).unwrap())
}

/// A target in the shape of the fixture.
fn described(target: Option<Target>) -> Value {
    let Some(target) = target else { return Value::Null };
    let circles: Vec<_> =
        target.circles.iter().map(|c| (c.center.x, c.center.y, c.radius_squared)).collect();
    let b = target.bbox;
    serde_json::json!({
        "bbox": [b.x0, b.y0, b.x1, b.y1],
        "circles": circles,
        "degenerate": target.flags.degenerate,
        "tie": target.flags.tie,
    })
}

#[test]
fn all_rules_equal_scipy_and_numpy() {
    let path = segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), "circles/cases.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 202);
    let rules = [
        ("seg-zero", options(PointRule::SegZero, Border::Open, 2)),
        ("inscribed", options(PointRule::Inscribed, Border::Background, 3)),
        ("inscribed-open", options(PointRule::Inscribed, Border::Open, 3)),
        ("outside", options(PointRule::Outside, Border::Background, 3)),
    ];
    let mut portable = Scratch::new(Simd::Portable);
    for (i, case) in cases.iter().enumerate() {
        let masks = masks_of(read_mask(case, "runs").unwrap(), read_mask(case, "overlap"));
        for (name, options) in &rules {
            let found = described(Target::from_masks(&masks, options));
            assert_eq!(found, case[name], "case {i}, {name}: {:?}", masks.target);
            let found = described(Target::from_masks_in(&masks, options, &mut portable));
            assert_eq!(found, case[name], "case {i}, {name}, portable: {:?}", masks.target);
        }
    }
}

/// The points of `seg-zero` as `[x1, y1, x2, y2]`.
fn seg_zero_points(target: Mask) -> [i32; 4] {
    let options = options(PointRule::SegZero, Border::Background, 2);
    let target = Target::from_masks(&masks_of(target, None), &options).unwrap();
    let [a, b] = [0, 1].map(|i: usize| target.circles[i].center);
    [a.x, a.y, b.x, b.y]
}

#[test]
fn seg_zero_golden_values() {
    let disc = |x: i32, y: i32, cx: i32, cy: i32| (x - cx).pow(2) + (y - cy).pow(2);
    let within = |v: i32, low: i32, high: i32| (low..=high).contains(&v);
    let rectangle = mask(30, 30, |x, y| within(y, 5, 14) && within(x, 5, 24));
    let blocks = mask(100, 60, |x, y| {
        (within(y, 10, 49) && within(x, 5, 44)) || (within(y, 20, 39) && within(x, 70, 89))
    });
    let discs = mask(140, 100, |x, y| disc(x, y, 50, 50) <= 900 || disc(x, y, 110, 60) <= 400);
    let ring = mask(140, 100, |x, y| disc(x, y, 50, 50) > 324 && disc(x, y, 50, 50) <= 900);
    let golden = [
        (rectangle, [9, 9, 16, 9]),
        (blocks, [24, 29, 79, 29]),
        (discs, [50, 50, 110, 60]),
        (ring, [34, 32, 68, 66]),
        (mask(10, 10, |x, y| y == 3 && within(x, 2, 7)), [2, 3, 5, 3]),
        (mask(10, 10, |x, y| y == 3 && within(x, 4, 5)), [4, 3, 5, 3]),
        (mask(10, 10, |x, y| within(y, 3, 4) && within(x, 4, 5)), [4, 3, 5, 4]),
        (mask(10, 10, |x, y| y == 3 && x == 4), [4, 3, 4, 3]),
        // scipy's artefact of a mask without background.
        (Mask::full(Size::new(5, 5)), [4, 4, 0, 4]),
        (Mask::full(Size::new(12, 8)), [11, 7, 9, 0]),
    ];
    for (mask, points) in golden {
        assert_eq!(seg_zero_points(mask.clone()), points, "{mask:?}");
    }
}

/// A target with one circle and a box that ends at the same pixel.
fn target_at(x: i32, size: Size) -> Target {
    let center = Point::new(x, x);
    Target {
        size,
        bbox: Bbox { x0: 0, y0: 0, x1: x, y1: x },
        circles: vec![Circle { center, radius_squared: 100 }],
        flags: Flags::default(),
    }
}

#[test]
fn coordinates_scale_as_python_scales_them() {
    let path = segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), "circles/scaling.json");
    let scaled: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let roundings = [
        ("half-up", Rounding::HalfUp),
        ("half-even", Rounding::HalfEven),
        ("floor", Rounding::Floor),
    ];
    for (name, rounding) in roundings {
        for side in [333, 1200] {
            let expected = scaled[name][side.to_string()].as_array().unwrap();
            let original = Size::new(side, side);
            for (x, expected) in (0..).zip(expected) {
                let target = target_at(x, original);
                let scaled =
                    target.scaled_to(Size::new(840, 840), rounding, BoxConvention::Inclusive);
                let Bbox { x1, y1, .. } = scaled.bbox;
                let Point { x: cx, y: cy } = scaled.circles[0].center;
                for found in [x1, y1, cx, cy] {
                    assert_eq!(i64::from(found), expected.as_i64().unwrap(), "{name} {side} {x}");
                }
            }
        }
    }
}

#[test]
fn an_exclusive_box_ends_one_pixel_later_before_scaling() {
    let target = target_at(99, Size::new(400, 100));
    let scaled = |b| target.scaled_to(Size::new(800, 800), Rounding::HalfUp, b);
    let inclusive = scaled(BoxConvention::Inclusive);
    assert_eq!(inclusive.bbox, Bbox { x0: 0, y0: 0, x1: 198, y1: 792 });
    assert_eq!(scaled(BoxConvention::Exclusive).bbox, Bbox { x0: 0, y0: 0, x1: 200, y1: 800 });
    // An area grows by the product of both factors.
    assert_eq!(inclusive.circles[0].radius_squared, 1600);
    assert_eq!(inclusive.size, Size::new(800, 800));
}

#[test]
fn flags_and_parts() {
    let two = mask(20, 12, |x, y| (x < 4 && y < 4) || (x > 9 && x < 17 && y > 2 && y < 10));
    let of = |parts, circles| {
        let options = TargetOptions { parts, circles, ..TargetOptions::default() };
        Target::from_masks(&masks_of(two.clone(), None), &options).unwrap()
    };
    let union = of(Parts::Union, 3);
    assert_eq!(union.bbox, Bbox { x0: 0, y0: 0, x1: 16, y1: 9 });
    assert!(union.flags.touches_border && !union.flags.tie && !union.flags.degenerate);
    assert_eq!(union.circles[0].center, Point::new(13, 6));
    let largest = of(Parts::Largest, 1);
    assert_eq!(largest.bbox, Bbox { x0: 10, y0: 3, x1: 16, y1: 9 });
    assert!(!largest.flags.touches_border);
    assert_eq!(largest.circles, union.circles[..1]);
    // One pixel leaves nothing for a second circle.
    let options = TargetOptions::default();
    let pixel = masks_of(mask(5, 5, |x, y| (x, y) == (2, 3)), None);
    let target = Target::from_masks(&pixel, &options).unwrap();
    assert!(target.flags.degenerate);
    let circle = |radius_squared| Circle { center: Point::new(2, 3), radius_squared };
    assert_eq!(target.circles, [circle(1), circle(0)]);
    let empty = masks_of(Mask::empty(Size::new(5, 5)), None);
    assert_eq!(Target::from_masks(&empty, &options), None);
}
