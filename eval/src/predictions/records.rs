//! Records of other tools in JSON, as a list, as lines, or as an object from keys to masks: COCO
//! results, X-SAM, GroundingSuite, and whatever else names its samples by one of the usual ids.

use std::borrow::Cow;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use segzero_datasets::{Error, ErrorKind, Geometry, Size};
use serde::Deserialize;

use super::elements::Elements;
use super::fields::{Counts, Fault, Field, Key, Segmentation, Text, unexpected};
use super::gather::Gather;
use super::jsonl::mask_file;
use super::keys::Ids;
use super::lines::Lines;
use super::{Answer, Item, Predictions, Reading, Records, Said};

/// Reads lines of one record each.
pub(super) fn read_lines(path: &Path, reading: &Reading) -> Result<Predictions, Error> {
    let mut gather = Gather::new(path, Records::Lines, reading);
    let mut lines = Lines::open(path)?;
    while let Some((line, text)) = lines.next()? {
        let found = record(text, path, &mut gather.predictions.strings);
        gather.take(line, found.map_err(|fault| fault.at(path, line)))?;
    }
    Ok(gather.finish())
}

/// Reads a list of records, or an object of `"key": mask`.
pub(super) fn read_elements(path: &Path, reading: &Reading) -> Result<Predictions, Error> {
    let at = |kind: ErrorKind| Error::new(path, kind);
    let file = File::open(path).map_err(|e| Error::new(path, e))?;
    let mut elements = Elements::new(BufReader::with_capacity(1 << 18, file)).map_err(at)?;
    let mut gather = Gather::new(path, Records::Elements, reading);
    let mut element = Vec::new();
    for number in 1.. {
        let place = |line: usize| format!("record {number} (line {line})");
        match elements.next(&mut element) {
            Ok(true) => {}
            Ok(false) => break,
            Err(kind) => {
                gather.take(number, Err(at(kind).record(place(elements.started))))?;
                break;
            }
        }
        let text = element.trim_ascii();
        let strings = &mut gather.predictions.strings;
        let found = match elements.is_object() {
            true => member(text, strings),
            false => record(text, path, strings),
        };
        let found = found.map_err(|fault| {
            let error = at(fault.kind).record(place(elements.started));
            fault.field.into_iter().fold(error, Error::field)
        });
        gather.take(number, found)?;
    }
    Ok(gather.finish())
}

/// One record's key, what it predicts, and how sure it is.
pub(super) struct Found {
    pub key: String,
    pub item: Item,
    pub score: Option<f64>,
}

/// The private mirror of a record. Other fields are no concern of ours.
#[derive(Deserialize)]
#[serde(expecting = "an object with a mask and what it is for")]
struct Record<'a> {
    #[serde(borrow, default)]
    key: Option<Key<'a>>,
    #[serde(borrow, default)]
    sample_id: Option<Key<'a>>,
    #[serde(borrow, default)]
    idx: Option<Key<'a>>,
    #[serde(borrow, default)]
    ref_id: Option<Key<'a>>,
    #[serde(borrow, default)]
    sent_id: Option<Key<'a>>,
    #[serde(borrow, default)]
    ann_id: Option<Key<'a>>,
    #[serde(borrow, default)]
    image_id: Option<Key<'a>>,
    #[serde(default)]
    category_id: Option<i64>,
    #[serde(default)]
    score: Option<f64>,
    #[serde(borrow, default)]
    segmentation: Field<Segmentation<'a>>,
    #[serde(borrow, default)]
    predicted_segmentation: Field<Segmentation<'a>>,
    #[serde(borrow, default)]
    pred_mask: Field<Segmentation<'a>>,
    #[serde(default)]
    size: Option<[u32; 2]>,
    #[serde(borrow, default)]
    counts: Field<Counts<'a>>,
    #[serde(borrow, default)]
    mask: Field<Text<'a>>,
    #[serde(default)]
    no_target: Option<bool>,
    /// COCO's: x, y, width, height. Beside a `key`, ours: x0, y0, x1, y1.
    #[serde(default)]
    bbox: Option<Vec<f64>>,
    /// x0, y0, x1, y1.
    #[serde(rename = "box", default)]
    corners: Option<Vec<f64>>,
    #[serde(default)]
    predicted_box: Option<Vec<f64>>,
    #[serde(default)]
    boxes: Vec<[f64; 4]>,
    #[serde(default)]
    points: Vec<[f64; 2]>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

impl<'a> Record<'a> {
    fn ids(&mut self) -> Ids<'a> {
        let take = |id: &mut Option<Key<'a>>| id.take().map(|id| id.0);
        Ids {
            key: take(&mut self.key),
            sample_id: take(&mut self.sample_id).or(take(&mut self.idx)),
            ref_id: take(&mut self.ref_id),
            sent_id: take(&mut self.sent_id),
            text: None,
            ann_id: take(&mut self.ann_id),
            image_id: take(&mut self.image_id),
            category_id: self.category_id,
        }
    }

    /// All stated boxes, `[x0, y0, x1, y1]`.
    fn boxes(&mut self, is_ours: bool) -> Result<Vec<[f64; 4]>, Fault> {
        let mut boxes = std::mem::take(&mut self.boxes);
        if let Some(bbox) = four(self.bbox.take(), "bbox")? {
            let [x, y, width, height] = bbox;
            boxes.push(if is_ours { bbox } else { [x, y, x + width, y + height] });
        }
        let predicted = four(self.predicted_box.take(), "predicted_box")?;
        boxes.extend(predicted.or(four(self.corners.take(), "box")?));
        Ok(boxes)
    }

    /// The mask; `None` where the record has no field of one.
    fn answer(&mut self, path: &Path, strings: &mut Vec<u8>) -> Result<Option<Answer>, Fault> {
        let size = self.size.map(|[height, width]| Size::new(width, height));
        let fields =
            [&mut self.predicted_segmentation, &mut self.pred_mask, &mut self.segmentation];
        let mut is_null = self.no_target == Some(true);
        for field in fields {
            match std::mem::take(field) {
                Field::Given(segmentation) => return segmentation.answer(size, strings).map(Some),
                Field::Null => is_null = true,
                Field::Absent => {}
            }
        }
        match (std::mem::take(&mut self.counts), std::mem::take(&mut self.mask)) {
            (Field::Given(counts), _) => return counts.answer(size, "size", strings).map(Some),
            (_, Field::Given(name)) => return Ok(Some(mask_file(path, &name.0))),
            (Field::Absent, Field::Absent) => {}
            _ => is_null = true,
        }
        Ok(is_null.then(|| Answer::Geometry(Geometry::Coco(Vec::new()))))
    }
}

/// A box of four numbers; `[]` is none.
fn four(numbers: Option<Vec<f64>>, field: &'static str) -> Result<Option<[f64; 4]>, Fault> {
    match numbers.as_deref() {
        None | Some([]) => Ok(None),
        Some(&[a, b, c, d]) => Ok(Some([a, b, c, d])),
        Some(other) => Err(Fault::new(field, unexpected("four numbers", other.len()))),
    }
}

fn record(text: &[u8], path: &Path, strings: &mut Vec<u8>) -> Result<Found, Fault> {
    let mut record: Record<'_> = serde_json::from_slice(text).map_err(not_json)?;
    let is_ours = record.key.is_some();
    let key = record.ids().key().ok_or_else(|| {
        let what = "what it is for (`key`, `sample_id`, `idx`, `ref_id`, `ann_id` or `image_id`)";
        Fault { field: None, kind: ErrorKind::Missing { what: what.to_owned() } }
    })?;
    let boxes = record.boxes(is_ours)?;
    let text = record.text.take().map(Cow::into_owned);
    let answer = match record.answer(path, strings)? {
        Some(answer) => answer,
        None if !boxes.is_empty() => Answer::Boxes,
        None if text.is_some() => Answer::Reply,
        None => {
            let what = "the mask (`segmentation`, `pred_mask`, `counts`, `mask`, `bbox` or `text`)";
            return Err(Fault { field: None, kind: ErrorKind::Missing { what: what.to_owned() } });
        }
    };
    let said = Said { no_target: record.no_target, boxes, points: record.points, text };
    let item = Item { line: 0, answer, said: said.boxed() };
    Ok(Found { key, item, score: record.score })
}

/// `"key": mask`, as it stands in an object.
fn member(text: &[u8], strings: &mut Vec<u8>) -> Result<Found, Fault> {
    /// The mask, bare or in a record.
    #[derive(Deserialize)]
    struct Member<'a>(#[serde(borrow)] Field<Segmentation<'a>>);
    let object = [b"{", text, b"}"].concat();
    let members: std::collections::BTreeMap<String, Member<'_>> =
        serde_json::from_slice(&object).map_err(not_json)?;
    let Some((key, Member(mask))) = members.into_iter().next() else {
        return Err(Fault { field: None, kind: unexpected("`\"key\": mask`", "nothing") });
    };
    let answer = match mask {
        Field::Given(mask) => mask.answer(None, strings)?,
        _ => Answer::Geometry(Geometry::Coco(Vec::new())),
    };
    Ok(Found { key, item: Item { line: 0, answer, said: None }, score: None })
}

/// Every record is its own document: serde's "line 1" would mislead.
fn not_json(error: serde_json::Error) -> Fault {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let found = format!("{message} (column {})", error.column());
    Fault { field: None, kind: unexpected("a prediction in JSON", found) }
}
