//! Between runs and pixels. Bitmaps are row-major, one byte a pixel.

use super::crossings::Crossings;
use super::{Mask, MaskError, check_size};
use crate::Size;

impl Mask {
    /// A mask of the non-zero bytes of a row-major bitmap.
    ///
    /// # Errors
    /// When `pixels.len() != width * height`, or the size has 2^32 pixels or more.
    pub fn from_bitmap(size: Size, pixels: &[u8]) -> Result<Self, MaskError> {
        check_size(size)?;
        if pixels.len() as u64 != size.pixels() {
            let (expected, found) = (size.pixels(), pixels.len() as u64);
            return Err(MaskError::BufferLength { expected, found });
        }
        if pixels.is_empty() {
            return Ok(Self::empty(size));
        }
        let width = size.width as usize;
        let background = vec![0; width];
        let above = std::iter::once(&background[..]).chain(pixels.chunks_exact(width));
        let below = pixels.chunks_exact(width).chain([&background[..]]);
        let mut crossings = Crossings::new(size);
        for (y, (row, above)) in (0..).zip(below.zip(above)) {
            cross_rows(row, above, [0, y], &mut crossings);
        }
        Ok(crossings.to_mask())
    }

    /// A mask whose rows are made one by one, from top to bottom, so that its pixels need not be
    /// held: `fill` is given y and a row of bytes, of which it writes every one; what is not zero is
    /// foreground.
    ///
    /// # Errors
    /// A size of 2^32 pixels or more.
    pub fn from_rows(size: Size, mut fill: impl FnMut(u32, &mut [u8])) -> Result<Self, MaskError> {
        check_size(size)?;
        let mut row = vec![0; size.width as usize];
        let mut rows = FromRows::new(size, [0, 0]);
        for y in 0..size.height {
            fill(y, &mut row);
            rows.push(&row);
        }
        Ok(rows.finish())
    }

    /// A row-major bitmap of 0 and 1.
    pub fn to_bitmap(&self) -> Vec<u8> {
        let (w, h) = (self.size.width as usize, self.size.height as usize);
        let mut pixels = vec![0u8; w * h];
        // First only where a column changes value, then every row from the one above: a pass over
        // the rows in memory order, where filling columns would touch a cache line per pixel.
        for range in self.foreground() {
            let (mut x, mut y) = (range.start as usize / h, range.start as usize % h);
            let mut left = range.len();
            while left > 0 {
                pixels[y * w + x] ^= 1;
                let end = y + left.min(h - y);
                if end < h {
                    pixels[end * w + x] ^= 1;
                }
                left -= end - y;
                (x, y) = (x + 1, 0);
            }
        }
        for y in 1..h {
            let (above, row) = pixels[(y - 1) * w..(y + 1) * w].split_at_mut(w);
            row.iter_mut().zip(above).for_each(|(pixel, above)| *pixel ^= *above);
        }
        pixels
    }

    /// The mask at another size, by nearest neighbour as PIL takes it: the source pixel that the
    /// centre of the target's pixel falls into. Positions are summed up in `f64` from the left, as
    /// PIL does, so that pixels on a boundary agree too.
    ///
    /// # Errors
    /// A size of 2^32 pixels or more.
    pub fn resized_nearest(&self, size: Size) -> Result<Self, MaskError> {
        check_size(size)?;
        if size == self.size || self.size.pixels() == 0 || size.pixels() == 0 {
            return Ok(if size == self.size { self.clone() } else { Self::empty(size) });
        }
        let positions = |from: u32, to: u32| -> Vec<usize> {
            let step = f64::from(from) / f64::from(to);
            let sums = std::iter::successors(Some(step * 0.5), |at| Some(at + step));
            let last = from as usize - 1;
            sums.take(to as usize).map(|at| (at as usize).min(last)).collect()
        };
        let columns = positions(self.size.width, size.width);
        let rows = positions(self.size.height, size.height);
        let (pixels, width) = (self.to_bitmap(), self.size.width as usize);
        let picked = rows.iter().flat_map(|y| columns.iter().map(move |x| y * width + x));
        let picked: Vec<u8> = picked.map(|at| pixels[at]).collect();
        Self::from_bitmap(size, &picked)
    }
}

/// Records the pixels of a row that differ from the one above, the first lying at `[x, y]`.
fn cross_rows(row: &[u8], above: &[u8], [x, y]: [u32; 2], crossings: &mut Crossings) {
    let mut cross = |i: usize, pixel: u8, above: u8| {
        if (pixel != 0) != (above != 0) {
            crossings.push(x + i as u32, y);
        }
    };
    let ((blocks, rest), (blocks_above, rest_above)) = (row.as_chunks::<32>(), above.as_chunks());
    for (i, (block, above)) in blocks.iter().zip(blocks_above).enumerate() {
        if block == above {
            continue;
        }
        let words = block.as_chunks().0.iter().zip(above.as_chunks().0);
        for (j, (&word, &above)) in words.enumerate() {
            let mut changed = u64::from_le_bytes(word) ^ u64::from_le_bytes(above);
            while changed != 0 {
                let k = changed.trailing_zeros() as usize / 8;
                cross(i * 32 + j * 8 + k, word[k], above[k]);
                changed &= !(0xff << (8 * k));
            }
        }
    }
    for (i, (&pixel, &above)) in rest.iter().zip(rest_above).enumerate() {
        cross(blocks.len() * 32 + i, pixel, above);
    }
}

/// Builds a mask from the rows of a window of the image, top to bottom. Only the pixels that differ
/// from the one above become runs down the columns, and in a mask these are few.
pub(super) struct FromRows {
    crossings: Crossings,
    /// Column of the window's first pixel.
    left: u32,
    /// The next row.
    y: u32,
    /// The row before; empty at first, when it counts as background.
    above: Vec<u8>,
    is_packed: bool,
}

impl FromRows {
    /// No rows yet; the first pixel of the window lies at `origin`.
    pub(super) fn new(size: Size, origin: [u32; 2]) -> Self {
        let crossings = Crossings::new(size);
        Self { crossings, left: origin[0], y: origin[1], above: Vec::new(), is_packed: false }
    }

    /// The next row, one byte a pixel.
    pub(super) fn push(&mut self, row: &[u8]) {
        self.above.resize(row.len(), 0);
        cross_rows(row, &self.above, [self.left, self.y], &mut self.crossings);
        self.above.copy_from_slice(row);
        self.y += 1;
    }

    /// The next row, one bit a pixel, the highest bit first. All rows of a mask are given alike.
    pub(super) fn push_packed(&mut self, row: &[u8]) {
        self.is_packed = true;
        self.above.resize(row.len(), 0);
        let end = self.crossings.size().width;
        for (byte, (&row, &above)) in (0..).zip(row.iter().zip(&self.above)) {
            let mut changed = row ^ above;
            while changed != 0 {
                let bit = changed.leading_zeros();
                changed ^= 0x80 >> bit;
                let x = self.left + byte * 8 + bit;
                // The last byte may have bits beyond the row.
                if x < end {
                    self.crossings.push(x, self.y);
                }
            }
        }
        self.above.copy_from_slice(row);
        self.y += 1;
    }

    /// The mask; below the window there is background.
    pub(super) fn finish(mut self) -> Mask {
        let background = vec![0; self.above.len()];
        if self.is_packed {
            self.push_packed(&background);
        } else {
            self.push(&background);
        }
        self.crossings.to_mask()
    }
}
