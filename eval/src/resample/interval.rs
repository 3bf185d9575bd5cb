//! Percentile intervals.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::clusters::gather;
use super::draw::resampled;
use super::{Level, Options};

/// Between which values a figure lies in the given share of the resamples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Standard deviation over the resamples.
    pub standard_error: f64,
    /// Resamples in which the figure is not defined; they are left out of the above.
    pub undefined: u32,
}

impl Interval {
    /// The interval of these values of a figure, one a resample. `None` when none is defined.
    ///
    /// Ends between two values are interpolated, as numpy's `percentile` does by default.
    pub(super) fn of(values: impl Iterator<Item = Option<f64>>, level: Level) -> Option<Self> {
        let mut undefined = 0;
        let mut defined = Vec::new();
        for value in values {
            match value.filter(|value| value.is_finite()) {
                Some(value) => defined.push(value),
                None => undefined += 1,
            }
        }
        defined.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - f64::from(level)) / 2.0;
        let (low, high) = (quantile(&defined, tail)?, quantile(&defined, 1.0 - tail)?);
        Some(Self { low, high, standard_error: deviation(&defined), undefined })
    }
}

/// The quantile of ascending values.
fn quantile(ascending: &[f64], share: f64) -> Option<f64> {
    let at = share * ascending.len().checked_sub(1)? as f64;
    let below = ascending.get(at as usize)?;
    let above = ascending.get(at as usize + 1).unwrap_or(below);
    Some(below + (above - below) * at.fract())
}

/// The standard deviation of a sample; 0 for a single value.
fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (n - 1.0).max(1.0)).sqrt()
}

/// Bootstrap intervals of `F` figures that are functions of `K` sums over the units.
///
/// A unit is its cluster and its terms of the sums, which must stay below 2^64 in all. A figure is
/// `None` where its sums do not define it; its interval is `None` where no resample does.
///
/// ```
/// use segzero_eval::resample::{Options, intervals};
/// // The mean of 0 and 10 over two images: a resample has it at 0, 5, 5 or 10.
/// let units = [(7, [0, 1]), (8, [10, 1])];
/// let mean = |&[sum, n]: &[u64; 2]| [(n > 0).then(|| sum as f64 / n as f64)];
/// let [interval] = intervals(units, mean, &Options::default());
/// let interval = interval.unwrap();
/// assert_eq!((interval.low, interval.high), (0.0, 10.0));
/// ```
pub fn intervals<const K: usize, const F: usize>(
    units: impl IntoIterator<Item = (u64, [u64; K])>,
    figures: impl Fn(&[u64; K]) -> [Option<f64>; F] + Sync,
    options: &Options,
) -> [Option<Interval>; F] {
    let units = units.into_iter().map(|(cluster, terms)| (cluster, [terms]));
    let rows = gather(units, options.resample);
    let sums = resampled(&rows, options.resamples.get(), options.seed);
    let values: Vec<_> = sums.par_iter().map(|[sums]| figures(sums)).collect();
    std::array::from_fn(|figure| {
        Interval::of(values.iter().map(|values| values[figure]), options.level)
    })
}
