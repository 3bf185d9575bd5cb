//! Units gathered into the clusters that are drawn.

use std::collections::HashMap;

use ahash::RandomState;
use rayon::slice::ParallelSliceMut;

use super::Resample;

/// Sums over a cluster, for each of `M` runs over the same units.
pub(super) type Row<const M: usize, const K: usize> = [[u64; K]; M];

/// One row a cluster, sorted by its sums: neither the order of the units nor the clusters' names
/// reach the random draws.
pub(super) fn gather<const M: usize, const K: usize>(
    units: impl IntoIterator<Item = (u64, Row<M, K>)>,
    resample: Resample,
) -> Vec<Row<M, K>> {
    let mut rows = Vec::new();
    let mut positions = HashMap::with_hasher(RandomState::default());
    for (cluster, unit) in units {
        let position = match resample {
            Resample::Image => *positions.entry(cluster).or_insert(rows.len()),
            Resample::Unit => rows.len(),
        };
        match rows.get_mut(position) {
            Some(row) => add(row, &unit),
            None => rows.push(unit),
        }
    }
    rows.par_sort_unstable();
    rows
}

/// Adds a row to sums.
pub(super) fn add<const M: usize, const K: usize>(sums: &mut Row<M, K>, row: &Row<M, K>) {
    for (sums, row) in sums.iter_mut().zip(row) {
        sums.iter_mut().zip(row).for_each(|(sum, term)| *sum += term);
    }
}

/// Sums over all clusters.
pub(super) fn total<const M: usize, const K: usize>(rows: &[Row<M, K>]) -> Row<M, K> {
    let mut sums = [[0; K]; M];
    rows.iter().for_each(|row| add(&mut sums, row));
    sums
}
