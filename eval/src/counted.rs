//! Rows that an evaluator counted already: `output_*.json` of Seg-Zero and VisionReasoner.

use std::path::{Path, PathBuf};

use segzero_datasets::{Error, ErrorKind};
use serde::Deserialize;

use crate::protocol::{Empty, Protocol};
use crate::{Row, Status};

/// One record of `output_IDX.json`.
#[derive(Deserialize)]
struct Record {
    image_id: Id,
    #[serde(default)]
    ann_id: Option<Id>,
    intersection: u64,
    union: u64,
    /// 1 where a predicted box meets the object's with IoU above 0.5, else 0.
    #[serde(default)]
    bbox_iou: Option<f64>,
}

/// An id, as a string or a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// The rules that no longer apply where pixels were counted by somebody else.
const COUNTED: [&str; 8] =
    ["unit", "raster", "fill", "overlap", "ignore", "frame", "no-target", "missing"];

impl Protocol {
    /// The first rule about pixels in which this protocol differs from Seg-Zero's evaluators, with
    /// its value here and there; counts that those took cannot be turned into others'.
    pub fn differs_from_counts(&self) -> Option<(&'static str, String, String)> {
        let theirs = Self::preset("seg-zero")?;
        self.differences(&theirs).into_iter().find(|(field, ..)| COUNTED.contains(field))
    }
}

/// Reads a file of counted rows, or every `output_*.json` of a folder by name, as rows under a
/// protocol. A row's key is its annotation's id, or else its image's; its text and areas are not
/// known.
///
/// # Errors
/// No such file, or one that does not hold a list of counts; names file and record.
pub fn counted_rows(path: &Path, protocol: &Protocol) -> Result<Vec<Row>, Error> {
    let kind = std::fs::metadata(path).map_err(|e| Error::new(path, e))?;
    let files = if kind.is_dir() { shards(path)? } else { vec![path.to_owned()] };
    let mut rows = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(|e| Error::new(&file, e))?;
        let records: Vec<serde_json::Value> = serde_json::from_slice(&bytes).map_err(|e| {
            let expected = "a list of counts as Seg-Zero's evaluation writes it".to_owned();
            Error::new(&file, ErrorKind::Unexpected { expected, found: e.to_string() })
        })?;
        for (position, record) in records.into_iter().enumerate() {
            let at = |kind: ErrorKind| Error::new(&file, kind).record(format!("[{position}]"));
            let record: Record = serde_json::from_value(record).map_err(|e| {
                let expected = "image_id, ann_id, intersection and union".to_owned();
                at(ErrorKind::Unexpected { expected, found: e.to_string() })
            })?;
            if record.intersection > record.union {
                let expected = format!("at most {} (the union)", record.union);
                let found = record.intersection.to_string();
                return Err(at(ErrorKind::Unexpected { expected, found }).field("intersection"));
            }
            rows.push(row(record, protocol));
        }
    }
    Ok(rows)
}

/// Every `output_*.json` of a folder, by name.
fn shards(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::new(folder, e))? {
        let path = entry.map_err(|e| Error::new(folder, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("output_") && name.ends_with(".json") {
            files.push(path);
        }
    }
    if files.is_empty() {
        let what = "every file `output_*.json`".to_owned();
        return Err(Error::new(folder, ErrorKind::Missing { what }));
    }
    files.sort_unstable();
    Ok(files)
}

fn row(record: Record, protocol: &Protocol) -> Row {
    let Record { image_id, ann_id, intersection, union, bbox_iou } = record;
    let (status, iou) = match (union, protocol.empty) {
        (0, Empty::Skip) => (Status::Skipped, 0.0),
        (0, Empty::One) => (Status::BothEmpty, 1.0),
        (0, Empty::Zero) => (Status::BothEmpty, 0.0),
        _ => (Status::Scored, intersection as f64 / union as f64),
    };
    let image = image_id.to_string();
    Row {
        key: ann_id.map_or_else(|| image.clone(), |id| id.to_string()),
        image,
        status,
        intersection,
        union,
        iou,
        box_iou: bbox_iou,
        ..Row::default()
    }
}
