//! [`Mask`]: a binary mask as run lengths, in COCO's order.
//!
//! Area, box, union, intersection and scoring work on runs; a mask is decoded only where pixels are
//! needed. Semantics follow COCO's mask API (`maskApi.c`); malformed input is an error here, where
//! the C code reads past its buffers or hangs.

mod bitmap;
mod boundary;
mod crossings;
mod error;
mod file;
mod fill;
mod npz;
mod ops;
mod outline;
mod polygon;
mod string;

pub use error::{MaskError, PolygonFault};
pub use fill::FillRegime;
pub use outline::{Ring, signed_area_doubled};

use std::ops::Range;

use crate::{Bbox, Size};

/// A binary mask of a given size.
///
/// Runs alternate background, foreground, background, ... down the columns (pixel `(x, y)` has
/// index `x * height + y`). Canonical: only the first run may be zero (a mask whose first pixel is set),
/// and the runs sum to `width * height`; equal masks have equal runs.
///
/// ```
/// use segzero_datasets::{Mask, Size};
/// let mask = Mask::from_coco_string(Size::new(5, 5), b"6320004").unwrap();
/// assert_eq!(mask.runs(), [6, 3, 2, 3, 2, 3, 6]);
/// assert_eq!(mask.area(), 9);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mask {
    size: Size,
    runs: Box<[u32]>,
}

impl Mask {
    /// A mask without foreground.
    pub fn empty(size: Size) -> Self {
        let runs = if size.pixels() == 0 { vec![] } else { vec![size.pixels() as u32] };
        Self { size, runs: runs.into() }
    }

    /// A mask that is all foreground.
    pub fn full(size: Size) -> Self {
        let runs = if size.pixels() == 0 { vec![] } else { vec![0, size.pixels() as u32] };
        Self { size, runs: runs.into() }
    }

    /// A mask from COCO's uncompressed counts. Zero runs inside are folded away.
    ///
    /// # Errors
    /// When the runs do not sum to `width * height`, or the size has 2^32 pixels or more.
    pub fn from_runs(size: Size, counts: &[u32]) -> Result<Self, MaskError> {
        check_size(size)?;
        let sum: u64 = counts.iter().map(|&c| u64::from(c)).sum();
        if sum != size.pixels() {
            return Err(MaskError::RunSum { expected: size.pixels(), found: sum });
        }
        let mut runs: Vec<u32> = Vec::with_capacity(counts.len());
        for (i, &count) in counts.iter().enumerate() {
            // `runs.len()` has the parity of the next run to write.
            if runs.len() % 2 == i % 2 {
                if count > 0 || i == 0 {
                    runs.push(count);
                }
            } else if let Some(last) = runs.last_mut() {
                *last += count;
            }
        }
        if runs == [0] {
            runs.clear();
        }
        Ok(Self { size, runs: runs.into() })
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Run lengths: background, foreground, background, ...; see the type's documentation.
    pub fn runs(&self) -> &[u32] {
        &self.runs
    }

    /// Whether no pixel is set.
    pub fn is_empty(&self) -> bool {
        self.runs.len() < 2
    }

    /// Number of foreground pixels.
    pub fn area(&self) -> u64 {
        self.runs.as_chunks().0.iter().map(|&[_, length]| u64::from(length)).sum()
    }

    /// Half-open ranges of column-major indices that are foreground, ascending.
    pub fn foreground(&self) -> Foreground<'_> {
        Foreground { pairs: self.runs.as_chunks().0.iter(), end: 0 }
    }

    /// Whether a pixel belongs to the mask; one outside the image does not.
    pub fn contains(&self, x: u32, y: u32) -> bool {
        if x >= self.size.width || y >= self.size.height {
            return false;
        }
        let at = x * self.size.height + y;
        self.foreground().take_while(|range| range.start <= at).any(|range| range.contains(&at))
    }

    /// The tightest box of inclusive pixel indices; `None` for an empty mask. Found from the
    /// leftmost, topmost, rightmost and bottommost foreground pixels.
    pub fn bbox(&self) -> Option<Bbox> {
        let h = self.size.height;
        let x0 = self.foreground().next()?.start / h;
        // Where the column begins that a run starts in, and the last pixel.
        let (mut column, mut last) = (x0 * h, 0);
        let (mut top, mut bottom) = (u32::MAX, 0);
        for Range { start, end } in self.foreground() {
            if start - column >= h {
                // Most often this is the next column; divisions are slow.
                column += h;
                if start - column >= h {
                    column = start - start % h;
                }
            }
            last = end - 1;
            let (y0, y1) = (start - column, last - column);
            // A run across a column's end covers the last row of one and the first of the next.
            let crosses = y1 >= h;
            top = top.min(if crosses { 0 } else { y0 });
            bottom = bottom.max(if crosses { h - 1 } else { y1 });
        }
        let [x0, y0, x1, y1] = [x0, top, last / h, bottom].map(|c| c as i32);
        Some(Bbox { x0, y0, x1, y1 })
    }

    /// Runs that are known to be canonical.
    fn from_canonical(size: Size, runs: Vec<u32>) -> Self {
        debug_assert_eq!(runs.iter().map(|&r| u64::from(r)).sum::<u64>(), size.pixels());
        debug_assert!(runs.iter().skip(1).all(|&r| r > 0));
        Self { size, runs: runs.into() }
    }
}

/// Iterator of [`Mask::foreground`].
#[derive(Clone, Debug)]
pub struct Foreground<'a> {
    /// Gaps and lengths.
    pairs: std::slice::Iter<'a, [u32; 2]>,
    /// End of the range before.
    end: u32,
}

impl Iterator for Foreground<'_> {
    type Item = Range<u32>;

    fn next(&mut self) -> Option<Self::Item> {
        let &[gap, length] = self.pairs.next()?;
        let start = self.end + gap;
        self.end = start + length;
        Some(start..self.end)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pairs.size_hint()
    }
}

impl ExactSizeIterator for Foreground<'_> {}

/// Indices must fit `u32`, and columns and rows the `i32` of boxes.
pub(crate) fn check_size(size: Size) -> Result<(), MaskError> {
    let side = size.width.max(size.height);
    if size.pixels() > u64::from(u32::MAX) || i32::try_from(side).is_err() {
        return Err(MaskError::TooLarge { size });
    }
    Ok(())
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({}, {:?})", self.size, self.to_coco_string())
    }
}
