//! Run lengths: malformed ones are refused, well-formed ones obey the laws of sets.

use proptest::prelude::*;
use segzero_datasets::{Bbox, FillRegime, Mask, MaskError, Size};

/// The inputs on which pycocotools 2.0.11 reads foreign memory, hangs or crashes (`peers.md` §4.3),
/// for a 10x10 mask.
#[test]
fn malformed_strings_are_refused() {
    let size = Size::new(10, 10);
    let sum = |found| MaskError::RunSum { expected: 100, found };
    let cases: [(&str, MaskError, &str); 8] = [
        ("T1:", sum(46), "runs sum to 46 pixels, the size says 100"),
        ("T3T3", sum(200), "runs sum to 200 pixels, the size says 100"),
        ("", sum(0), "runs sum to 0 pixels, the size says 100"),
        ("T", MaskError::Truncated, "the RLE string ends inside a number"),
        ("5T", MaskError::Truncated, "the RLE string ends inside a number"),
        (
            "5 ",
            MaskError::Alphabet { byte: 32, position: 1 },
            "byte 32 at position 1 is not of COCO's RLE alphabet",
        ),
        (
            "T~1",
            MaskError::Alphabet { byte: 126, position: 1 },
            "byte 126 at position 1 is not of COCO's RLE alphabet",
        ),
        ("T1N", MaskError::BadRun { index: 1, value: -2 }, "run 1 is -2, which no run can be"),
    ];
    for (string, expected, message) in cases {
        let found = Mask::from_coco_string(size, string.as_bytes()).unwrap_err();
        assert_eq!(found, expected, "{string:?}");
        assert_eq!(found.to_string(), message);
    }
    let endless = "o".repeat(64);
    let found = Mask::from_coco_string(size, endless.as_bytes());
    assert!(matches!(found, Err(MaskError::BadRun { index: 0, .. })), "{found:?}");
}

#[test]
fn counts_must_fill_the_image() {
    let size = Size::new(10, 10);
    assert_eq!(Mask::from_runs(size, &[50, 10, 40]).unwrap().area(), 10);
    let found = |counts: &[u32]| Mask::from_runs(size, counts).unwrap_err();
    assert_eq!(found(&[50, 10]), MaskError::RunSum { expected: 100, found: 60 });
    assert_eq!(found(&[]), MaskError::RunSum { expected: 100, found: 0 });
    // Sums that wrap to 100 in 32 bits.
    let wraps = [u32::MAX, 1, 100];
    assert_eq!(found(&wraps), MaskError::RunSum { expected: 100, found: (1 << 32) + 100 });
    assert!(found(&[50]).hint().is_some());
}

#[test]
fn zero_runs_are_folded_away() {
    let size = Size::new(10, 10);
    let mask = Mask::from_runs(size, &[0, 0, 50, 10, 0, 5, 35, 0]).unwrap();
    assert_eq!(mask.runs(), [50, 15, 35]);
    assert_eq!(mask, Mask::from_runs(size, &[50, 15, 35]).unwrap());
    assert_eq!(Mask::from_runs(size, &[0, 0, 0, 100]).unwrap(), Mask::full(size));
    assert_eq!(Mask::from_runs(Size::new(0, 7), &[0]).unwrap(), Mask::empty(Size::new(0, 7)));
}

/// Strings that no writer makes, but that mean something.
#[test]
fn unusual_strings_are_read() {
    let size = Size::new(10, 10);
    let read = |string: &str| Mask::from_coco_string(size, string.as_bytes());
    // Zero runs inside: 0, 0, 50, 50.
    assert_eq!(read("00b1b1"), Mask::from_runs(size, &[0, 0, 50, 50]));
    assert_eq!(read("00b1b1").unwrap().runs(), [50, 50]);
    // 50 with as many idle groups as a number may have, and one more.
    assert_eq!(read("bQPPPP0b1"), Mask::from_runs(size, &[50, 50]));
    assert!(matches!(read("bQPPPPPP0b1"), Err(MaskError::BadRun { index: 0, .. })));
    let empty = Size::new(0, 10);
    assert_eq!(Mask::from_coco_string(empty, b""), Ok(Mask::empty(empty)));
    assert_eq!(Mask::from_coco_string(empty, b"0"), Ok(Mask::empty(empty)));
}

#[test]
fn masks_of_different_size_do_not_mix() {
    let (a, b) = (Mask::full(Size::new(4, 5)), Mask::full(Size::new(5, 4)));
    let error = MaskError::SizeMismatch { expected: a.size(), found: b.size() };
    assert_eq!(a.union(&b), Err(error.clone()));
    assert_eq!(a.intersection(&b), Err(error.clone()));
    assert_eq!(a.difference(&b), Err(error.clone()));
    assert_eq!(a.intersection_area(&b), Err(error));
}

#[test]
fn sizes_beyond_32_bits_are_refused() {
    for size in [Size::new(1 << 16, 1 << 16), Size::new(u32::MAX, 1), Size::new(1, 1 << 31)] {
        let error = Err(MaskError::TooLarge { size });
        assert_eq!(Mask::from_runs(size, &[]), error);
        assert_eq!(Mask::from_coco_string(size, b""), error);
        assert_eq!(Mask::from_bitmap(size, &[]), error);
        assert_eq!(Mask::from_polygons(size, &[[0.0; 6]]), error);
        assert_eq!(Mask::fill_polygon(size, &[[0, 0]], FillRegime::OpencvB), error);
    }
}

#[test]
fn the_largest_mask_is_exact() {
    let size = Size::new((1 << 16) - 1, (1 << 16) + 1);
    let full = Mask::full(size);
    assert_eq!(full.area(), u64::from(u32::MAX));
    assert_eq!(Mask::from_coco_string(size, full.to_coco_string().as_bytes()).unwrap(), full);
    assert_eq!(full.difference(&full).unwrap(), Mask::empty(size));
    let bbox = Bbox { x0: 0, y0: 0, x1: (1 << 16) - 2, y1: 1 << 16 };
    assert_eq!(full.bbox(), Some(bbox));
}

/// A bitmap with longer and shorter runs, in both directions.
fn bitmap() -> impl Strategy<Value = (Size, Vec<u8>)> {
    (0u32..70, 0u32..40, 1u32..30, any::<u64>()).prop_map(|(width, height, grain, seed)| {
        let value = |x: u32, y: u32| {
            let cell = u64::from(x / grain) << 32 | u64::from(y / grain.div_ceil(2));
            let mixed = (cell ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            // Any non-zero byte is foreground.
            if mixed >> 62 == 0 { (mixed >> 20) as u8 | 1 } else { 0 }
        };
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| value(x, y))).collect();
        (Size::new(width, height), pixels)
    })
}

fn binary(pixels: &[u8]) -> Vec<u8> {
    pixels.iter().map(|&pixel| u8::from(pixel != 0)).collect()
}

/// Leftmost, topmost, rightmost and bottommost pixel by looking at all of them.
fn dense_bbox(size: Size, pixels: &[u8]) -> Option<Bbox> {
    let width = size.width as usize;
    let set = || (0..pixels.len()).filter(|&i| pixels[i] != 0);
    let (xs, ys) = (|| set().map(|i| (i % width) as i32), || set().map(|i| (i / width) as i32));
    Some(Bbox { x0: xs().min()?, y0: ys().min()?, x1: xs().max()?, y1: ys().max()? })
}

proptest! {
    #[test]
    fn encodings_are_inverse((size, pixels) in bitmap()) {
        let mask = Mask::from_bitmap(size, &pixels).unwrap();
        let pixels = binary(&pixels);
        prop_assert_eq!(&mask.to_bitmap(), &pixels);
        prop_assert_eq!(mask.area(), pixels.iter().map(|&p| u64::from(p)).sum::<u64>());
        prop_assert_eq!(mask.is_empty(), !pixels.contains(&1));
        prop_assert_eq!(mask.bbox(), dense_bbox(size, &pixels));
        let string = mask.to_coco_string();
        prop_assert_eq!(&Mask::from_coco_string(size, string.as_bytes()).unwrap(), &mask);
        prop_assert_eq!(&Mask::from_runs(size, mask.runs()).unwrap(), &mask);
    }

    #[test]
    fn set_operations_equal_dense_ones((size, a) in bitmap(), other in bitmap()) {
        // The second mask at the size of the first.
        let b = other.1.iter().chain(a.iter().rev()).copied();
        let b: Vec<u8> = b.take(a.len()).collect();
        let (p, q) = (Mask::from_bitmap(size, &a).unwrap(), Mask::from_bitmap(size, &b).unwrap());
        let dense = |op: fn(bool, bool) -> bool| -> Vec<u8> {
            a.iter().zip(&b).map(|(&a, &b)| u8::from(op(a != 0, b != 0))).collect()
        };
        let (union, both) = (p.union(&q).unwrap(), p.intersection(&q).unwrap());
        prop_assert_eq!(union.to_bitmap(), dense(|a, b| a | b));
        prop_assert_eq!(both.to_bitmap(), dense(|a, b| a & b));
        prop_assert_eq!(p.difference(&q).unwrap().to_bitmap(), dense(|a, b| a & !b));
        prop_assert_eq!(p.intersection_area(&q).unwrap(), both.area());
        prop_assert_eq!(union.area() + both.area(), p.area() + q.area());
        // Canonical form: the same pixels are the same runs, however they came about.
        let again = Mask::from_bitmap(size, &union.to_bitmap()).unwrap();
        prop_assert_eq!(again.runs(), union.runs());
    }

    /// A number that is not the first refers to the run two back, whatever its length in characters.
    #[test]
    fn runs_of_all_lengths_are_read_back(
        runs in proptest::collection::vec(
            prop_oneof![0u32..40, 0u32..3000, 0u32..200_000, 0u32..20_000_000], 1..60),
    ) {
        let size = Size::new(1, runs.iter().sum());
        let mask = Mask::from_runs(size, &runs).unwrap();
        prop_assert_eq!(Mask::from_coco_string(size, mask.to_coco_string().as_bytes()), Ok(mask));
    }

    #[test]
    fn any_string_is_read_or_refused(
        width in any::<u32>(),
        height in any::<u32>(),
        string in proptest::collection::vec(prop_oneof![9 => 48u8..112, 1 => any::<u8>()], 0..80),
    ) {
        if let Ok(mask) = Mask::from_coco_string(Size::new(width, height), &string) {
            prop_assert_eq!(mask.area() <= mask.size().pixels(), true);
        }
    }

    #[test]
    fn any_counts_are_read_or_refused(
        width in 0u32..9,
        height in 0u32..9,
        counts in proptest::collection::vec(prop_oneof![20 => 0u32..9, 1 => any::<u32>()], 0..12),
    ) {
        let sum: u64 = counts.iter().map(|&c| u64::from(c)).sum();
        let size = Size::new(width, height);
        let mask = Mask::from_runs(size, &counts);
        prop_assert_eq!(mask.is_ok(), sum == size.pixels());
        // The size that fits, so that the reading itself is tried, not only its refusal.
        let Ok(sum) = u32::try_from(sum) else { return Ok(()) };
        if i32::try_from(sum).is_ok() {
            let mask = Mask::from_runs(Size::new(1, sum), &counts).unwrap();
            let area = counts.iter().skip(1).step_by(2).map(|&c| u64::from(c)).sum::<u64>();
            prop_assert_eq!(mask.area(), area);
        }
    }

    #[test]
    fn any_polygon_is_filled_or_refused(
        width in prop_oneof![0u32..50, any::<u32>()],
        height in prop_oneof![0u32..50, any::<u32>()],
        polygon in proptest::collection::vec(prop_oneof![
            8 => -60.0..60.0,
            1 => any::<f64>(),
            1 => Just(f64::NAN),
        ], 0..16),
        vertices in proptest::collection::vec([-60..60, -60..60], 0..8),
        wild in proptest::collection::vec(any::<[i32; 2]>(), 0..3),
    ) {
        let size = Size::new(width, height);
        let twice = Mask::from_polygons_with_overlap(size, &[&polygon, &polygon]);
        if let Ok((union, overlap)) = twice {
            prop_assert_eq!(union, overlap);
        }
        for regime in [FillRegime::OpencvA, FillRegime::OpencvB, FillRegime::OpencvC] {
            if let Ok(mask) = Mask::fill_polygon(size, &vertices, regime) {
                prop_assert!(mask.area() <= 120 * 120);
            }
            let _ = Mask::fill_polygon(size, &wild, regime);
        }
    }
}
