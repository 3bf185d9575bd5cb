//! The small JSON files of a model folder, read field by field so that an error names the field.

use segzero_datasets::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// One JSON object and the file that it came from.
pub(super) struct Fields {
    path: PathBuf,
    values: Map<String, Value>,
}

impl Fields {
    /// Reads a file that holds one object.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|error| Error::new(path, error))?;
        let values = serde_json::from_slice(&bytes).map_err(|error| Error::new(path, error))?;
        Ok(Self { path: path.to_owned(), values })
    }

    /// A field's value; `None` where it is absent or null.
    pub(super) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        match self.values.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(|error| self.error(name, error)),
        }
    }

    /// An object inside this one; `None` where it is absent or null.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, Error> {
        let values = self.get(name)?;
        Ok(values.map(|values| Self { path: self.path.clone(), values }))
    }

    /// An error about a field.
    pub(super) fn error(&self, name: &str, kind: impl Into<ErrorKind>) -> Error {
        Error::new(&self.path, kind).field(name)
    }

    /// An error about a field whose value is of the right type and still wrong.
    pub(super) fn unexpected(&self, name: &str, expected: &str, found: impl ToString) -> Error {
        let kind =
            ErrorKind::Unexpected { expected: expected.to_owned(), found: found.to_string() };
        self.error(name, kind)
    }
}
