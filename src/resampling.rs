//! Flags of the bootstrap; shared by the commands that state intervals.

use std::num::NonZeroU32;

use segzero_eval::resample::{Level, Options, Resample};

/// How intervals are found.
#[derive(clap::Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Intervals")]
pub struct Resampling {
    /// Number of resamples of the bootstrap; 0 leaves intervals out.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    resamples: u32,
    /// Probability that an interval holds.
    #[arg(long, value_name = "P", default_value_t)]
    level: Level,
    /// What is drawn.
    #[arg(long, value_enum, default_value_t)]
    resample: Resample,
    /// Seed of the draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl Resampling {
    /// The options, unless intervals are not wanted.
    pub fn options(self) -> Option<Options> {
        let Self { resamples, level, resample, seed } = self;
        Some(Options { resample, resamples: NonZeroU32::new(resamples)?, level, seed })
    }
}
