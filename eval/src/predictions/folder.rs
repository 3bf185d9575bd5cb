//! A folder of mask images, one a prediction: `KEY.png`, or `.npy`.

use std::path::Path;

use segzero_datasets::{Error, Geometry};

use super::{Answer, Item, Predictions};

/// Lists the folder; the files are read when their samples are scored.
pub(super) fn list(folder: &Path) -> Result<Predictions, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::new(folder, e))? {
        let path = entry.map_err(|e| Error::new(folder, e))?.path();
        let extension = path.extension().map(|e| e.to_ascii_lowercase());
        if extension.is_some_and(|e| e == "png" || e == "npy") {
            files.push(path);
        }
    }
    // Directory order is the file system's; which of two files of one key counts must not be.
    files.sort_unstable();
    let mut predictions = Predictions {
        path: folder.to_owned(),
        keys_are_file_names: true,
        ..Predictions::default()
    };
    for path in files {
        let key = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let answer = Answer::Geometry(Geometry::File(path));
        predictions.add(&key.unwrap_or_default(), Item { line: 0, answer, said: None });
    }
    Ok(predictions)
}
