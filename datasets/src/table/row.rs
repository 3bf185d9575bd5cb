//! One row: its fields read, and rows of one id joined into a [`Sample`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::columns::{MASKS, shortened};
use crate::coco::segmentation::RawSegmentation;
use crate::mask::PolygonFault;
use crate::{
    CocoSegmentation, ErrorKind, Geometry, ImageRef, ImageSource, Mask, MaskError, Query, Sample,
    Size,
};

/// A field and what is wrong with it.
pub(super) type Fault = (&'static str, ErrorKind);

/// Fields by column, strings in CSV, any JSON value in JSONL.
pub(super) type Fields = serde_json::Map<String, Value>;

/// One row.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// The line it starts on, from 1.
    pub line: u64,
    pub id: Option<String>,
    pub split: Option<String>,
    pub texts: Vec<String>,
    pub image: Option<String>,
    pub category: Option<String>,
    pub target: Option<Target>,
    pub size: Option<Size>,
}

/// A mask as the row states it.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    File(String),
    Runs(Mask),
    Polygons(Vec<Vec<f64>>),
}

/// What all rows of a table share.
pub(super) struct Shared {
    pub dataset: Arc<str>,
    /// Folder that relative mask paths start from: the table's.
    pub folder: PathBuf,
    /// Folder that relative image paths start from.
    pub images: PathBuf,
}

impl Row {
    /// Reads the fields of the row on `line`.
    pub(super) fn parse(line: u64, mut fields: Fields) -> Result<Self, Fault> {
        let fields = &mut fields;
        let size = match (side(fields, "width")?, side(fields, "height")?) {
            (Some(width), Some(height)) => Some(Size::new(width, height)),
            (None, None) => None,
            (Some(_), None) => return Err(("height", absent())),
            (None, Some(_)) => return Err(("width", absent())),
        };
        let target = target(fields, size)?;
        let size = match &target {
            Some(Target::Runs(mask)) => Some(mask.size()),
            _ => size,
        };
        Ok(Self {
            line,
            id: string(fields, "id")?,
            split: string(fields, "split")?,
            texts: texts(fields)?,
            image: string(fields, "image")?,
            category: string(fields, "category")?,
            target,
            size,
        })
    }

    /// Takes the texts of a further row of the same id, which may leave its other fields empty.
    pub(super) fn join(&mut self, other: Self) -> Result<(), Fault> {
        let differs = |field, what: &str| {
            let (expected, found) = (format!("{what} of line {}, or none", self.line), "another");
            Err((field, ErrorKind::Unexpected { expected, found: found.to_owned() }))
        };
        if other.image.is_some() && other.image != self.image {
            return differs("image", "the image");
        }
        if other.target.is_some() && other.target != self.target {
            return differs("mask", "the mask");
        }
        self.texts.extend(other.texts);
        Ok(())
    }

    /// The sample of this row; `key` and `split` stand in for what it does not say.
    pub(super) fn into_sample(
        self,
        shared: &Shared,
        split: &Arc<str>,
        key: String,
    ) -> Result<Sample, Fault> {
        let image = self.image.ok_or(("image", absent()))?;
        let target = self.target.ok_or(("mask", absent_mask()))?;
        let query =
            |(i, raw): (usize, String)| Query { id: Some(i as i64), text: raw.clone(), raw };
        let mut queries: Vec<_> = self.texts.into_iter().enumerate().map(query).collect();
        if let [only] = queries.as_mut_slice() {
            only.id = None;
        }
        let path = Path::new(&image);
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Sample {
            dataset: shared.dataset.clone(),
            split: split.clone(),
            key,
            image: ImageRef {
                file_name,
                source: ImageSource::File(shared.images.join(path)),
                size: self.size,
                id: image,
            },
            queries,
            ref_id: None,
            ann_ids: Vec::new(),
            categories: self.category.into_iter().collect(),
            category_ids: Vec::new(),
            is_crowd: false,
            distractors: None,
            is_sentence: None,
            geometry: match target {
                Target::File(mask) => Geometry::File(shared.folder.join(mask)),
                Target::Runs(mask) => Geometry::Mask(mask),
                Target::Polygons(polygons) if polygons.is_empty() => Geometry::Coco(Vec::new()),
                Target::Polygons(polygons) => {
                    Geometry::Coco(vec![CocoSegmentation::Polygons(polygons)])
                }
            },
        })
    }
}

/// The mask field of a row: at most one of three.
fn target(fields: &mut Fields, size: Option<Size>) -> Result<Option<Target>, Fault> {
    let given = |fields: &Fields, name: &str| {
        let empty = |v: &Value| v.is_null() || v.as_str().is_some_and(|s| s.trim().is_empty());
        fields.get(name).is_some_and(|value| !empty(value))
    };
    let mut there = MASKS.into_iter().filter(|name| given(fields, name));
    let (first, second) = (there.next(), there.next());
    if let (Some(first), Some(second)) = (first, second) {
        let expected = "one of `mask`, `rle`, `polygons`".to_owned();
        let found = format!("both `{first}` and `{second}`");
        return Err((second, ErrorKind::Unexpected { expected, found }));
    }
    match first {
        Some("mask") => Ok(string(fields, "mask")?.map(Target::File)),
        Some("rle") => {
            let value = fields.remove("rle").unwrap_or_default();
            runs(value, size).map(|mask| Some(Target::Runs(mask))).map_err(|kind| ("rle", kind))
        }
        Some(_) => {
            let value = fields.remove("polygons").unwrap_or_default();
            polygons(value).map(|p| Some(Target::Polygons(p))).map_err(|kind| ("polygons", kind))
        }
        None => Ok(None),
    }
}

/// COCO's `{"size": [h, w], "counts": ...}`, or its compressed string with the row's own size.
fn runs(value: Value, size: Option<Size>) -> Result<Mask, ErrorKind> {
    let mask = match value {
        // `{` is not of the alphabet of the compressed string.
        Value::String(text) if !text.trim_start().starts_with('{') => {
            let size = size.ok_or_else(|| ErrorKind::Missing {
                what: "`width` and `height`, which a bare RLE string needs,".to_owned(),
            })?;
            return Ok(Mask::from_coco_string(size, text.trim().as_bytes())?);
        }
        value => {
            let expected = r#"{"size": [height, width], "counts": ...}"#;
            match json::<RawSegmentation>(value, expected)?.into_geometry()? {
                CocoSegmentation::Rle(mask) => mask,
                CocoSegmentation::Polygons(_) => {
                    let (expected, found) = (expected.to_owned(), "polygons".to_owned());
                    return Err(ErrorKind::Unexpected { expected, found });
                }
            }
        }
    };
    match size {
        Some(expected) if expected != mask.size() => {
            Err(MaskError::SizeMismatch { expected, found: mask.size() }.into())
        }
        _ => Ok(mask),
    }
}

/// `[[x0, y0, x1, y1, ...], ...]`; an empty list says that there is no target.
fn polygons(value: Value) -> Result<Vec<Vec<f64>>, ErrorKind> {
    let polygons: Vec<Vec<f64>> = json(value, "a list of polygons [[x0, y0, x1, y1, ...], ...]")?;
    for (polygon, points) in polygons.iter().enumerate() {
        let fault = match points.len() {
            n if n % 2 == 1 => PolygonFault::OddLength,
            0..6 => PolygonFault::TooShort,
            _ => continue,
        };
        return Err(MaskError::Polygon { polygon, reason: fault }.into());
    }
    Ok(polygons)
}

/// A JSON value, or a string that holds one (a CSV cell).
fn json<T: DeserializeOwned>(value: Value, expected: &str) -> Result<T, ErrorKind> {
    let parsed = match &value {
        Value::String(text) => serde_json::from_str(text),
        _ => T::deserialize(&value),
    };
    parsed.map_err(|e| ErrorKind::Unexpected {
        expected: expected.to_owned(),
        found: format!("{} ({e})", brief(&value)),
    })
}

/// Every text of a row, from `text` or `texts`; never empty.
fn texts(fields: &mut Fields) -> Result<Vec<String>, Fault> {
    let mut texts = Vec::new();
    match fields.remove("texts") {
        None | Some(Value::Null) => {}
        Some(Value::Array(values)) => {
            for value in values {
                match value {
                    Value::String(text) if !text.trim().is_empty() => texts.push(text),
                    other => return Err(("texts", unexpected("texts that are not empty", &other))),
                }
            }
        }
        Some(other) => return Err(("texts", unexpected("a list of strings (JSONL only)", &other))),
    }
    match fields.remove("text") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.trim().is_empty() => {}
        Some(Value::String(text)) => texts.insert(0, text),
        Some(other) => return Err(("text", unexpected("a string", &other))),
    }
    if texts.is_empty() { Err(("text", absent())) } else { Ok(texts) }
}

/// A string or integer as a string without the white space around it; `None` where it is empty.
fn string(fields: &mut Fields, name: &'static str) -> Result<Option<String>, Fault> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
        Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
        Some(other) => Err((name, unexpected("a string", &other))),
    }
}

/// A number of pixels.
fn side(fields: &mut Fields, name: &'static str) -> Result<Option<u32>, Fault> {
    let Some(text) = string(fields, name)? else { return Ok(None) };
    match text.parse() {
        Ok(side) if side > 0 => Ok(Some(side)),
        _ => Err((name, unexpected("a number of pixels", &Value::String(text)))),
    }
}

fn absent() -> ErrorKind {
    ErrorKind::Missing { what: "its value".to_owned() }
}

fn absent_mask() -> ErrorKind {
    let what = "a value in `mask`, `rle` or `polygons` (`[]` says that there is no target)";
    ErrorKind::Missing { what: what.to_owned() }
}

fn unexpected(expected: &str, found: &Value) -> ErrorKind {
    ErrorKind::Unexpected { expected: expected.to_owned(), found: brief(found) }
}

/// A value in a few words.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("a list of {}", values.len()),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) => format!("\"{}\"", shortened(text)),
        other => other.to_string(),
    }
}
