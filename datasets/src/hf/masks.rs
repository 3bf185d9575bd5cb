//! Row-major bits, as Arrow packs booleans, to column-major runs.

use arrow_buffer::bit_chunk_iterator::BitChunks;

use crate::{Mask, MaskError, Size};

/// The mask whose pixel `(x, y)` is bit `offset + y * width + x` of `bits` (least significant first).
///
/// Never unpacks a pixel: the rows are compared with the row above, 64 pixels at a time, and only
/// the pixels that differ are visited. In column-major order the pixel before the first of a column
/// is the last of the column to its left, so the row "above" the first one is the last row, moved
/// one pixel to the right; then every difference is the start of a run. Those are found row by row
/// and counted into columns, which sorts them.
///
/// # Errors
/// When the bits end before the mask does, or the size has 2^32 pixels or more.
pub(super) fn mask_from_bits(bits: &[u8], offset: usize, size: Size) -> Result<Mask, MaskError> {
    let (width, height) = (size.width as usize, size.height as usize);
    let available = (bits.len() * 8).saturating_sub(offset) as u64;
    if size.pixels() > u64::from(u32::MAX) {
        return Err(MaskError::TooLarge { size });
    }
    if available < size.pixels() {
        return Err(MaskError::BufferLength { expected: size.pixels(), found: available });
    }
    if size.pixels() == 0 {
        return Ok(Mask::empty(size));
    }
    let row = |y: usize| {
        let words = BitChunks::new(bits, offset + y * width, width);
        words.iter().chain((words.remainder_len() > 0).then(|| words.remainder_bits()))
    };
    let mut above = shifted_by_one(row(height - 1), width);
    let mut starts = Vec::new();
    let mut counts = vec![0u32; width];
    for y in 0..height {
        for (i, (word, above)) in row(y).zip(above.iter_mut()).enumerate() {
            let mut differing = word ^ *above;
            *above = word;
            while differing != 0 {
                let x = i * 64 + differing.trailing_zeros() as usize;
                counts[x] += 1;
                starts.push((x as u32, y as u32));
                differing &= differing - 1;
            }
        }
    }
    Mask::from_runs(size, &runs(size, &starts, counts))
}

/// Runs between starts that lie in row-major order, of which column x has `counts[x]`.
fn runs(size: Size, starts: &[(u32, u32)], counts: Vec<u32>) -> Vec<u32> {
    let mut places = counts;
    let mut total = 0;
    for place in &mut places {
        (*place, total) = (total, total + *place);
    }
    // The place after the last start holds the end of the image.
    let mut ends = vec![size.pixels() as u32; starts.len() + 1];
    for &(x, y) in starts {
        let place = &mut places[x as usize];
        ends[*place as usize] = x * size.height + y;
        *place += 1;
    }
    let mut previous = 0;
    for end in &mut ends {
        (*end, previous) = (*end - previous, *end);
    }
    ends
}

/// The bits of a row moved one pixel to the right; nothing comes in, the last one is lost.
fn shifted_by_one(row: impl Iterator<Item = u64>, width: usize) -> Vec<u64> {
    let mut carry = 0;
    let mut words: Vec<u64> = row
        .map(|word| {
            let shifted = word << 1 | carry;
            carry = word >> 63;
            shifted
        })
        .collect();
    if let (Some(last), 1..) = (words.last_mut(), width % 64) {
        *last &= (1 << (width % 64)) - 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One pixel at a time.
    fn by_pixels(bits: &[u8], offset: usize, size: Size) -> Mask {
        let bit = |i: usize| bits[i / 8] >> (i % 8) & 1;
        let pixels: Vec<u8> = (0..size.pixels() as usize).map(|i| bit(offset + i)).collect();
        Mask::from_bitmap(size, &pixels).unwrap()
    }

    #[test]
    fn sizes_around_the_word() {
        let bits: Vec<u8> =
            (0..3000u32).map(|i| (i.wrapping_mul(2654435761) >> 24) as u8).collect();
        for width in [1, 2, 63, 64, 65, 127, 128, 129] {
            for (height, offset) in [(1, 0), (2, 3), (7, 64), (64, 5), (65, 1)] {
                let size = Size::new(width, height);
                let mask = mask_from_bits(&bits, offset, size).unwrap();
                assert_eq!(mask, by_pixels(&bits, offset, size), "{size} at {offset}");
            }
        }
    }

    #[test]
    fn empty_full_and_too_short() {
        let size = Size::new(70, 3);
        assert_eq!(mask_from_bits(&[0; 27], 6, size), Ok(Mask::empty(size)));
        assert_eq!(mask_from_bits(&[255; 27], 6, size), Ok(Mask::full(size)));
        let short = MaskError::BufferLength { expected: 210, found: 209 };
        assert_eq!(mask_from_bits(&[0; 27], 7, size), Err(short));
        let flat = Size::new(0, 5);
        assert_eq!(mask_from_bits(&[], 0, flat), Ok(Mask::empty(flat)));
        let huge = Size::new(1 << 16, 1 << 16);
        assert_eq!(mask_from_bits(&[], 0, huge), Err(MaskError::TooLarge { size: huge }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Bits from noise to long runs, at any offset.
        #[test]
        fn equals_pixel_by_pixel(
            width in 1u32..150,
            height in 1u32..20,
            offset in 0usize..80,
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 400),
        ) {
            let size = Size::new(width, height);
            prop_assert_eq!(
                mask_from_bits(&bytes, offset, size).unwrap(),
                by_pixels(&bytes, offset, size)
            );
        }
    }
}
