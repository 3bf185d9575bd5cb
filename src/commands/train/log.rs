//! The log of a training, and some of its replies.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use segzero_train::{Figures, Sampled};
use serde::Serialize;
use serde_json::Value;

use super::folder::could_not_write;
use crate::failure::Failure;

const LOG: &str = "log.jsonl";
const SAMPLES: &str = "samples.jsonl";

/// Replies of a step that are kept to be read.
const SAMPLES_A_STEP: usize = 4;

/// The log of a run, and replies to read.
pub struct Log {
    log: fs::File,
    samples: fs::File,
    is_validated: bool,
}

impl Log {
    /// Opens both behind step `step`: lines of later steps, which no checkpoint holds, are taken off.
    pub fn open(out: &Path, step: u64) -> Result<Self, Failure> {
        let (log, lines) = reopened(&out.join(LOG), step)?;
        let (samples, _) = reopened(&out.join(SAMPLES), step)?;
        let tells = |line: &Value| {
            line.as_object().is_some_and(|line| line.keys().any(|name| name.starts_with("val/")))
        };
        let is_validation = |line: &Value| line["step"] == step && tells(line);
        Ok(Self { log, samples, is_validated: lines.iter().any(is_validation) })
    }

    /// Whether the step that it was opened behind was validated.
    pub fn is_validated(&self) -> bool {
        self.is_validated
    }

    /// Adds a step, or what its checkpoint is worth.
    pub fn step(
        &mut self,
        step: u64,
        figures: &Figures,
        sampled: &[Sampled],
    ) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Line<'a> {
            step: u64,
            #[serde(flatten)]
            figures: &'a BTreeMap<String, f64>,
        }
        let failed = |error: std::io::Error| could_not_write(Path::new(LOG), error);
        append(&mut self.log, &Line { step, figures }).map_err(failed)?;
        let stride = (sampled.len() / SAMPLES_A_STEP).max(1);
        for sample in sampled.iter().step_by(stride).take(SAMPLES_A_STEP) {
            append(&mut self.samples, sample).map_err(failed)?;
        }
        Ok(())
    }
}

/// A file without its lines behind a step, and those that it keeps.
fn reopened(path: &Path, step: u64) -> Result<(fs::File, Vec<Value>), Failure> {
    let failed = |error| could_not_write(path, error);
    let (mut kept, mut lines) = (String::new(), Vec::new());
    if let Ok(text) = fs::read_to_string(path) {
        for text in text.lines() {
            let Ok(line) = serde_json::from_str::<Value>(text) else { continue };
            if line["step"].as_u64().is_some_and(|at| at <= step) {
                kept.extend([text, "\n"]);
                lines.push(line);
            }
        }
        segzero_reports::write_whole(path, |file| file.write_all(kept.as_bytes()))
            .map_err(failed)?;
    }
    let file = fs::OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    Ok((file, lines))
}

/// A line in one write.
fn append(file: &mut fs::File, value: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_string(value).map_err(std::io::Error::other)?;
    line.push('\n');
    file.write_all(line.as_bytes())
}
