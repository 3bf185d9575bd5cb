//! [`Lanes`]: the few operations of the search on 64 bytes of one column at a time.
//!
//! A closure or a plain loop inside a function with a target feature is not compiled for it reliably,
//! so the vector operations are spelled out; every implementation gives the same values.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::{Avx2U16, Avx2U32};
pub(super) use portable::{PortableU16, PortableU32};

/// Sides of images whose squared distances, and rows in 16 bits with room to spare, fit the lanes.
pub(super) const MOST_ROWS: u32 = 32_000;

/// Consecutive rows of one column, as they lie in memory: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Block<W, const ROWS: usize>(pub [W; ROWS]);

/// Rows that are worked on together. Values are unsigned and at most [`Lanes::INFINITE`].
pub(super) trait Lanes {
    /// Values in memory.
    type Block: Copy;
    /// Values in registers.
    type Register: Copy;
    /// Rows of a block.
    const ROWS: usize;
    /// Stands for every value that does not fit.
    const INFINITE: u32;
    /// Distances within a column above this have a square that does not fit.
    const LONGEST: i32;

    fn load(block: &Self::Block) -> Self::Register;
    fn store(values: Self::Register) -> Self::Block;
    fn splat(value: u32) -> Self::Register;
    fn min(a: Self::Register, b: Self::Register) -> Self::Register;
    fn max(a: Self::Register, b: Self::Register) -> Self::Register;
    /// The smaller of `a` and `b + offset`.
    fn min_of_sum(a: Self::Register, b: Self::Register, offset: Self::Register) -> Self::Register;
    /// Whether any value is at least that of `least`.
    fn any_at_least(values: Self::Register, least: Self::Register) -> bool;
    /// The values that are at least those of `least`, 0 for the others.
    fn keep_at_least(values: Self::Register, least: Self::Register) -> Self::Register;
    /// The largest value.
    fn largest(values: Self::Register) -> u32;
    /// Rows with a given value, the first row in the lowest bit.
    fn rows_equal(values: Self::Register, value: u32) -> u32;
    /// For the rows from `first` on, the distances to just before the start and to the end of the
    /// interval `start..end`, negative beyond them. Rows are below [`MOST_ROWS`], ends at most
    /// [`Lanes::LONGEST`] + 1 outside of them.
    fn ramps(first: i32, start: i32, end: i32) -> [Self::Register; 2];
    /// The ramps of the block below.
    fn next(ramps: [Self::Register; 2]) -> [Self::Register; 2];
    /// Distance to the nearer end: 1 in the first and last row of the interval, 0 outside.
    fn depth(ramps: [Self::Register; 2]) -> Self::Register;
    /// Squares of distances of at most [`Lanes::LONGEST`].
    fn square(distances: Self::Register) -> Self::Register;
    /// Squares of distances; [`Lanes::INFINITE`] above [`Lanes::LONGEST`].
    fn square_or_infinite(distances: Self::Register) -> Self::Register;
    /// The values, with [`Lanes::INFINITE`] where `marks` is not 0.
    fn raise_where(values: Self::Register, marks: Self::Register) -> Self::Register;

    /// Not 0 in the rows `start..end`.
    #[inline(always)]
    fn marks(first: i32, start: i32, end: i32) -> Self::Register {
        Self::depth(Self::ramps(first, start, end))
    }
}
