//! The files of a training.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Figures, Training, TrainingError};

/// Whether a folder is one that `segzero train` writes: its `run.json` says what was trained.
pub fn is_training(folder: &Path) -> bool {
    let text = fs::read(folder.join("run.json")).unwrap_or_default();
    serde_json::from_slice(&text).is_ok_and(|settings| kind(&settings).is_some())
}

fn kind(settings: &Value) -> Option<&str> {
    settings["run"]["training"].as_str()
}

impl Training {
    /// The training in a folder, whether it has ended or goes on.
    pub(super) fn open(name: String, path: PathBuf) -> Result<Self, TrainingError> {
        #[derive(Deserialize)]
        struct Line {
            step: u64,
            #[serde(flatten)]
            figures: BTreeMap<String, Option<f64>>,
        }
        #[derive(Deserialize)]
        struct Best {
            step: u64,
        }
        let settings: Value = json(&path.join("run.json"))?.unwrap_or_default();
        let log = path.join("log.jsonl");
        let is_finite = |(name, value): (String, Option<f64>)| {
            Some((name, value.filter(|value| value.is_finite())?))
        };
        // A step's validation has a line of its own; a figure that is there twice was done again.
        let mut steps: BTreeMap<u64, Figures> = BTreeMap::new();
        for line in lines::<Line>(&log)? {
            let figures = line.figures.into_iter().filter_map(is_finite);
            steps.entry(line.step).or_default().extend(figures);
        }
        if steps.is_empty() {
            return Err(TrainingError::NoSteps(log));
        }
        Ok(Self {
            kind: kind(&settings).unwrap_or_default().to_owned(),
            samples: lines(&path.join("samples.jsonl"))?,
            best: json::<Best>(&path.join("best.json"))?.map(|best| best.step),
            name,
            path,
            settings,
            steps,
        })
    }
}

/// The bytes of a file, where there is one.
fn bytes(path: &Path) -> Result<Option<Vec<u8>>, TrainingError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TrainingError::Read { path: path.to_owned(), source }),
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TrainingError> {
    let Some(bytes) = bytes(path)? else { return Ok(None) };
    let damaged = |source| TrainingError::Damaged { path: path.to_owned(), source };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// The lines of a file that may be growing: an end without a line break may be half a line.
fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, TrainingError> {
    let bytes = bytes(path)?.unwrap_or_default();
    let mut read = Vec::new();
    for (at, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            Ok(line) => read.push(line),
            Err(_) if !line.ends_with(b"\n") => break,
            Err(source) => {
                return Err(TrainingError::Line { path: path.to_owned(), line: at + 1, source });
            }
        }
    }
    Ok(read)
}
