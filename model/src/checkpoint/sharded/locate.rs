//! Where the files of the ranks are: in the folder that is named, or below it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::{INDEX, SINGLE};
use super::{Error, ShardedError};

/// What veRL and EasyR1 write which step is the last to.
const LATEST: &str = "latest_checkpointed_iteration.txt";
const TRACKER: &str = "checkpoint_tracker.json";
/// What veRL writes the number of ranks to.
const FSDP_CONFIG: &str = "fsdp_config.json";
/// The policy's folder in that of a step; a critic may lie beside it.
const ACTOR: &str = "actor";
/// Configuration, tokenizer and processor, beside the ranks' files.
pub(super) const SIDE_FILES: &str = "huggingface";
const STEP: &str = "global_step_";
/// Steps that an error names at most.
const NAMED: usize = 5;

/// Where a checkpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The folder of the ranks' files.
    pub folder: PathBuf,
    /// The step, where a run was named and its last was chosen.
    pub chosen: Option<u64>,
}

/// Refuses a folder of such a checkpoint where a model is asked for: one that [`locate`] finds pieces by, or
/// `huggingface` beside them, unless there are weights in it.
///
/// # Errors
/// It is one.
pub fn refuse(path: &Path) -> Result<(), Error> {
    if !path.is_dir() || path.join(SINGLE).exists() || path.join(INDEX).exists() {
        return Ok(());
    }
    let beside = path.parent().filter(|_| path.ends_with(SIDE_FILES));
    let beside = beside.map(|path| if path == Path::new("") { Path::new(".") } else { path });
    let checkpoint = [Some(path), beside].into_iter().flatten().find(|path| locate(path).is_ok());
    match checkpoint {
        Some(at) => Err(Error::new(path, ShardedError::InPieces(at.to_owned()))),
        None => Ok(()),
    }
}

/// The folder of the ranks' files: that folder (or of that file), `actor` in it, or that of the last step
/// of a run.
///
/// # Errors
/// None of them has any; a run that does not say which step is its last.
pub fn locate(path: &Path) -> Result<Step, Error> {
    let is_of_rank = path.file_name().and_then(OsStr::to_str).is_some_and(|n| rank_of(n).is_some());
    if let Some(folder) = path.parent().filter(|_| is_of_rank && path.is_file()) {
        return Ok(Step { folder: folder.to_owned(), chosen: None });
    }
    if let Some(folder) = with_ranks(path)? {
        return Ok(Step { folder, chosen: None });
    }
    if let Some(step) = last(path)? {
        let of_step = path.join(format!("{STEP}{step}"));
        let folder = if of_step.is_dir() { with_ranks(&of_step)? } else { None };
        let folder = folder.ok_or_else(|| no_ranks(&of_step))?;
        return Ok(Step { folder, chosen: Some(step) });
    }
    Err(no_ranks(path))
}

fn no_ranks(path: &Path) -> Error {
    let names = names(path).unwrap_or_default();
    let mut steps: Vec<u64> =
        names.iter().filter_map(|name| name.strip_prefix(STEP)?.parse().ok()).collect();
    steps.sort_unstable();
    let older = steps.len().saturating_sub(NAMED);
    let mut found: Vec<String> =
        steps[older..].iter().map(|step| format!("{STEP}{step}")).collect();
    if older > 0 {
        found.insert(0, format!("{older} steps before"));
    }
    Error::new(path, ShardedError::NoRanks { found })
}

/// The folder, or `actor` in it: the first with files of ranks.
fn with_ranks(path: &Path) -> Result<Option<PathBuf>, Error> {
    for folder in [path.to_owned(), path.join(ACTOR)] {
        let is_here = folder == path || folder.is_dir();
        if is_here && names(&folder)?.iter().any(|name| rank_of(name).is_some()) {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

/// The last step of a run, where it says so.
fn last(run: &Path) -> Result<Option<u64>, Error> {
    #[derive(Deserialize)]
    struct Tracker {
        last_global_step: Option<u64>,
    }

    let path = run.join(LATEST);
    if path.is_file() {
        let text = fs::read_to_string(&path).map_err(|e| Error::new(&path, e))?;
        let step = text.trim().parse().ok();
        return step.map(Some).ok_or_else(|| Error::new(&path, ShardedError::NoStep));
    }
    let path = run.join(TRACKER);
    if path.is_file() {
        let text = fs::read(&path).map_err(|e| Error::new(&path, e))?;
        let tracker: Tracker = serde_json::from_slice(&text).map_err(|e| Error::new(&path, e))?;
        let step = tracker.last_global_step;
        return step.map(Some).ok_or_else(|| Error::new(&path, ShardedError::NoStep));
    }
    Ok(None)
}

/// The number of ranks, and the file of each that has one.
pub(super) fn ranks(folder: &Path) -> Result<(usize, BTreeMap<usize, PathBuf>), Error> {
    let mut files = BTreeMap::new();
    let mut worlds: Vec<usize> = Vec::new();
    for name in names(folder)? {
        let Some([world, rank]) = rank_of(&name) else { continue };
        if rank >= world {
            return Err(Error::new(folder.join(&name), ShardedError::Rank { rank, world }));
        }
        if !worlds.contains(&world) {
            worlds.push(world);
        }
        files.insert(rank, folder.join(name));
    }
    worlds.sort_unstable();
    let world = match worlds[..] {
        [world] => world,
        [] => return Err(no_ranks(folder)),
        [first, second, ..] => {
            return Err(Error::new(folder, ShardedError::Worlds { worlds: [first, second] }));
        }
    };
    check_stated(&folder.join(FSDP_CONFIG), world)?;
    Ok((world, files))
}

/// Compares the number of ranks with what the trainer wrote down, if it did.
fn check_stated(path: &Path, named: usize) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Stated {
        world_size: Option<u64>,
    }

    if !path.is_file() {
        return Ok(());
    }
    let text = fs::read(path).map_err(|e| Error::new(path, e))?;
    let stated: Stated = serde_json::from_slice(&text).map_err(|e| Error::new(path, e))?;
    match stated.world_size {
        Some(stated) if stated != named as u64 => {
            Err(Error::new(path, ShardedError::WorldSize { stated, named }))
        }
        _ => Ok(()),
    }
}

/// World size and rank by a file's name.
fn rank_of(name: &str) -> Option<[usize; 2]> {
    let inner = name.strip_prefix("model_world_size_")?.strip_suffix(".pt")?;
    let (world, rank) = inner.split_once("_rank_")?;
    Some([world.parse().ok()?, rank.parse().ok()?])
}

fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let fail = |e| Error::new(folder, e);
    let mut names = Vec::new();
    for file in fs::read_dir(folder).map_err(fail)? {
        names.extend(file.map_err(fail)?.file_name().to_str().map(str::to_owned));
    }
    Ok(names)
}
