//! Lanes of AVX2: two registers of 256 bits. Only called where the processor has been asked for it.

use std::arch::x86_64::*;

use super::{Block, Lanes};

/// Two vectors, the first rows in the first.
type Pair = (__m256i, __m256i);

macro_rules! both {
    ($op:ident, $a:expr, $b:expr) => {{
        let (a, b) = ($a, $b);
        // SAFETY: the search runs these lanes only where it has found AVX2.
        #[allow(unused_unsafe)]
        unsafe {
            ($op(a.0, b.0), $op(a.1, b.1))
        }
    }};
}

macro_rules! common {
    ($word:ty, $rows:literal, $splat:ident, $min:ident, $max:ident, $equal:ident) => {
        type Block = Block<$word, $rows>;
        type Register = Pair;
        const ROWS: usize = $rows;

        #[inline(always)]
        fn load(block: &Self::Block) -> Pair {
            let lanes: *const __m256i = block.0.as_ptr().cast();
            // SAFETY: a block is 64 bytes, aligned to 64.
            unsafe { (_mm256_load_si256(lanes), _mm256_load_si256(lanes.add(1))) }
        }
        #[inline(always)]
        fn store(values: Pair) -> Self::Block {
            let mut block = Block([0; $rows]);
            let lanes: *mut __m256i = block.0.as_mut_ptr().cast();
            // SAFETY: a block is 64 bytes, aligned to 64.
            unsafe {
                _mm256_store_si256(lanes, values.0);
                _mm256_store_si256(lanes.add(1), values.1);
            }
            block
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
    };
}

/// 32 rows of 16 bits.
pub(in super::super) struct Avx2U16;

impl Lanes for Avx2U16 {
    common!(u16, 32, _mm256_set1_epi16, _mm256_min_epu16, _mm256_max_epu16, _mm256_cmpeq_epi16);
    const INFINITE: u32 = 0xffff;
    const LONGEST: i32 = 255;

    #[inline(always)]
    fn min_of_sum(a: Pair, b: Pair, offset: Pair) -> Pair {
        let sum = both!(_mm256_adds_epu16, b, offset);
        both!(_mm256_min_epu16, a, sum)
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
    #[inline(always)]
    fn ramps(first: i32, start: i32, end: i32) -> [Pair; 2] {
        // SAFETY: as in `both`.
        unsafe {
            let steps = _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let down = _mm256_add_epi16(_mm256_set1_epi16((first - start + 1) as _), steps);
            let up = _mm256_sub_epi16(_mm256_set1_epi16((end - first) as _), steps);
            let half = _mm256_set1_epi16(16);
            let below = (_mm256_add_epi16(down, half), _mm256_sub_epi16(up, half));
            [(down, below.0), (up, below.1)]
        }
    }
    #[inline(always)]
    fn next([down, up]: [Pair; 2]) -> [Pair; 2] {
        let rows = Self::splat(32);
        [both!(_mm256_add_epi16, down, rows), both!(_mm256_sub_epi16, up, rows)]
    }
    #[inline(always)]
    fn depth([down, up]: [Pair; 2]) -> Pair {
        both!(_mm256_max_epi16, both!(_mm256_min_epi16, down, up), Self::splat(0))
    }
    #[inline(always)]
    fn square(distances: Pair) -> Pair {
        both!(_mm256_mullo_epi16, distances, distances)
    }
    #[inline(always)]
    fn square_or_infinite(distances: Pair) -> Pair {
        let longest = Self::splat(255);
        let beyond = both!(_mm256_cmpgt_epi16, distances, longest);
        let short = both!(_mm256_min_epi16, distances, longest);
        let squares = both!(_mm256_mullo_epi16, short, short);
        both!(_mm256_or_si256, squares, beyond)
    }
    #[inline(always)]
    fn raise_where(values: Pair, marks: Pair) -> Pair {
        let marked = both!(_mm256_cmpgt_epi16, marks, Self::splat(0));
        both!(_mm256_or_si256, values, marked)
    }
}

/// 16 rows of 32 bits.
pub(in super::super) struct Avx2U32;

impl Lanes for Avx2U32 {
    common!(u32, 16, _mm256_set1_epi32, _mm256_min_epu32, _mm256_max_epu32, _mm256_cmpeq_epi32);
    const INFINITE: u32 = 0x7fff_ffff;
    const LONGEST: i32 = 46_340;

    #[inline(always)]
    fn min_of_sum(a: Pair, b: Pair, offset: Pair) -> Pair {
        let sum = both!(_mm256_add_epi32, b, offset);
        both!(_mm256_min_epu32, a, sum)
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
    #[inline(always)]
    fn ramps(first: i32, start: i32, end: i32) -> [Pair; 2] {
        // SAFETY: as in `both`.
        unsafe {
            let steps = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let down = _mm256_add_epi32(_mm256_set1_epi32((first - start + 1) as _), steps);
            let up = _mm256_sub_epi32(_mm256_set1_epi32((end - first) as _), steps);
            let half = _mm256_set1_epi32(8);
            let below = (_mm256_add_epi32(down, half), _mm256_sub_epi32(up, half));
            [(down, below.0), (up, below.1)]
        }
    }
    #[inline(always)]
    fn next([down, up]: [Pair; 2]) -> [Pair; 2] {
        let rows = Self::splat(16);
        [both!(_mm256_add_epi32, down, rows), both!(_mm256_sub_epi32, up, rows)]
    }
    #[inline(always)]
    fn depth([down, up]: [Pair; 2]) -> Pair {
        both!(_mm256_max_epi32, both!(_mm256_min_epi32, down, up), Self::splat(0))
    }
    #[inline(always)]
    fn square(distances: Pair) -> Pair {
        both!(_mm256_mullo_epi32, distances, distances)
    }
    #[inline(always)]
    fn square_or_infinite(distances: Pair) -> Pair {
        let longest = Self::splat(46_340);
        let beyond = both!(_mm256_cmpgt_epi32, distances, longest);
        let short = both!(_mm256_min_epi32, distances, longest);
        let squares = both!(_mm256_mullo_epi32, short, short);
        Self::raise_where(squares, beyond_to_marks(beyond))
    }
    #[inline(always)]
    fn raise_where(values: Pair, marks: Pair) -> Pair {
        let marked = both!(_mm256_cmpgt_epi32, marks, Self::splat(0));
        let infinite = both!(_mm256_and_si256, marked, Self::splat(Self::INFINITE));
        both!(_mm256_max_epu32, values, infinite)
    }
}

/// All-ones lanes (-1) as positive ones.
#[inline(always)]
fn beyond_to_marks(lanes: Pair) -> Pair {
    // SAFETY: as in `both`.
    unsafe { (_mm256_abs_epi32(lanes.0), _mm256_abs_epi32(lanes.1)) }
}
