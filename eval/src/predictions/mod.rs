//! [`Predictions`]: masks by key, from a JSONL file or a folder of images.
//!
//! Masks stay where they are until their sample is scored: of a line of a JSONL file only its place
//! is kept, of a mask file its path. A million predictions take some 100 MB, however large their
//! masks.

mod fields;
mod folder;
mod jsonl;
mod reader;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ahash::RandomState;
use segzero_datasets::{Error, ErrorKind, Geometry, Mask, MaskError, Query, Sample, Size};

use crate::Names;

pub use jsonl::prediction_line;
pub(crate) use reader::Reader;

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
    /// What the file held, where it is a pipe, which cannot be read again.
    bytes: Option<Vec<u8>>,
    /// Positions by the keys' hashes. Of 128 bits: no two keys ever share one by chance.
    by_key: HashMap<[u64; 2], u32, RandomState>,
    hashers: [RandomState; 2],
    items: Vec<Item>,
    /// Keys by position, where they are not in lines of a file.
    keys: Vec<Box<str>>,
    /// All compressed strings that are not in lines of a file, one after the other.
    strings: Vec<u8>,
    keys_are_file_names: bool,
    /// Keys that came again; the first prediction of a key counts.
    pub(crate) duplicate: Names,
    /// Records that could not be read.
    pub(crate) bad: Names,
}

/// What was predicted under a key, ready to be scored.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The mask, of its own size: the image's, or that at which a protocol compares.
    pub mask: Mask,
    /// What the prediction says in words: that there is no such object, or that there is one.
    pub no_target: Option<bool>,
    /// Stated boxes, `[x0, y0, x1, y1]` in pixels of the image.
    pub boxes: Vec<[f64; 4]>,
    /// Stated points, `[x, y]` in pixels of the image.
    pub points: Vec<[f64; 2]>,
    /// Whether there was no mask, and the boxes were filled instead.
    pub filled_box: bool,
}

/// One prediction, as compact as it came.
#[derive(Debug)]
struct Item {
    /// Where it stands, for messages: `line 12`; 0 for none.
    line: usize,
    answer: Answer,
    /// What it says beside the mask, where it does.
    said: Option<Box<Said>>,
}

/// What a prediction says beside its mask.
#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    no_target: Option<bool>,
    boxes: Vec<[f64; 4]>,
    points: Vec<[f64; 2]>,
    /// The model's reply.
    text: Option<String>,
}

#[derive(Debug)]
enum Answer {
    /// Whatever stands in the line of this many bytes from this one on.
    Line(u64, u32),
    /// A mask of this size, as COCO's compressed string: where that is in `Predictions::strings`.
    Rle(Size, Range<usize>),
    /// Anything else. Empty: no target.
    Geometry(Geometry),
    /// Boxes alone.
    Boxes,
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
        self.add(key, Item { line: 0, answer: Answer::Geometry(geometry), said: None });
    }

    fn add(&mut self, key: &str, item: Item) {
        match self.by_key.entry(self.hashers.each_ref().map(|hasher| hasher.hash_one(key))) {
            Entry::Occupied(_) => self.duplicate.push(|| match item.line {
                0 => key.to_owned(),
                line => format!("{key} (line {line})"),
            }),
            Entry::Vacant(entry) => {
                entry.insert(self.items.len() as u32);
                if !matches!(item.answer, Answer::Line(..)) {
                    self.keys.push(key.into());
                }
                self.items.push(item);
            }
        }
    }

    /// What is predicted for a query: found by the query's key, or else by its sample's; `None`
    /// where there is nothing.
    ///
    /// # Errors
    /// A mask that cannot be read; names the file and line.
    pub fn for_query(
        &self,
        sample: &Sample,
        query: &Query,
        size: Size,
    ) -> Result<Option<Prediction>, Error> {
        let position = self.find_for(sample, query);
        position.map(|position| Reader::new(self).get(position, size)).transpose()
    }

    /// The reply that a model wrote for a query, where the predictions hold it and it can be read.
    pub fn reply(&self, sample: &Sample, query: &Query) -> Option<String> {
        Reader::new(self).reply(self.find_for(sample, query)?)
    }

    fn find_for(&self, sample: &Sample, query: &Query) -> Option<usize> {
        self.find(&sample.query_key(query)).or_else(|| self.find(&sample.key))
    }

    /// Position of the prediction for a key. A file name may spell a colon or slash as `_` or `-`.
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        let find = |key: &str| {
            let hashes = self.hashers.each_ref().map(|hasher| hasher.hash_one(key));
            self.by_key.get(&hashes).map(|&position| position as usize)
        };
        let exact = find(key);
        if exact.is_some() || !self.keys_are_file_names {
            return exact;
        }
        let spelled = |by: &str| find(&key.replace([':', '/'], by));
        spelled("_").or_else(|| spelled("-"))
    }

    /// An error about the mask at a position.
    pub(crate) fn error_at(&self, position: Option<usize>, error: MaskError) -> Error {
        let error = Error::new(&self.path, error);
        match position {
            Some(position) => self.named(self.items[position].line, error),
            None => error,
        }
    }

    /// The error with file and line, where it does not name them; line 0 is none.
    fn named(&self, line: usize, mut error: Error) -> Error {
        if line > 0 {
            error.record.get_or_insert_with(|| format!("line {line}"));
        }
        if error.path.as_os_str().is_empty() {
            error.path.clone_from(&self.path);
        }
        error
    }

    /// Names of the predictions that are not marked as used, in file order.
    pub(crate) fn unused(&self, used: &[bool]) -> Names {
        let mut reader = Reader::new(self);
        let mut names = Names::default();
        let left = (0..self.len()).filter(|&position| !used[position]);
        left.for_each(|position| names.push(|| reader.key(position)));
        names
    }
}

/// Whether an error says that a mask and its image differ in size.
pub(crate) fn is_size_mismatch(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Mask(MaskError::SizeMismatch { .. }))
}
