//! The folder of a run: its settings, and which checkpoint is the best.

use std::fs;
use std::path::{Path, PathBuf};

use segzero_model::checkpoint::hub::Freshness;
use segzero_train::{ADAPTER_CONFIG, checkpoints, last};
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::model_source;
use crate::progress::Verbosity;

const SETTINGS: &str = "run.json";
const BEST: &str = "best.json";

/// The best checkpoint so far.
#[derive(serde::Serialize, serde::Deserialize)]
struct Best {
    step: u64,
    checkpoint: String,
    giou: f64,
}

/// Settings of a run must be those that it began with.
///
/// # Errors
/// Other settings; a file that cannot be read or written.
pub fn agree(out: &Path, about: &Value) -> Result<(), Failure> {
    let path = out.join(SETTINGS);
    let about = json!({ "segzero": env!("CARGO_PKG_VERSION"), "run": about });
    let Ok(text) = fs::read(&path) else {
        fs::create_dir_all(out).map_err(|error| could_not_write(out, error))?;
        return write_json(&path, &about);
    };
    let known: Value = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(format_args!("`{}` is damaged: {error}", path.display())))?;
    for key in ["training", "settings", "moving", "rewards", "replies", "model"] {
        let (before, now) = (&known["run"][key], &about["run"][key]);
        if before != now {
            return Err(Failure::new(format_args!(
                "`{}` was begun with other settings: `{key}` is {before}, not {now}",
                out.display()
            ))
            .hint("go on with the same flags, or choose another folder"));
        }
    }
    Ok(())
}

/// The folder of the model that a checkpoint's adapters are for.
///
/// # Errors
/// A checkpoint that does not say so, or a model that is not there.
pub fn base_of(checkpoint: &Path) -> Result<PathBuf, Failure> {
    let path = checkpoint.join(ADAPTER_CONFIG);
    let text = fs::read(&path).map_err(|error| {
        Failure::new(format_args!("could not read `{}`: {error}", path.display()))
    })?;
    let config: Value = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(format_args!("`{}` is damaged: {error}", path.display())))?;
    let Some(base) = config["base_model_name_or_path"].as_str() else {
        let path = path.display();
        return Err(Failure::new(format_args!("`{path}` has no `base_model_name_or_path`")));
    };
    model_source::resolve(base, Freshness::Cached, Verbosity::Normal)
}

/// The checkpoint that a folder means: itself, or the best or else the last of a run.
///
/// # Errors
/// A folder without either.
pub fn chosen(folder: &Path) -> Result<PathBuf, Failure> {
    if ["config.json", ADAPTER_CONFIG].iter().any(|name| folder.join(name).is_file()) {
        return Ok(folder.to_owned());
    }
    let best = fs::read(folder.join(BEST)).ok();
    let best = best.and_then(|text| serde_json::from_slice::<Best>(&text).ok());
    let best = best.map(|best| folder.join(segzero_train::CHECKPOINTS).join(best.checkpoint));
    if let Some(best) = best.filter(|best| best.is_dir()) {
        return Ok(best);
    }
    match last(folder)? {
        Some((path, _)) => Ok(path),
        None => Err(Failure::new(format_args!("there is no checkpoint in `{}`", folder.display()))
            .hint("give a run of `segzero train`, or one of its checkpoints")),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::new)?;
    segzero_reports::write_whole(path, |file| file.write_all(text.as_bytes()))
        .map_err(|error| could_not_write(path, error))
}

/// A file that could not be written, and why.
pub fn could_not_write(path: &Path, error: std::io::Error) -> Failure {
    Failure::new(format_args!("could not write `{}`: {error}", path.display()))
}

/// Takes note of what a checkpoint is worth, if none was worth as much. The model of step 0, which
/// training began with, is no checkpoint, whatever it is worth.
///
/// # Errors
/// A disk that is full.
pub fn note(out: &Path, step: u64, checkpoint: &Path, giou: f64) -> Result<(), Failure> {
    if step == 0 {
        return Ok(());
    }
    let best = out.join(BEST);
    let known = fs::read(&best).ok().and_then(|text| serde_json::from_slice::<Best>(&text).ok());
    if known.is_none_or(|known| giou > known.giou) {
        let checkpoint = checkpoint.file_name().unwrap_or_default().to_string_lossy().into_owned();
        write_json(&best, &Best { step, checkpoint, giou })?;
    }
    Ok(())
}

/// Removes whole checkpoints beyond those that are kept.
///
/// # Errors
/// A checkpoint that cannot be removed.
pub fn thin_out(out: &Path, limit: usize) -> Result<(), Failure> {
    if limit == 0 {
        return Ok(());
    }
    let best = fs::read(out.join(BEST)).ok();
    let best = best.and_then(|text| serde_json::from_slice::<Best>(&text).ok());
    let is_best = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        best.as_ref().is_some_and(|best| best.checkpoint == name)
    };
    let found: Vec<PathBuf> = checkpoints(out).into_iter().filter(|path| !is_best(path)).collect();
    let surplus = found.len().saturating_sub(limit);
    for path in &found[..surplus] {
        fs::remove_dir_all(path).map_err(|e| could_not_write(path, e))?;
    }
    Ok(())
}
