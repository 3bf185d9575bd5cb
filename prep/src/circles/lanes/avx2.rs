//! Lanes of AVX2: two registers of 256 bits. Only called where the processor has been asked for it.

use std::arch::x86_64::*;

use super::{Block, Lanes};

/// Two vectors, the first rows in the first.
type Pair = (__m256i, __m256i);

macro_rules! both {
    ($op:ident, $a:expr, $b:expr) => {{
        let (a, b) = ($a, $b);
        // SAFETY: the search runs these lanes only where it has found AVX2.
        unsafe { ($op(a.0, b.0), $op(a.1, b.1)) }
    }};
}

/// The larger or smaller distances of two blocks.
macro_rules! of_blocks {
    ($op:ident, $a:expr, $b:expr) => {{
        let (mut block, other) = ($a, $b);
        let to: *mut __m256i = block.0.as_mut_ptr().cast();
        // SAFETY: as in `both`; a block is 32 bytes, aligned to 32.
        unsafe {
            let (a, b) = (_mm256_load_si256(to), _mm256_load_si256(other.0.as_ptr().cast()));
            _mm256_store_si256(to, $op(a, b));
        }
        block
    }};
}

macro_rules! common {
    ($distance:ty, $rows:literal, $splat:ident, $max_distance:ident, $min_distance:ident,
     $min:ident, $max:ident, $equal:ident, $min_signed:ident, $sub:ident) => {
        type Block = Block<$distance, $rows>;
        type Register = Pair;
        type Ramp = Pair;
        const ROWS: usize = $rows;

        #[inline(always)]
        fn deeper(a: Self::Block, b: Self::Block) -> Self::Block {
            of_blocks!($max_distance, a, b)
        }
        #[inline(always)]
        fn shallower(a: Self::Block, b: Self::Block) -> Self::Block {
            of_blocks!($min_distance, a, b)
        }
        #[inline(always)]
        fn depth([rising, falling]: [Pair; 2]) -> Self::Block {
            Self::pack(both!($min_signed, rising, falling))
        }
        #[inline(always)]
        fn height([rising, falling]: [Pair; 2]) -> Self::Block {
            // SAFETY: as in `both`.
            let one = unsafe { $splat(1) };
            Self::pack(both!($sub, (one, one), both!($min_signed, rising, falling)))
        }
        #[inline(always)]
        fn clear(block: &mut Self::Block, from: usize) {
            block.0[from..].fill(0);
        }
        #[inline(always)]
        fn splat(value: u32) -> Pair {
            // SAFETY: as in `both`.
            let lanes = unsafe { $splat(value as _) };
            (lanes, lanes)
        }
        #[inline(always)]
        fn min(a: Pair, b: Pair) -> Pair {
            both!($min, a, b)
        }
        #[inline(always)]
        fn max(a: Pair, b: Pair) -> Pair {
            both!($max, a, b)
        }
        #[inline(always)]
        fn any_at_least(values: Pair, least: Pair) -> bool {
            let (low, high) = both!($equal, Self::max(values, least), values);
            // SAFETY: as in `both`.
            unsafe { _mm256_movemask_epi8(_mm256_or_si256(low, high)) != 0 }
        }
        #[inline(always)]
        fn keep_at_least(values: Pair, least: Pair) -> Pair {
            let at_least = both!($equal, Self::max(values, least), values);
            both!(_mm256_and_si256, at_least, values)
        }
        #[inline(always)]
        fn raise_where(values: Pair, marks: Pair) -> Pair {
            let unmarked = both!($equal, marks, Self::splat(0));
            let raised = both!(_mm256_andnot_si256, unmarked, Self::splat(Self::INFINITE));
            Self::max(values, raised)
        }
    };
}

/// 32 rows: 8-bit distances, 16-bit squares.
pub(in super::super) struct Avx2U8;

impl Avx2U8 {
    /// Distances of signed words. Packing saturates to what a distance can be; it works within
    /// halves, so the quarters are put in order after.
    #[inline(always)]
    fn pack((low, high): Pair) -> Block<u8, 32> {
        let mut block = Block([0; 32]);
        // SAFETY: as in `both`; a block is 32 bytes, aligned to 32.
        unsafe {
            let packed = _mm256_packus_epi16(low, high);
            let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
            _mm256_store_si256(block.0.as_mut_ptr().cast(), ordered);
        }
        block
    }
}

impl Lanes for Avx2U8 {
    common!(
        u8,
        32,
        _mm256_set1_epi16,
        _mm256_max_epu8,
        _mm256_min_epu8,
        _mm256_min_epu16,
        _mm256_max_epu16,
        _mm256_cmpeq_epi16,
        _mm256_min_epi16,
        _mm256_sub_epi16
    );
    const LONGEST: i32 = 255;

    #[inline(always)]
    fn ramps(first: i32, start: i32, end: i32) -> [Pair; 2] {
        // SAFETY: as in `both`.
        unsafe {
            let steps = _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let rising = _mm256_add_epi16(_mm256_set1_epi16((first - start + 1) as _), steps);
            let falling = _mm256_sub_epi16(_mm256_set1_epi16((end - first) as _), steps);
            let half = _mm256_set1_epi16(16);
            [(rising, _mm256_add_epi16(rising, half)), (falling, _mm256_sub_epi16(falling, half))]
        }
    }
    #[inline(always)]
    fn below([rising, falling]: [Pair; 2]) -> [Pair; 2] {
        // SAFETY: as in `both`.
        let rows = unsafe { _mm256_set1_epi16(32) };
        let rows = (rows, rows);
        [both!(_mm256_add_epi16, rising, rows), both!(_mm256_sub_epi16, falling, rows)]
    }
    #[inline(always)]
    fn deepest(block: &Self::Block) -> usize {
        let distances: *const __m128i = block.0.as_ptr().cast();
        // SAFETY: as in `both`; a block is 32 bytes, aligned to 32. The only horizontal operation
        // there is finds the smallest of 8 words.
        unsafe {
            let half = _mm_max_epu8(_mm_load_si128(distances), _mm_load_si128(distances.add(1)));
            let inverted = _mm_xor_si128(half, _mm_set1_epi16(-1));
            let words = _mm_min_epu8(inverted, _mm_srli_epi16::<8>(inverted));
            !_mm_cvtsi128_si32(_mm_minpos_epu16(words)) as usize & 0xff
        }
    }
    #[inline(always)]
    fn squares(block: &Self::Block) -> Pair {
        let distances: *const __m128i = block.0.as_ptr().cast();
        // SAFETY: as in `both`; a block is 32 bytes, aligned to 32.
        let words = unsafe {
            let (low, high) = (_mm_load_si128(distances), _mm_load_si128(distances.add(1)));
            (_mm256_cvtepu8_epi16(low), _mm256_cvtepu8_epi16(high))
        };
        both!(_mm256_mullo_epi16, words, words)
    }
    #[inline(always)]
    fn min_of_sum(a: Pair, b: Pair, offset: Pair) -> Pair {
        both!(_mm256_min_epu16, a, both!(_mm256_adds_epu16, b, offset))
    }
    #[inline(always)]
    fn largest(values: Pair) -> u32 {
        // SAFETY: as in `both`. The only horizontal operation there is finds the smallest.
        unsafe {
            let half = _mm256_max_epu16(values.0, values.1);
            let quarter =
                _mm_max_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
            let inverted = _mm_minpos_epu16(_mm_xor_si128(quarter, _mm_set1_epi16(-1)));
            !(_mm_cvtsi128_si32(inverted) as u32) & 0xffff
        }
    }
    #[inline(always)]
    fn rows_equal(values: Pair, value: u32) -> u32 {
        let (low, high) = both!(_mm256_cmpeq_epi16, values, Self::splat(value));
        // SAFETY: as in `both`. Packing works within halves, so the quarters are put in order after.
        unsafe {
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high));
            _mm256_movemask_epi8(packed) as u32
        }
    }
}

/// 16 rows: 16-bit distances, 32-bit squares.
pub(in super::super) struct Avx2U16;

impl Avx2U16 {
    /// Distances of signed words. Packing saturates to what a distance can be; it works within
    /// halves, so the quarters are put in order after.
    #[inline(always)]
    fn pack((low, high): Pair) -> Block<u16, 16> {
        let mut block = Block([0; 16]);
        // SAFETY: as in `both`; a block is 32 bytes, aligned to 32.
        unsafe {
            let packed = _mm256_max_epi16(_mm256_packs_epi32(low, high), _mm256_setzero_si256());
            let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
            _mm256_store_si256(block.0.as_mut_ptr().cast(), ordered);
        }
        block
    }
}

impl Lanes for Avx2U16 {
    common!(
        u16,
        16,
        _mm256_set1_epi32,
        _mm256_max_epu16,
        _mm256_min_epu16,
        _mm256_min_epu32,
        _mm256_max_epu32,
        _mm256_cmpeq_epi32,
        _mm256_min_epi32,
        _mm256_sub_epi32
    );
    const LONGEST: i32 = 32_767;

    #[inline(always)]
    fn ramps(first: i32, start: i32, end: i32) -> [Pair; 2] {
        // SAFETY: as in `both`.
        unsafe {
            let steps = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let rising = _mm256_add_epi32(_mm256_set1_epi32((first - start + 1) as _), steps);
            let falling = _mm256_sub_epi32(_mm256_set1_epi32((end - first) as _), steps);
            let half = _mm256_set1_epi32(8);
            [(rising, _mm256_add_epi32(rising, half)), (falling, _mm256_sub_epi32(falling, half))]
        }
    }
    #[inline(always)]
    fn below([rising, falling]: [Pair; 2]) -> [Pair; 2] {
        // SAFETY: as in `both`.
        let rows = unsafe { _mm256_set1_epi32(16) };
        let rows = (rows, rows);
        [both!(_mm256_add_epi32, rising, rows), both!(_mm256_sub_epi32, falling, rows)]
    }
    #[inline(always)]
    fn deepest(block: &Self::Block) -> usize {
        let distances: *const __m128i = block.0.as_ptr().cast();
        // SAFETY: as in `both`; a block is 32 bytes, aligned to 32. The only horizontal operation
        // there is finds the smallest.
        unsafe {
            let half = _mm_max_epu16(_mm_load_si128(distances), _mm_load_si128(distances.add(1)));
            let inverted = _mm_xor_si128(half, _mm_set1_epi16(-1));
            !_mm_cvtsi128_si32(_mm_minpos_epu16(inverted)) as usize & 0xffff
        }
    }
    #[inline(always)]
    fn squares(block: &Self::Block) -> Pair {
        let distances: *const __m128i = block.0.as_ptr().cast();
        // SAFETY: as in `both`; a block is 32 bytes, aligned to 32.
        let words = unsafe {
            let (low, high) = (_mm_load_si128(distances), _mm_load_si128(distances.add(1)));
            (_mm256_cvtepu16_epi32(low), _mm256_cvtepu16_epi32(high))
        };
        // The upper halves of the words are 0, the lower ones below 2^15.
        both!(_mm256_madd_epi16, words, words)
    }
    #[inline(always)]
    fn min_of_sum(a: Pair, b: Pair, offset: Pair) -> Pair {
        both!(_mm256_min_epu32, a, both!(_mm256_add_epi32, b, offset))
    }
    #[inline(always)]
    fn largest(values: Pair) -> u32 {
        // SAFETY: as in `both`.
        unsafe {
            let half = _mm256_max_epu32(values.0, values.1);
            let four =
                _mm_max_epu32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
            let two = _mm_max_epu32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
            let one = _mm_max_epu32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two));
            _mm_cvtsi128_si32(one) as u32
        }
    }
    #[inline(always)]
    fn rows_equal(values: Pair, value: u32) -> u32 {
        let (low, high) = both!(_mm256_cmpeq_epi32, values, Self::splat(value));
        // SAFETY: as in `both`.
        unsafe {
            let low = _mm256_movemask_ps(_mm256_castsi256_ps(low)) as u32;
            low | (_mm256_movemask_ps(_mm256_castsi256_ps(high)) as u32) << 8
        }
    }
}
