//! Images as the user names them: files, folders, patterns.

use std::path::{Path, PathBuf};

use segzero_datasets::Error;

use crate::failure::Failure;

/// Endings of what is taken for an image in a folder.
const ENDINGS: [&str; 7] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff"];

/// All of them, those of a folder and of a pattern by name.
///
/// # Errors
/// A folder without images, a pattern that nothing fits.
pub(super) fn all(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let each = named.iter().map(|path| {
        if path.is_dir() {
            return of_folder(path);
        }
        let pattern = path.to_str().filter(|text| text.contains(['*', '?', '[']));
        match pattern.filter(|_| !path.exists()) {
            Some(pattern) => of_pattern(pattern),
            None => Ok(vec![path.clone()]),
        }
    });
    Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
}

fn of_folder(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut images = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::new(folder, e))? {
        let path = entry.map_err(|e| Error::new(folder, e))?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if ending.is_some_and(|ending| ENDINGS.contains(&ending.to_lowercase().as_str())) {
            images.push(path);
        }
    }
    images.sort();
    found(images, &folder.display().to_string())
}

fn of_pattern(pattern: &str) -> Result<Vec<PathBuf>, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::new(format_args!("`--image {pattern}` is no pattern: {error}"))
    };
    let paths = glob::glob(pattern).map_err(|error| wrong(&error))?;
    let paths = paths.collect::<Result<Vec<PathBuf>, _>>().map_err(|error| wrong(&error))?;
    found(paths, pattern)
}

fn found(images: Vec<PathBuf>, named: &str) -> Result<Vec<PathBuf>, Failure> {
    if images.is_empty() {
        let failure = Failure::new(format_args!("there is no image in `{named}`"));
        return Err(failure.hint(format_args!("images end in {}", ENDINGS.join(", "))));
    }
    Ok(images)
}
