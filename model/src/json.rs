//! The small JSON files of a model folder, read field by field so that an error names the field.

use segzero_datasets::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// One JSON object and the file that it came from.
pub(crate) struct Fields {
    path: PathBuf,
    /// The objects that it is in, each with a dot behind it.
    within: String,
    values: Map<String, Value>,
}

impl Fields {
    /// Reads a file that holds one object.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|error| Error::new(path, error))?;
        let values = serde_json::from_slice(&bytes).map_err(|error| Error::new(path, error))?;
        Ok(Self { path: path.to_owned(), within: String::new(), values })
    }

    /// A field's value; `None` where it is absent or null.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        match self.values.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(|error| self.error(name, error)),
        }
    }

    /// An object inside this one; `None` where it is absent or null.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Self>, Error> {
        let (path, within) = (self.path.clone(), format!("{}{name}.", self.within));
        Ok(self.get(name)?.map(|values| Self { path, within, values }))
    }

    /// An object inside this one, empty where it is absent.
    pub(crate) fn section(&self, name: &str) -> Result<Self, Error> {
        let empty = || Self {
            path: self.path.clone(),
            within: format!("{}{name}.", self.within),
            values: Map::new(),
        };
        Ok(self.object(name)?.unwrap_or_else(empty))
    }

    /// An error about a field.
    pub(crate) fn error(&self, name: &str, kind: impl Into<ErrorKind>) -> Error {
        Error::new(&self.path, kind).field(format_args!("{}{name}", self.within))
    }

    /// An error about a field whose value is of the right type and still wrong.
    pub(crate) fn unexpected(&self, name: &str, expected: &str, found: impl ToString) -> Error {
        let kind =
            ErrorKind::Unexpected { expected: expected.to_owned(), found: found.to_string() };
        self.error(name, kind)
    }
}
