//! The two JSONL files: questions with the answers of people, and answers of a model.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use segzero_datasets::{Error, ErrorKind};
use serde::Deserialize;

/// No honest line is longer.
const MAX_LINE: u64 = 16 << 20;

/// One line of either file. Unknown fields are no concern of ours.
#[derive(Deserialize)]
#[serde(expecting = "an object with an `id` and an `answer`")]
struct Line {
    id: Option<Text>,
    question_id: Option<Text>,
    answer: Option<Texts>,
    answers: Option<Texts>,
    #[serde(rename = "type")]
    kind: Option<Text>,
    image: Option<Text>,
    image_id: Option<Text>,
}

/// A string, or a number as it is written.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a string or a number")]
enum Text {
    Text(String),
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

#[derive(Deserialize)]
#[serde(untagged, expecting = "a string, a number or a list of them")]
enum Texts {
    One(Text),
    Many(Vec<Text>),
}

/// A line that says something under an id.
pub(super) struct Record {
    /// Number of the line, from 1.
    pub line: usize,
    /// Id of the question.
    pub id: String,
    /// The answers, in the file's order; at least one.
    pub answers: Vec<String>,
    /// The question's type.
    pub kind: Option<String>,
    /// The question's image.
    pub image: Option<String>,
}

/// Reads a file line by line. `take` gets each record, or what is wrong with it, and may stop with
/// an error.
pub(super) fn each(
    path: &Path,
    mut take: impl FnMut(Result<Record, Error>) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = File::open(path).map_err(|e| Error::new(path, e))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut buffer = Vec::new();
    for line in 1.. {
        buffer.clear();
        let at_line = |error: Error| error.record(format_args!("line {line}"));
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut buffer);
        match read.map_err(|e| at_line(Error::new(path, e)))? {
            0 => break,
            read if read as u64 == MAX_LINE => {
                let kind = unexpected("a line of less than 16 MiB", "a longer one");
                return Err(at_line(Error::new(path, kind)));
            }
            _ => {}
        }
        let text = buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&buffer).trim_ascii();
        if !text.is_empty() {
            take(parse(text, line).map_err(|(field, kind)| {
                let error = at_line(Error::new(path, kind));
                match field {
                    Some(field) => error.field(field),
                    None => error,
                }
            }))?;
        }
    }
    Ok(())
}

fn parse(text: &[u8], line: usize) -> Result<Record, (Option<&'static str>, ErrorKind)> {
    let parsed: Line = serde_json::from_slice(text).map_err(|e| {
        // Every line is its own document: serde's "line 1" would mislead.
        let message = e.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let found = format!("{message} (column {})", e.column());
        (None, unexpected("a record in JSON", &found))
    })?;
    let missing = |field, what: &str| (Some(field), ErrorKind::Missing { what: what.to_owned() });
    let id = parsed.id.or(parsed.question_id);
    let id = id.ok_or_else(|| missing("id", "the question's id (or `question_id`)"))?;
    let answers = match parsed.answers.or(parsed.answer) {
        Some(Texts::One(text)) => vec![text.into()],
        Some(Texts::Many(texts)) => texts.into_iter().map(String::from).collect(),
        None => Vec::new(),
    };
    if answers.is_empty() {
        return Err(missing("answer", "an answer (or `answers`)"));
    }
    let image = parsed.image.or(parsed.image_id).map(String::from);
    Ok(Record { line, id: id.into(), answers, kind: parsed.kind.map(String::from), image })
}

/// An [`ErrorKind::Unexpected`].
pub(super) fn unexpected(expected: &str, found: &str) -> ErrorKind {
    ErrorKind::Unexpected { expected: expected.to_owned(), found: found.to_owned() }
}
