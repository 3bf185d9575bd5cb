//! How far a figure is to be trusted: bootstrap intervals, and paired tests between two runs.
//!
//! Every headline figure is a function of sums over the units: gIoU is the sum of the IoUs over
//! their number, cIoU the sum of intersections over that of unions, Pr@0.5 a count over a count. So
//! a unit is a row of whole numbers, a resample is a sum of rows, and a figure is a closure from sums
//! to numbers ([`intervals`], [`compare`]). [`Headline`] holds the rows and figures of segmentation.
//!
//! Sentences about one image are not independent, so images are drawn, with all their units
//! ([`Resample::Image`]); drawing single units gives intervals that are too narrow.
//!
//! - The draws are exactly multinomial, whatever the number of clusters: as many clusters as there
//!   are, each draw any of them with the same probability, by random bits alone.
//! - Sums are of integers and clusters are sorted by their sums, so results are the same bits
//!   whatever the order of the input, the names of the clusters and the number of threads.
//! - A figure that a resample does not define (a denominator of 0) is left out of the distribution
//!   and counted; nothing is ever NaN.
//!
//! Sources: Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979), the percentile
//! interval; Davison and Hinkley, "Bootstrap Methods and their Application" (1997), §3.8 on
//! clusters; Phipson and Smyth, "Permutation P-values Should Never Be Zero" (2010).

mod clusters;
mod draw;
mod headline;
mod interval;
mod paired;

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

pub use headline::{Headline, Terms};
pub use interval::{Interval, intervals};
pub use paired::{Difference, compare};

/// What is drawn.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Resample {
    /// Clusters: every image with all its units.
    #[default]
    Image,
    /// Units, as if they were independent.
    Unit,
}

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// What is drawn.
    pub resample: Resample,
    /// Number of resamples; an end of a 95 % interval from 1000 of them moves by some 8 % of the
    /// standard error from seed to seed.
    pub resamples: NonZeroU32,
    /// How much of the distribution an interval holds.
    pub level: Level,
    /// Key of the random bits.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        let resamples = const { NonZeroU32::new(1000).unwrap() };
        Self { resample: Resample::default(), resamples, level: Level::default(), seed: 0 }
    }
}

impl std::fmt::Display for Options {
    /// In words, for the head of a table.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resample, resamples, level, seed } = self;
        let drawn = match resample {
            Resample::Image => "images",
            Resample::Unit => "units",
        };
        let percent = f64::from(*level) * 100.0;
        write!(f, "intervals of {percent} %: {resamples} resamples of {drawn}, seed {seed}")
    }
}

/// A probability that an interval states: above 0, below 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Level(f64);

impl Default for Level {
    fn default() -> Self {
        Self(0.95)
    }
}

/// A number that is no [`Level`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoLevel;

impl std::fmt::Display for NoLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a level is a number above 0 and below 1, such as 0.95")
    }
}

impl std::error::Error for NoLevel {}

impl TryFrom<f64> for Level {
    type Error = NoLevel;

    fn try_from(level: f64) -> Result<Self, NoLevel> {
        if level > 0.0 && level < 1.0 { Ok(Self(level)) } else { Err(NoLevel) }
    }
}

impl From<Level> for f64 {
    fn from(level: Level) -> Self {
        level.0
    }
}

impl std::str::FromStr for Level {
    type Err = NoLevel;

    fn from_str(text: &str) -> Result<Self, NoLevel> {
        text.parse::<f64>().map_err(|_| NoLevel)?.try_into()
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
