//! What is known of a unit when it has been asked: a line of the journal.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units::Unit;
use crate::masks::Answered;
use crate::pipeline::Miss;

/// A unit that has been asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Place among the units of the run.
    pub at: usize,
    /// How long it took.
    pub seconds: Seconds,
    /// What it came to.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How long a unit took. Of units that were asked together, each its equal share.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Seconds {
    /// To write the replies.
    pub reply: f64,
    /// To read them and make the mask.
    pub mask: f64,
}

/// A mask, or the reason why there is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A line of the predictions.
    Prediction(Box<Answered>),
    /// A line of the failures.
    Failure(Failed),
}

/// A unit without a mask.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failed {
    /// The unit.
    pub key: String,
    /// Its image.
    pub image: PathBuf,
    /// The reason as reports count it.
    pub failure: String,
    /// The reason in words.
    pub message: String,
    /// The replies.
    pub texts: Vec<String>,
}

impl Outcome {
    /// Key of the unit.
    pub fn key(&self) -> &str {
        match self {
            Self::Prediction(line) => line.prediction.key(),
            Self::Failure(failed) => &failed.key,
        }
    }

    /// No mask, for one reason.
    pub fn failed(unit: &Unit, miss: Miss, texts: Vec<String>) -> Self {
        Self::Failure(Failed {
            key: unit.key.clone(),
            image: unit.image.clone(),
            failure: miss.name,
            message: miss.message,
            texts,
        })
    }
}
