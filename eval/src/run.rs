//! [`Run`]: the file of scores.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use segzero_datasets::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::{Row, Scores, Totals};

/// A file of scores: what `segzero eval --out` writes and `segzero report`, `compare`, `leaderboard`
/// and `merge` read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Where the scores come from.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// The scores.
    #[serde(flatten)]
    pub scores: Scores,
}

/// Where scores come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this tool.
    pub segzero: String,
    /// Name of the data set, with REFER's `splitBy`: `refcocog/umd`.
    pub data: String,
    /// The split that was asked for.
    pub split: Option<String>,
    /// Where the data set lies; none where the predictions brought their own counts.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// Where the images lie, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Where the predictions lie.
    pub predictions: PathBuf,
    /// Whether every unit was scored on a prediction of its own, and every unit of the split was.
    pub complete: bool,
    /// How the number of units differs from the published one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partial: Vec<String>,
    /// How a model was heard, where the predictions are a run of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Heard>,
}

/// What became of the replies of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Queries that were asked.
    pub units: u64,
    /// Those without a mask, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Replies that had to be repaired, by what was wrong.
    pub repairs: BTreeMap<String, u64>,
}

impl Heard {
    /// The same of two parts of a run.
    #[must_use]
    pub fn join(mut self, other: &Self) -> Self {
        self.units += other.units;
        for (ours, theirs) in
            [(&mut self.failures, &other.failures), (&mut self.repairs, &other.repairs)]
        {
            for (name, count) in theirs {
                *ours.entry(name.clone()).or_default() += count;
            }
        }
        self
    }

    /// What failed and what was repaired, in words.
    pub fn lines(&self) -> Vec<String> {
        let line = |what: &str, counts: &BTreeMap<String, u64>| {
            let total: u64 = counts.values().sum();
            let each: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
            (total > 0).then(|| format!("{total} of {} {what}: {}", self.units, each.join(", ")))
        };
        let failed = line("queries have no mask", &self.failures);
        let repaired = line("replies were repaired", &self.repairs);
        failed.into_iter().chain(repaired).collect()
    }
}

impl Run {
    /// Reads a file that `segzero eval --out` wrote.
    ///
    /// # Errors
    /// A file that cannot be read or is no such file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|e| Error::new(path, e))?;
        serde_json::from_slice(&bytes).map_err(|e| {
            let expected = "scores as `segzero eval --out` writes them".to_owned();
            Error::new(path, ErrorKind::Unexpected { expected, found: e.to_string() })
        })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write(&self, mut out: impl Write) -> std::io::Result<()> {
        write_head(&self.provenance, &self.scores.totals, &mut out)?;
        for (position, row) in self.scores.rows.iter().enumerate() {
            write_row(position as u64, row, &mut out)?;
        }
        out.write_all(TAIL)
    }
}

const TAIL: &[u8] = b"\n]}\n";

/// The file up to its rows: everything but them stands first, for people who look at it.
fn write_head(
    provenance: &Provenance,
    totals: &Totals,
    mut out: impl Write,
) -> std::io::Result<()> {
    #[derive(Serialize)]
    struct Head<'a> {
        #[serde(flatten)]
        provenance: &'a Provenance,
        #[serde(flatten)]
        totals: &'a Totals,
    }
    let head = serde_json::to_string(&Head { provenance, totals })?;
    write!(out, "{},\"rows\":[", head.strip_suffix('}').unwrap_or(&head))
}

/// One row on a line of its own.
fn write_row(position: u64, row: &Row, mut out: impl Write) -> std::io::Result<()> {
    out.write_all(if position == 0 { b"\n" } else { b",\n" })?;
    serde_json::to_writer(out, row).map_err(Into::into)
}

/// Takes rows as they are scored, and writes the file when all are: a million rows need not be in
/// memory. They wait in a file beside the one to be.
#[derive(Debug)]
pub struct RunWriter {
    spool: BufWriter<File>,
    path: PathBuf,
    rows: u64,
}

impl RunWriter {
    /// For the file that will be `path`; missing folders are made.
    ///
    /// # Errors
    /// When the file beside it cannot be made.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut name: OsString = path.into();
        name.push(".rows.part");
        let path = PathBuf::from(name);
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { spool: BufWriter::with_capacity(1 << 18, file), path, rows: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn row(&mut self, row: &Row) -> std::io::Result<()> {
        write_row(self.rows, row, &mut self.spool)?;
        self.rows += 1;
        Ok(())
    }

    /// Writes the whole file to `out`.
    ///
    /// # Errors
    /// When the rows cannot be read back or `out` cannot be written to.
    pub fn finish(
        &mut self,
        provenance: &Provenance,
        totals: &Totals,
        mut out: impl Write,
    ) -> std::io::Result<()> {
        self.spool.flush()?;
        write_head(provenance, totals, &mut out)?;
        let file = self.spool.get_mut();
        file.rewind()?;
        std::io::copy(file, &mut out)?;
        out.write_all(TAIL)
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        // The rows are in the file by now, or will never be.
        let _ = std::fs::remove_file(&self.path);
    }
}
