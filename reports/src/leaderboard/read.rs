//! Reading the CSV files: ours, which are part of the program, and a user's own.

use std::path::Path;

use clap::ValueEnum;
use csv::{ReaderBuilder, StringRecord};
use segzero_datasets::{Error, ErrorKind};

use super::{Figure, Part, Percent};

/// The columns, in order.
pub const COLUMNS: [&str; 18] = [
    "set",
    "split_by",
    "split",
    "part",
    "method",
    "year",
    "backbone",
    "metric",
    "value",
    "printed_as",
    "protocol",
    "unit",
    "ignore",
    "trained_on",
    "table",
    "note",
    "source",
    "status",
];

/// Columns that a file must have; the others may be left out.
const REQUIRED: [&str; 7] = ["set", "split", "method", "metric", "value", "source", "status"];

/// The published figures that come with the program.
///
/// # Errors
/// None: a test reads them.
pub fn shipped() -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    for (name, text) in FILES {
        figures.extend(read(Path::new(name), text.as_bytes())?);
    }
    Ok(figures)
}

/// The files, by name; the paper's tables last.
pub const FILES: [(&str, &str); 6] = [
    ("refcoco.csv", include_str!("../../leaderboard/refcoco.csv")),
    ("refcoco-plus.csv", include_str!("../../leaderboard/refcoco-plus.csv")),
    ("refcocog.csv", include_str!("../../leaderboard/refcocog.csv")),
    ("grefcoco.csv", include_str!("../../leaderboard/grefcoco.csv")),
    ("reasonseg.csv", include_str!("../../leaderboard/reasonseg.csv")),
    ("seg-zero.csv", include_str!("../../leaderboard/seg-zero.csv")),
];

/// Reads figures in our schema (docs/leaderboard.md) from the bytes of the file at `path`.
///
/// # Errors
/// The first line that is no figure, with its column and what belongs there.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Vec<Figure>, Error> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().from_reader(bytes);
    let header = reader.headers().map_err(|e| csv_error(path, e))?.clone();
    check_header(path, &header)?;
    let mut figures = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| csv_error(path, e))?;
        let line = record.position().map_or(0, csv::Position::line);
        figures.push(Line { path, line, header: &header, record: &record }.figure()?);
    }
    Ok(figures)
}

fn csv_error(path: &Path, error: csv::Error) -> Error {
    let line = error.position().map(csv::Position::line);
    let kind = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => ErrorKind::Unexpected {
            expected: format!("{expected_len} fields, as in the header"),
            found: format!("{len}"),
        },
        csv::ErrorKind::Utf8 { .. } => {
            ErrorKind::Unexpected { expected: "UTF-8".to_owned(), found: "other bytes".to_owned() }
        }
        _ => error.into(),
    };
    let error = Error::new(path, kind);
    match line {
        Some(line) => error.record(format_args!("line {line}")),
        None => error,
    }
}

fn check_header(path: &Path, header: &StringRecord) -> Result<(), Error> {
    let error = |column: &str, kind| Error::new(path, kind).record("line 1").field(column);
    if let Some(missing) = REQUIRED.iter().find(|name| !header.iter().any(|h| h == **name)) {
        let what = format!("the column (of {})", COLUMNS.join(", "));
        return Err(error(missing, ErrorKind::Missing { what }));
    }
    for (i, name) in header.iter().enumerate() {
        let expected = format!("one of {}", COLUMNS.join(", "));
        if !COLUMNS.contains(&name) {
            let found = "no such column".to_owned();
            return Err(error(name, ErrorKind::Unexpected { expected, found }));
        }
        if header.iter().take(i).any(|earlier| earlier == name) {
            let found = "a second column of this name".to_owned();
            return Err(error(name, ErrorKind::Unexpected { expected, found }));
        }
    }
    Ok(())
}

/// One line of a file.
struct Line<'a> {
    path: &'a Path,
    line: u64,
    header: &'a StringRecord,
    record: &'a StringRecord,
}

impl Line<'_> {
    fn figure(&self) -> Result<Figure, Error> {
        let percent = "a number in percent such as `34.4`, with at most five decimals";
        Ok(Figure {
            set: self.required("set")?,
            split_by: self.text("split_by"),
            split: self.required("split")?,
            part: self.choice("part")?.unwrap_or(Part::All),
            method: self.required("method")?,
            year: self.parsed("year", "a year", |text| text.parse().ok())?,
            backbone: self.text("backbone"),
            metric: self.choice("metric")?.ok_or_else(|| self.missing("metric"))?,
            value: self
                .parsed("value", percent, Percent::parse)?
                .ok_or_else(|| self.missing("value"))?,
            printed_as: self.text("printed_as"),
            protocol: self.text("protocol"),
            unit: self.choice("unit")?,
            ignore: self.choice("ignore")?,
            trained_on: self.text("trained_on"),
            table: self.text("table"),
            note: self.text("note"),
            source: self.required("source")?,
            status: self.choice("status")?.ok_or_else(|| self.missing("status"))?,
        })
    }

    /// The field, unless it is empty or its column is absent.
    fn text(&self, column: &str) -> Option<String> {
        let i = self.header.iter().position(|name| name == column)?;
        let text = self.record.get(i)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn required(&self, column: &str) -> Result<String, Error> {
        self.text(column).ok_or_else(|| self.missing(column))
    }

    fn parsed<T>(
        &self,
        column: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.text(column) else { return Ok(None) };
        let fault =
            || ErrorKind::Unexpected { expected: expected.to_owned(), found: format!("`{text}`") };
        parse(&text).map(Some).ok_or_else(|| self.error(column, fault()))
    }

    fn choice<T: ValueEnum>(&self, column: &str) -> Result<Option<T>, Error> {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|variant| Some(variant.to_possible_value()?.get_name().to_owned()))
            .collect();
        let expected = format!("one of {}", names.join(", "));
        self.parsed(column, &expected, |text| T::from_str(text, false).ok())
    }

    fn missing(&self, column: &str) -> Error {
        self.error(column, ErrorKind::Missing { what: "the value".to_owned() })
    }

    fn error(&self, column: &str, kind: ErrorKind) -> Error {
        Error::new(self.path, kind).record(format_args!("line {}", self.line)).field(column)
    }
}
