//! The exact squared Euclidean distance map, in integers and linear time.
//!
//! Per column the distance to the nearest background of that column is read off the intervals; per
//! row the lower envelope of the parabolas `(x - i)² + g(i)²` gives the minimum over all columns
//! (A. Meijster, J. B. T. M. Roerdink, W. H. Hesselink, "A general algorithm for computing distance
//! transforms in linear time", 2000).

use ndarray::{Array2, s};
use segzero_datasets::Mask;

use super::columns::Columns;
use crate::Border;

/// Squared distance, in pixels, from each foreground pixel to the nearest background pixel centre;
/// 0 on the background. Indexed `[y, x]`.
///
/// Under [`Border::Background`] the pixels just outside the image are background. Under
/// [`Border::Open`] a mask without background has no distances: every value is `u32::MAX`, and so is
/// any distance that does not fit (images of more than 46,340 pixels a side).
pub fn distance_map(mask: &Mask, border: Border) -> Array2<u32> {
    let size = mask.size();
    let mut map = Array2::zeros((size.height as usize, size.width as usize));
    let mut columns = Columns::default();
    if !columns.read(mask, border) {
        return map;
    }
    let (left, top) = (columns.left as usize, columns.top as usize);
    let (width, height) = (columns.width as usize, columns.height as usize);
    let mut boxed = map.slice_mut(s![top..top + height, left..left + width]);
    let mut values = Vec::new();
    box_map(&columns, &mut values);
    for (to, &from) in boxed.iter_mut().zip(&values) {
        *to = u32::try_from(from).unwrap_or(u32::MAX);
    }
    map
}

/// Rows that are filled together.
const BAND: usize = 64;

/// The squared distances of the box, row by row; `u64::MAX` where there is no background at all.
pub(super) fn box_map(columns: &Columns, map: &mut Vec<u64>) {
    let (width, height) = (columns.width as usize, columns.height as usize);
    map.clear();
    map.resize(width * height, 0);
    let top = i64::from(columns.top);
    // Bands of rows, so that writing down the columns stays in few pages of memory.
    for (band, rows) in (0..).zip(map.chunks_mut(width * BAND)) {
        let first = top + band * BAND as i64;
        let last = first + (rows.len() / width) as i64;
        for x in 0..width {
            let column = columns.column(x as u32);
            let above = column.partition_point(|interval| interval.end <= first);
            for interval in column[above..].iter().take_while(|interval| interval.start < last) {
                for y in interval.start.max(first)..interval.end.min(last) {
                    let distance = (y - interval.start + 1).min(interval.end - y);
                    rows[(y - first) as usize * width + x] = squared(distance);
                }
            }
        }
    }
    let mut envelope = Envelope::default();
    for row in map.chunks_exact_mut(width) {
        envelope.transform(row, columns.closed_left, columns.closed_right);
    }
}

/// The square of a distance within a column; `u64::MAX` past an open border.
fn squared(distance: i64) -> u64 {
    if distance > i64::from(u32::MAX) { u64::MAX } else { (distance * distance) as u64 }
}

/// A parabola of the lower envelope of one row.
#[derive(Clone, Copy)]
struct Parabola {
    /// Column of its vertex.
    vertex: i64,
    /// Its height there: the squared distance within the column.
    height: i64,
    /// First column where it is the lowest.
    from: i64,
}

/// The lower envelope of one row's parabolas, kept to reuse its memory.
#[derive(Default)]
pub(super) struct Envelope(Vec<Parabola>);

impl Envelope {
    /// Turns one row of squared distances within columns into squared distances.
    pub fn transform(&mut self, row: &mut [u64], closed_left: bool, closed_right: bool) {
        self.0.clear();
        let width = row.len() as i64;
        if closed_left {
            self.add(-1, 0, width);
        }
        for (x, &height) in row.iter().enumerate() {
            if let Ok(height) = i64::try_from(height) {
                self.add(x as i64, height, width);
            }
        }
        if closed_right {
            self.add(width, 0, width);
        }
        let mut lowest = self.0.iter().copied().peekable();
        let Some(mut parabola) = lowest.next() else { return };
        for (x, value) in row.iter_mut().enumerate() {
            let x = x as i64;
            while let Some(next) = lowest.next_if(|next| next.from <= x) {
                parabola = next;
            }
            *value = ((x - parabola.vertex).pow(2) + parabola.height) as u64;
        }
    }

    /// Adds the parabola of a column right of all columns so far.
    fn add(&mut self, vertex: i64, height: i64, width: i64) {
        let mut from = 0;
        while let Some(last) = self.0.last() {
            // The first column where the new one is lower or equal: both are integers there.
            let rise = vertex.pow(2) - last.vertex.pow(2) + height - last.height;
            let crossing = -(-rise).div_euclid(2 * (vertex - last.vertex));
            if crossing > last.from {
                from = crossing;
                break;
            }
            self.0.pop();
        }
        if from < width {
            self.0.push(Parabola { vertex, height, from });
        }
    }
}
