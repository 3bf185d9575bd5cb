//! CSV and JSONL files as rows, one at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::row::{Fields, Row};
use super::{columns, plain};
use crate::{Error, ErrorKind};

/// Bytes that one row may take. A row holds one object's mask, and even noise of 100 megapixels has
/// fewer; beyond it stands a quote that was never closed, or no table at all.
pub(super) const MAX_ROW: u64 = 256 << 20;

/// Rows of a table; those that cannot be read are errors.
pub(super) type RowIter = Box<dyn Iterator<Item = Result<Row, Error>> + Send>;

/// Opens a table by its extension.
pub(super) fn open(path: &Path) -> Result<RowIter, Error> {
    let file = File::open(path).map_err(|e| Error::new(path, e))?;
    let file = BufReader::with_capacity(1 << 18, file);
    if super::is_jsonl(path) { Ok(jsonl(path, file, MAX_ROW)) } else { csv(path, file, MAX_ROW) }
}

/// Rows of a JSONL file; empty lines are passed over.
pub(super) fn jsonl(path: &Path, mut file: impl BufRead + Send + 'static, limit: u64) -> RowIter {
    let (path, mut line) = (path.to_owned(), 0u64);
    let (mut buffer, mut counts) = (Vec::new(), Vec::new());
    let mut ended = false;
    Box::new(std::iter::from_fn(move || {
        while !ended {
            line += 1;
            let at = |kind: ErrorKind| Error::new(&path, kind).record(format_args!("line {line}"));
            match read_line(&mut file, &mut buffer, limit) {
                Ok(Line::End) => return None,
                Ok(Line::TooLong) => return Some(Err(at(too_long(limit)))),
                Ok(Line::Whole) => {
                    if line == 1 && buffer.starts_with(b"\xef\xbb\xbf") {
                        buffer.drain(..3);
                    }
                    if !buffer.trim_ascii().is_empty() {
                        return Some(json_row(&path, line, &buffer, &mut counts));
                    }
                }
                Err(e) => {
                    ended = true;
                    return Some(Err(at(e.into())));
                }
            }
        }
        None
    }))
}

enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads a line into `buffer`; of one longer than `limit` only the start is kept.
fn read_line(file: &mut impl BufRead, buffer: &mut Vec<u8>, limit: u64) -> io::Result<Line> {
    buffer.clear();
    let read = file.by_ref().take(limit).read_until(b'\n', buffer)?;
    if read == 0 {
        return Ok(Line::End);
    }
    if buffer.ends_with(b"\n") || (read as u64) < limit {
        return Ok(Line::Whole);
    }
    file.skip_until(b'\n')?;
    Ok(Line::TooLong)
}

/// `counts` is memory to use.
fn json_row(path: &Path, line: u64, text: &[u8], counts: &mut Vec<u8>) -> Result<Row, Error> {
    if let Some(row) = plain::row(line, text, counts) {
        return Ok(row);
    }
    let at = |kind: ErrorKind| Error::new(path, kind).record(format_args!("line {line}"));
    let fields: Value = serde_json::from_slice(text).map_err(|e| at(e.into()))?;
    let Value::Object(fields) = fields else {
        let (expected, found) = ("an object".to_owned(), "another value".to_owned());
        return Err(at(ErrorKind::Unexpected { expected, found }));
    };
    row(path, line, fields)
}

/// The row of some fields. A row that follows another of its id may lack columns, so that there only
/// a likely misspelling is a fault.
fn row(path: &Path, line: u64, fields: Fields) -> Result<Row, Error> {
    let keys: Vec<String> = fields.keys().cloned().collect();
    let unknown = keys.iter().any(|key| !columns::KNOWN.contains(&key.as_str()));
    let misspelt =
        if unknown { columns::check(keys.iter().map(String::as_str)).err() } else { None };
    let fault = match (Row::parse(line, fields), misspelt) {
        (Ok(row), None) => return Ok(row),
        (Ok(row), Some((_, ErrorKind::Missing { .. }))) if row.id.is_some() => return Ok(row),
        (_, Some(fault)) | (Err(fault), None) => fault,
    };
    Err(Error::new(path, fault.1).record(format_args!("line {line}")).field(fault.0))
}

/// Rows of a CSV file with a header line, separated by comma, semicolon or tab, whichever the header
/// has most of.
pub(super) fn csv(
    path: &Path,
    mut file: impl BufRead + Send + 'static,
    limit: u64,
) -> Result<RowIter, Error> {
    let at = |kind: ErrorKind| Error::new(path, kind).record("line 1");
    let start = file.fill_buf().map_err(|e| Error::new(path, e))?;
    let separator = separator(start);
    let left = Arc::new(AtomicU64::new(limit));
    let bounded = Bounded { inner: file, left: left.clone() };
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(bounded);
    let header = reader.byte_headers().map_err(|e| at(e.into()))?.clone();
    let header: Vec<String> =
        header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    columns::check(header.iter().map(String::as_str))
        .map_err(|(column, kind)| at(kind).field(column))?;

    let (path, mut record, mut ended) = (path.to_owned(), csv::ByteRecord::new(), false);
    Ok(Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        left.store(limit, Ordering::Relaxed);
        let found = reader.read_byte_record(&mut record);
        let line = record.position().map_or(0, csv::Position::line);
        let at = |kind: ErrorKind| Error::new(&path, kind).record(format_args!("line {line}"));
        match found {
            Ok(false) => None,
            Ok(true) => Some(csv_row(&path, line, &header, &record)),
            Err(e) => {
                ended = e.is_io_error();
                Some(Err(at(match e.into_kind() {
                    csv::ErrorKind::Io(e) => e.into(),
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        let expected = format!("{expected_len} fields, as the header has");
                        ErrorKind::Unexpected { expected, found: len.to_string() }
                    }
                    other => ErrorKind::Unexpected {
                        expected: "a CSV record".into(),
                        found: format!("{other:?}"),
                    },
                })))
            }
        }
    })))
}

fn csv_row(
    path: &Path,
    line: u64,
    header: &[String],
    record: &csv::ByteRecord,
) -> Result<Row, Error> {
    let mut fields = Fields::new();
    for (name, cell) in header.iter().zip(record) {
        if columns::KNOWN.contains(&name.as_str()) {
            let text = std::str::from_utf8(cell).map_err(|_| {
                let kind = ErrorKind::Unexpected {
                    expected: "UTF-8".into(),
                    found: "another encoding (in Excel, save as \"CSV UTF-8\")".into(),
                };
                Error::new(path, kind).record(format_args!("line {line}")).field(name)
            })?;
            fields.insert(name.clone(), Value::String(text.to_owned()));
        }
    }
    row(path, line, fields)
}

/// The likeliest separator of the header that `start` begins with.
fn separator(start: &[u8]) -> u8 {
    let header = start.split(|&b| b == b'\n').next().unwrap_or_default();
    let count = |separator: u8| header.iter().filter(|&&b| b == separator).count();
    let most =
        [b';', b'\t'].into_iter().max_by_key(|&s| count(s)).filter(|&s| count(s) > count(b','));
    most.unwrap_or(b',')
}

/// A reader that refuses to give more than `left` bytes; whoever holds the counter renews it.
struct Bounded<R> {
    inner: R,
    left: Arc<AtomicU64>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other("a row without end; is a quote not closed?"));
        }
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..wanted])?;
        self.left.store(left - read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn too_long(limit: u64) -> ErrorKind {
    ErrorKind::Unexpected {
        expected: format!("a line of less than {limit} bytes"),
        found: "a longer one".into(),
    }
}
