//! COCO `instances.json`: one sample per annotation, the category name as its query.

use std::path::Path;

use crate::{Error, ReadOptions, SampleIter, Source};

/// Sources of this format under `root`.
pub(crate) fn find(_root: &Path) -> Result<Vec<Source>, Error> {
    Ok(Vec::new())
}

/// Reads one.
pub(crate) fn samples(source: &Source, _options: &ReadOptions) -> Result<SampleIter, Error> {
    Err(Error::new(&source.annotations, std::io::Error::from(std::io::ErrorKind::Unsupported)))
}
