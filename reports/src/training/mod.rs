//! [`Trainings`]: what `segzero train` logs, as a page, figures and tables.
//!
//! Figures are drawn from the log as it is; only moving averages and the means of the first and the
//! last steps are computed here.

mod axis;
mod page;
mod plots;
mod read;
mod settings;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use plots::Part;
pub use read::is_training;

/// Figures of a step under their names in the log.
pub type Figures = BTreeMap<String, f64>;

/// Trainings side by side.
#[derive(Clone, Debug)]
pub struct Trainings {
    /// Title, in the head and at the top.
    pub title: String,
    /// The runs, in the order that was given; at least one, each with a line in its log.
    pub runs: Vec<Training>,
}

/// The folder of one training.
#[derive(Clone, Debug)]
pub struct Training {
    /// Its name, different from the others'.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// `sft` or `grpo`.
    pub kind: String,
    /// `run.json`.
    pub settings: Value,
    /// The figures of each step that are finite numbers; those of step 0 are a validation before the
    /// first step.
    pub steps: BTreeMap<u64, Figures>,
    /// The replies that were kept, by step.
    pub samples: Vec<Sample>,
    /// The step whose checkpoint has the highest gIoU.
    pub best: Option<u64>,
}

/// A reply that was kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The step, from 1.
    pub step: u64,
    /// Key of the training sample.
    pub key: String,
    /// What was asked.
    pub question: String,
    /// What was answered.
    pub reply: String,
    /// Each reward by name, without its weight.
    pub rewards: BTreeMap<String, f64>,
    /// Weighted sum of the rewards.
    pub score: f64,
    /// How much better than its group.
    pub advantage: f64,
}

/// Trainings that cannot be reported on.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// There is nothing to report on.
    #[error("no training was given")]
    NoRuns,
    /// A file cannot be read.
    #[error("could not read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what `segzero train` writes.
    #[error("`{}` is damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A line is not what `segzero train` writes.
    #[error("`{}`, line {line}, is damaged: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// Nothing was logged yet.
    #[error("`{}` holds no step: nothing was logged yet", .0.display())]
    NoSteps(PathBuf),
    /// Two runs have one name.
    #[error("two runs are called `{0}`")]
    SameName(String),
}

impl Trainings {
    /// The trainings in these folders: name and folder of each.
    ///
    /// # Errors
    /// No folder, one that cannot be read or holds no step, or two of one name. What is cut off at the
    /// end of a log, which is being written, is no error.
    pub fn open(
        folders: Vec<(String, PathBuf)>,
        title: Option<String>,
    ) -> Result<Self, TrainingError> {
        let mut runs: Vec<Training> = Vec::with_capacity(folders.len());
        for (name, path) in folders {
            if runs.iter().any(|run| run.name == name) {
                return Err(TrainingError::SameName(name));
            }
            runs.push(Training::open(name, path)?);
        }
        if runs.is_empty() {
            return Err(TrainingError::NoRuns);
        }
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        let title = title.unwrap_or_else(|| format!("Training: {}", names.join(", ")));
        Ok(Self { title, runs })
    }

    /// Steps that a moving average is taken over: a twentieth of the longest run.
    fn window(&self) -> usize {
        let longest = self.runs.iter().map(|run| run.steps.len()).max().unwrap_or(0);
        (longest / 20).clamp(1, 100)
    }

    /// The rewards that any run logged: the known ones in their own order, then others.
    fn rewards(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for figure in self.runs.iter().flat_map(|run| run.steps.values()).flat_map(BTreeMap::keys) {
            let name = figure.strip_prefix("reward/").and_then(|name| name.strip_suffix("/mean"));
            if let Some(name) = name.filter(|name| !names.contains(name)) {
                names.push(name);
            }
        }
        names.sort_by_key(|name| (plots::known(name).map_or(usize::MAX, |(at, _)| at), *name));
        names
    }
}

impl Training {
    /// A figure over the steps that have it: step and value.
    fn curve(&self, figure: &str) -> Vec<[f64; 2]> {
        let point = |(step, of): (&u64, &Figures)| Some([*step as f64, *of.get(figure)?]);
        self.steps.iter().filter_map(point).collect()
    }

    /// The last step that was taken.
    fn last_step(&self) -> u64 {
        self.steps.keys().next_back().copied().unwrap_or(0)
    }

    /// The steps that the run is to take, where its settings say so.
    fn planned(&self) -> Option<u64> {
        self.settings["run"]["moving"]["steps"].as_u64()
    }
}
