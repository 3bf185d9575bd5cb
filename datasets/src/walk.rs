//! A bounded look at a folder tree: data sets lie a few levels deep, beside folders of 100,000
//! images that must not be listed.

use std::path::{Path, PathBuf};

use crate::Error;

/// How far below the root annotation files are looked for: `dataset/refer_seg/refcocog/annotations`.
const MAX_DEPTH: usize = 4;

/// Entries of one folder that are looked at, and of all folders together. Shallow folders come
/// first, so that a tree beyond the bound loses its deepest corners only.
const MAX_ENTRIES: usize = 20_000;
const MAX_ENTRIES_IN_ALL: usize = 500_000;

/// Folders that hold images (or nothing of ours), by the names the published layouts give them.
const SKIPPED: [&str; 16] = [
    "images",
    "train2014",
    "val2014",
    "test2014",
    "test2015",
    "train2017",
    "val2017",
    "test2017",
    "unlabeled2017",
    "mscoco",
    "coco_2014",
    "saiapr_tc-12",
    "JPEGImages",
    "node_modules",
    "target",
    "__pycache__",
];

/// One folder: its path and its files.
#[derive(Debug)]
pub(crate) struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// Its files, sorted.
    pub files: Vec<PathBuf>,
}

/// `root` and the folders below it that may hold annotation files, sorted by path, parents first.
///
/// # Errors
/// When `root` itself cannot be listed; folders below it that cannot be are passed over.
pub(crate) fn folders(root: &Path) -> Result<Vec<Folder>, Error> {
    let mut found = Vec::new();
    let mut level = vec![root.to_owned()];
    let mut budget = MAX_ENTRIES_IN_ALL;
    for depth in 0..=MAX_DEPTH {
        let mut next = Vec::new();
        for path in level {
            match list(&path, budget.min(MAX_ENTRIES)) {
                Ok((files, folders)) => {
                    budget -= files.len() + folders.len();
                    found.push(Folder { path, files });
                    next.extend(folders);
                }
                Err(e) if depth == 0 => return Err(Error::new(root, e)),
                Err(_) => {}
            }
        }
        level = next;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Files and the folders worth entering, each sorted; of `limit` entries.
fn list(path: &Path, limit: usize) -> std::io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(path)?.take(limit) {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || SKIPPED.contains(&&*name) {
            continue;
        }
        // Links are followed (`refcocop` is often one to `refcoco+`); the depth bounds any loop.
        let kind = entry.file_type()?;
        let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
        if is_folder { folders.push(entry.path()) } else { files.push(entry.path()) }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

/// Whether the folder holds image files; only its first entries are looked at.
pub(crate) fn holds_images(path: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(path) else { return false };
    entries.take(256).flatten().any(|entry| is_image(Path::new(&entry.file_name())))
}

/// Whether the file's name is that of an image.
pub(crate) fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}
