//! Inscribed circles of a mask, exactly, in integers.
//!
//! All distances are squared distances between pixel centres, so nothing is rounded and equal radii
//! are equal. A mask is read as the intervals of its columns (`columns`); the pixel farthest from
//! the background is found by a pruned search (`finder`, `search`) that looks at few of them.

mod columns;
mod field;
mod finder;
mod lanes;
mod map;
mod median;
mod parts;
mod plain;
mod search;
mod seg_zero;
#[cfg(test)]
mod tests;

pub use finder::Simd;
pub use map::distance_map;

use segzero_datasets::{Bbox, Mask, Point};

use crate::{Border, Circle, PointRule};
use columns::Columns;
use finder::Finder;

pub(crate) use parts::largest_part;
pub(crate) use seg_zero::seg_zero;

/// Memory that is kept from mask to mask, so that a mask costs no allocation. One per thread.
#[derive(Debug, Default)]
pub struct Scratch {
    columns: Columns,
    discs: Vec<Disc>,
    finder: Finder,
    /// Squared distances of pixels around the median.
    around: Vec<u64>,
}

impl Scratch {
    /// Memory for one thread, and which instructions to use.
    pub fn new(simd: Simd) -> Self {
        Self { finder: Finder::new(simd), ..Self::default() }
    }
}

/// Box and circles of one mask, and what is to be said of them.
pub(crate) struct Circles {
    /// Box of the pixels that count.
    pub bbox: Bbox,
    /// As many as asked for.
    pub circles: Vec<Circle>,
    /// A later circle found nothing left.
    pub degenerate: bool,
    /// More than one pixel had the first radius.
    pub tie: bool,
}

/// A pixel and its squared distance to the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Peak {
    center: Point,
    squared: u64,
    /// Whether another pixel has the same distance.
    tie: bool,
}

/// The pixels at a squared distance of at most `reach_squared` from a centre.
#[derive(Clone, Copy, Debug)]
struct Disc {
    center: Point,
    reach_squared: u64,
}

impl Disc {
    /// The pixels of an inscribed circle: nearer to its centre than the background is.
    fn of(peak: Peak) -> Self {
        Self { center: peak.center, reach_squared: peak.squared - 1 }
    }

    /// First and last row in column `x`.
    #[inline]
    fn rows(&self, x: i64) -> Option<(i64, i64)> {
        let across = (x - i64::from(self.center.x)).unsigned_abs().pow(2);
        let reach = floor_sqrt(self.reach_squared.checked_sub(across)?) as i64;
        Some((i64::from(self.center.y) - reach, i64::from(self.center.y) + reach))
    }

    fn contains(&self, point: Point) -> bool {
        squared_distance(self.center, point) <= self.reach_squared
    }
}

/// The integer part of a square root.
#[inline]
fn floor_sqrt(n: u64) -> u64 {
    // Below 2^52 the correctly rounded root never reaches the next integer. Conversions from and to
    // signed integers are the ones that processors have.
    if n < 1 << 52 { (n as i64 as f64).sqrt() as i64 as u64 } else { n.isqrt() }
}

fn squared_distance(a: Point, b: Point) -> u64 {
    let (dx, dy) = (i64::from(a.x) - i64::from(b.x), i64::from(a.y) - i64::from(b.y));
    (dx * dx + dy * dy) as u64
}

/// Circles by [`PointRule::Inscribed`] or [`PointRule::Outside`]; `None` for an empty mask.
///
/// A mask without background has no distances at an open border; its border then counts as
/// background.
pub(crate) fn inscribed(
    mask: &Mask,
    rule: PointRule,
    border: Border,
    count: usize,
    scratch: &mut Scratch,
) -> Option<Circles> {
    let border = if is_full(mask) { Border::Background } else { border };
    let Scratch { columns, discs, finder, .. } = scratch;
    if !columns.read(mask, border) {
        return None;
    }
    discs.clear();
    finder.begin(mask.size());
    let first = finder.farthest(columns, discs)?;
    let mut circles = Vec::with_capacity(count);
    let mut peak = Some(first);
    for i in 0..count {
        let circle = peak.map_or((first.center, 0), |peak| (peak.center, peak.squared));
        circles.push(Circle { center: circle.0, radius_squared: circle.1 });
        if i + 1 == count {
            break;
        }
        peak = peak.and_then(|peak| {
            match rule {
                PointRule::Outside => discs.push(Disc::of(peak)),
                _ => finder.cut(Disc::of(peak)),
            }
            finder.farthest(columns, discs)
        });
    }
    Some(Circles { bbox: columns.bbox(), circles, degenerate: peak.is_none(), tie: first.tie })
}

/// Whether a mask has no background.
fn is_full(mask: &Mask) -> bool {
    mask.runs().first() == Some(&0) && mask.runs().len() == 2
}
