//! Between runs and pixels. Bitmaps are row-major, one byte a pixel.

use super::{Mask, MaskError, check_size};
use crate::Size;

impl Mask {
    /// A mask of the non-zero bytes of a row-major bitmap.
    ///
    /// # Errors
    /// When `pixels.len() != width * height`.
    pub fn from_bitmap(size: Size, pixels: &[u8]) -> Result<Self, MaskError> {
        check_size(size)?;
        if pixels.len() as u64 != size.pixels() {
            let (expected, found) = (size.pixels(), pixels.len() as u64);
            return Err(MaskError::BufferLength { expected, found });
        }
        let (w, h) = (size.width as usize, size.height as usize);
        let mut runs = Vec::new();
        let (mut run, mut current) = (0u32, false);
        for x in 0..w {
            for y in 0..h {
                let set = pixels[y * w + x] != 0;
                if set != current {
                    runs.push(run);
                    (run, current) = (0, set);
                }
                run += 1;
            }
        }
        if run > 0 {
            runs.push(run);
        }
        Ok(Self::from_canonical(size, runs))
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
