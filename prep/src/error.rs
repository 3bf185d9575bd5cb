//! What can stop a preparation, and the records that were left out of one.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A record that cannot become a training example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRecord {
    /// The file at fault: the image, or the annotations.
    pub file: PathBuf,
    /// The record, in the data set's own terms.
    pub record: String,
    /// What is wrong with it.
    pub reason: String,
}

impl std::fmt::Display for BadRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "could not use `{}`: {}: {}", self.file.display(), self.record, self.reason)
    }
}

impl From<segzero_datasets::Error> for BadRecord {
    fn from(error: segzero_datasets::Error) -> Self {
        let reason = match &error.field {
            Some(field) => format!("field `{field}`: {}", error.kind),
            None => error.kind.to_string(),
        };
        let record = error.record.unwrap_or_else(|| "a record".to_owned());
        Self { file: error.path, record, reason }
    }
}

/// Why a preparation stopped.
#[derive(Debug, thiserror::Error)]
pub enum PrepError {
    /// A data set as a whole could not be read.
    #[error("{0}")]
    Read(#[from] segzero_datasets::Error),
    /// A record was bad, and bad records were not to be skipped.
    #[error("{0}")]
    Record(BadRecord),
    /// A file could not be written (or read back).
    #[error("could not write `{}`: {source}", path.display())]
    Write {
        /// The file, under its final name where it has one.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The output folder holds something else.
    #[error("`{}` {reason}", out.display())]
    OutputInUse {
        /// The folder.
        out: PathBuf,
        /// What is there.
        reason: String,
    },
    /// Two options that do not go together.
    #[error("{0}")]
    Options(&'static str),
    /// Every sample was left out.
    #[error("no sample is left of the {read} that were read ({reasons})")]
    NothingSelected {
        /// Samples read.
        read: u64,
        /// Reasons with counts.
        reasons: String,
    },
    /// The data set gave other samples when it was read a second time.
    #[error("`{}` changed while it was read", .0.display())]
    SourceChanged(PathBuf),
}

impl PrepError {
    /// An error about a file being written.
    pub(crate) fn write(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Write { path: path.as_ref().to_owned(), source }
    }

    /// What the user can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read(error) => error.hint(),
            Self::Record(_) => Some("`--skip-bad` leaves such records out and lists them".into()),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some(
                "free some space and run the same command again; finished files are kept".into(),
            ),
            Self::Write { .. } => None,
            Self::OutputInUse { .. } => {
                Some("choose another folder, or `--overwrite` a set that segzero made".into())
            }
            Self::NothingSelected { reasons, .. } if reasons.contains("leak") => Some(
                "`--leaks allow` keeps images that are in a val or test split of any set".into(),
            ),
            Self::NothingSelected { .. } => Some("widen the filters, or check `--split`".into()),
            Self::Options(_) => None,
            Self::SourceChanged(_) => Some("run the same command again".into()),
        }
    }
}
