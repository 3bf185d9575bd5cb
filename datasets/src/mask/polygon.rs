//! COCO's polygon filling, run for run as pycocotools (`maskApi.c`, `rleFrPoly` and `rleMerge`).
//!
//! The reference walks every edge on a grid five times finer and keeps the points where the walk
//! crosses the middle between two fine columns `5k + 2` and `5k + 3`. Here those crossings are
//! computed directly, in the reference's floating-point arithmetic, so that the runs are the same.

use super::crossings::{Crossings, RunsFromPositions};
use super::{Mask, MaskError, PolygonFault, check_size};
use crate::Size;

/// The reference's refinement of the grid.
const SCALE: i32 = 5;

/// Coordinates beyond this are refused. It is far outside any image, and small enough that the
/// reference's walk moves at most one fine column a step in spite of rounding.
pub(super) const MAX_COORDINATE: i32 = 1 << 20;

/// Column crossings of one polygon beyond which it is refused, to bound the memory hostile input
/// can claim (128 MiB here; the reference would take five times more points).
const MAX_CROSSINGS: usize = 1 << 24;

impl Mask {
    /// The union of polygons given as flat `[x0, y0, x1, y1, ...]` in pixels, as pycocotools'
    /// `merge(frPyObjects(polygons, h, w))`. No polygons: an empty mask.
    ///
    /// ```
    /// use segzero_datasets::{Mask, Size};
    /// let square = vec![1.0, 1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 4.0];
    /// let mask = Mask::from_polygons(Size::new(5, 5), &[square]).unwrap();
    /// assert_eq!(mask.to_coco_string(), "6320004");
    /// ```
    ///
    /// # Errors
    /// Strict where pycocotools is not: an odd number of coordinates (it drops the last), fewer
    /// than three vertices (a `TypeError` or an empty mask, by the place in the list), and
    /// coordinates that are NaN, infinite or beyond 2^20 (it exhausts the memory).
    pub fn from_polygons(size: Size, polygons: &[impl AsRef<[f64]>]) -> Result<Self, MaskError> {
        let mut parts = rasterize(size, polygons)?;
        match parts.len() {
            1 => Ok(parts.swap_remove(0)),
            _ => Ok(coverage(size, &parts, 1)),
        }
    }

    /// The union as [`Mask::from_polygons`], and the pixels that two or more polygons cover: where
    /// the REFER API's sum over polygons is 2 or more.
    ///
    /// # Errors
    /// As [`Mask::from_polygons`].
    pub fn from_polygons_with_overlap(
        size: Size,
        polygons: &[impl AsRef<[f64]>],
    ) -> Result<(Self, Self), MaskError> {
        let mut parts = rasterize(size, polygons)?;
        match parts.len() {
            1 => Ok((parts.swap_remove(0), Self::empty(size))),
            _ => Ok((coverage(size, &parts, 1), coverage(size, &parts, 2))),
        }
    }
}

/// One mask per polygon.
fn rasterize(size: Size, polygons: &[impl AsRef<[f64]>]) -> Result<Vec<Mask>, MaskError> {
    check_size(size)?;
    let mut crossings = Crossings::new(size);
    let mut parts = Vec::with_capacity(polygons.len());
    for (polygon, coordinates) in polygons.iter().enumerate() {
        crossings.clear();
        cross_columns(coordinates.as_ref(), size, &mut crossings)
            .map_err(|reason| MaskError::Polygon { polygon, reason })?;
        parts.push(crossings.to_mask());
    }
    Ok(parts)
}

/// Pixels that at least `times` of the masks cover.
fn coverage(size: Size, masks: &[Mask], times: i32) -> Mask {
    // Starts as +1 and ends as -1, concatenated from sorted lists, which a stable sort merges.
    let mut changes: Vec<(u32, i32)> = masks
        .iter()
        .flat_map(|mask| mask.foreground())
        .flat_map(|range| [(range.start, 1), (range.end, -1)])
        .collect();
    changes.sort_by_key(|change| change.0);
    let mut runs = RunsFromPositions::new(size, changes.len());
    let mut depth = 0;
    for (position, change) in changes {
        let inside = depth >= times;
        depth += change;
        if (depth >= times) != inside {
            runs.toggle(position);
        }
    }
    runs.finish()
}

/// Records where the outline of a polygon crosses the middles of the image's columns.
fn cross_columns(xy: &[f64], size: Size, crossings: &mut Crossings) -> Result<(), PolygonFault> {
    if !xy.len().is_multiple_of(2) {
        return Err(PolygonFault::OddLength);
    }
    if xy.len() < 6 {
        return Err(PolygonFault::TooShort);
    }
    // Not `any(... > ...)`, which NaN would pass.
    if !xy.iter().all(|c| c.abs() <= f64::from(MAX_COORDINATE)) {
        return Err(PolygonFault::NotFinite);
    }
    if size.pixels() == 0 {
        return Ok(());
    }
    // Truncation towards zero, also of negative coordinates, as the reference casts.
    let fine = |c: f64| (f64::from(SCALE) * c + 0.5) as i32;
    let vertex = |xy: &[f64]| [fine(xy[0]), fine(xy[1])];
    let mut from = vertex(&xy[..2]);
    for next in xy.chunks_exact(2).skip(1).chain([&xy[..2]]) {
        let to = vertex(next);
        Edge::new(from, to).cross_columns(size, crossings);
        if crossings.len() > MAX_CROSSINGS {
            return Err(PolygonFault::TooComplex);
        }
        from = to;
    }
    Ok(())
}

/// An edge on the fine grid, directed so that its major axis ascends.
struct Edge {
    start: [i32; 2],
    end: [i32; 2],
    /// dy/dx where x is the major axis, else dx/dy.
    slope: f64,
    x_is_major: bool,
}

impl Edge {
    fn new(from: [i32; 2], to: [i32; 2]) -> Self {
        let [dx, dy] = [0, 1].map(|axis| (to[axis] - from[axis]).abs());
        let x_is_major = dx >= dy;
        let major = usize::from(!x_is_major);
        let (start, end) = if from[major] > to[major] { (to, from) } else { (from, to) };
        let rise = f64::from(end[1 - major] - start[1 - major]);
        Self { start, end, slope: rise / f64::from(end[major] - start[major]), x_is_major }
    }

    /// Visits the columns k for which the walk passes between `5k + 2` and `5k + 3`.
    fn cross_columns(&self, size: Size, crossings: &mut Crossings) {
        let (low, high) = (self.start[0].min(self.end[0]), self.start[0].max(self.end[0]));
        let first = (low - 2 + SCALE - 1).div_euclid(SCALE).max(0);
        let last = (high - 3).div_euclid(SCALE).min(size.width as i32 - 1);
        for column in first..=last {
            let x = SCALE * column + 2;
            let fine_y = if self.x_is_major { self.row_by_x(x) } else { self.row_by_y(x) };
            // The centre of fine row v lies at (v + 0.5) / 5 - 0.5 = (v - 2) / 5; rounded up.
            let row = (fine_y + 2).div_euclid(SCALE).max(0) as u32;
            crossings.push(column as u32, row.min(size.height));
        }
    }

    /// The smaller fine row of the walk's points at `x` and `x + 1`, x being the major axis.
    fn row_by_x(&self, x: i32) -> i32 {
        let t = x - self.start[0] + i32::from(self.slope < 0.0);
        (f64::from(self.start[1]) + self.slope * f64::from(t) + 0.5) as i32
    }

    /// The last fine row of the walk before it passes between `x` and `x + 1`, y being the major
    /// axis: found by division, then corrected by the reference's own arithmetic.
    fn row_by_y(&self, x: i32) -> i32 {
        let border = f64::from(x + 1);
        let passed = |t: i32| {
            let position = f64::from(self.start[0]) + self.slope * f64::from(t) + 0.5;
            (position >= border) == (self.slope > 0.0)
        };
        let mut t = ((border - 0.5 - f64::from(self.start[0])) / self.slope).ceil() as i32;
        while passed(t - 1) {
            t -= 1;
        }
        while !passed(t) {
            t += 1;
        }
        self.start[1] + t - 1
    }
}
