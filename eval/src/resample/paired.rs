//! Two runs over the same units.

use rand_chacha::rand_core::RngCore;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::clusters::{Row, gather, total};
use super::draw::{random, resampled};
use super::{Interval, Options};

/// Up to so many clusters that differ, every assignment of the two runs to them is tried.
const ALL_SWAPS: usize = 16;

/// How far a figure of the second run is from that of the first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The second run's figure less the first's.
    pub difference: f64,
    /// Its interval: both runs on the same resamples.
    pub interval: Interval,
    /// Two-sided p of the bootstrap: twice the share of resamples on the rarer side of 0.
    pub p_bootstrap: f64,
    /// Two-sided p of the randomisation test: how often the difference is as large when each
    /// cluster's two results change places by the toss of a coin.
    pub p_swap: f64,
    /// Assignments behind `p_swap`, the one observed among them.
    pub swaps: u64,
    /// Whether those are all there are, so that `p_swap` is exact.
    pub is_exact: bool,
    /// Units whose own figure is higher in the second run.
    pub wins: u64,
    /// Units whose own figure is lower.
    pub losses: u64,
    /// Units whose own figure is the same.
    pub ties: u64,
}

/// Paired comparison of `F` figures of two runs. A unit is its cluster and the terms of either run,
/// as for [`super::intervals`]. `None` where either run does not define the figure.
pub fn compare<const K: usize, const F: usize>(
    units: impl IntoIterator<Item = (u64, [[u64; K]; 2])>,
    figures: impl Fn(&[u64; K]) -> [Option<f64>; F] + Sync,
    options: &Options,
) -> [Option<Difference>; F] {
    let difference = |[base, new]: &Row<2, K>| {
        let (base, new) = (figures(base), figures(new));
        std::array::from_fn(|figure| {
            let difference = new[figure]? - base[figure]?;
            difference.is_finite().then_some(difference)
        })
    };
    // Units below, at and above 0.
    let mut signs = [[0; 3]; F];
    let units = units.into_iter().inspect(|(_, unit)| {
        for (signs, difference) in signs.iter_mut().zip(difference(unit)) {
            let sign = difference.and_then(|difference: f64| difference.partial_cmp(&0.0));
            if let Some(sign) = sign {
                signs[(sign as i8 + 1) as usize] += 1;
            }
        }
    });
    let rows = gather(units, options.resample);
    let observed: [Option<f64>; F] = difference(&total(&rows));
    let sums = resampled(&rows, options.resamples.get(), options.seed);
    let values: Vec<[Option<f64>; F]> = sums.par_iter().map(difference).collect();
    let swaps: Swaps<F> = swapped(&rows, options, |sums| {
        let swapped = difference(sums);
        std::array::from_fn(|figure| is_as_extreme(swapped[figure], observed[figure]))
    });
    std::array::from_fn(|figure| {
        let column = || values.iter().map(|values| values[figure]);
        let [losses, ties, wins] = signs[figure];
        Some(Difference {
            difference: observed[figure]?,
            interval: Interval::of(column(), options.level)?,
            p_bootstrap: two_sided(column()),
            p_swap: swaps.extreme[figure] as f64 / swaps.all as f64,
            swaps: swaps.all,
            is_exact: swaps.is_exact,
            wins,
            losses,
            ties,
        })
    })
}

/// Whether a difference is at least as far from 0 as the observed one. One that is not defined
/// counts as such, which can only make p larger.
fn is_as_extreme(swapped: Option<f64>, observed: Option<f64>) -> bool {
    let (Some(swapped), Some(observed)) = (swapped, observed) else { return true };
    // Equal differences may be apart in the last bits, where their denominators are.
    swapped.abs() >= observed.abs() * (1.0 - 1e-12)
}

/// p of the bootstrap, never 0: the resamples speak for themselves and for the run observed.
fn two_sided(differences: impl Iterator<Item = Option<f64>>) -> f64 {
    let (mut all, mut low, mut high) = (1.0, 1.0, 1.0);
    for difference in differences.flatten() {
        all += 1.0;
        low += f64::from(u8::from(difference <= 0.0));
        high += f64::from(u8::from(difference >= 0.0));
    }
    (2.0 * f64::min(low, high) / all).min(1.0)
}

/// Assignments of the runs to the clusters.
struct Swaps<const F: usize> {
    /// How many are as extreme as what was observed, which is one of them.
    extreme: [u64; F],
    all: u64,
    is_exact: bool,
}

/// Counts the assignments for which `is_extreme`: all of them, or as many as there are resamples
/// and the observed one.
fn swapped<const K: usize, const F: usize>(
    rows: &[Row<2, K>],
    options: &Options,
    is_extreme: impl Fn(&Row<2, K>) -> [bool; F] + Sync,
) -> Swaps<F> {
    let sums = total(rows);
    // What a swap moves from one run to the other, modulo 2^64; clusters that do not differ move
    // nothing.
    let moved = rows.iter().filter(|[base, new]| base != new);
    let moved = moved.map(|[base, new]| std::array::from_fn(|k| new[k].wrapping_sub(base[k])));
    let moved: Vec<[u64; K]> = moved.collect();
    let is_exact = moved.len() <= ALL_SWAPS;
    let shifts = if is_exact { all_shifts(&moved) } else { random_shifts(&moved, options) };
    let flags: Vec<[bool; F]> = shifts
        .par_iter()
        .map(|shift| {
            let base = std::array::from_fn(|k| sums[0][k].wrapping_add(shift[k]));
            let new = std::array::from_fn(|k| sums[1][k].wrapping_sub(shift[k]));
            is_extreme(&[base, new])
        })
        .collect();
    let count = |figure| flags.iter().filter(|flags| flags[figure]).count() as u64;
    Swaps { extreme: std::array::from_fn(count), all: flags.len() as u64, is_exact }
}

/// What every subset of the clusters moves; in Gray's order, so that one cluster changes at a time.
fn all_shifts<const K: usize>(moved: &[[u64; K]]) -> Vec<[u64; K]> {
    let mut shifts = vec![[0u64; K]; 1 << moved.len()];
    for subset in 1..shifts.len() {
        let cluster = subset.trailing_zeros() as usize;
        let joins = (subset ^ subset >> 1) >> cluster & 1 == 1;
        let (before, row) = (shifts[subset - 1], &moved[cluster]);
        shifts[subset] = std::array::from_fn(|k| match joins {
            true => before[k].wrapping_add(row[k]),
            false => before[k].wrapping_sub(row[k]),
        });
    }
    shifts
}

/// What nothing moves, which is the observed assignment, and what random subsets move.
fn random_shifts<const K: usize>(moved: &[[u64; K]], options: &Options) -> Vec<[u64; K]> {
    /// Subsets that are drawn together, while 64 clusters are in the cache.
    const TOGETHER: usize = 64;
    // Streams of the upper half: the lower half drew the resamples.
    let indices: Vec<u64> = (0..options.resamples.get().into()).map(|i| i | 1 << 63).collect();
    let draw_some = |indices: &[u64]| {
        let mut random: Vec<_> = indices.iter().map(|&i| random(options.seed, i)).collect();
        let mut shifts = vec![[0u64; K]; indices.len()];
        for block in moved.chunks(64) {
            for (random, shift) in random.iter_mut().zip(&mut shifts) {
                let mut subset = random.next_u64() & (!0 >> (64 - block.len()));
                while subset != 0 {
                    let row = &block[subset.trailing_zeros() as usize];
                    shift
                        .iter_mut()
                        .zip(row)
                        .for_each(|(sum, &term)| *sum = sum.wrapping_add(term));
                    subset &= subset - 1;
                }
            }
        }
        shifts
    };
    let drawn = indices.par_chunks(TOGETHER).flat_map_iter(draw_some);
    rayon::iter::once([0; K]).chain(drawn).collect()
}
