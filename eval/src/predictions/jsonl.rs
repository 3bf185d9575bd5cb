//! JSONL predictions: one object a line. The forms are listed in `docs/predictions.md`.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use segzero_datasets::{CocoSegmentation, Error, ErrorKind, Geometry, Mask, MaskError, Size};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor, value};

use super::{Answer, Item, OnBadRecord, Predictions, Said};

/// No honest prediction is longer; a file without line ends must not fill the memory.
const MAX_LINE: u64 = 256 << 20;

/// One line of the file, without a line end, for a mask under a key.
///
/// ```
/// use segzero_datasets::{Mask, Size};
/// let line = segzero_eval::prediction_line("7:1", &Mask::full(Size::new(4, 3)));
/// assert_eq!(line, r#"{"key":"7:1","size":[3,4],"counts":"0<"}"#);
/// ```
pub fn prediction_line(key: &str, mask: &Mask) -> String {
    let Size { width, height } = mask.size();
    // A JSON value prints as JSON; the COCO alphabet has a backslash that needs its escape.
    let key = serde_json::Value::from(key);
    let counts = serde_json::Value::from(mask.to_coco_string());
    format!(r#"{{"key":{key},"size":[{height},{width}],"counts":{counts}}}"#)
}

/// Reads the file line by line, keeping only keys and compact masks.
pub(super) fn read(path: &Path, on_bad: OnBadRecord) -> Result<Predictions, Error> {
    let file = File::open(path).map_err(|e| Error::new(path, e))?;
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut predictions = Predictions { path: path.to_owned(), ..Predictions::default() };
    let mut buffer = Vec::new();
    for line in 1.. {
        buffer.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut buffer);
        let read = read.map_err(|e| Error::new(path, e).record(format_args!("line {line}")))?;
        if read == 0 {
            break;
        }
        if read as u64 == MAX_LINE {
            let error = Error::new(path, unexpected("a line of less than 256 MiB", "a longer one"));
            return Err(error.record(format_args!("line {line}")));
        }
        let text = buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&buffer).trim_ascii();
        if text.is_empty() {
            continue;
        }
        match parse(text, path, &mut predictions.strings) {
            Ok((key, answer, said)) => predictions.add(&key, Item { line, answer, said }),
            Err(fault) => {
                let error = fault.at(path, line);
                if on_bad == OnBadRecord::Stop {
                    return Err(error);
                }
                predictions.bad.push(|| error.to_string());
            }
        }
    }
    Ok(predictions)
}

/// What is wrong with a line.
struct Fault {
    field: Option<&'static str>,
    kind: ErrorKind,
}

impl Fault {
    fn new(field: &'static str, kind: impl Into<ErrorKind>) -> Self {
        Self { field: Some(field), kind: kind.into() }
    }

    fn at(self, path: &Path, line: usize) -> Error {
        let error = Error::new(path, self.kind).record(format_args!("line {line}"));
        match self.field {
            Some(field) => error.field(field),
            None => error,
        }
    }
}

fn unexpected(expected: impl ToString, found: impl ToString) -> ErrorKind {
    ErrorKind::Unexpected { expected: expected.to_string(), found: found.to_string() }
}

/// The private mirror of a line. Unknown fields (scores, texts) are no concern of ours.
#[derive(serde::Deserialize)]
#[serde(expecting = "an object with a `key` and a mask")]
struct Line<'a> {
    #[serde(borrow)]
    key: Key<'a>,
    #[serde(default)]
    size: Option<[u32; 2]>,
    #[serde(borrow, default)]
    counts: Field<Counts<'a>>,
    #[serde(borrow, default)]
    segmentation: Field<Segmentation<'a>>,
    #[serde(borrow, default)]
    mask: Field<Text<'a>>,
    #[serde(default)]
    no_target: Option<bool>,
    /// One box.
    #[serde(default)]
    bbox: Option<[f64; 4]>,
    #[serde(default)]
    boxes: Vec<[f64; 4]>,
    #[serde(default)]
    points: Vec<[f64; 2]>,
    /// The model's reply.
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

impl Line<'_> {
    /// What it says beside the mask.
    fn said(&mut self) -> Option<Box<Said>> {
        let mut boxes = std::mem::take(&mut self.boxes);
        boxes.extend(self.bbox);
        let said = Said {
            no_target: self.no_target,
            boxes,
            points: std::mem::take(&mut self.points),
            text: self.text.take().map(Cow::into_owned),
        };
        (said != Said::default()).then(|| Box::new(said))
    }
}

/// Parses one line into its key and mask, whose string, if it has one, goes to the end of `strings`.
fn parse<'a>(
    text: &'a [u8],
    file: &Path,
    strings: &mut Vec<u8>,
) -> Result<(Cow<'a, str>, Answer, Option<Box<Said>>), Fault> {
    let mut line: Line<'a> = serde_json::from_slice(text).map_err(|e| {
        // Every line is its own document: serde's "line 1" would mislead.
        let message = e.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let found = format!("{message} (column {})", e.column());
        Fault { field: None, kind: unexpected("a prediction in JSON", found) }
    })?;
    let size = line.size.map(|[height, width]| Size::new(width, height));
    let empty = || Answer::Geometry(Geometry::Coco(Vec::new()));
    let said = line.said();
    let answer = match (line.segmentation, line.counts, line.mask) {
        (Field::Given(segmentation), _, _) => segmentation.answer(size, strings)?,
        (_, Field::Given(counts), _) => counts.answer(size, "size", strings)?,
        (_, _, Field::Given(name)) => mask_file(file, &name.0),
        (Field::Absent, Field::Absent, Field::Absent) if line.no_target != Some(true) => {
            if said.as_ref().is_none_or(|said| said.boxes.is_empty()) {
                let what = "the mask (`counts`, `segmentation`, `mask`, `bbox` or `no_target`)";
                return Err(Fault { field: None, kind: ErrorKind::Missing { what: what.into() } });
            }
            Answer::Boxes
        }
        // There is no target, or one of them is there and null.
        _ => empty(),
    };
    Ok((line.key.0, answer, said))
}

/// A mask file named in a line, relative to the predictions' own folder.
fn mask_file(predictions: &Path, name: &str) -> Answer {
    let folder = predictions.parent().unwrap_or(Path::new(""));
    Answer::Geometry(Geometry::File(folder.join(name)))
}

/// A field that may be absent, null, or there.
#[derive(Default)]
enum Field<T> {
    #[default]
    Absent,
    Null,
    Given(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<T>::deserialize(deserializer)?;
        Ok(value.map_or(Self::Null, Self::Given))
    }
}

/// A string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A string or an integer.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or an integer as `key`")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_owned())))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_string())))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_string())))
            }
        }
        deserializer.deserialize_any(KeyVisitor)
    }
}

/// COCO counts: the compressed string, or the list of runs.
enum Counts<'a> {
    String(Cow<'a, str>),
    Runs(Vec<u32>),
}

impl Counts<'_> {
    /// `size_field` is where the size should have stood.
    fn answer(
        self,
        size: Option<Size>,
        size_field: &'static str,
        strings: &mut Vec<u8>,
    ) -> Result<Answer, Fault> {
        let missing = || ErrorKind::Missing { what: "`size`, as [height, width]".to_owned() };
        let size = size.ok_or_else(|| Fault::new(size_field, missing()))?;
        if size.pixels() > u64::from(u32::MAX) {
            return Err(Fault::new(size_field, MaskError::TooLarge { size }));
        }
        let start = strings.len();
        match self {
            Self::String(string) => strings.extend_from_slice(string.as_bytes()),
            Self::Runs(runs) => {
                let mask = Mask::from_runs(size, &runs).map_err(|e| Fault::new("counts", e))?;
                strings.extend_from_slice(mask.to_coco_string().as_bytes());
            }
        }
        Ok(Answer::Rle(size, start..strings.len()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Counts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountsVisitor;
        impl<'de> Visitor<'de> for CountsVisitor {
            type Value = Counts<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a COCO string or a list of runs as `counts`")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Counts::String(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Counts::String(Cow::Owned(v.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                let runs = Vec::deserialize(value::SeqAccessDeserializer::new(seq))?;
                Ok(Counts::Runs(runs))
            }
        }
        deserializer.deserialize_any(CountsVisitor)
    }
}

/// COCO's `segmentation`: an object of size and counts, or a list of polygons.
enum Segmentation<'a> {
    Rle { size: Option<[u32; 2]>, counts: Counts<'a> },
    Polygons(Vec<Vec<f64>>),
}

impl Segmentation<'_> {
    fn answer(self, size_of_line: Option<Size>, strings: &mut Vec<u8>) -> Result<Answer, Fault> {
        match self {
            Self::Rle { size, counts } => {
                let size = size.map(|[height, width]| Size::new(width, height));
                counts.answer(size.or(size_of_line), "segmentation.size", strings)
            }
            Self::Polygons(polygons) if polygons.is_empty() => {
                Ok(Answer::Geometry(Geometry::Coco(Vec::new())))
            }
            Self::Polygons(polygons) => {
                let parts = vec![CocoSegmentation::Polygons(polygons)];
                Ok(Answer::Geometry(Geometry::Coco(parts)))
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Segmentation<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Rle<'a> {
            #[serde(default)]
            size: Option<[u32; 2]>,
            #[serde(borrow)]
            counts: Counts<'a>,
        }
        struct SegmentationVisitor;
        impl<'de> Visitor<'de> for SegmentationVisitor {
            type Value = Segmentation<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an RLE object or a list of polygons as `segmentation`")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let rle = Rle::deserialize(value::MapAccessDeserializer::new(map))?;
                Ok(Segmentation::Rle { size: rle.size, counts: rle.counts })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                let polygons = Vec::deserialize(value::SeqAccessDeserializer::new(seq))?;
                Ok(Segmentation::Polygons(polygons))
            }
        }
        deserializer.deserialize_any(SegmentationVisitor)
    }
}
