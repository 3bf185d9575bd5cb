//! The median distance of a mask's pixels from a point, by counting.

use segzero_datasets::Point;

use super::columns::{Columns, Interval};
use super::{Disc, squared_distance};

/// So many pixels are listed rather than counted again.
const FEW: u64 = 1024;

/// The largest squared distance that numpy finds not above the median distance of all pixels of
/// `columns` from `center`.
///
/// The pixels within a distance are counted per column; the distance is narrowed until few pixels
/// are left between its bounds, and the median is selected among those.
pub(super) fn median_limit(columns: &Columns, center: Point, listed: &mut Vec<u64>) -> u64 {
    let nearer = |squared: u64| pixels_nearer(columns, center, squared);
    let mut high = farthest_corner(columns, center) + 1;
    let mut nearer_high = nearer(high);
    // Ranks, from 0, of the two middle values; one and the same for an odd number.
    let (lower, upper) = ((nearer_high - 1) / 2, nearer_high / 2);
    // The middle values are in `low..high`.
    let (mut low, mut nearer_low) = (0, 0);
    let mut halve = false;
    while nearer_high - nearer_low > FEW && high - low > 1 {
        let share = (lower - nearer_low) as f64 / (nearer_high - nearer_low) as f64;
        let share = if halve { 0.5 } else { share };
        let width = high - low;
        let middle = low + ((width as f64 * share) as u64).clamp(1, width - 1);
        let nearer_middle = nearer(middle);
        if nearer_middle > upper {
            (high, nearer_high) = (middle, nearer_middle);
        } else if nearer_middle <= lower {
            (low, nearer_low) = (middle, nearer_middle);
        } else {
            let (below, above) = neighbours(columns, center, middle);
            return mean_root(below, above);
        }
        // Interpolation that gains little is stuck at one side.
        halve = high - low > width / 2;
    }
    if high - low == 1 {
        return low;
    }
    list(columns, center, low, high, listed);
    let (below, &mut middle, _) = listed.select_nth_unstable((upper - nearer_low) as usize);
    let before = below.iter().copied().max().filter(|_| lower < upper);
    mean_root(before.unwrap_or(middle), middle)
}

/// The largest integer whose square root is at most the mean of two roots, all as numpy rounds
/// them: the median of an even number of distances is `(sqrt(low) + sqrt(high)) / 2` in f64.
pub(super) fn mean_root(low: u64, high: u64) -> u64 {
    if low == high {
        return high;
    }
    let root = |n: u64| (n as f64).sqrt();
    let mean = (root(low) + root(high)) / 2.0;
    let mut limit = (mean * mean) as u64;
    while root(limit) > mean {
        limit -= 1;
    }
    while root(limit + 1) <= mean {
        limit += 1;
    }
    limit
}

/// A squared distance that no pixel of the box exceeds.
fn farthest_corner(columns: &Columns, center: Point) -> u64 {
    let [x, y] = [center.x, center.y].map(i64::from);
    let (left, top) = (i64::from(columns.left), i64::from(columns.top));
    let (right, bottom) = (left + i64::from(columns.width), top + i64::from(columns.height));
    let across = (x - left).max(right - 1 - x);
    let down = (y - top).max(bottom - 1 - y);
    (across * across + down * down) as u64
}

/// Rows of column `x` of the box at a squared distance below `squared`; empty where there are none.
fn rows_nearer(columns: &Columns, center: Point, squared: u64, x: u32) -> Interval {
    let rows = squared
        .checked_sub(1)
        .and_then(|reach_squared| Disc { center, reach_squared }.rows(i64::from(columns.left + x)));
    rows.map_or(Interval { start: 0, end: 0 }, |(low, high)| Interval { start: low, end: high + 1 })
}

/// Number of pixels at a squared distance below `squared`.
fn pixels_nearer(columns: &Columns, center: Point, squared: u64) -> u64 {
    let mut pixels = 0;
    for x in 0..columns.width {
        let near = rows_nearer(columns, center, squared, x);
        for rows in columns.rows(x) {
            pixels += (rows.end.min(near.end) - rows.start.max(near.start)).max(0);
        }
    }
    pixels as u64
}

/// Squared distances of the pixels in `low..high`, in no order.
fn list(columns: &Columns, center: Point, low: u64, high: u64, listed: &mut Vec<u64>) {
    listed.clear();
    for x in 0..columns.width {
        let outer = rows_nearer(columns, center, high, x);
        let inner = rows_nearer(columns, center, low, x);
        // The ring's rows above and below the hole; one piece where the column misses the hole.
        let hole =
            if inner.start < inner.end { inner } else { Interval { start: outer.end, ..outer } };
        for rows in columns.rows(x) {
            let above = rows.start.max(outer.start)..rows.end.min(hole.start);
            let below = rows.start.max(hole.end)..rows.end.min(outer.end);
            let column = (columns.left + x) as i32;
            let squared = |y: i64| squared_distance(center, Point::new(column, y as i32));
            listed.extend(above.chain(below).map(squared));
        }
    }
}

/// The largest squared distance below `squared` and the smallest from it on.
fn neighbours(columns: &Columns, center: Point, squared: u64) -> (u64, u64) {
    let (mut below, mut above) = (0, u64::MAX);
    for x in 0..columns.width {
        let column = (columns.left + x) as i32;
        let distance = |y: i64| squared_distance(center, Point::new(column, y as i32));
        let near = rows_nearer(columns, center, squared, x);
        let row = i64::from(center.y);
        for rows in columns.rows(x) {
            let (start, end) = (rows.start.max(near.start), rows.end.min(near.end));
            if start < end {
                below = below.max(distance(start)).max(distance(end - 1));
                if rows.start < start {
                    above = above.min(distance(start - 1));
                }
                if end < rows.end {
                    above = above.min(distance(end));
                }
            } else {
                above = above.min(distance(row.clamp(rows.start, rows.end - 1)));
            }
        }
    }
    (below, above)
}
