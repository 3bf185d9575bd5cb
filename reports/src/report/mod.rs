//! [`Report`]: files of scores as what a researcher puts beside a paper: a page, tables for Markdown,
//! LaTeX and CSV, JSON, and figures.
//!
//! All numbers are those of the score files. Only intervals that a file does not have are computed
//! here, from its rows.

mod changes;
mod data;
mod gallery;
mod html;
mod lines;
pub(crate) mod page;
mod pictures;
pub(crate) mod plain;
mod words;

use std::path::PathBuf;

use segzero_eval::resample::Options;
use segzero_eval::{Intervals, Run, Summary};

pub use changes::{Change, Changes};
pub use gallery::{Chosen, GalleryOptions};
pub use html::Link;
pub use lines::Line;
pub use page::Built;
pub use pictures::{Gallery, Place};

/// Runs side by side.
#[derive(Clone, Debug)]
pub struct Report {
    /// Title, in the head and at the top.
    pub title: String,
    /// The runs, in the order that was given; at least one, and each has rows.
    pub entries: Vec<Entry>,
    /// What changed from the first run to the second, where that is the question.
    pub changes: Option<Changes>,
}

/// One run with its name.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name, different from the others'.
    pub name: String,
    /// The file that it came from.
    pub path: PathBuf,
    /// The scores.
    pub run: Run,
    /// Its figures with their intervals: the protocol's headline first.
    pub lines: Vec<Line>,
    /// How sure they are: the file's own, or else by the options of [`Report::new`].
    pub intervals: Intervals,
    /// Whether the numbers are not those of the rows beside them.
    pub is_altered: bool,
}

/// A report that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is nothing to report on.
    #[error("no run was given")]
    NoRuns,
    /// A run has no row that counts.
    #[error("`{}` holds no scored sample", .0.display())]
    NoRows(PathBuf),
    /// Two runs have one name.
    #[error("two runs are called `{0}`")]
    SameName(String),
}

impl Report {
    /// A report on these runs: name, file and scores of each.
    ///
    /// # Errors
    /// No run, a run without a row that counts, or two runs of one name.
    pub fn new(
        runs: Vec<(String, PathBuf, Run)>,
        title: Option<String>,
        options: &Options,
    ) -> Result<Self, ReportError> {
        let mut entries: Vec<Entry> = Vec::with_capacity(runs.len());
        for (name, path, run) in runs {
            if run.scores.totals.summary.n == 0 || run.scores.rows.is_empty() {
                return Err(ReportError::NoRows(path));
            }
            if entries.iter().any(|entry| entry.name == name) {
                return Err(ReportError::SameName(name));
            }
            entries.push(Entry::new(name, path, run, options));
        }
        let Some(first) = entries.first() else { return Err(ReportError::NoRuns) };
        let title = title.unwrap_or_else(|| first.set());
        Ok(Self { title, entries, changes: None })
    }

    /// What the intervals are, for a footnote.
    fn footnote(&self) -> String {
        let mut said: Vec<String> = Vec::new();
        for entry in &self.entries {
            let words = entry.intervals.options.to_string();
            if !said.contains(&words) {
                said.push(words);
            }
        }
        format!("In percent, with {}.", said.join("; "))
    }

    /// The figures that any of the runs has, in the order of the first that has them.
    pub fn columns(&self) -> Vec<&Line> {
        let mut columns: Vec<&Line> = Vec::new();
        for line in self.entries.iter().flat_map(|entry| &entry.lines) {
            if columns.iter().all(|column| column.id != line.id) {
                columns.push(line);
            }
        }
        columns
    }
}

impl Entry {
    fn new(name: String, path: PathBuf, run: Run, options: &Options) -> Self {
        let totals = &run.scores.totals;
        let cells = run.scores.cells();
        let summary = Summary::of(&cells, &totals.protocol);
        let key = |s: &Summary| (s.n, s.skipped, s.giou, s.ciou, s.intersection, s.union);
        let is_altered = key(&summary) != key(&totals.summary);
        let known = totals.intervals.clone();
        let intervals = known.unwrap_or_else(|| Intervals::of(&cells, &totals.protocol, *options));
        let lines = lines::lines(&totals.summary, &totals.protocol, &intervals.figures);
        Self { name, path, run, lines, intervals, is_altered }
    }

    /// Data set and split.
    pub fn set(&self) -> String {
        let provenance = &self.run.provenance;
        match &provenance.split {
            Some(split) => format!("{} {split}", provenance.data),
            None => provenance.data.clone(),
        }
    }

    /// The figure of this id, where the run has it.
    pub fn line(&self, id: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.id == id)
    }

    /// What stands in the way of trusting its numbers, in sentences.
    pub fn warnings(&self) -> Vec<String> {
        let provenance = &self.run.provenance;
        let mut warnings = Vec::new();
        if self.is_altered {
            warnings.push("The numbers are not those of the rows beside them.".to_owned());
        }
        let has_all = self.run.scores.totals.problems.is_complete();
        let is_only_partial = has_all && !provenance.partial.is_empty();
        if !provenance.complete && !is_only_partial {
            let sentence = "INCOMPLETE: not every sample was scored on a prediction of its own.";
            warnings.push(sentence.to_owned());
        }
        warnings.extend(provenance.partial.iter().map(|words| format!("PARTIAL: {words}")));
        warnings
    }
}

#[cfg(test)]
mod tests;
