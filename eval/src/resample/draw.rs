//! Multinomial draws of rows, block by block, so that a million rows are read from memory in order
//! and a random row is one that the cache holds.
//!
//! The rows are cut into blocks of a power of two. How many of a resample's draws fall into either
//! part of the rows is binomial: with equal parts, that is the number of ones among as many random
//! bits; with unequal parts, the draws are compared with the share of the part bit by bit, 64 at a
//! time. Inside a block an index is a few random bits. All of it is exact: no rounding, no bias.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

use super::clusters::{Row, add};

/// Rows of a block; a power of two.
const BLOCK: usize = 256;

/// Resamples that are drawn together, while a block is in the cache.
const TOGETHER: usize = 64;

/// One resample in the making.
struct Draw<const M: usize, const K: usize> {
    random: ChaCha8Rng,
    sums: Row<M, K>,
}

/// The random bits of the resample of this index.
pub(super) fn random(seed: u64, index: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(index);
    random
}

/// The sums of every resample: of as many rows as there are, drawn with replacement.
pub(super) fn resampled<const M: usize, const K: usize>(
    rows: &[Row<M, K>],
    resamples: u32,
    seed: u64,
) -> Vec<Row<M, K>> {
    let indices: Vec<u32> = (0..resamples).collect();
    let draw_some = |indices: &[u32]| {
        let start = |&i: &u32| Draw { random: random(seed, i.into()), sums: [[0; K]; M] };
        let mut draws: Vec<Draw<M, K>> = indices.iter().map(start).collect();
        scatter(rows, &mut draws, &vec![rows.len() as u64; indices.len()]);
        draws.into_iter().map(|draw| draw.sums).collect::<Vec<_>>()
    };
    indices.par_chunks(TOGETHER).flat_map_iter(draw_some).collect()
}

/// Gives each resample its `counts` draws of `rows`.
fn scatter<const M: usize, const K: usize>(
    rows: &[Row<M, K>],
    draws: &mut [Draw<M, K>],
    counts: &[u64],
) {
    if rows.is_empty() {
        return;
    }
    let whole = rows.len();
    if whole.is_power_of_two() && whole <= BLOCK {
        draws.iter_mut().zip(counts).for_each(|(draw, &count)| draw.take(rows, count));
        return;
    }
    let part = if whole.is_power_of_two() { whole / 2 } else { 1 << whole.ilog2() };
    let (left, right) = rows.split_at(part);
    let share = [part as u64, whole as u64];
    let in_left =
        draws.iter_mut().zip(counts).map(|(draw, &n)| binomial(&mut draw.random, n, share));
    let in_left: Vec<u64> = in_left.collect();
    let in_right: Vec<u64> = counts.iter().zip(&in_left).map(|(n, left)| n - left).collect();
    scatter(left, draws, &in_left);
    scatter(right, draws, &in_right);
}

impl<const M: usize, const K: usize> Draw<M, K> {
    /// Adds `count` rows of a block of a power of two.
    fn take(&mut self, rows: &[Row<M, K>], count: u64) {
        let bits = rows.len().trailing_zeros();
        // As many indices as a word of random bits has room for; a block of one row needs none.
        let indices = 64u32.checked_div(bits).map_or(u64::MAX, u64::from);
        let mut sums = self.sums;
        let mut left = count;
        while left > 0 {
            let mut word = if bits == 0 { 0 } else { self.random.next_u64() };
            for _ in 0..left.min(indices) {
                add(&mut sums, &rows[word as usize & (rows.len() - 1)]);
                word >>= bits;
            }
            left -= left.min(indices);
        }
        self.sums = sums;
    }
}

/// How many of `n` draws succeed that each do with a probability of `part / whole`.
fn binomial(random: &mut impl RngCore, n: u64, [part, whole]: [u64; 2]) -> u64 {
    let mut successes = 0;
    let mut left = n;
    while left > 0 {
        let trials = left.min(64);
        // A draw is a number in [0, 1), given bit by bit. It succeeds if it is below the share:
        // if at the first bit where they differ, the share has the one.
        let mut undecided = !0 >> (64 - trials);
        let mut rest = part;
        while undecided != 0 && rest != 0 {
            let word = random.next_u64();
            rest *= 2;
            if rest >= whole {
                rest -= whole;
                successes += u64::from((undecided & !word).count_ones());
                undecided &= word;
            } else {
                undecided &= !word;
            }
        }
        left -= trials;
    }
    successes
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
