//! A folder of mask files, one a prediction: `KEY.png`, `.npy`, or names of another pattern.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use segzero_datasets::{Error, Geometry};

use super::keys::Ids;
use super::{Answer, Item, KeyPattern, Predictions, Reading};

/// Lists the folder; the files are read when their samples are scored.
pub(super) fn list(folder: &Path, reading: &Reading) -> Result<Predictions, Error> {
    let cris = KeyPattern::cris();
    let given = reading.key_pattern.as_ref();
    let mut files = Vec::new();
    walk(folder, given.is_some_and(KeyPattern::is_of_paths), &mut files)?;
    // Directory order is the file system's; which of two files of one key counts must not be.
    files.sort_unstable();
    let mut predictions = Predictions {
        path: folder.to_owned(),
        keys_are_file_names: true,
        ..Predictions::default()
    };
    for path in files {
        let name = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
        let whole = name.to_string_lossy().replace('\\', "/");
        let stem = whole.rsplit('/').next().unwrap_or_default();
        let ids = match given {
            Some(pattern) => pattern.ids(if pattern.is_of_paths() { &whole } else { stem }),
            None => cris.ids(stem).or_else(|| Some(plain(stem))),
        };
        let Some(key) = ids.as_ref().and_then(Ids::key) else {
            predictions.bad.push(|| format!("`{whole}`: its name does not fit the pattern"));
            continue;
        };
        predictions.aliases.texts |= ids.is_some_and(|ids| ids.text.is_some());
        let answer = Answer::Geometry(Geometry::File(path));
        predictions.add(&key, Item { line: 0, answer, said: None });
    }
    Ok(predictions)
}

fn plain(stem: &str) -> Ids<'static> {
    Ids { key: Some(stem.to_owned().into()), ..Ids::default() }
}

/// Adds the mask files of a folder, and of those in it.
fn walk(folder: &Path, deep: bool, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let at = |e: std::io::Error| Error::new(folder, e);
    let mut entries: Vec<DirEntry> =
        std::fs::read_dir(folder).map_err(at)?.collect::<Result<_, _>>().map_err(at)?;
    entries.sort_unstable_by_key(DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if deep && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&path, deep, files)?;
        }
        let extension = path.extension().map(|e| e.to_ascii_lowercase());
        if extension.is_some_and(|e| e == "png" || e == "npy") {
            files.push(path);
        }
    }
    Ok(())
}
