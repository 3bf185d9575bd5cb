//! The records of `refs(SPLITBY).p` and `grefs(SPLITBY).json`.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::coco::elements::{elements, whole};
use crate::coco::instances::outline_kind;
use crate::pickle::{self, Pickle, PickleError, PickleFault, Value};
use crate::{Error, ErrorKind, Query};

/// One referred object, its fields as they stand in the file.
#[derive(Debug)]
pub(crate) struct RefRecord {
    pub ref_id: i64,
    /// Empty: no target (gRefCOCO's `[-1]`).
    pub ann_ids: Vec<i64>,
    pub image_id: i64,
    pub split: Arc<str>,
    pub queries: Vec<Query>,
}

/// Reads all records of a file; an unreadable one is an `Err` in its place.
///
/// # Errors
/// When the file as a whole cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<Result<RefRecord, Error>>, Error> {
    let bytes = std::fs::read(path).map_err(|e| Error::new(path, e))?;
    match path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
        true => read_json(path, &bytes),
        false => read_pickle(path, &bytes),
    }
}

// --- pickle ---

fn read_pickle(path: &Path, bytes: &[u8]) -> Result<Vec<Result<RefRecord, Error>>, Error> {
    let pickle = pickle::parse(bytes).map_err(|e| Error::new(path, e))?;
    let root = pickle.root();
    let items = pickle.items(root).ok_or_else(|| {
        let expected = "a list of refs".to_owned();
        Error::new(path, ErrorKind::Unexpected { expected, found: root.type_name().to_owned() })
    })?;
    // A pickle of a few bytes can mention one list a million times. Honest files share only short
    // texts, so that copies many times the file's size are an attack on the memory.
    let budget = bytes.len().saturating_mul(8).saturating_add(1 << 16);
    let mut reader = Reader { path, pickle: &pickle, budget, splits: Vec::new() };
    let mut records = Vec::with_capacity(items.len());
    for (position, &item) in items.iter().enumerate() {
        let record = reader.record(item, position);
        if reader.budget == 0 {
            let error = PickleError { offset: bytes.len(), fault: PickleFault::Expansion };
            return Err(Error::new(path, error));
        }
        records.push(record);
    }
    Ok(records)
}

struct Reader<'a> {
    path: &'a Path,
    pickle: &'a Pickle<'a>,
    /// Bytes that may still be copied out.
    budget: usize,
    splits: Vec<Arc<str>>,
}

impl<'a> Reader<'a> {
    fn record(&mut self, item: Value<'a>, position: usize) -> Result<RefRecord, Error> {
        let ref_id = self.int(item, "ref_id").map_err(|e| e.record(format!("refs[{position}]")))?;
        self.body(item, ref_id).map_err(|e| {
            let record = match &e.record {
                Some(inner) => format!("ref_id {ref_id}, {inner}"),
                None => format!("ref_id {ref_id}"),
            };
            e.record(record)
        })
    }

    fn body(&mut self, item: Value<'a>, ref_id: i64) -> Result<RefRecord, Error> {
        let image_id = self.int(item, "image_id")?;
        let ann_ids = self.ann_ids(item)?;
        let split = self.split(item)?;
        let sentences = self.field(item, "sentences")?;
        let Some(sentences) = self.pickle.items(sentences) else {
            return Err(self.unexpected("sentences", "a list", sentences));
        };
        let mut queries = Vec::with_capacity(sentences.len().min(self.budget));
        for (position, &sentence) in sentences.iter().enumerate() {
            let query = self.query(sentence);
            queries.push(query.map_err(|e| e.record(format!("sentences[{position}]")))?);
        }
        if queries.is_empty() {
            let kind = ErrorKind::Missing { what: "any sentence".to_owned() };
            return Err(Error::new(self.path, kind).field("sentences"));
        }
        Ok(RefRecord { ref_id, ann_ids, image_id, split, queries })
    }

    fn query(&mut self, sentence: Value<'a>) -> Result<Query, Error> {
        let id = match self.pickle.get(sentence, "sent_id") {
            Some(_) => Some(self.int(sentence, "sent_id")?),
            None => None,
        };
        let text = self.text(sentence, "sent")?;
        let raw = match self.pickle.get(sentence, "raw") {
            Some(_) => self.text(sentence, "raw")?,
            None => text,
        };
        self.spend(text.len() + raw.len() + size_of::<Query>() / 4)?;
        Ok(Query { id, raw: raw.to_owned(), text: text.to_owned() })
    }

    fn ann_ids(&mut self, item: Value<'a>) -> Result<Vec<i64>, Error> {
        let value = self.field(item, "ann_id")?;
        if let Some(id) = value.int() {
            return Ok(targets(vec![id]));
        }
        let Some(items) = self.pickle.items(value) else {
            return Err(self.unexpected("ann_id", "an integer or a list of them", value));
        };
        self.spend(items.len())?;
        let ids = items
            .iter()
            .map(|id| id.int().ok_or_else(|| self.unexpected("ann_id", "integers", *id)));
        Ok(targets(ids.collect::<Result<_, _>>()?))
    }

    /// The split's name, shared between all records of it.
    fn split(&mut self, item: Value<'a>) -> Result<Arc<str>, Error> {
        let split = self.text(item, "split")?;
        if let Some(known) = self.splits.iter().find(|known| ***known == *split) {
            return Ok(Arc::clone(known));
        }
        self.spend(split.len())?;
        let split: Arc<str> = split.into();
        // There are a handful; a file where every record has its own must not cost quadratic time.
        if self.splits.len() < 64 {
            self.splits.push(Arc::clone(&split));
        }
        Ok(split)
    }

    fn field(&self, dict: Value<'a>, name: &str) -> Result<Value<'a>, Error> {
        self.pickle.get(dict, name).ok_or_else(|| match dict {
            Value::Dict(_) => Error::new(self.path, ErrorKind::Missing { what: name.to_owned() }),
            other => Error::new(
                self.path,
                ErrorKind::Unexpected {
                    expected: "a dict".to_owned(),
                    found: other.type_name().to_owned(),
                },
            ),
        })
    }

    fn int(&self, dict: Value<'a>, name: &str) -> Result<i64, Error> {
        let value = self.field(dict, name)?;
        value.int().ok_or_else(|| self.unexpected(name, "an integer", value))
    }

    fn text(&self, dict: Value<'a>, name: &str) -> Result<&'a str, Error> {
        let value = self.field(dict, name)?;
        self.pickle.text(value).ok_or_else(|| self.unexpected(name, "a string", value))
    }

    fn unexpected(&self, field: &str, expected: &str, found: Value<'_>) -> Error {
        let found = found.type_name().to_owned();
        let kind = ErrorKind::Unexpected { expected: expected.to_owned(), found };
        Error::new(self.path, kind).field(field)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        self.budget = self.budget.saturating_sub(bytes);
        if self.budget > 0 {
            return Ok(());
        }
        let error = PickleError { offset: 0, fault: PickleFault::Expansion };
        Err(Error::new(self.path, error))
    }
}

/// gRefCOCO writes "no target" as the id -1.
fn targets(mut ids: Vec<i64>) -> Vec<i64> {
    ids.retain(|&id| id != -1);
    ids
}

// --- JSON ---

#[derive(Deserialize)]
struct RawRef {
    ann_id: OneOrMany,
    image_id: i64,
    split: String,
    sentences: Vec<RawSentence>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(i64),
    Many(Vec<i64>),
}

#[derive(Deserialize)]
struct RawSentence {
    sent_id: Option<i64>,
    sent: String,
    raw: Option<String>,
}

#[derive(Deserialize)]
struct RawRefId {
    ref_id: i64,
}

fn read_json(path: &Path, bytes: &[u8]) -> Result<Vec<Result<RefRecord, Error>>, Error> {
    let mut records = Vec::new();
    for (position, element) in elements(bytes, whole(bytes)).enumerate() {
        let element = element.map_err(|e| Error::new(path, outline_kind(e)))?;
        records.push(json_record(path, &bytes[element.value], position));
    }
    Ok(records)
}

fn json_record(path: &Path, json: &[u8], position: usize) -> Result<RefRecord, Error> {
    let RawRefId { ref_id } = serde_json::from_slice(json)
        .map_err(|e| Error::new(path, e).record(format!("refs[{position}]")))?;
    let record = format!("ref_id {ref_id}");
    let raw: RawRef =
        serde_json::from_slice(json).map_err(|e| Error::new(path, e).record(&record))?;
    if raw.sentences.is_empty() {
        let kind = ErrorKind::Missing { what: "any sentence".to_owned() };
        return Err(Error::new(path, kind).record(record).field("sentences"));
    }
    let query = |sentence: RawSentence| Query {
        id: sentence.sent_id,
        raw: sentence.raw.unwrap_or_else(|| sentence.sent.clone()),
        text: sentence.sent,
    };
    Ok(RefRecord {
        ref_id,
        ann_ids: targets(match raw.ann_id {
            OneOrMany::One(id) => vec![id],
            OneOrMany::Many(ids) => ids,
        }),
        image_id: raw.image_id,
        split: raw.split.into(),
        queries: raw.sentences.into_iter().map(query).collect(),
    })
}
