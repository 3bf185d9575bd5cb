//! What a run came to, in numbers.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Outcome, Seconds};
use crate::masks::repair_name;

/// What a run came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Units that were asked.
    pub units: usize,
    /// Units with a mask.
    pub predictions: usize,
    /// Units without one, by reason.
    pub failures: BTreeMap<String, usize>,
    /// Replies that had to be repaired, by what was wrong.
    pub repairs: BTreeMap<String, usize>,
    /// Sums over the units.
    pub seconds: Seconds,
}

impl Summary {
    /// Counts a unit.
    pub fn add(&mut self, entry: &Entry) {
        self.units += 1;
        self.seconds.reply += entry.seconds.reply;
        self.seconds.mask += entry.seconds.mask;
        match &entry.outcome {
            Outcome::Prediction(line) => {
                self.predictions += 1;
                for repair in &line.repairs {
                    *self.repairs.entry(repair_name(repair)).or_default() += 1;
                }
            }
            Outcome::Failure(failed) => {
                *self.failures.entry(failed.failure.clone()).or_default() += 1;
            }
        }
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let list = |counts: &BTreeMap<String, usize>| {
            let counts: Vec<String> =
                counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
            counts.join(", ")
        };
        let Self { units, predictions, failures, repairs, seconds } = self;
        write!(f, "{predictions} of {units} have a mask")?;
        if !failures.is_empty() {
            write!(f, "; without one: {}", list(failures))?;
        }
        if !repairs.is_empty() {
            write!(f, "; repaired: {}", list(repairs))?;
        }
        let Seconds { reply, mask } = seconds;
        write!(f, "; {reply:.1} s for replies, {mask:.1} s for masks")
    }
}
