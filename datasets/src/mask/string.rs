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
        // Every number ends with a byte without the continuation bit, so this is their number.
        let numbers = string.iter().filter(|&&byte| byte.wrapping_sub(48) & 32 == 0).count();
        let mut runs: Vec<u32> = Vec::with_capacity(numbers);
        // The last two runs, as differences refer to them; the first run is never referred to.
        let (mut before_last, mut last) = (0, 0);
        let (mut sum, mut is_canonical) = (0, true);
        let mut position = 0;
        while let Some(&byte) = string.get(position) {
            let index = runs.len();
            let group = byte.wrapping_sub(48);
            let difference = if group < 32 {
                position += 1;
                sign_extended(i64::from(group), 5)
            } else {
                long_number(string, &mut position, index)?
            };
            let value = difference + i64::from(before_last);
            let run = u32::try_from(value).map_err(|_| MaskError::BadRun { index, value })?;
            is_canonical &= run > 0 || index == 0;
            sum += u64::from(run);
            (before_last, last) = (last, if index == 0 { 0 } else { run });
            runs.push(run);
        }
        if sum != size.pixels() {
            return Err(MaskError::RunSum { expected: size.pixels(), found: sum });
        }
        if is_canonical && sum > 0 {
            return Ok(Self::from_canonical(size, runs));
        }
        Self::from_runs(size, &runs)
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

/// A number of two characters or more: five bits each, low bits first.
fn long_number(string: &[u8], position: &mut usize, index: usize) -> Result<i64, MaskError> {
    let (mut value, mut bits) = (0, 0);
    loop {
        let byte = *string.get(*position).ok_or(MaskError::Truncated)?;
        let group = byte.wrapping_sub(48);
        if group > 63 {
            return Err(MaskError::Alphabet { byte, position: *position });
        }
        if bits == MAX_BITS {
            return Err(MaskError::BadRun { index, value });
        }
        value |= i64::from(group & 31) << bits;
        bits += 5;
        *position += 1;
        if group < 32 {
            return Ok(sign_extended(value, bits));
        }
    }
}

/// A difference of two 32-bit runs has 33 bits, which seven characters hold.
const MAX_BITS: u32 = 35;

/// The value of the low `bits` as a two's complement number.
fn sign_extended(value: i64, bits: u32) -> i64 {
    value << (64 - bits) >> (64 - bits)
}
