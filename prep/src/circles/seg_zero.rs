//! The two points of the authors' function `get_two_representative_points` (Seg-Zero issue 11),
//! bit for bit: `seg-zero.md` §1.3.
//!
//! With D the distance map of every non-zero pixel, the image border open: the first point is the
//! first maximum of D in raster order. The second is the first maximum among the pixels of value 1
//! that are farther from it than the median distance. Pixels that two polygons cover have value 2:
//! they count for D and may be the first point, but are no pixels of value 1.

use ndarray::Array2;
use segzero_datasets::{Mask, Point};

use super::map::distance_map;
use super::median::{mean_root, median_limit};
use super::{Circles, Disc, Scratch, floor_sqrt, is_full, squared_distance};
use crate::{Border, Circle};

/// Rows and columns either side of the mean in which the second point is sought when no pixel lies
/// beyond the median.
const WINDOW: u32 = 10;

/// One or two points, each with its squared distance to the background; `None` when no pixel has
/// value 1. `mask` holds the pixels of value 1 and more, `ones` those of value 1.
pub(crate) fn seg_zero(
    mask: &Mask,
    ones: &Mask,
    count: usize,
    scratch: &mut Scratch,
) -> Option<Circles> {
    let found = match (ones == mask, is_full(mask)) {
        (true, true) => without_background(mask, count, scratch),
        (true, false) => pruned(mask, count, scratch),
        (false, _) => None,
    };
    found.or_else(|| plain(mask, ones, count))
}

/// The points of a mask that is all foreground, if some pixel lies beyond the median. scipy measures
/// from row -1 and column 0, so the last pixel is the first point, and the second is in some row the
/// last pixel beyond the median.
fn without_background(mask: &Mask, count: usize, scratch: &mut Scratch) -> Option<Circles> {
    let Scratch { columns, around, .. } = scratch;
    if !columns.read(mask, Border::Open) {
        return None;
    }
    let bbox = columns.bbox();
    let circle = |x: i32, y: i32| {
        let radius_squared = squared_distance(Point::new(x, y), Point::new(0, -1));
        Circle { center: Point::new(x, y), radius_squared }
    };
    let first = circle(bbox.x1, bbox.y1);
    let limit = median_limit(columns, first.center, around);
    let last_beyond = |y: i32| {
        let down = u64::from(bbox.y1.abs_diff(y)).pow(2);
        let nearer = limit.checked_sub(down).map_or(0, |across| floor_sqrt(across) as i32 + 1);
        (nearer <= bbox.x1).then(|| circle(bbox.x1 - nearer, y))
    };
    let rows = (0..=bbox.y1).filter_map(last_beyond);
    let larger = |a: Circle, b: Circle| if b.radius_squared > a.radius_squared { b } else { a };
    let circles = [first, rows.reduce(larger)?].into_iter().take(count).collect();
    Some(Circles { bbox, circles, degenerate: false, tie: false })
}

/// The points of a mask that has background and no pixel of value 2, if some pixel lies beyond the
/// median.
fn pruned(mask: &Mask, count: usize, scratch: &mut Scratch) -> Option<Circles> {
    let Scratch { columns, finder, around, .. } = scratch;
    if !columns.read(mask, Border::Open) {
        return None;
    }
    finder.begin(mask.size());
    let first = finder.farthest(columns, &[])?;
    let mut circles = Vec::with_capacity(count);
    circles.push(Circle { center: first.center, radius_squared: first.squared });
    if count > 1 {
        let reach_squared = median_limit(columns, first.center, around);
        let second = finder.farthest(columns, &[Disc { center: first.center, reach_squared }])?;
        circles.push(Circle { center: second.center, radius_squared: second.squared });
    }
    circles.truncate(count);
    Some(Circles { bbox: columns.bbox(), circles, degenerate: false, tie: first.tie })
}

/// The points of any mask, on the full map.
pub(super) fn plain(mask: &Mask, ones: &Mask, count: usize) -> Option<Circles> {
    let distance = scipy_distance_map(mask);
    let pixels = raster(ones);
    if pixels.is_empty() {
        return None;
    }
    let (first, tie) = first_maximum(raster(mask).into_iter(), &distance)?;
    let mut points = vec![on_mask(first, &distance, &pixels)];
    let mut degenerate = false;
    if count > 1 {
        let limit = listed_median_limit(&pixels, first);
        let far = pixels.iter().copied().filter(|&p| squared_distance(p, first) > limit);
        let second = first_maximum(far, &distance).map(|(point, _)| point);
        degenerate = second.is_none();
        let second = second.unwrap_or_else(|| near_the_mean(&pixels, &distance));
        points.push(on_mask(second, &distance, &pixels));
    }
    let circle = |center| Circle { center, radius_squared: value(&distance, center) };
    let circles = points.into_iter().take(count).map(circle).collect();
    Some(Circles { bbox: ones.bbox()?, circles, degenerate, tie })
}

/// `scipy.ndimage.distance_transform_edt`, squared: without any background it measures from a pixel
/// that is not there, at row -1 and column 0.
fn scipy_distance_map(mask: &Mask) -> Array2<u32> {
    if !is_full(mask) {
        return distance_map(mask, Border::Open);
    }
    let shape = (mask.size().height as usize, mask.size().width as usize);
    Array2::from_shape_fn(shape, |(y, x)| {
        let squared = (y as u64 + 1).pow(2) + (x as u64).pow(2);
        u32::try_from(squared).unwrap_or(u32::MAX)
    })
}

fn value(distance: &Array2<u32>, at: Point) -> u64 {
    distance[[at.y as usize, at.x as usize]].into()
}

/// Foreground pixels in raster order.
fn raster(mask: &Mask) -> Vec<Point> {
    let width = mask.size().width as usize;
    let point = |i: usize| Point::new((i % width) as i32, (i / width) as i32);
    let bitmap = mask.to_bitmap();
    let set = bitmap.iter().enumerate().filter(|(_, pixel)| **pixel != 0);
    set.map(|(i, _)| point(i)).collect()
}

/// The first pixel of the largest distance, and whether another has it too.
fn first_maximum(
    pixels: impl Iterator<Item = Point>,
    distance: &Array2<u32>,
) -> Option<(Point, bool)> {
    let mut best: Option<(Point, u64, bool)> = None;
    for pixel in pixels {
        let squared = value(distance, pixel);
        match &mut best {
            Some((_, most, tie)) if squared <= *most => *tie |= squared == *most,
            _ => best = Some((pixel, squared, false)),
        }
    }
    best.map(|(point, _, tie)| (point, tie))
}

/// The largest integer whose square root is not above the median distance of `pixels` from `point`.
fn listed_median_limit(pixels: &[Point], point: Point) -> u64 {
    let mut squared: Vec<u64> = pixels.iter().map(|&p| squared_distance(p, point)).collect();
    let upper = squared.len() / 2;
    let (below, &mut high, _) = squared.select_nth_unstable(upper);
    let low = below.iter().copied().max().filter(|_| pixels.len().is_multiple_of(2));
    mean_root(low.unwrap_or(high), high)
}

/// The first maximum of the distance in a window around the mean of `pixels`, background included.
fn near_the_mean(pixels: &[Point], distance: &Array2<u32>) -> Point {
    let mean = |sum: u64| (sum / pixels.len() as u64) as u32;
    let x = mean(pixels.iter().map(|p| p.x as u64).sum());
    let y = mean(pixels.iter().map(|p| p.y as u64).sum());
    let (height, width) = distance.dim();
    let around = |at: u32, side: usize| {
        at.saturating_sub(WINDOW) as i32..(at + WINDOW).min(side as u32) as i32
    };
    let rows = around(y, height);
    let window = rows.flat_map(|y| around(x, width).map(move |x| Point::new(x, y)));
    let here = Point::new(x as i32, y as i32);
    first_maximum(window, distance).map_or(here, |(point, _)| point)
}

/// The point itself, or the nearest of `pixels` when it lies on the background.
fn on_mask(point: Point, distance: &Array2<u32>, pixels: &[Point]) -> Point {
    if value(distance, point) > 0 {
        return point;
    }
    pixels.iter().copied().min_by_key(|&p| squared_distance(p, point)).unwrap_or(point)
}
