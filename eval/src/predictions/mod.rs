//! [`Predictions`]: masks by key, from a JSONL file or a folder of images.
//!
//! Masks stay as compact as they came (a COCO string is kept as that string, a mask file as its
//! path) and are read when their sample is scored, so memory is about the size of the JSONL file, or
//! of the folder's file names: 100,000 predictions of 500 bytes take about 65 MB.

mod fields;
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
        let position = self.find(&sample.query_key(query)).or_else(|| self.find(&sample.key));
        position.map(|position| self.get(position, size)).transpose()
    }

    /// The reply that a model wrote for a query, where the predictions hold it.
    pub fn reply(&self, sample: &Sample, query: &Query) -> Option<&str> {
        let position = self.find(&sample.query_key(query)).or_else(|| self.find(&sample.key))?;
        self.items[position].said.as_ref()?.text.as_deref()
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

    /// The prediction at a position, for an image of this size. Its mask has the size that it was
    /// written with; polygons and boxes are filled at the image's.
    ///
    /// # Errors
    /// A mask that cannot be read; names the file and line.
    pub(crate) fn get(&self, position: usize, size: Size) -> Result<Prediction, Error> {
        let Item { answer, said, .. } = &self.items[position];
        let said = said.as_deref();
        let boxes = said.map_or(&[][..], |said| &said.boxes);
        let mask = match answer {
            Answer::Rle(size, at) => Mask::from_coco_string(*size, &self.strings[at.clone()])
                .map_err(|e| Error::new(&self.path, e).field("counts")),
            Answer::Geometry(Geometry::Mask(mask)) => Ok(mask.clone()),
            Answer::Geometry(Geometry::File(path)) => std::fs::read(path)
                .map_err(ErrorKind::Io)
                .and_then(|bytes| Mask::read_file(&bytes))
                .map_err(|e| Error::new(path, e)),
            Answer::Geometry(geometry) => {
                geometry.rasterize(size, FillRegime::default()).map(|masks| masks.target)
            }
            Answer::Boxes => fill_boxes(boxes, size).map_err(|e| Error::new(&self.path, e)),
        };
        Ok(Prediction {
            mask: mask.map_err(|error| self.named(position, error))?,
            no_target: said.and_then(|said| said.no_target),
            boxes: boxes.to_vec(),
            points: said.map_or_else(Vec::new, |said| said.points.clone()),
            filled_box: matches!(answer, Answer::Boxes),
        })
    }

    /// An error about the mask at a position.
    pub(crate) fn error_at(&self, position: Option<usize>, error: MaskError) -> Error {
        let error = Error::new(&self.path, error);
        match position {
            Some(position) => self.named(position, error),
            None => error,
        }
    }

    /// The error with file and line, where it does not name them.
    fn named(&self, position: usize, mut error: Error) -> Error {
        let line = self.items[position].line;
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

/// The pixels whose centres lie in one of the boxes, as COCO's rule fills a rectangle.
fn fill_boxes(boxes: &[[f64; 4]], size: Size) -> Result<Mask, MaskError> {
    let rectangle = |[x0, y0, x1, y1]: &[f64; 4]| [*x0, *y0, *x1, *y0, *x1, *y1, *x0, *y1];
    Mask::from_polygons(size, &boxes.iter().map(rectangle).collect::<Vec<_>>())
}
