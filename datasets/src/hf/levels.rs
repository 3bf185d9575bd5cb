//! Parquet's run-length / bit-packed hybrid, decoded as runs.
//!
//! Format: <https://parquet.apache.org/docs/file-format/data-pages/encodings/> ("RLE"). A regular
//! mask has a handful of runs of repetition levels a row where it has hundreds of pixels, so that
//! working on runs is what makes reading masks fast.

use bytes::Bytes;

/// Runs of equal values.
#[derive(Debug, Default)]
pub(super) struct Runs {
    data: Bytes,
    at: usize,
    /// Bits of a value, at most 8.
    width: u8,
    /// Values still to give.
    left: usize,
    /// The run being given: its value and what is left of it.
    run: (u8, usize),
    /// Of a bit-packed stretch: position of the next value in bits, and values left.
    packed: (usize, usize),
}

impl Runs {
    /// `count` values of `width` bits.
    pub(super) fn new(data: Bytes, width: u8, count: usize) -> Self {
        Self { data, width, left: count, ..Self::default() }
    }

    /// Whether all values were given.
    pub(super) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The value that comes next, and how often at least; `None` where the data end too early.
    pub(super) fn peek(&mut self) -> Option<(u8, usize)> {
        while self.run.1 == 0 {
            self.run = if self.packed.1 > 0 { self.unpack()? } else { self.header()? };
        }
        Some((self.run.0, self.run.1.min(self.left)))
    }

    /// Passes over `count` values of those that [`Runs::peek`] announced.
    pub(super) fn consume(&mut self, count: usize) {
        self.run.1 -= count;
        self.left -= count;
    }

    /// Reads a header; a run of none where it announces packed values.
    fn header(&mut self) -> Option<(u8, usize)> {
        let mut header = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            header |= u64::from(byte & 127) << shift;
            if byte & 128 == 0 {
                break;
            }
        }
        let count = usize::try_from(header >> 1).ok()?;
        if header & 1 == 0 {
            // A run of none would let a file of zeros go on as long as it likes.
            return if count == 0 { None } else { Some((self.byte()?, count)) };
        }
        let bytes = count.checked_mul(usize::from(self.width))?;
        let end = self.at.checked_add(bytes)?;
        // Writers may end the last group of eight early.
        let there = (end.min(self.data.len()) - self.at) * 8 / usize::from(self.width);
        self.packed = (self.at * 8, there.min(count * 8));
        self.at = end.min(self.data.len());
        if self.packed.1 == 0 { None } else { Some((0, 0)) }
    }

    /// The next equal values of a packed stretch.
    fn unpack(&mut self) -> Option<(u8, usize)> {
        let (mut position, mut left) = self.packed;
        let value = self.bits(position)?;
        let mut count = 0;
        while left > 0 && self.bits(position)? == value {
            position += usize::from(self.width);
            (left, count) = (left - 1, count + 1);
        }
        self.packed = (position, left);
        Some((value, count))
    }

    /// The value whose lowest bit is at `position`.
    fn bits(&self, position: usize) -> Option<u8> {
        let low = u16::from(*self.data.get(position / 8)?);
        let high = u16::from(self.data.get(position / 8 + 1).copied().unwrap_or(0));
        let mask = (1u16 << self.width) - 1;
        Some(((low | high << 8) >> (position % 8) & mask) as u8)
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.data.get(self.at).copied();
        self.at += 1;
        byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All runs, merged.
    fn runs(data: &[u8], width: u8, count: usize) -> Option<Vec<(u8, usize)>> {
        let mut runs = Runs::new(Bytes::copy_from_slice(data), width, count);
        let mut all: Vec<(u8, usize)> = Vec::new();
        while !runs.is_done() {
            let (value, count) = runs.peek()?;
            runs.consume(count);
            match all.last_mut() {
                Some(last) if last.0 == value => last.1 += count,
                _ => all.push((value, count)),
            }
        }
        Some(all)
    }

    #[test]
    fn runs_and_packed_groups() {
        // The example of the format's page: 0 to 7 in 3 bits, in one packed group.
        let packed = [3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        let each: Vec<_> = (0..8).map(|value| (value, 1)).collect();
        assert_eq!(runs(&packed, 3, 8), Some(each.clone()));
        assert_eq!(runs(&packed, 3, 5), Some(each[..5].to_vec()), "padding is not given");
        // 300 twos, then the group 1 0 1 1 1 1 1 1.
        let mixed = [0xd8, 0x04, 2, 3, 0b0101_0001, 0b0101_0101];
        assert_eq!(runs(&mixed, 2, 308), Some(vec![(2, 300), (1, 1), (0, 1), (1, 6)]));
    }

    #[test]
    fn data_that_end_early() {
        for data in [&[][..], &[0x80], &[8], &[3], &[0, 0, 0, 0], &[0xff; 5]] {
            assert_eq!(runs(data, 2, 10), None, "{data:?}");
        }
    }
}
