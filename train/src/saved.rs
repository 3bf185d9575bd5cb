//! A training on disk: a folder for each checkpoint, in Hugging Face layout, beside it what is needed
//! to go on as if nothing had happened.
//!
//! ```text
//! RUN/checkpoints/step-000050/   config.json, tokenizer, model.safetensors (f32);
//!                                with adapters adapter_config.json, adapter_model.safetensors instead
//!                      trainer/  optimizer.safetensors, state.json
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::lora::{ADAPTER, Lora, is_adapter};
use crate::weights::Weights;

/// Folder of the checkpoints in a run's.
pub const CHECKPOINTS: &str = "checkpoints";
/// Folder of what is not the model's.
const TRAINER: &str = "trainer";
const MOMENTS: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// Where a training stands. Random numbers and the order of data follow from seed and step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Steps taken.
    pub step: u64,
}

/// Writes a checkpoint of a training that began with `model`; it is there as a whole or not at all.
///
/// # Errors
/// A disk that is full.
pub fn save<M: Module>(
    weights: &Weights<M>,
    step: u64,
    run: &Path,
    model: &Path,
    lora: Option<&Lora>,
) -> Result<PathBuf, TrainError> {
    let folder = run.join(CHECKPOINTS).join(format!("step-{step:06}"));
    let incomplete = folder.with_extension("incomplete");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| TrainError::Write { path, reason: error.to_string() }
    };
    if incomplete.exists() {
        fs::remove_dir_all(&incomplete).map_err(failed(&incomplete))?;
    }
    let own = incomplete.join(TRAINER);
    fs::create_dir_all(&own).map_err(failed(&own))?;
    match lora {
        Some(lora) => {
            lora.save(&incomplete, &model.display().to_string())?;
            weights.save(&incomplete.join(ADAPTER), is_adapter)?;
        }
        None => {
            for file in side_files(model)? {
                let name = file.file_name().unwrap_or_default();
                fs::copy(&file, incomplete.join(name)).map_err(failed(&incomplete))?;
            }
            weights.save(&incomplete.join(WEIGHTS), |_| true)?;
        }
    }
    weights.save_moments(&own.join(MOMENTS))?;
    let state = State { step };
    let text = serde_json::to_string(&state).unwrap_or_default();
    fs::write(own.join(STATE), text).map_err(failed(&own))?;
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed(&folder))?;
    }
    fs::rename(&incomplete, &folder).map_err(failed(&folder))?;
    Ok(folder)
}

/// All that a model's folder holds beside its weights.
pub(crate) fn side_files(model: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let failed = |error: std::io::Error| TrainError::Write {
        path: model.to_owned(),
        reason: error.to_string(),
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(model).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let is_small = [".json", ".txt", ".jinja", ".model"].iter().any(|end| name.ends_with(end));
        if path.is_file() && is_small && !name.contains("safetensors.index") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The whole checkpoints of a run, the last one last.
pub fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(run.join(CHECKPOINTS)) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_none() && path.join(TRAINER).join(STATE).is_file())
        .collect();
    found.sort();
    found
}

/// The last whole checkpoint of a run.
///
/// # Errors
/// A checkpoint that cannot be read.
pub fn last(run: &Path) -> Result<Option<(PathBuf, State)>, TrainError> {
    let Some(path) = checkpoints(run).pop() else { return Ok(None) };
    let state = path.join(TRAINER).join(STATE);
    let failed = |reason: String| TrainError::Read { path: state.clone(), reason };
    let text = fs::read_to_string(&state).map_err(|error| failed(error.to_string()))?;
    let read = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    Ok(Some((path, read)))
}

/// Gives the weights of a checkpoint what the optimizer remembered of them.
///
/// # Errors
/// A checkpoint that is damaged.
pub fn restore<M: Module>(
    weights: &mut Weights<M>,
    checkpoint: &Path,
    device: &Device,
) -> Result<(), TrainError> {
    weights.load_moments(&checkpoint.join(TRAINER).join(MOMENTS), device)
}
