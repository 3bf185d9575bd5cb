//! [`Sample`]: one object (or absence of one) in one image, with everything that is said of it.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Geometry, Size};

/// One referred object of one image, with all its sentences. A sentence-level protocol unrolls
/// `queries`; an instance-level one does not.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Data set name: `refcocog`, `reasonseg`, ... (see [`crate::Source::name`]).
    pub dataset: Arc<str>,
    /// Split as the file spells it: `train`, `val`, `testA`, ...
    pub split: Arc<str>,
    /// Unique within data set and split: REFER's ref id, ReasonSeg's file stem, a table's row id.
    pub key: String,
    /// The image.
    pub image: ImageRef,
    /// What is said of the object; never empty.
    pub queries: Vec<Query>,
    /// REFER's ref id.
    pub ref_id: Option<i64>,
    /// COCO annotation ids; several in gRefCOCO; empty where the format has none or no target.
    pub ann_ids: Vec<i64>,
    /// COCO category names, one per annotation where known.
    pub categories: Vec<String>,
    /// COCO category ids, one per annotation where known.
    pub category_ids: Vec<i64>,
    /// COCO's `iscrowd` of any of the annotations.
    pub is_crowd: bool,
    /// Other annotations of the image that have the category of the first of its own, crowds
    /// included, where the format knows all of an image's annotations.
    pub distractors: Option<u32>,
    /// ReasonSeg's `is_sentence`: a long query.
    pub is_sentence: Option<bool>,
    /// Where the mask comes from; rasterised on demand.
    pub geometry: Geometry,
}

impl Sample {
    /// Key of one query of this sample: `{key}:{query id}`, or `key` alone where queries have no
    /// id. Predictions are matched by it.
    pub fn query_key(&self, query: &Query) -> String {
        match query.id {
            Some(id) => format!("{}:{id}", self.key),
            None => self.key.clone(),
        }
    }
}

/// One expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// REFER's `sent_id`, or the position in a list of texts.
    pub id: Option<i64>,
    /// The text as written by the annotator: case and punctuation kept.
    pub raw: String,
    /// The text as the data set cleaned it (REFER's `sent`); equal to `raw` where it did not.
    pub text: String,
}

/// An image and where to get it.
#[derive(Clone, Debug)]
pub struct ImageRef {
    /// Id in the data set's own terms (COCO image id, file stem).
    pub id: String,
    /// File name without folders, for people and for re-joining with other data.
    pub file_name: String,
    /// Where the pixels are.
    pub source: ImageSource,
    /// Size as the annotations state it, where they do.
    pub size: Option<Size>,
}

/// Where an image's encoded bytes are.
#[derive(Clone, Debug)]
pub enum ImageSource {
    /// A file.
    File(PathBuf),
    /// Encoded bytes taken from a Parquet row.
    Bytes(Bytes),
    /// Not loaded, by [`crate::ReadOptions::skip_images`], or the layout has no images.
    Absent,
}
