//! What a run came to, in numbers.

use std::fmt::{Display, Formatter};

use segzero_eval::Heard;
use serde::Serialize;

use super::entry::{Entry, Outcome, Seconds};
use crate::masks::repair_name;

/// What a run came to.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Units that were asked, failures and repairs by name.
    #[serde(flatten)]
    heard: Heard,
    /// Units with a mask.
    predictions: u64,
    /// Sums over the units.
    seconds: Seconds,
}

impl Summary {
    /// Counts a unit.
    pub fn add(&mut self, entry: &Entry) {
        self.heard.units += 1;
        self.seconds.reply += entry.seconds.reply;
        self.seconds.mask += entry.seconds.mask;
        match &entry.outcome {
            Outcome::Prediction(line) => {
                self.predictions += 1;
                for repair in &line.repairs {
                    *self.heard.repairs.entry(repair_name(repair)).or_default() += 1;
                }
            }
            Outcome::Failure(failed) => {
                *self.heard.failures.entry(failed.failure.clone()).or_default() += 1;
            }
        }
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { heard, predictions, seconds } = self;
        write!(f, "{predictions} of {} have a mask", heard.units)?;
        heard.lines().iter().try_for_each(|line| write!(f, "; {line}"))?;
        let Seconds { reply, mask } = seconds;
        write!(f, "; {reply:.1} s for replies, {mask:.1} s for masks")
    }
}
