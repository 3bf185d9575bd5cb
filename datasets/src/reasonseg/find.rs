//! Which folders are ReasonSeg, and which files in them are samples.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, Format, Source};

/// The published splits, in the order in which they are read.
pub(super) const SPLITS: [&str; 3] = ["train", "val", "test"];

/// Extensions of images, the published one first; compared without case.
const IMAGE_EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Sources of this format under `root`: `root` itself, its children, `ReasonSeg` inside either, or
/// `root` as a single split folder.
pub(crate) fn find(root: &Path) -> Result<Vec<Source>, Error> {
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let children = folders_of(root)?;
    let mut found: Vec<PathBuf> = std::iter::once(root.to_owned())
        .chain(children)
        .flat_map(|folder| [folder.join("ReasonSeg"), folder])
        .filter(|folder| SPLITS.iter().any(|split| is_split_folder(&folder.join(split))))
        .collect();
    found.sort();
    found.dedup();
    if found.is_empty() && is_split_folder(root) {
        found.push(root.to_owned());
    }
    let source = |annotations| Source {
        name: "reasonseg".into(),
        split_by: None,
        format: Format::ReasonSeg,
        annotations,
        images: None,
    };
    Ok(found.into_iter().map(source).collect())
}

/// The folders inside `folder`.
fn folders_of(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(|e| Error::new(folder, e))?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

/// Whether some annotation file with an image beside it has the keys of ReasonSeg. Plain labelme
/// folders, which look the same from outside, have `shapes` but no `text`.
fn is_split_folder(folder: &Path) -> bool {
    let Ok(Some((json, _))) = annotated_images(folder).map(|files| files.into_iter().next()) else {
        return false;
    };
    let Ok(bytes) = fs::read(json) else { return false };
    let has = |key: &[u8]| bytes.windows(key.len()).any(|window| window == key);
    has(b"\"shapes\"") && has(b"\"text\"")
}

/// Pairs of annotation and image file of one split folder, sorted by the annotation's name. An
/// annotation without an image is paired with the `.jpg` that should be there, so that whoever reads
/// the image names it. In a folder without any image nothing is a sample.
pub(super) fn annotated_images(folder: &Path) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
    let (mut annotations, mut images) = (Vec::new(), HashMap::<OsString, PathBuf>::new());
    for entry in fs::read_dir(folder).map_err(|e| Error::new(folder, e))? {
        let path = entry.map_err(|e| Error::new(folder, e))?.path();
        let Some(stem) = path.file_stem() else { continue };
        match extension_rank(&path) {
            Some(rank) => {
                let better =
                    images.get(stem).and_then(|p| extension_rank(p)).is_none_or(|r| rank < r);
                if better {
                    images.insert(stem.to_owned(), path);
                }
            }
            None if path.extension() == Some(OsStr::new("json")) => annotations.push(path),
            None => {}
        }
    }
    annotations.sort();
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let pair = |json: PathBuf| {
        let image = json.file_stem().and_then(|stem| images.get(stem)).cloned();
        let image = image.unwrap_or_else(|| json.with_extension("jpg"));
        (json, image)
    };
    Ok(annotations.into_iter().map(pair).collect())
}

/// Position of a path's extension among the image extensions.
fn extension_rank(path: &Path) -> Option<usize> {
    let extension = path.extension()?;
    IMAGE_EXTENSIONS.iter().position(|e| extension.eq_ignore_ascii_case(e))
}
