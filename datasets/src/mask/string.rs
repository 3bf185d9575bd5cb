//! COCO's compressed RLE string: 5 bits a character, low group first, differences from the run two
//! back (`maskApi.c` `rleToString`, `rleFrString`; rules in the COCO mask API).

use super::{Mask, MaskError, check_size};
use crate::Size;

impl Mask {
    /// Reads COCO's compressed string.
    ///
    /// # Errors
    /// A byte outside the alphabet, a string that ends inside a number, a run out of range, or runs
    /// that do not sum to the size. pycocotools reads uninitialised memory or hangs on these.
    pub fn from_coco_string(size: Size, string: &[u8]) -> Result<Self, MaskError> {
        check_size(size)?;
        let mut counts: Vec<u32> = Vec::with_capacity(string.len() / 2 + 1);
        let (mut value, mut shift) = (0i64, 0u32);
        for (position, &byte) in string.iter().enumerate() {
            let group = byte.wrapping_sub(48);
            if group > 63 {
                return Err(MaskError::Alphabet { byte, position });
            }
            if shift > 35 {
                return Err(MaskError::BadRun { index: counts.len(), value });
            }
            value |= i64::from(group & 31) << shift;
            shift += 5;
            if group & 32 != 0 {
                continue;
            }
            if group & 16 != 0 {
                value |= -1 << shift;
            }
            let index = counts.len();
            if index > 2 {
                value += i64::from(counts[index - 2]);
            }
            let run = u32::try_from(value).map_err(|_| MaskError::BadRun { index, value })?;
            counts.push(run);
            (value, shift) = (0, 0);
        }
        if shift != 0 {
            return Err(MaskError::Truncated);
        }
        Self::from_runs(size, &counts)
    }

    /// Writes COCO's compressed string.
    pub fn to_coco_string(&self) -> String {
        let mut out = String::with_capacity(self.runs.len() * 2);
        for (i, &run) in self.runs.iter().enumerate() {
            let mut x = i64::from(run) - if i > 2 { i64::from(self.runs[i - 2]) } else { 0 };
            loop {
                let group = (x & 31) as u8;
                x >>= 5;
                let more = if group & 16 != 0 { x != -1 } else { x != 0 };
                out.push(char::from(group + if more { 32 } else { 0 } + 48));
                if !more {
                    break;
                }
            }
        }
        out
    }
}
