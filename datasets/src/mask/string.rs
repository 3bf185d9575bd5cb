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
        match canonical_runs(string, size.pixels()) {
            Some(runs) => Ok(Self::from_canonical(size, runs)),
            None => Self::from_unusual_string(size, string),
        }
    }

    /// Reads number by number, so that what is wrong is known when it comes; zero runs are folded.
    fn from_unusual_string(size: Size, string: &[u8]) -> Result<Self, MaskError> {
        let mut runs: Vec<u32> = Vec::new();
        // The last two runs, as differences refer to them; the first run is never referred to.
        let (mut before_last, mut last) = (0, 0);
        let mut position = 0;
        while position < string.len() {
            let index = runs.len();
            let value = number(string, &mut position, index)? + i64::from(before_last);
            let run = u32::try_from(value).map_err(|_| MaskError::BadRun { index, value })?;
            (before_last, last) = (last, if index == 0 { 0 } else { run });
            runs.push(run);
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

/// The runs of a string as every writer makes it: no fault, no zero run but the first, `pixels` in
/// all. `None` for any other, which [`Mask::from_unusual_string`] reads or refuses.
fn canonical_runs(string: &[u8], pixels: u64) -> Option<Vec<u32>> {
    let mut runs = vec![0; count_numbers(string)?];
    let mut bytes = string.iter();
    let (first, rest) = runs.split_first_mut()?;
    *first = u32::try_from(next_number(&mut bytes)?).ok()?;
    // Differences refer to the run two back, but never to the first.
    let (mut before_last, mut last, mut bits) = (0, 0, 0);
    for run in rest.iter_mut() {
        let value = before_last + next_number(&mut bytes)?;
        (before_last, last) = (last, value);
        // A negative value, or one beyond `u32`, leaves a high bit.
        bits |= value;
        *run = value as u32;
    }
    let is_canonical = u32::try_from(bits).is_ok() && !rest.contains(&0) && bytes.len() == 0;
    let sum: u64 = runs.iter().map(|&run| u64::from(run)).sum();
    (is_canonical && sum == pixels && sum > 0).then_some(runs)
}

/// How many numbers a string holds; `None` where a byte is not of the alphabet.
fn count_numbers(string: &[u8]) -> Option<usize> {
    let (mut numbers, mut groups) = (0, 0);
    // Short chunks, so that the compiler counts in bytes, many at once.
    for chunk in string.chunks(255) {
        let mut ends = 0u8;
        for byte in chunk {
            let group = byte.wrapping_sub(48);
            groups |= group;
            // A number ends with a byte without the continuation bit.
            ends += u8::from(group & 32 == 0);
        }
        numbers += usize::from(ends);
    }
    (groups < 64).then_some(numbers)
}

/// The next number of a string of the alphabet, five bits a character, low bits first; `None` where
/// the string ends, or the number has more than [`MAX_BITS`]. The lengths that almost all numbers
/// have are written out.
#[inline(always)]
fn next_number(bytes: &mut std::slice::Iter<'_, u8>) -> Option<i64> {
    let mut group = || bytes.next().map(|byte| i64::from(byte.wrapping_sub(48)));
    let low = group()?;
    if low < 32 {
        return Some(sign_extended(low, 5));
    }
    let high = group()?;
    if high < 32 {
        return Some(sign_extended(low & 31 | high << 5, 10));
    }
    let (mut value, mut bits) = (low & 31 | (high & 31) << 5, 10);
    while bits < MAX_BITS {
        let group = group()?;
        value |= (group & 31) << bits;
        bits += 5;
        if group < 32 {
            return Some(sign_extended(value, bits));
        }
    }
    None
}

/// The number at a position of any string, and what is wrong with it.
fn number(string: &[u8], position: &mut usize, index: usize) -> Result<i64, MaskError> {
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
