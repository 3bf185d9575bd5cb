//! Replies, line by line: read, scored in parallel, written in their order.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use rayon::prelude::*;
use segzero_datasets::{Error, ErrorKind};
use segzero_eval::OnBadRecord;
use segzero_eval::reward::{Recipe, Rewards};
use segzero_train::{AdvantageOptions, advantages};
use serde::{Deserialize, Serialize, Serializer};

use super::solutions::Solutions;
use super::summary::Summary;
use crate::failure::Failure;
use crate::progress::{self, Verbosity};

/// Lines that are scored at once: enough for any number of threads, and some megabytes at most.
const CHUNK_LINES: usize = 4096;
const CHUNK_BYTES: usize = 8 << 20;
/// No honest reply is longer; a file without line ends must not fill the memory.
const MAX_LINE: u64 = 64 << 20;

/// Whether replies have an advantage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// No.
    None,
    /// Among those to one key that stand together.
    Together,
}

/// What scoring needs.
pub struct Scorer<'a> {
    /// The replies.
    pub path: &'a Path,
    /// The rewards.
    pub recipe: &'a Recipe,
    /// The truth.
    pub solutions: &'a Solutions,
    /// What to do with a line that cannot be read.
    pub on_bad: OnBadRecord,
    /// Whether advantages are computed.
    pub grouping: Grouping,
    /// Whether progress is shown.
    pub verbosity: Verbosity,
}

/// A string, or a number as it is written.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a string or an integer")]
pub enum Text {
    /// As it is.
    Text(String),
    /// As it is written.
    Number(serde_json::Number),
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::Text(text) => text,
            Text::Number(number) => number.to_string(),
        }
    }
}

/// A line of the file; other fields are not looked at.
#[derive(Deserialize)]
#[serde(expecting = "an object with `key` (or `id`) and `text` (or `reply`)")]
struct Reply<'a> {
    #[serde(alias = "id")]
    key: Text,
    #[serde(borrow, alias = "reply")]
    text: Cow<'a, str>,
}

/// A line that was scored, or not, having no example.
struct Outcome {
    key: String,
    scored: Option<(u32, Rewards)>,
}

/// A line as it is written.
#[derive(Serialize)]
pub struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(serialize_with = "as_map")]
    rewards: Option<&'a Rewards>,
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advantage: Option<f64>,
}

impl<'a> Line<'a> {
    /// What is said of one reply.
    pub fn new(key: &'a str, rewards: Option<&'a Rewards>, advantage: Option<f64>) -> Self {
        let score = rewards.map(|rewards| rewards.total);
        Self { key: Some(key), rewards, score, advantage }
    }

    /// The same of a reply that has no key.
    pub fn without_key(self) -> Self {
        Self { key: None, ..self }
    }
}

/// The rewards by name, in the order of the recipe.
fn as_map<S: Serializer>(rewards: &Option<&Rewards>, to: S) -> Result<S::Ok, S::Error> {
    match rewards {
        None => to.serialize_none(),
        Some(rewards) => to.collect_map(rewards.parts.iter().copied()),
    }
}

/// What is wrong with a line. Every line is its own document: serde's "line 1" would mislead.
pub fn json_error(path: &Path, error: &serde_json::Error) -> Error {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let found = format!("{message} (column {})", error.column());
    let expected = "a record in JSON".to_owned();
    Error::new(path, ErrorKind::Unexpected { expected, found })
}

impl Scorer<'_> {
    /// Scores every line, and writes what came of it to `out`.
    ///
    /// # Errors
    /// A file that cannot be read on, a line that cannot be read unless those are skipped, or an
    /// output that cannot be written.
    pub fn run(
        &self,
        mut out: Option<&mut dyn Write>,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let file = File::open(self.path).map_err(|e| Error::new(self.path, e))?;
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let bar = progress::bytes(length, "scoring", self.verbosity);
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let (mut number, mut group) = (0, Vec::new());
        loop {
            let lines = self.chunk(&mut reader, number)?;
            if lines.is_empty() {
                break;
            }
            number += lines.len();
            bar.inc(lines.iter().map(|(_, text)| text.len() as u64).sum());
            let outcomes: Vec<_> =
                lines.par_iter().map(|(line, text)| self.score(*line, text)).collect();
            for outcome in outcomes.into_iter().flatten() {
                let Some(outcome) = self.kept(outcome, summary)? else { continue };
                if group.last().is_some_and(|last: &Outcome| last.key != outcome.key)
                    || self.grouping == Grouping::None
                {
                    self.write(&mut group, &mut out, summary)?;
                }
                group.push(outcome);
            }
        }
        self.write(&mut group, &mut out, summary)?;
        bar.finish_and_clear();
        Ok(())
    }

    /// The next lines with their numbers, empty ones too.
    fn chunk(
        &self,
        reader: &mut impl BufRead,
        before: usize,
    ) -> Result<Vec<(usize, Vec<u8>)>, Error> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while lines.len() < CHUNK_LINES && bytes < CHUNK_BYTES {
            let number = before + lines.len() + 1;
            let at = |error: Error| error.record(format_args!("line {number}"));
            let mut line = Vec::new();
            let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            let read = read.map_err(|e| at(Error::new(self.path, e)))?;
            if read as u64 == MAX_LINE {
                let expected = "a line of less than 64 MiB".to_owned();
                let kind = ErrorKind::Unexpected { expected, found: "a longer one".to_owned() };
                return Err(at(Error::new(self.path, kind)));
            }
            if read == 0 {
                break;
            }
            bytes += read;
            lines.push((number, line));
        }
        Ok(lines)
    }

    /// `None` for an empty line.
    fn score(&self, number: usize, line: &[u8]) -> Option<Result<Outcome, Error>> {
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
        if text.is_empty() {
            return None;
        }
        let read = serde_json::from_slice::<Reply>(text).map(|reply| {
            let key = String::from(reply.key);
            let solution = self.solutions.get(&key);
            let scored = solution.map(|(at, truth)| (at, self.recipe.score(&reply.text, truth)));
            Outcome { key, scored }
        });
        let number = format_args!("line {number}");
        Some(read.map_err(|e| json_error(self.path, &e).record(number)))
    }

    /// Counts an outcome; `None` where the line could not be read.
    fn kept(
        &self,
        outcome: Result<Outcome, Error>,
        summary: &mut Summary,
    ) -> Result<Option<Outcome>, Error> {
        match (outcome, self.on_bad) {
            (Ok(outcome), _) => {
                match &outcome.scored {
                    Some((position, rewards)) => summary.add(*position, rewards),
                    None => summary.unknown.push(|| outcome.key.clone()),
                }
                Ok(Some(outcome))
            }
            (Err(error), OnBadRecord::Skip) => {
                summary.bad_replies.push(|| error.to_string());
                Ok(None)
            }
            (Err(error), OnBadRecord::Stop) => Err(error),
        }
    }

    /// Writes the replies to one key, and forgets them.
    fn write(
        &self,
        group: &mut Vec<Outcome>,
        out: &mut Option<&mut dyn Write>,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let scores = group.iter().filter_map(|outcome| Some(outcome.scored.as_ref()?.1.total));
        let scores: Vec<f64> = scores.collect();
        let is_grouped = self.grouping == Grouping::Together && !scores.is_empty();
        if let (true, Some((position, _))) =
            (is_grouped, group.first().and_then(|o| o.scored.as_ref()))
        {
            summary.add_group(*position, &group[0].key, &scores);
        }
        let Some(out) = out else {
            group.clear();
            return Ok(());
        };
        let mut of_group = match is_grouped {
            true => advantages(&scores, scores.len(), AdvantageOptions::default()).into_iter(),
            false => Vec::new().into_iter(),
        };
        for outcome in group.drain(..) {
            let rewards = outcome.scored.as_ref().map(|(_, rewards)| rewards);
            let line = Line::new(&outcome.key, rewards, of_group.next());
            serde_json::to_writer(&mut *out, &line).map_err(Failure::new)?;
            out.write_all(b"\n").map_err(Failure::new)?;
        }
        Ok(())
    }
}
