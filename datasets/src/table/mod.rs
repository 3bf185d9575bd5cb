//! A table of one's own: CSV or JSONL with image path, text and mask (`docs/own-masks.md`).
//!
//! Read row by row. Rows of one `id` follow each other and make one sample with several texts; that
//! is what keeps memory flat for tables of any length.

mod columns;
mod lines;
mod plain;
mod row;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use ahash::RandomState;

use crate::{Error, ErrorKind, Format, ReadOptions, Sample, SampleIter, Source, split_matches};
use lines::RowIter;
use row::{Row, Shared};

/// How much of a file is looked at to find out whether it is a table.
const PEEK: u64 = 1 << 20;

/// Sources of this format under `root`: `root` itself if it is a file with a table's extension,
/// whatever is in it; or those files right in the folder that have a table's columns.
pub(crate) fn find(root: &Path) -> Result<Vec<Source>, Error> {
    if root.is_file() {
        return Ok(if is_table(root) { vec![source(root)] } else { Vec::new() });
    }
    let entries = std::fs::read_dir(root).map_err(|e| Error::new(root, e))?;
    let files = entries.flatten().map(|entry| entry.path());
    Ok(files.filter(|path| is_table(path) && has_columns(path)).map(|path| source(&path)).collect())
}

/// Reads one.
pub(crate) fn samples(source: &Source, options: &ReadOptions) -> Result<SampleIter, Error> {
    let path = &source.annotations;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let images = source.images.clone().unwrap_or_else(|| folder.clone());
    let shared = Shared { dataset: source.name.as_str().into(), folder, images };
    let samples = Samples {
        path: path.clone(),
        rows: lines::open(path)?,
        shared,
        count: 0,
        current: None,
        splits: HashMap::default(),
        hashers: Default::default(),
    };
    let wanted = options.split.clone();
    Ok(Box::new(samples.filter(move |sample| match (&wanted, sample) {
        (Some(wanted), Ok(sample)) => split_matches(wanted, &sample.split),
        _ => true,
    })))
}

/// Joins rows of one id into samples.
struct Samples {
    path: std::path::PathBuf,
    rows: RowIter,
    shared: Shared,
    /// Rows so far, for those without an id.
    count: u64,
    /// The sample whose rows are being read.
    current: Option<(Row, Identity)>,
    /// Hashes of every key so far, by split. Of 128 bits: no two keys ever share one by chance.
    splits: HashMap<Arc<str>, HashSet<[u64; 2], RandomState>, RandomState>,
    hashers: [RandomState; 2],
}

/// Split and key.
type Identity = (Arc<str>, String);

impl Iterator for Samples {
    type Item = Result<Sample, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut row = match self.rows.next() {
                Some(Ok(row)) => row,
                Some(Err(error)) => {
                    self.count += 1;
                    return Some(Err(error));
                }
                None => return self.current.take().map(|done| self.finish(done)),
            };
            self.count += 1;
            let line = row.line;
            let identity = self.identity(&mut row);
            if let Some((first, _)) = self.current.as_mut().filter(|(_, id)| *id == identity) {
                if let Err(fault) = first.join(row) {
                    return Some(Err(self.fault(line, fault)));
                }
            } else if self.is_new(&identity) {
                if let Some(done) = self.current.replace((row, identity)) {
                    return Some(self.finish(done));
                }
            } else {
                let expected = "rows of one id to follow each other (sort the table by `id`)";
                let kind = ErrorKind::Unexpected {
                    expected: expected.to_owned(),
                    found: format!("`{}` again", columns::shortened(&identity.1)),
                };
                return Some(Err(self.fault(line, ("id", kind))));
            }
        }
    }
}

impl Samples {
    /// Split and key of a row, whose id is taken: its own, or `train` and its number among the rows. A further row of
    /// the current id may leave its split empty as well.
    fn identity(&mut self, row: &mut Row) -> Identity {
        let current = self.current.as_ref().map(|(_, identity)| identity);
        if let (Some(id), None, Some(current)) = (&row.id, &row.split, current)
            && *id == current.1
        {
            return current.clone();
        }
        let name = row.split.as_deref().unwrap_or("train");
        let split = match self.splits.get_key_value(name) {
            Some((split, _)) => split.clone(),
            None => name.into(),
        };
        (split, row.id.take().unwrap_or_else(|| self.count.to_string()))
    }

    /// Whether no sample before had this identity.
    fn is_new(&mut self, (split, key): &Identity) -> bool {
        let keys = match self.splits.get_mut(split) {
            Some(keys) => keys,
            None => self.splits.entry(split.clone()).or_default(),
        };
        keys.insert(self.hashers.each_ref().map(|hasher| hasher.hash_one(key)))
    }

    fn finish(&self, (row, (split, key)): (Row, Identity)) -> Result<Sample, Error> {
        let line = row.line;
        row.into_sample(&self.shared, &split, key).map_err(|fault| self.fault(line, fault))
    }

    fn fault(&self, line: u64, (field, kind): row::Fault) -> Error {
        Error::new(&self.path, kind).record(format_args!("line {line}")).field(field)
    }
}

fn is_table(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    is_jsonl(path) || ["csv", "tsv"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn is_jsonl(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["jsonl", "ndjson"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Whether the header, or the first line, has the columns of a table.
fn has_columns(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut line = Vec::new();
    let read = BufReader::new(file.take(PEEK)).read_until(b'\n', &mut line);
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
    if read.is_err() {
        return false;
    }
    if is_jsonl(path) {
        let fields: Result<row::Fields, _> = serde_json::from_slice(line);
        return fields.is_ok_and(|fields| columns::are_ours(fields.keys().map(String::as_str)));
    }
    let header = String::from_utf8_lossy(line);
    let names = header.split([',', ';', '\t']).map(|name| name.trim().trim_matches('"'));
    columns::are_ours(names)
}

fn source(path: &Path) -> Source {
    Source {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        split_by: None,
        format: Format::Table,
        annotations: path.to_owned(),
        images: None,
    }
}

#[cfg(test)]
mod tests;
