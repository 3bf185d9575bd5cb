//! [`Predictions`]: masks by key, from files of many forms or a folder of images.
//!
//! Masks stay where they are until their sample is scored: of a line of a JSONL file only its place
//! is kept, of a mask file its path. A million predictions take some 100 MB, however large their
//! masks.

mod elements;
mod fields;
mod folder;
mod gather;
mod jsonl;
mod keys;
mod lines;
mod npz;
mod parquet;
mod pattern;
mod reader;
mod reading;
mod records;
mod reply;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ahash::RandomState;
use segzero_datasets::{Error, ErrorKind, Geometry, Mask, MaskError, Query, Sample, Size};

use crate::Names;

use keys::Aliases;

pub use jsonl::prediction_line;
pub(crate) use keys::Precedence;
pub use pattern::KeyPattern;
pub(crate) use reader::Reader;
pub use reader::fill_boxes;
pub use reading::{AnswerFrame, Instances, PredictionFormat, Reading};

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
    records: Records,
    answer_frame: AnswerFrame,
    aliases: Aliases,
    /// Predictions of an image that several samples could claim.
    pub(crate) ambiguous: Names,
    /// Records whose key others have too; the best counted, or all together.
    pub(crate) several: Names,
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

impl Prediction {
    /// A mask, and what is said beside it.
    pub(crate) fn of_mask(mask: Mask, no_target: Option<bool>) -> Self {
        Self { mask, no_target, boxes: Vec::new(), points: Vec::new(), filled_box: false }
    }
}

/// One prediction, as compact as it came.
#[derive(Debug)]
struct Item {
    /// Which of the file's [`Records`] it is; 0 for none.
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

impl Said {
    fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// What the records of a file are called in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Records {
    /// Lines of a text file.
    #[default]
    Lines,
    /// Elements of a list, or members of an object.
    Elements,
    /// Rows of a table.
    Rows,
    /// Arrays of an archive.
    Arrays,
}

impl Records {
    fn name(self, number: usize) -> String {
        match self {
            Self::Lines => format!("line {number}"),
            Self::Elements => format!("record {number}"),
            Self::Rows => format!("row {}", number - 1),
            Self::Arrays => format!("array {number}"),
        }
    }
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
    /// A model's reply alone, which may hold boxes and points.
    Reply,
    /// Several, joined. None: no target.
    Union(Vec<Answer>),
}

impl Predictions {
    /// Reads predictions of any form. See `docs/predictions.md`.
    ///
    /// # Errors
    /// When the file or folder cannot be read, or a record of it cannot and `on_bad` says stop.
    pub fn open(path: &Path, on_bad: OnBadRecord) -> Result<Self, Error> {
        Self::read(path, &Reading { on_bad, ..Reading::default() })
    }

    /// Reads predictions as `reading` says.
    ///
    /// # Errors
    /// As [`Predictions::open`].
    pub fn read(path: &Path, reading: &Reading) -> Result<Self, Error> {
        let kind = std::fs::metadata(path).map_err(|e| Error::new(path, e))?;
        let format = match reading.format {
            // What is no file (a pipe) can be read once, and holds lines.
            PredictionFormat::Auto if !kind.is_file() && !kind.is_dir() => PredictionFormat::Jsonl,
            PredictionFormat::Auto => PredictionFormat::detect(path)?,
            format => format,
        };
        match format {
            PredictionFormat::Folder => folder::list(path, reading),
            PredictionFormat::Parquet => parquet::read(path, reading),
            PredictionFormat::Npz => npz::read(path, reading),
            PredictionFormat::Auto | PredictionFormat::Jsonl => {
                let mut predictions = jsonl::read(path, reading.on_bad)?;
                predictions.answer_frame = reading.answer_frame;
                Ok(predictions)
            }
            format if format.is_whole(path)? => records::read_elements(path, reading),
            _ => records::read_lines(path, reading),
        }
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
        self.aliases.note(key);
        match self.by_key.entry(self.hashes(key)) {
            Entry::Occupied(_) => self.duplicate.push(|| match item.line {
                0 => key.to_owned(),
                line => format!("{key} ({})", self.records.name(line)),
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
    /// where there is nothing, or a reply without an answer.
    ///
    /// # Errors
    /// A mask that cannot be read; names the file and line.
    pub fn for_query(
        &self,
        sample: &Sample,
        query: &Query,
        size: Size,
    ) -> Result<Option<Prediction>, Error> {
        match self.find(sample, query, Precedence::Query) {
            Some(position) => Reader::new(self).get(position, size),
            None => Ok(None),
        }
    }

    /// The reply that a model wrote for a query, where the predictions hold it and it can be read.
    pub fn reply(&self, sample: &Sample, query: &Query) -> Option<String> {
        Reader::new(self).reply(self.find(sample, query, Precedence::Query)?)
    }

    fn hashes(&self, key: &str) -> [u64; 2] {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(key))
    }

    /// Position of the prediction of exactly this key.
    fn position(&self, key: &str) -> Option<usize> {
        self.by_key.get(&self.hashes(key)).map(|&position| position as usize)
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
            error.record.get_or_insert_with(|| self.records.name(line));
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
        let is_left = |position: &usize| !used[*position] && !self.aliases.is_unclaimed(*position);
        let left = (0..self.len()).filter(is_left);
        left.for_each(|position| names.push(|| reader.key(position)));
        names
    }
}

/// Whether an error says that a mask and its image differ in size.
pub(crate) fn is_size_mismatch(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Mask(MaskError::SizeMismatch { .. }))
}
