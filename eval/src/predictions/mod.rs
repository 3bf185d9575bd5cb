//! [`Predictions`]: masks by key, from a JSONL file or a folder of images.
//!
//! Masks stay as compact as they came (a COCO string is kept as that string, a mask file as its
//! path) and are read when their sample is scored, so memory is about the size of the JSONL file, or
//! of the folder's file names: 100,000 predictions of 500 bytes take about 65 MB.

mod folder;
mod jsonl;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ahash::RandomState;
use segzero_datasets::{
    Error, ErrorKind, FillRegime, Geometry, Mask, MaskError, Query, Sample, Size,
};

use crate::Names;

pub use jsonl::prediction_line;

/// What to do with a record that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBadRecord {
    /// Stop with its error.
    #[default]
    Stop,
    /// Count it, keep the first few by name, and go on.
    Skip,
}

/// Predicted masks by key.
#[derive(Debug, Default)]
pub struct Predictions {
    path: PathBuf,
    by_key: HashMap<Box<str>, usize, RandomState>,
    items: Vec<Item>,
    /// All compressed strings, one after the other.
    strings: Vec<u8>,
    keys_are_file_names: bool,
    /// Keys that came again; the first prediction of a key counts.
    pub(crate) duplicate: Names,
    /// Records that could not be read.
    pub(crate) bad: Names,
}

/// One prediction, as compact as it came.
#[derive(Debug)]
struct Item {
    /// Where it stands, for messages: `line 12`; 0 for none.
    line: usize,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// A mask of this size, as COCO's compressed string: where that is in `Predictions::strings`.
    Rle(Size, Range<usize>),
    /// Anything else. Empty: no target.
    Geometry(Geometry),
}

impl Predictions {
    /// Reads a JSONL file, or lists a folder of mask images. See `docs/predictions.md`.
    ///
    /// # Errors
    /// When the file or folder cannot be read, or a record of it cannot and `on_bad` says stop.
    pub fn open(path: &Path, on_bad: OnBadRecord) -> Result<Self, Error> {
        let kind = std::fs::metadata(path).map_err(|e| Error::new(path, e))?;
        if kind.is_dir() { folder::list(path) } else { jsonl::read(path, on_bad) }
    }

    /// Number of predictions with a key of their own.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds a prediction. Of several with one key the first counts; the others are reported.
    pub fn insert(&mut self, key: &str, geometry: Geometry) {
        self.add(key, Item { line: 0, answer: Answer::Geometry(geometry) });
    }

    fn add(&mut self, key: &str, item: Item) {
        match self.by_key.entry(key.into()) {
            Entry::Occupied(entry) => {
                let line = item.line;
                self.duplicate.push(|| match line {
                    0 => entry.key().to_string(),
                    _ => format!("{} (line {line})", entry.key()),
                });
            }
            Entry::Vacant(entry) => {
                entry.insert(self.items.len());
                self.items.push(item);
            }
        }
    }

    /// The mask predicted for a query: found by the query's key, or else by its sample's; `None`
    /// where there is none.
    ///
    /// # Errors
    /// A mask that cannot be read or whose size is not `size`; names the file and line.
    pub fn for_query(
        &self,
        sample: &Sample,
        query: &Query,
        size: Size,
    ) -> Result<Option<Mask>, Error> {
        let position = self.find(&sample.query_key(query)).or_else(|| self.find(&sample.key));
        position.map(|position| self.mask(position, size)).transpose()
    }

    /// Position of the prediction for a key. A file name may spell a colon or slash as `_` or `-`.
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        let exact = self.by_key.get(key);
        if exact.is_some() || !self.keys_are_file_names {
            return exact.copied();
        }
        let spelled = |by: &str| self.by_key.get(key.replace([':', '/'], by).as_str());
        spelled("_").or_else(|| spelled("-")).copied()
    }

    /// The mask at a position.
    ///
    /// # Errors
    /// A mask that cannot be read or whose size is not `size`; names the file and line.
    pub(crate) fn mask(&self, position: usize, size: Size) -> Result<Mask, Error> {
        let Item { line, answer } = &self.items[position];
        let result = match answer {
            Answer::Rle(found, _) if *found != size => {
                let mismatch = MaskError::SizeMismatch { expected: size, found: *found };
                Err(Error::new(&self.path, mismatch))
            }
            Answer::Rle(size, at) => Mask::from_coco_string(*size, &self.strings[at.clone()])
                .map_err(|e| Error::new(&self.path, e).field("counts")),
            Answer::Geometry(Geometry::Mask(mask)) if mask.size() == size => Ok(mask.clone()),
            Answer::Geometry(geometry) => {
                geometry.rasterize(size, FillRegime::default()).map(|masks| masks.target)
            }
        };
        result.map_err(|mut error| {
            if *line > 0 {
                error.record.get_or_insert_with(|| format!("line {line}"));
            }
            if error.path.as_os_str().is_empty() {
                error.path.clone_from(&self.path);
            }
            error
        })
    }

    /// Names of the predictions that are not marked as used, in file order.
    pub(crate) fn unused(&self, used: &[bool]) -> Names {
        let mut left: Vec<(usize, &str)> = self
            .by_key
            .iter()
            .filter(|&(_, &position)| !used[position])
            .map(|(key, &position)| (position, &**key))
            .collect();
        left.sort_unstable();
        let mut names = Names::default();
        for (_, key) in left {
            names.push(|| key.to_owned());
        }
        names
    }
}

/// Whether an error says that a mask and its image differ in size.
pub(crate) fn is_size_mismatch(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Mask(MaskError::SizeMismatch { .. }))
}
