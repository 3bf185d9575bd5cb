//! [`Reading`]: which form predictions have, and how several of one key are taken.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use segzero_datasets::Error;
use serde::{Deserialize, Serialize};

use super::elements::Elements;
use super::{KeyPattern, OnBadRecord};

/// How predictions are read.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Predictions (docs/predictions.md)")]
pub struct Reading {
    /// Form of the predictions.
    #[arg(long, value_enum, default_value_t)]
    pub format: PredictionFormat,
    /// Where the key stands in the names of a folder's files: `{ref_id}-iou=*-{text}`; also {key},
    /// {sent_id}, {ann_id}, {image_id}. With a slash, sub-folders are searched.
    #[arg(long, value_name = "PATTERN")]
    pub key_pattern: Option<KeyPattern>,
    /// Which of several records of one key count (COCO results and their like).
    #[arg(long, value_enum, default_value_t)]
    pub instances: Instances,
    /// Records with a lower score count for nothing.
    #[arg(long, value_name = "X")]
    pub min_score: Option<f64>,
    /// What the coordinates in a model's replies are relative to.
    #[arg(long, value_enum, default_value_t)]
    pub answer_frame: AnswerFrame,
    /// What to do with records that cannot be read.
    #[arg(skip)]
    pub on_bad: OnBadRecord,
}

/// The forms of predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PredictionFormat {
    /// By content first, by extension second.
    #[default]
    Auto,
    /// Our own lines: a key and a mask.
    Jsonl,
    /// COCO results: a list (or lines) of records with ids, masks, scores.
    Coco,
    /// X-SAM's predictions.json: a list with `sample_id` and `pred_mask`.
    XSam,
    /// GroundingSuite's lines with `idx`.
    GroundingSuite,
    /// One JSON object from keys to masks, or to lists of masks (Sa2VA).
    Map,
    /// A folder of PNG or .npy files.
    Folder,
    /// Parquet with a column of nested booleans.
    Parquet,
    /// One .npz with an array a key.
    Npz,
}

/// Which of several records of one key count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Instances {
    /// The one with the highest score; of equal ones the first.
    #[default]
    Best,
    /// All, joined.
    Union,
}

/// What the coordinates of a model's reply are relative to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum AnswerFrame {
    /// The image resized to 840x840, as Seg-Zero and VisionReasoner show it to the model.
    #[default]
    #[serde(rename = "840x840")]
    #[value(name = "840x840")]
    Square840,
    /// The image's own pixels.
    #[serde(rename = "native")]
    Native,
}

/// How much of a file is looked at to find out what it is.
const PEEK: u64 = 1 << 16;

/// Names of which one stands in every record.
const NAMES: [&str; 7] =
    ["key", "sample_id", "idx", "ref_id", "ann_id", "image_id", "segmentation"];

impl PredictionFormat {
    /// The form of what lies at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn detect(path: &Path) -> Result<Self, Error> {
        if std::fs::metadata(path).map_err(|e| Error::new(path, e))?.is_dir() {
            return Ok(Self::Folder);
        }
        let file = File::open(path).map_err(|e| Error::new(path, e))?;
        let mut start = Vec::new();
        BufReader::new(file).take(PEEK).read_to_end(&mut start).map_err(|e| Error::new(path, e))?;
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
        let has = |names: &[String], name: &str| names.iter().any(|there| there == name);
        Ok(match text {
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            [b'P', b'K', 3, 4, ..] => Self::Npz,
            [b'[', rest @ ..] => match has(&names(rest.trim_ascii_start()), "pred_mask") {
                true => Self::XSam,
                false => Self::Coco,
            },
            [b'{', ..] => {
                let names = names(text);
                if has(&names, "key") {
                    Self::Jsonl
                } else if has(&names, "idx") {
                    Self::GroundingSuite
                } else if names.iter().any(|name| NAMES.contains(&name.as_str())) {
                    Self::Coco
                } else if is_map(text) {
                    Self::Map
                } else {
                    Self::Jsonl
                }
            }
            _ => Self::Jsonl,
        })
    }

    /// Whether the file is one JSON value, rather than lines of them.
    pub(super) fn is_whole(self, path: &Path) -> Result<bool, Error> {
        let file = File::open(path).map_err(|e| Error::new(path, e))?;
        let mut start = Vec::new();
        file.take(PEEK).read_to_end(&mut start).map_err(|e| Error::new(path, e))?;
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
        Ok(self == Self::Map || text.first() == Some(&b'['))
    }
}

/// Names of the members of the object that `text` begins with, as far as it goes.
fn names(text: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let Ok(mut members) = Elements::new(text) else { return names };
    let mut member = Vec::new();
    while members.is_object() && matches!(members.next(&mut member), Ok(true)) {
        names.extend(name(&member));
    }
    // The last one may be cut off within its value.
    names.extend(name(&member));
    names
}

fn name(member: &[u8]) -> Option<String> {
    let mut name = serde_json::Deserializer::from_slice(member).into_iter::<String>();
    name.next()?.ok()
}

/// Whether the first member's value is a mask rather than a plain value.
fn is_map(text: &[u8]) -> bool {
    let Some(colon) = text.iter().position(|&byte| byte == b':') else { return false };
    matches!(text[colon + 1..].trim_ascii_start(), [b'{' | b'[', ..] | [b'n', b'u', ..])
}
