//! The pruned search against the full map, in every width and with every kind of lanes; the full map
//! against brute force.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use segzero_datasets::Size;

use super::finder::Method;
use super::*;

/// A shape that is set (`true`) or cut out: an ellipse, or a rectangle, by centre and half axes.
type Shape = (bool, bool, [i32; 4]);

fn draw(size: Size, shapes: &[Shape], noise: u32) -> Mask {
    let mut pixels = vec![0u8; size.pixels() as usize];
    let mut random = noise;
    for (i, pixel) in pixels.iter_mut().enumerate() {
        let (x, y) = (i as i32 % size.width as i32, i as i32 / size.width as i32);
        for &(set, round, [cx, cy, rx, ry]) in shapes {
            let (dx, dy) = (i64::from(x - cx).abs(), i64::from(y - cy).abs());
            let (rx, ry) = (i64::from(rx), i64::from(ry));
            let inside = if round {
                (dx * ry).pow(2) + (dy * rx).pow(2) <= (rx * ry).pow(2)
            } else {
                dx <= rx && dy <= ry
            };
            if inside {
                *pixel = u8::from(set);
            }
        }
        // One pixel in `noise` is turned over.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if noise > 0 && (random >> 8).is_multiple_of(noise) {
            *pixel ^= 1;
        }
    }
    Mask::from_bitmap(size, &pixels).unwrap()
}

fn masks(most: u32) -> impl Strategy<Value = Mask> {
    let side = 1..=most;
    let most = most as i32;
    let axes = [-5..most + 5, -5..most + 5, 1..most / 2, 1..most / 2];
    let shape = (prop::bool::weighted(0.75), any::<bool>(), axes);
    let noise = prop_oneof![3 => Just(0u32), 1 => 2u32..5000];
    (side.clone(), side, prop::collection::vec(shape, 1..7), noise)
        .prop_map(|(w, h, shapes, noise)| draw(Size::new(w, h), &shapes, noise))
}

fn borders() -> impl Strategy<Value = Border> {
    prop_oneof![Just(Border::Background), Just(Border::Open)]
}

/// Squared distance to the nearest background pixel, by looking at all of them.
fn brute_force(mask: &Mask, border: Border) -> Vec<u32> {
    let pixels = mask.to_bitmap();
    let (w, h) = (mask.size().width as i32, mask.size().height as i32);
    let foreground = |x: i32, y: i32| {
        if x < 0 || y < 0 || x >= w || y >= h {
            return border == Border::Open;
        }
        pixels[(y * w + x) as usize] != 0
    };
    let all = |reach: i32, w: i32| -reach..w + reach;
    let distance = |x: i32, y: i32| {
        let background = all(1, h).flat_map(|v| all(1, w).map(move |u| (u, v)));
        let background = background.filter(|&(u, v)| !foreground(u, v));
        background.map(|(u, v)| ((u - x).pow(2) + (v - y).pow(2)) as u32).min().unwrap_or(u32::MAX)
    };
    (0..h).flat_map(|y| (0..w).map(move |x| (x, y))).map(|(x, y)| distance(x, y)).collect()
}

/// First maximum outside the discs, from the full map.
fn from_map(mask: &Mask, border: Border, discs: &[Disc]) -> Option<Peak> {
    let map = distance_map(mask, border);
    let mut best: Option<Peak> = None;
    for ((y, x), &squared) in map.indexed_iter() {
        let center = Point::new(x as i32, y as i32);
        if squared == 0 || discs.iter().any(|disc| disc.contains(center)) {
            continue;
        }
        let squared = squared.into();
        match &mut best {
            Some(best) if squared < best.squared => {}
            Some(best) if squared == best.squared => best.tie = true,
            _ => best = Some(Peak { center, squared, tie: false }),
        }
    }
    best
}

fn without(mask: &Mask, disc: &Disc) -> Mask {
    let width = mask.size().width as i32;
    let mut pixels = mask.to_bitmap();
    for (i, pixel) in (0..).zip(&mut pixels) {
        if disc.contains(Point::new(i % width, i / width)) {
            *pixel = 0;
        }
    }
    Mask::from_bitmap(mask.size(), &pixels).unwrap()
}

/// Three farthest pixels by every method, each disc cut out before the next.
fn check_cuts(mask: &Mask, border: Border) -> Result<(), TestCaseError> {
    let full = mask.area() == mask.size().pixels();
    let border = if full { Border::Background } else { border };
    for (simd, method) in methods() {
        let (mut columns, mut finder, mut rest) =
            (Columns::default(), Finder::new(simd), mask.clone());
        if !columns.read(mask, border) {
            return Ok(());
        }
        finder.begin(mask.size());
        finder.force(method);
        for _ in 0..3 {
            let peak = finder.farthest(&mut columns, &[]);
            prop_assert_eq!(
                peak,
                from_map(&rest, border, &[]),
                "{:?} {:?} {:?}",
                simd,
                method,
                mask
            );
            let Some(peak) = peak else { break };
            rest = without(&rest, &Disc::of(peak));
            finder.cut(Disc::of(peak));
        }
    }
    Ok(())
}

fn methods() -> impl Iterator<Item = (Simd, Method)> {
    let methods = [Method::Short, Method::Long, Method::Plain];
    [Simd::Detect, Simd::Portable].into_iter().flat_map(move |s| methods.map(|m| (s, m)))
}

/// The farthest pixel outside discs by every method.
fn check_excluded(mask: &Mask, border: Border, discs: &[Disc]) -> Result<(), TestCaseError> {
    let full = mask.area() == mask.size().pixels();
    let border = if full { Border::Background } else { border };
    let mut columns = Columns::default();
    if !columns.read(mask, border) {
        return Ok(());
    }
    for (simd, method) in methods() {
        let mut finder = Finder::new(simd);
        finder.begin(mask.size());
        finder.force(method);
        let peak = finder.farthest(&mut columns, discs);
        prop_assert_eq!(peak, from_map(mask, border, discs), "{:?} {:?} {:?}", simd, method, mask);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_map_is_exact(mask in masks(14), border in borders()) {
        let map = distance_map(&mask, border);
        prop_assert_eq!(map.into_raw_vec_and_offset().0, brute_force(&mask, border));
    }

    #[test]
    fn small_masks(mask in masks(40), border in borders()) {
        check_cuts(&mask, border)?;
    }

    #[test]
    fn middling_masks(mask in masks(200), border in borders()) {
        check_cuts(&mask, border)?;
    }

    #[test]
    fn excluded_discs(
        mask in masks(150), border in borders(),
        centers in prop::collection::vec((0..150i32, 0..150i32, 0..9000u64), 0..4),
    ) {
        let disc = |(x, y, reach_squared)| Disc { center: Point::new(x, y), reach_squared };
        check_excluded(&mask, border, &centers.into_iter().map(disc).collect::<Vec<_>>())?;
    }

    #[test]
    fn seg_zero_by_pruning_and_by_listing(mask in masks(120)) {
        let found = |c: Option<Circles>| c.map(|c| (c.circles, c.tie, c.degenerate));
        let plain = found(seg_zero::plain(&mask, &mask, 2));
        let mut scratch = Scratch::new(Simd::Detect);
        prop_assert_eq!(found(seg_zero(&mask, &mask, 2, &mut scratch)), plain);
    }

    #[test]
    fn seg_zero_without_background(width in 1u32..70, height in 1u32..70) {
        let mask = Mask::full(Size::new(width, height));
        let found = |c: Option<Circles>| c.map(|c| (c.circles, c.tie, c.degenerate));
        let plain = found(seg_zero::plain(&mask, &mask, 2));
        prop_assert_eq!(found(seg_zero(&mask, &mask, 2, &mut Scratch::default())), plain);
    }

    #[test]
    fn parts_are_connected(mask in masks(40)) {
        let part = largest_part(&mask);
        prop_assert_eq!(part.intersection_area(&mask).unwrap(), part.area());
        prop_assert_eq!(&largest_part(&part), &part);
        prop_assert_eq!(part.area() == 0, mask.area() == 0);
    }
}

#[test]
fn large_radii() {
    // Radii that do not fit 16 bits, at closed and open borders.
    let size = Size::new(800, 750);
    let shapes = [(true, true, [400, 375, 370, 340]), (false, false, [400, 60, 30, 60])];
    for border in [Border::Background, Border::Open] {
        check_cuts(&draw(size, &shapes, 0), border).unwrap();
        check_cuts(&draw(size, &[(true, false, [0, 0, 600, 600])], 0), border).unwrap();
    }
    check_cuts(&Mask::full(size), Border::Open).unwrap();
    // About the largest radius that 8 bits hold.
    for radius in 253..=256 {
        check_cuts(
            &draw(Size::new(530, 530), &[(true, true, [264, 264, radius, radius])], 0),
            Border::Open,
        )
        .unwrap();
    }
}
