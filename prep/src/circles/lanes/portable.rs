//! Lanes without intrinsics, for every machine.

use super::{Block, Lanes};

macro_rules! portable {
    ($name:ident, $word:ty, $signed:ty, $rows:literal, $infinite:expr, $longest:literal) => {
        /// Arrays that the compiler turns into whatever vectors the target has.
        pub(in super::super) struct $name;

        impl $name {
            #[inline(always)]
            fn zip(
                a: [$word; $rows],
                b: [$word; $rows],
                f: impl Fn($word, $word) -> $word,
            ) -> [$word; $rows] {
                std::array::from_fn(|i| f(a[i], b[i]))
            }
        }

        impl Lanes for $name {
            type Block = Block<$word, $rows>;
            type Register = [$word; $rows];
            const ROWS: usize = $rows;
            const INFINITE: u32 = $infinite;
            const LONGEST: i32 = $longest;

            #[inline(always)]
            fn load(block: &Self::Block) -> Self::Register {
                block.0
            }
            #[inline(always)]
            fn store(values: Self::Register) -> Self::Block {
                Block(values)
            }
            #[inline(always)]
            fn splat(value: u32) -> Self::Register {
                [value as $word; $rows]
            }
            #[inline(always)]
            fn min(a: Self::Register, b: Self::Register) -> Self::Register {
                Self::zip(a, b, Ord::min)
            }
            #[inline(always)]
            fn max(a: Self::Register, b: Self::Register) -> Self::Register {
                Self::zip(a, b, Ord::max)
            }
            #[inline(always)]
            fn min_of_sum(
                a: Self::Register,
                b: Self::Register,
                offset: Self::Register,
            ) -> Self::Register {
                Self::min(a, Self::zip(b, offset, <$word>::saturating_add))
            }
            #[inline(always)]
            fn any_at_least(values: Self::Register, least: Self::Register) -> bool {
                let at_least = Self::zip(values, least, |v, least| <$word>::from(v >= least));
                at_least.iter().fold(0, |any, one| any | one) != 0
            }
            #[inline(always)]
            fn keep_at_least(values: Self::Register, least: Self::Register) -> Self::Register {
                Self::zip(values, least, |v, least| if v >= least { v } else { 0 })
            }
            #[inline(always)]
            fn largest(values: Self::Register) -> u32 {
                values.iter().fold(0, |a, &b| a.max(b)).into()
            }
            #[inline(always)]
            fn rows_equal(values: Self::Register, value: u32) -> u32 {
                (0..$rows).fold(0, |bits, i| bits | u32::from(u32::from(values[i]) == value) << i)
            }
            #[inline(always)]
            fn ramps(first: i32, start: i32, end: i32) -> [Self::Register; 2] {
                let row = |i: usize| first + i as i32;
                let down = std::array::from_fn(|i| (row(i) - start + 1) as $word);
                [down, std::array::from_fn(|i| (end - row(i)) as $word)]
            }
            #[inline(always)]
            fn next([down, up]: [Self::Register; 2]) -> [Self::Register; 2] {
                [down.map(|d| d.wrapping_add($rows)), up.map(|u| u.wrapping_sub($rows))]
            }
            #[inline(always)]
            fn depth([down, up]: [Self::Register; 2]) -> Self::Register {
                Self::zip(down, up, |d, u| (d as $signed).min(u as $signed).max(0) as $word)
            }
            #[inline(always)]
            fn square(distances: Self::Register) -> Self::Register {
                distances.map(|d| d.wrapping_mul(d))
            }
            #[inline(always)]
            fn square_or_infinite(distances: Self::Register) -> Self::Register {
                let infinite = $infinite as $word;
                distances.map(|d| if d > $longest { infinite } else { d.wrapping_mul(d) })
            }
            #[inline(always)]
            fn raise_where(values: Self::Register, marks: Self::Register) -> Self::Register {
                Self::zip(values, marks, |v, mark| if mark > 0 { $infinite as $word } else { v })
            }
        }
    };
}

portable!(PortableU16, u16, i16, 32, 0xffff, 255);
portable!(PortableU32, u32, i32, 16, 0x7fff_ffff, 46_340);
