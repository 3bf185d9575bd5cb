//! [`Lanes`]: the few operations of the search on 32 bytes of one column at a time.
//!
//! A closure or a plain loop inside a function with a target feature is not compiled for it reliably,
//! so the vector operations are spelled out; every implementation gives the same values.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::{Avx2U8, Avx2U16};
pub(super) use portable::{PortableU8, PortableU16};

/// Sides of images whose rows fit the lanes with room to spare.
pub(super) const MOST_ROWS: u32 = 32_000;

/// Consecutive rows of one column: distances within the column, as they lie in memory.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(super) struct Block<D, const ROWS: usize>(pub [D; ROWS]);

/// Rows that are worked on together.
pub(super) trait Lanes {
    /// Distances in memory.
    type Block: Copy;
    /// Signed distances in registers.
    type Ramp: Copy;
    /// Squared distances in registers, unsigned and at most [`Lanes::INFINITE`].
    type Register: Copy;
    /// Rows of a block.
    const ROWS: usize;
    /// Stands for every larger distance too.
    const LONGEST: i32;
    /// Its square.
    const INFINITE: u32 = (Self::LONGEST * Self::LONGEST) as u32;

    /// For the rows from `first` on, the distances to just before the start and to the end of the
    /// interval `start..end`, negative beyond them. Rows are below [`MOST_ROWS`], the ends at most
    /// [`Lanes::LONGEST`] + 1 outside of them.
    fn ramps(first: i32, start: i32, end: i32) -> [Self::Ramp; 2];
    /// The ramps of the block below.
    fn below(ramps: [Self::Ramp; 2]) -> [Self::Ramp; 2];
    /// The distance to the nearer end: 1 in the first and last row of the interval, 0 outside.
    fn depth(ramps: [Self::Ramp; 2]) -> Self::Block;
    /// The distance to the interval from outside: 1 in the row before it and after it, 0 inside.
    fn height(ramps: [Self::Ramp; 2]) -> Self::Block;
    /// The smaller distances.
    fn shallower(a: Self::Block, b: Self::Block) -> Self::Block;
    /// The larger distances.
    fn deeper(a: Self::Block, b: Self::Block) -> Self::Block;
    /// No distance from the row at `from` on.
    fn clear(block: &mut Self::Block, from: usize);

    /// The largest distance.
    fn deepest(block: &Self::Block) -> usize;
    /// Squares of distances.
    fn squares(block: &Self::Block) -> Self::Register;
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
    /// The values, with [`Lanes::INFINITE`] where `marks` is not 0.
    fn raise_where(values: Self::Register, marks: Self::Register) -> Self::Register;

    /// Not 0 in the rows `start..end`.
    #[inline(always)]
    fn marks(first: i32, start: i32, end: i32) -> Self::Register {
        Self::squares(&Self::depth(Self::ramps(first, start, end)))
    }
}
