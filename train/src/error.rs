//! What can go wrong in training.

use std::path::PathBuf;

use segzero_model::checkpoint;
use segzero_model::qwen_vl::{InputError, PromptError};

/// An error of training.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Weights that cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    /// A sample that cannot be read.
    #[error(transparent)]
    Data(#[from] segzero_datasets::Error),
    /// An image or a text that the model cannot take.
    #[error("sample `{key}`: {source}")]
    Input {
        /// The sample.
        key: String,
        /// Why not.
        source: Box<InputError>,
    },
    /// A prompt that the model cannot take.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A sample without image or answer.
    #[error("sample `{key}`: {reason}")]
    Sample {
        /// The sample.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// A template that asks for what there is not.
    #[error("`{{{name}}}` means nothing in a reply")]
    Template {
        /// What stands between the braces.
        name: String,
    },
    /// Moments of another network.
    #[error("`{path}` does not fit `{name}`: it is of another network")]
    Moments {
        /// The file.
        path: PathBuf,
        /// The parameter.
        name: String,
    },
    /// A file that cannot be read.
    #[error("could not read `{path}`: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file that cannot be written.
    #[error("could not write `{path}`: {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A loss that is no number.
    #[error("the loss of step {step} is {loss}: training has diverged")]
    Diverged {
        /// The step.
        step: u64,
        /// The loss.
        loss: f64,
    },
}

impl TrainError {
    pub(crate) fn input(key: &str, source: InputError) -> Self {
        Self::Input { key: key.to_owned(), source: Box::new(source) }
    }
}
