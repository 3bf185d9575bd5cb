//! A run that has come to its end, for the commands that read it.

use std::path::{Path, PathBuf};

use segzero_eval::Heard;
use serde::Deserialize;

use super::journal::{PREDICTIONS, SUMMARY, read_options};
use super::units::Queries;
use crate::failure::Failure;
use crate::source_args::SourceArgs;

/// What a run predicted, and of what.
#[derive(Debug)]
pub struct Finished {
    /// Its masks.
    pub predictions: PathBuf,
    /// The data set.
    pub source: SourceArgs,
    /// Which queries were asked.
    pub queries: Queries,
    /// How the model was heard.
    pub heard: Heard,
}

#[derive(Deserialize)]
struct Options {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    source: SourceArgs,
    queries: Queries,
}

impl Finished {
    /// The run in a folder; none where there is no run.
    ///
    /// # Errors
    /// A run that has not come to its end, or whose options are damaged.
    pub fn open(folder: &Path) -> Result<Option<Self>, Failure> {
        let Some(options) = read_options(folder)? else { return Ok(None) };
        let at = folder.display();
        let Options { data: Data { source, queries } } =
            serde_json::from_value(options).map_err(|error| {
                Failure::new(format_args!("the options of the run in `{at}` are damaged: {error}"))
            })?;
        let Ok(summary) = std::fs::read(folder.join(SUMMARY)) else {
            return Err(Failure::new(format_args!("the run in `{at}` has not come to its end"))
                .hint("the command that began it goes on where it stopped"));
        };
        let heard = serde_json::from_slice(&summary)
            .map_err(|error| Failure::new(format_args!("`{at}/{SUMMARY}` is damaged: {error}")))?;
        Ok(Some(Self { predictions: folder.join(PREDICTIONS), source, queries, heard }))
    }
}
