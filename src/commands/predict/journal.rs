//! A run on disk: every unit as it was answered, so that a run that was interrupted goes on.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};

use segzero_datasets::Error;
use segzero_reports::write_whole;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::entry::{Entry, Outcome, Seconds};
use super::summary::Summary;
use crate::failure::Failure;
use crate::masks::not_written;

/// What the run follows from.
pub const OPTIONS: &str = "run.json";
/// Units in the order in which they were answered; the last line of a unit counts.
const JOURNAL: &str = "journal.jsonl";
/// Masks, in the data set's order.
pub const PREDICTIONS: &str = "predictions.jsonl";
/// Units without a mask.
pub const FAILURES: &str = "failures.jsonl";
/// Seconds of each unit.
pub const TIMINGS: &str = "timings.jsonl";
/// Written last.
pub const SUMMARY: &str = "summary.json";

/// Which units are asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Those that were not answered.
    Nothing,
    /// Those without a mask too.
    Failures,
}

/// A journal that is open for more.
pub struct Journal {
    folder: PathBuf,
    file: File,
    /// Where the line of each unit begins, and whether it is a failure.
    lines: Vec<Option<(u64, bool)>>,
    end: u64,
}

impl Journal {
    /// Begins a run of so many units, or goes on with one that follows from the same options.
    ///
    /// # Errors
    /// A folder that holds another run, or is written into by one; what the operating system says.
    pub fn open(folder: &Path, options: &Value, units: usize) -> Result<Self, Failure> {
        let failed = not_written(folder);
        fs::create_dir_all(folder).map_err(&failed)?;
        let path = folder.join(JOURNAL);
        let file = File::options().read(true).append(true).create(true).open(&path);
        let file = file.map_err(not_written(&path))?;
        if file.try_lock().is_err() {
            let at = folder.display();
            return Err(Failure::new(format_args!("another run is writing into `{at}`"))
                .hint("wait for it, or choose another folder by `--out`"));
        }
        match read_options(folder)? {
            Some(found) => expect_same(folder, &found, options)?,
            None if fs::metadata(&path).is_ok_and(|found| found.len() > 0) => {
                let at = folder.display();
                return Err(Failure::new(format_args!("`{at}` has a journal but no `{OPTIONS}`"))
                    .hint("choose another folder by `--out`"));
            }
            None => write_json(&folder.join(OPTIONS), options)?,
        }
        let mut journal =
            Self { folder: folder.to_owned(), file, lines: vec![None; units], end: 0 };
        journal.read(&path)?;
        Ok(journal)
    }

    /// Finds the lines, and cuts off the last where it was torn.
    fn read(&mut self, path: &Path) -> Result<(), Failure> {
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = reader.read_until(b'\n', &mut line);
            read.map_err(|error| Failure::from(Error::new(path, error)))?;
            if line.last() != Some(&b'\n') {
                break;
            }
            let entry: Entry = serde_json::from_slice(&line).map_err(|error| {
                let at = path.display();
                Failure::new(format_args!("could not read `{at}`: line {number}: {error}"))
                    .hint("remove this line to have its query asked again")
            })?;
            if let Some(place) = self.lines.get_mut(entry.at) {
                *place = Some((self.end, matches!(entry.outcome, Outcome::Failure(_))));
            }
            self.end += line.len() as u64;
        }
        self.file.set_len(self.end).map_err(not_written(path))
    }

    /// For each unit whether it was answered; failures are not, where they are to be asked again.
    pub fn done(&self, retry: Retry) -> Vec<bool> {
        let done = |line: &Option<(u64, bool)>| match line {
            Some((_, true)) => retry == Retry::Nothing,
            Some((_, false)) => true,
            None => false,
        };
        self.lines.iter().map(done).collect()
    }

    /// Adds units that were answered together.
    ///
    /// # Errors
    /// A full disk.
    pub fn add(&mut self, entries: &[Entry]) -> Result<(), Failure> {
        let mut text = Vec::new();
        for entry in entries {
            let begin = self.end + text.len() as u64;
            serde_json::to_writer(&mut text, entry).map_err(Failure::new)?;
            text.push(b'\n');
            if let Some(place) = self.lines.get_mut(entry.at) {
                *place = Some((begin, matches!(entry.outcome, Outcome::Failure(_))));
            }
        }
        self.end += text.len() as u64;
        self.file.write_all(&text).map_err(not_written(&self.folder))
    }

    /// Writes predictions, failures, timings and then the summary, in the order of the units.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(&self) -> Result<Summary, Failure> {
        self.write(PREDICTIONS, |entry| match &entry.outcome {
            Outcome::Prediction(line) => Some(serde_json::to_string(line)),
            Outcome::Failure(_) => None,
        })?;
        self.write(FAILURES, |entry| match &entry.outcome {
            Outcome::Prediction(_) => None,
            Outcome::Failure(failed) => Some(serde_json::to_string(failed)),
        })?;
        let mut summary = Summary::default();
        self.write(TIMINGS, |entry| {
            summary.add(entry);
            let Seconds { reply, mask } = entry.seconds;
            let line = json!({"key": entry.outcome.key(), "reply": reply, "mask": mask});
            Some(Ok(line.to_string()))
        })?;
        write_json(&self.folder.join(SUMMARY), &summary)?;
        Ok(summary)
    }

    /// Writes a file with what `line` makes of each unit.
    fn write(
        &self,
        name: &str,
        mut line: impl FnMut(&Entry) -> Option<serde_json::Result<String>>,
    ) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let mut failure = None;
        let written = write_whole(&path, |out| {
            let each = self.each(|entry| match line(&entry) {
                Some(line) => {
                    writeln!(out, "{}", line.map_err(Failure::new)?).map_err(not_written(&path))
                }
                None => Ok(()),
            });
            each.map_err(|error| {
                failure = Some(error);
                ErrorKind::Other.into()
            })
        });
        match failure {
            Some(failure) => Err(failure),
            None => written.map_err(not_written(&path)),
        }
    }

    /// Every unit, in order.
    ///
    /// # Errors
    /// What `see` fails with; what the operating system says.
    pub fn each(&self, mut see: impl FnMut(Entry) -> Result<(), Failure>) -> Result<(), Failure> {
        let path = self.folder.join(JOURNAL);
        let failed = |error: std::io::Error| Failure::from(Error::new(&path, error));
        let mut journal = BufReader::new(&self.file);
        let mut text = String::new();
        for (begin, _) in self.lines.iter().flatten() {
            text.clear();
            let ahead = *begin as i64 - journal.stream_position().map_err(failed)? as i64;
            journal.seek_relative(ahead).map_err(failed)?;
            journal.read_line(&mut text).map_err(failed)?;
            see(serde_json::from_str(&text).map_err(Failure::new)?)?;
        }
        Ok(())
    }
}

/// What a run follows from, if there is one in the folder.
///
/// # Errors
/// A file that is damaged.
pub fn read_options(folder: &Path) -> Result<Option<Value>, Failure> {
    let path = folder.join(OPTIONS);
    let bytes = match fs::read(&path) {
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(None);
        }
        bytes => bytes.map_err(|error| Error::new(&path, error))?,
    };
    let options = serde_json::from_slice(&bytes);
    options
        .map(Some)
        .map_err(|error| Failure::new(format_args!("could not read `{}`: {error}", path.display())))
}

/// Writes a value as a file that people read too.
///
/// # Errors
/// What the operating system says.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::new)?;
    write_whole(path, |out| writeln!(out, "{text}")).map_err(not_written(path))
}

/// Refuses to go on with a run that follows from other options, and names them.
fn expect_same(folder: &Path, found: &Value, options: &Value) -> Result<(), Failure> {
    let differing = differences("", found, options);
    if differing.is_empty() {
        return Ok(());
    }
    let at = folder.display();
    let failure = format!("`{at}` holds a run with other options: {}", differing.join("; "));
    Err(Failure::new(failure).hint("choose another folder by `--out`, or remove this one"))
}

/// Where two values differ, by the names of their fields.
pub fn differences(name: &str, a: &Value, b: &Value) -> Vec<String> {
    let (Value::Object(left), Value::Object(right)) = (a, b) else {
        let differs = a != b;
        return differs.then(|| format!("{name} was {a} and is {b}")).into_iter().collect();
    };
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let of = |side: &Map<String, Value>, name| side.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .flat_map(|inner| {
            let whole = if name.is_empty() { inner.clone() } else { format!("{name}.{inner}") };
            differences(&whole, &of(left, inner), &of(right, inner))
        })
        .collect()
}
