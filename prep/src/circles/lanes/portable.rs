//! Lanes without intrinsics, for every machine: arrays that the compiler turns into the vectors that
//! the target has.

use super::{Block, Lanes};

/// Lanes of 8-bit distances, 16-bit squares.
pub(in super::super) struct PortableU8;

/// Lanes of 16-bit distances, 32-bit squares.
pub(in super::super) struct PortableU16;

/// One value of two from each lane.
#[inline(always)]
fn zip<T: Copy, U, const ROWS: usize>(
    a: [T; ROWS],
    b: [T; ROWS],
    f: impl Fn(T, T) -> U,
) -> [U; ROWS] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

macro_rules! portable {
    ($distance:ty, $word:ty, $rows:literal) => {
        type Block = Block<$distance, $rows>;
        type Register = [$word; $rows];
        type Ramp = i32;
        const ROWS: usize = $rows;

        #[inline(always)]
        fn ramps(first: i32, start: i32, end: i32) -> [i32; 2] {
            [first - start + 1, end - first]
        }
        #[inline(always)]
        fn below([rising, falling]: [i32; 2]) -> [i32; 2] {
            [rising + $rows, falling - $rows]
        }
        #[inline(always)]
        fn height([rising, falling]: [i32; 2]) -> Self::Block {
            Block(std::array::from_fn(|i| {
                let distance = 1 - (rising + i as i32).min(falling - i as i32);
                distance.clamp(0, Self::LONGEST) as $distance
            }))
        }
        #[inline(always)]
        fn shallower(a: Self::Block, b: Self::Block) -> Self::Block {
            Block(zip(a.0, b.0, Ord::min))
        }
        #[inline(always)]
        fn deepest(block: &Self::Block) -> usize {
            block.0.iter().fold(0, |a, &b| a.max(b)).into()
        }
        #[inline(always)]
        fn deeper(a: Self::Block, b: Self::Block) -> Self::Block {
            Block(zip(a.0, b.0, Ord::max))
        }
        #[inline(always)]
        fn clear(block: &mut Self::Block, from: usize) {
            block.0[from..].fill(0);
        }
        #[inline(always)]
        fn squares(block: &Self::Block) -> Self::Register {
            block.0.map(|distance| <$word>::from(distance) * <$word>::from(distance))
        }
        #[inline(always)]
        fn splat(value: u32) -> Self::Register {
            [value as $word; $rows]
        }
        #[inline(always)]
        fn min(a: Self::Register, b: Self::Register) -> Self::Register {
            zip(a, b, Ord::min)
        }
        #[inline(always)]
        fn max(a: Self::Register, b: Self::Register) -> Self::Register {
            zip(a, b, Ord::max)
        }
        #[inline(always)]
        fn min_of_sum(
            a: Self::Register,
            b: Self::Register,
            offset: Self::Register,
        ) -> Self::Register {
            zip(a, zip(b, offset, <$word>::saturating_add), Ord::min)
        }
        #[inline(always)]
        fn any_at_least(values: Self::Register, least: Self::Register) -> bool {
            let at_least = zip(values, least, |v, least| <$word>::from(v >= least));
            at_least.iter().fold(0, |any, one| any | one) != 0
        }
        #[inline(always)]
        fn keep_at_least(values: Self::Register, least: Self::Register) -> Self::Register {
            zip(values, least, |v, least| if v >= least { v } else { 0 })
        }
        #[inline(always)]
        fn largest(values: Self::Register) -> u32 {
            values.iter().fold(0, |a, &b| a.max(b)).into()
        }
        #[inline(always)]
        fn rows_equal(values: Self::Register, value: u32) -> u32 {
            let equal = |i: usize| u32::from(u32::from(values[i]) == value);
            (0..Self::ROWS).fold(0, |rows, i| rows | equal(i) << i)
        }
        #[inline(always)]
        fn raise_where(values: Self::Register, marks: Self::Register) -> Self::Register {
            zip(values, marks, |v, mark| if mark > 0 { Self::INFINITE as $word } else { v })
        }
    };
}

impl Lanes for PortableU8 {
    portable!(u8, u16, 32);
    const LONGEST: i32 = 255;

    #[inline(always)]
    fn depth([rising, falling]: [i32; 2]) -> Self::Block {
        let rising = window(&RISING, rising.clamp(-32, 256) + 32);
        let falling = window(&FALLING, 287 - falling.clamp(-1, 287));
        Block(zip(*rising, *falling, Ord::min))
    }
}

impl Lanes for PortableU16 {
    portable!(u16, u32, 16);
    const LONGEST: i32 = 32_767;

    #[inline(always)]
    fn depth([rising, falling]: [i32; 2]) -> Self::Block {
        Block(std::array::from_fn(|i| {
            let distance = (rising + i as i32).min(falling - i as i32);
            distance.clamp(0, Self::LONGEST) as u16
        }))
    }
}

/// 0 for a block of 32 rows, 0 to 255, 255 for a block: any block of distances from a start.
static RISING: [u8; 320] = {
    let mut ramp = [255; 320];
    let mut i = 0;
    while i < 288 {
        ramp[i] = i.saturating_sub(32) as u8;
        i += 1;
    }
    ramp
};

/// The same backwards: any block of distances to an end.
static FALLING: [u8; 320] = {
    let mut ramp = [0; 320];
    let mut i = 0;
    while i < 320 {
        ramp[i] = RISING[319 - i];
        i += 1;
    }
    ramp
};

/// 32 rows of a ramp.
#[inline(always)]
fn window(ramp: &'static [u8; 320], from: i32) -> &'static [u8; 32] {
    ramp[from as usize..].first_chunk().unwrap_or(&[0; 32])
}
