//! JSONL predictions: one object a line. The forms are listed in `docs/predictions.md`.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use segzero_datasets::scan::{Raw, Scanner};
use segzero_datasets::{Error, ErrorKind, Geometry, Mask, Size};

use super::fields::{Counts, Fault, Field, Key, Segmentation, Text, unexpected};
use super::{Answer, Item, OnBadRecord, Predictions, Said};

/// No honest prediction is longer; a file without line ends must not fill the memory.
pub(super) const MAX_LINE: u64 = 256 << 20;

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

/// Reads the file line by line, keeping only the keys' hashes and where the lines are.
pub(super) fn read(path: &Path, on_bad: OnBadRecord) -> Result<Predictions, Error> {
    let mut predictions = Predictions { path: path.to_owned(), ..Predictions::default() };
    let mut file = File::open(path).map_err(|e| Error::new(path, e))?;
    let metadata = file.metadata().map_err(|e| Error::new(path, e))?;
    if metadata.is_file() {
        index(BufReader::with_capacity(1 << 18, file), on_bad, &mut predictions)?;
    } else {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| Error::new(path, e))?;
        index(bytes.as_slice(), on_bad, &mut predictions)?;
        predictions.bytes = Some(bytes);
    }
    Ok(predictions)
}

fn index(
    mut reader: impl BufRead,
    on_bad: OnBadRecord,
    predictions: &mut Predictions,
) -> Result<(), Error> {
    let path = predictions.path.clone();
    let (mut buffer, mut strings) = (Vec::new(), Vec::new());
    let mut start = 0;
    for line in 1.. {
        buffer.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut buffer);
        let read = read.map_err(|e| Error::new(&path, e).record(format_args!("line {line}")))?;
        if read == 0 {
            break;
        }
        if read as u64 == MAX_LINE {
            let error =
                Error::new(&path, unexpected("a line of less than 256 MiB", "a longer one"));
            return Err(error.record(format_args!("line {line}")));
        }
        let text = buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&buffer).trim_ascii_start();
        let at = start + (buffer.len() - text.len()) as u64;
        let text = text.trim_ascii_end();
        start += read as u64;
        if text.is_empty() {
            continue;
        }
        strings.clear();
        match parse(text, &path, &mut strings) {
            Ok((key, ..)) => {
                let answer = Answer::Line(at, text.len() as u32);
                predictions.add(&key, Item { line, answer, said: None });
            }
            Err(fault) => {
                let error = fault.at(&path, line);
                if on_bad == OnBadRecord::Stop {
                    return Err(error);
                }
                predictions.bad.push(|| error.to_string());
            }
        }
    }
    Ok(())
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
        said.boxed()
    }
}

/// A line's key, and what stands under it.
pub(super) type Parsed<'a> = (Cow<'a, str>, Answer, Option<Box<Said>>);

/// A line with a key, a size and a compressed string, and nothing else.
#[derive(Default)]
struct Plain<'a> {
    key: Option<Raw<'a>>,
    size: Option<[u32; 2]>,
    counts: Option<Raw<'a>>,
}

impl<'a> Plain<'a> {
    fn scan(line: &'a [u8]) -> Option<Self> {
        let mut plain = Self::default();
        let mut scanner = Scanner::new(line);
        scanner.object(|name, value| match name {
            b"key" if plain.key.is_none() => {
                plain.key = Some(value.string()?);
                Some(())
            }
            b"segmentation" if plain.size.is_none() && plain.counts.is_none() => {
                value.object(|name, value| plain.mask(name, value))?;
                // Both stand within.
                plain.size.and(plain.counts).map(drop)
            }
            _ => plain.mask(name, value),
        })?;
        scanner.end()?;
        Some(plain)
    }

    fn mask(&mut self, name: &[u8], value: &mut Scanner<'a>) -> Option<()> {
        match name {
            b"size" if self.size.is_none() => self.size = Some(value.pair()?),
            b"counts" if self.counts.is_none() => self.counts = Some(value.string()?),
            _ => return None,
        }
        Some(())
    }
}

/// As [`parse`], for a line of the usual form; `None` for any other, right or wrong.
fn parse_plain<'a>(line: &'a [u8], strings: &mut Vec<u8>) -> Option<Parsed<'a>> {
    let Plain { key, size, counts } = Plain::scan(line)?;
    let [height, width] = size?;
    let size = Size::new(width, height);
    if size.pixels() > u64::from(u32::MAX) {
        return None;
    }
    let start = strings.len();
    counts?.unescape(strings)?;
    Some((Cow::Borrowed(key?.text()?), Answer::Rle(size, start..strings.len()), None))
}

/// Parses one line into its key and mask, whose string, if it has one, goes to the end of `strings`.
pub(super) fn parse<'a>(
    text: &'a [u8],
    file: &Path,
    strings: &mut Vec<u8>,
) -> Result<Parsed<'a>, Fault> {
    if let Some(parsed) = parse_plain(text, strings) {
        return Ok(parsed);
    }
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
            match said.as_deref() {
                Some(said) if !said.boxes.is_empty() => Answer::Boxes,
                Some(said) if said.text.is_some() => Answer::Reply,
                _ => {
                    let what = "the mask (`counts`, `segmentation`, `mask`, `bbox` or `no_target`)";
                    let kind = ErrorKind::Missing { what: what.into() };
                    return Err(Fault { field: None, kind });
                }
            }
        }
        // There is no target, or one of them is there and null.
        _ => empty(),
    };
    Ok((line.key.0, answer, said))
}

/// A mask file named in a line, relative to the predictions' own folder.
pub(super) fn mask_file(predictions: &Path, name: &str) -> Answer {
    let folder = predictions.parent().unwrap_or(Path::new(""));
    Answer::Geometry(Geometry::File(folder.join(name)))
}
