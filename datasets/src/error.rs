//! One error type for reading: which file, which record, which field, what is wrong, what to do.

use std::path::{Path, PathBuf};

use crate::mask::MaskError;
use crate::pickle::PickleError;

/// A file or a record of it that could not be read.
#[derive(Debug)]
pub struct Error {
    /// The file (or folder) concerned.
    pub path: PathBuf,
    /// The record inside it, in the file's own terms (`ref_id 12`, `row 7`, `line 3`).
    pub record: Option<String>,
    /// The field of the record.
    pub field: Option<String>,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong with a file or record.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Not valid JSON, or not the expected shape of it.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Not a valid CSV record.
    #[error("{0}")]
    Csv(#[from] csv::Error),
    /// Not a valid Parquet file.
    #[error("{0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Not a pickle of plain data.
    #[error("{0}")]
    Pickle(#[from] PickleError),
    /// A mask that cannot be what it says it is.
    #[error("{0}")]
    Mask(#[from] MaskError),
    /// Something that must be there is not.
    #[error("{what} is missing")]
    Missing {
        /// What is missing, as a noun phrase.
        what: String,
    },
    /// Something is there, but not as it must be.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What the format calls for.
        expected: String,
        /// What stands there.
        found: String,
    },
}

impl Error {
    /// An error about a whole file.
    pub fn new(path: impl AsRef<Path>, kind: impl Into<ErrorKind>) -> Self {
        Self { path: path.as_ref().to_owned(), record: None, field: None, kind: kind.into() }
    }

    /// The same error, naming the record.
    #[must_use]
    pub fn record(mut self, record: impl std::fmt::Display) -> Self {
        self.record = Some(record.to_string());
        self
    }

    /// The same error, naming the field.
    #[must_use]
    pub fn field(mut self, field: impl std::fmt::Display) -> Self {
        self.field = Some(field.to_string());
        self
    }

    fn is_about_a_parquet_column(&self) -> bool {
        let is_parquet = self.path.extension().is_some_and(|extension| extension == "parquet");
        is_parquet && self.record.is_none() && self.field.is_some()
    }

    /// What the user can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match &self.kind {
            ErrorKind::Io(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Some(format!("check that `{}` exists", self.path.display()))
            }
            ErrorKind::Mask(e) => e.hint().map(str::to_owned),
            ErrorKind::Pickle(e) => e.hint().map(str::to_owned),
            _ if self.is_about_a_parquet_column() => Some(
                "the columns of an evaluation set are image, text, mask, image_id, ann_id, \
                 img_height and img_width"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "could not read `{}`", self.path.display())?;
        if let Some(record) = &self.record {
            write!(f, ": {record}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ": field `{field}`")?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.kind)
    }
}
