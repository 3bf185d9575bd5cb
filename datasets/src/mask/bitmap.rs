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
        let mut mask = FromRows::new(size, [0, 0]);
        pixels.chunks_exact(size.width as usize).for_each(|row| mask.push(row));
        Ok(mask.finish())
    }

    /// A row-major bitmap of 0 and 1.
    pub fn to_bitmap(&self) -> Vec<u8> {
        let (w, h) = (self.size.width as usize, self.size.height as usize);
        let mut pixels = vec![0u8; w * h];
        for range in self.foreground() {
            for index in range {
                let (x, y) = (index as usize / h, index as usize % h);
                pixels[y * w + x] = 1;
            }
        }
        pixels
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
}

impl FromRows {
    /// No rows yet; the first pixel of the window lies at `origin`.
    pub(super) fn new(size: Size, origin: [u32; 2]) -> Self {
        Self { crossings: Crossings::new(size), left: origin[0], y: origin[1], above: Vec::new() }
    }

    /// The next row, one byte a pixel.
    pub(super) fn push(&mut self, row: &[u8]) {
        self.above.resize(row.len(), 0);
        for (chunk, (row, above)) in row.chunks(32).zip(self.above.chunks(32)).enumerate() {
            if row == above {
                continue;
            }
            for (i, (&pixel, &above)) in row.iter().zip(above).enumerate() {
                if (pixel != 0) != (above != 0) {
                    self.crossings.push(self.left + (chunk * 32 + i) as u32, self.y);
                }
            }
        }
        self.above.copy_from_slice(row);
        self.y += 1;
    }

    /// The next row, one bit a pixel, the highest bit first.
    pub(super) fn push_packed(&mut self, row: &[u8]) {
        self.above.resize(row.len(), 0);
        for (byte, (&row, &above)) in row.iter().zip(&self.above).enumerate() {
            let mut changed = row ^ above;
            while changed != 0 {
                let bit = changed.leading_zeros();
                changed ^= 0x80 >> bit;
                self.crossings.push(self.left + byte as u32 * 8 + bit, self.y);
            }
        }
        self.above.copy_from_slice(row);
        self.y += 1;
    }

    /// The mask; below the window there is background.
    pub(super) fn finish(mut self) -> Mask {
        for (x, &above) in (self.left..).zip(&self.above) {
            if above != 0 {
                self.crossings.push(x, self.y);
            }
        }
        self.crossings.to_mask()
    }
}
