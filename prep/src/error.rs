//! What can stop a preparation, and the records that were left out of one.

use std::io;
use std::path::{Path, PathBuf};

use segzero_datasets::Sample;
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
    /// What the user can do about it, where we know.
    #[serde(skip)]
    pub hint: Option<String>,
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
        let hint = error.hint();
        let record = error.record.unwrap_or_else(|| "the whole file".to_owned());
        Self { file: error.path, record, reason, hint }
    }
}

impl BadRecord {
    /// A sample's mask that cannot be rasterised; an `error` that names no file is about `masks`.
    pub(crate) fn of_mask(error: segzero_datasets::Error, sample: &Sample, masks: &Path) -> Self {
        let mut bad = Self::from(error.record(sample_name(sample)));
        if bad.file.as_os_str().is_empty() {
            bad.file = masks.to_owned();
        }
        bad
    }

    /// A sample's image that is not there.
    pub(crate) fn of_absent_image(file: PathBuf, sample: &Sample, reason: String) -> Self {
        let hint = "`--images DIR` says where the images are".to_owned();
        Self { file, record: sample_name(sample), reason, hint: Some(hint) }
    }
}

/// A sample by its key, and by its annotations where they have names of their own.
pub(crate) fn sample_name(sample: &Sample) -> String {
    let ids: Vec<String> = sample.ann_ids.iter().map(i64::to_string).collect();
    match ids.join(", ") {
        ids if ids.is_empty() || ids == sample.key => format!("sample {}", sample.key),
        ids => format!("sample {}, annotation {ids}", sample.key),
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
    /// Another run is writing into the output folder.
    #[error("another run is writing into `{}`", .0.display())]
    Busy(PathBuf),
    /// Two options that do not go together.
    #[error("{0}")]
    Options(&'static str),
    /// Every sample was left out.
    #[error("{}", nothing_selected(*read, reasons))]
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
            Self::Record(bad) => {
                let skip = "`--skip-bad` leaves such records out and lists them";
                Some(bad.hint.as_ref().map_or(skip.into(), |hint| format!("{hint} ({skip})")))
            }
            Self::Busy(_) => Some("wait until it is done, or choose another folder".into()),
            Self::Write { source, .. } if is_out_of_space(source) => Some(
                "free some space and run the same command again; finished files are kept".into(),
            ),
            Self::Write { .. } => None,
            Self::OutputInUse { .. } => {
                Some("choose another folder, or `--overwrite` a set that segzero made".into())
            }
            Self::NothingSelected { reasons, .. } if reasons.contains("leak") => Some(
                "`--leaks allow` keeps images that are in a val or test split of any set".into(),
            ),
            Self::NothingSelected { read: 0, .. } => {
                Some("check `--split`: `segzero inspect` lists the splits there are".into())
            }
            Self::NothingSelected { .. } => Some("widen the filters, or check `--split`".into()),
            Self::Options(_) => None,
            Self::SourceChanged(_) => Some("run the same command again".into()),
        }
    }
}

fn nothing_selected(read: u64, reasons: &str) -> String {
    match read {
        0 => "there is no sample to read".to_owned(),
        _ => format!("no sample is left of the {read} that were read ({reasons})"),
    }
}

/// A full disk, a quota, or a limit on the size of files.
fn is_out_of_space(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
