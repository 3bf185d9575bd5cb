//! The boundary of a mask, as Boundary IoU (Cheng et al., CVPR 2021) defines it.

use super::Mask;
use super::crossings::RunsFromPositions;

impl Mask {
    /// The pixels of the mask within `distance` of a pixel that is not of it, rows and columns
    /// apart (Chebyshev distance). Everything beyond the image counts as background, so a mask that
    /// the image cuts off has a boundary there too.
    ///
    /// This is the mask without its erosion by a square of `2 * distance + 1` pixels, which is
    /// `distance` erosions by a square of 3. `distance` 0 gives an empty mask.
    pub fn boundary(&self, distance: u32) -> Self {
        let eroded = Eroded::new(self, distance).map(|eroded| eroded.to_mask(self));
        let boundary = eroded.map(|inner| self.difference(&inner));
        // Both have one size, so the difference cannot fail.
        boundary.and_then(Result::ok).unwrap_or_else(|| self.clone())
    }
}

/// An eroded mask: one bit a pixel, columns one after the other, over the part of the image in
/// which it can have pixels (the mask's box, less the distance on every side).
struct Eroded {
    /// Column and row of the first pixel.
    origin: [u32; 2],
    words_per_column: usize,
    words: Vec<u64>,
}

impl Eroded {
    /// `None` where nothing is left.
    fn new(mask: &Mask, distance: u32) -> Option<Self> {
        let bbox = mask.bbox()?;
        let [x0, y0, x1, y1] = [bbox.x0, bbox.y0, bbox.x1, bbox.y1].map(|c| c as u32);
        // The mask's columns and rows, and those of them that can survive.
        let (columns, rows) = (x1 - x0 + 1, y1 - y0 + 1);
        let lost = distance.checked_mul(2)?;
        let kept = columns.checked_sub(lost).filter(|&kept| kept > 0)? as usize;
        let rows = rows.checked_sub(lost).filter(|&rows| rows > 0)?;
        let words_per_column = rows.div_ceil(64) as usize;
        let mut words = vec![0; columns as usize * words_per_column];
        let height = mask.size().height;
        for range in mask.foreground() {
            let (mut column, mut start, mut left) =
                (range.start / height, range.start % height, range.end - range.start);
            while left > 0 {
                let end = height.min(start + left);
                left -= end - start;
                // Erosion down a column: every run is shorter by the distance at either end.
                if end - start > lost {
                    let first = (column - x0) as usize * words_per_column;
                    let bits = [start - y0, end - lost - y0].map(|bit| bit as usize);
                    set_bits(&mut words[first..first + words_per_column], bits);
                }
                (column, start) = (column + 1, 0);
            }
        }
        and_window(&mut words, words_per_column, lost as usize + 1);
        words.truncate(kept * words_per_column);
        Some(Self { origin: [x0 + distance, y0 + distance], words_per_column, words })
    }

    /// As runs over the whole image.
    fn to_mask(&self, of: &Mask) -> Mask {
        let mut runs = RunsFromPositions::new(of.size(), of.runs().len());
        let height = of.size().height;
        let [x0, y0] = self.origin;
        for (x, column) in (x0..).zip(self.words.chunks_exact(self.words_per_column)) {
            let mut top = x * height + y0;
            let mut above = 0;
            for &word in column {
                let mut changes = word ^ (word << 1 | above);
                while changes != 0 {
                    runs.toggle(top + changes.trailing_zeros());
                    changes &= changes - 1;
                }
                (above, top) = (word >> 63, top + 64);
            }
            // Set only where the last row of the column ends a word.
            if above != 0 {
                runs.toggle(top);
            }
        }
        runs.finish()
    }
}

/// Sets a half-open range of bits.
fn set_bits(words: &mut [u64], [start, end]: [usize; 2]) {
    let (first, last) = (start / 64, (end - 1) / 64);
    let from = !0 << (start % 64);
    let to = !0 >> (63 - (end - 1) % 64);
    if first == last {
        words[first] |= from & to;
        return;
    }
    words[first] |= from;
    words[first + 1..last].fill(!0);
    words[last] |= to;
}

/// Every column becomes the intersection of the `window` columns that begin with it, in a
/// logarithm of steps: columns that hold 1, 2, 4, ... each are joined to those as far ahead.
fn and_window(words: &mut [u64], words_per_column: usize, window: usize) {
    let mut held = 1;
    while held < window {
        let ahead = held.min(window - held);
        let step = ahead * words_per_column;
        for start in (0..words.len().saturating_sub(step)).step_by(step) {
            let (here, there) = words[start..].split_at_mut(step);
            here.iter_mut().zip(there).for_each(|(here, there)| *here &= *there);
        }
        held += ahead;
    }
}
