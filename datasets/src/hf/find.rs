//! Which Parquet files under a folder are data sets, and which split each file belongs to.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::{open, schema};
use crate::walk::{self, Folder};
use crate::{Error, Format, Source};

/// One Parquet file.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    pub path: PathBuf,
    pub split: String,
}

/// Sources of this format under `root`: one for each folder that holds shards of one schema. `root`
/// itself may be a Parquet file, which then is a source whatever its columns are, so that reading
/// it says what is wrong.
pub(crate) fn find(root: &Path) -> Result<Vec<Source>, Error> {
    if root.is_file() {
        let format = format_of(root).unwrap_or(Format::HfEval);
        return Ok(if is_parquet(root) { vec![source(root, format)] } else { Vec::new() });
    }
    let mut sources = Vec::new();
    for Folder { path, files } in walk::folders(root)? {
        let formats: Vec<_> = parquet_files(files).filter_map(|file| format_of(&file)).collect();
        for format in [Format::HfEval, Format::HfTrain] {
            if formats.contains(&format) {
                sources.push(source(&path, format));
            }
        }
    }
    Ok(sources)
}

/// The shards of a source in name order.
pub(super) fn shards(source: &Source) -> Result<Vec<Shard>, Error> {
    let folder = &source.annotations;
    let mut files = if folder.is_file() {
        vec![folder.clone()]
    } else {
        let entries = fs::read_dir(folder).map_err(|e| Error::new(folder, e))?;
        let files = parquet_files(entries.flatten().map(|entry| entry.path()));
        files.filter(|file| format_of(file) == Some(source.format)).collect()
    };
    files.sort();
    let shard = |path: PathBuf| Shard { split: split_of(&path), path };
    Ok(files.into_iter().map(shard).collect())
}

/// Those of the files that are Parquet by name, hidden ones left out.
fn parquet_files(files: impl IntoIterator<Item = PathBuf>) -> impl Iterator<Item = PathBuf> {
    files.into_iter().filter(|path| is_parquet(path) && !stem(path).starts_with('.'))
}

fn is_parquet(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("parquet"))
}

/// The format of a file by its columns. A file that cannot be opened but is named like a shard is
/// kept as what its split suggests: reading it then gives the reason, where silence would hide it.
fn format_of(path: &Path) -> Option<Format> {
    match open(path) {
        Ok(builder) => schema::resembles(builder.schema()),
        Err(_) => match shard_split(&stem(path))? {
            "train" => Some(Format::HfTrain),
            _ => Some(Format::HfEval),
        },
    }
}

fn source(annotations: &Path, format: Format) -> Source {
    Source {
        name: name_of(annotations),
        split_by: None,
        format,
        annotations: annotations.to_owned(),
        images: None,
    }
}

/// The data set's name: that of the nearest folder that is not one of the layout's own (`data`, a
/// configuration, a split, a snapshot), or the file's where it is not named like a shard.
fn name_of(path: &Path) -> String {
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    // A hub cache links to blobs named by hash: the path as given says more than its target.
    let path = if path.is_absolute() || is_parquet(path) && path.parent() != Some(Path::new("")) {
        path
    } else {
        &absolute
    };
    if is_parquet(path) && split_in(&stem(path)).is_none() {
        return stem(path);
    }
    let folders = path.ancestors().skip(usize::from(is_parquet(path)));
    let names: Vec<_> =
        folders.filter_map(|f| f.file_name()).map(|name| name.to_string_lossy()).collect();
    if let Some(cached) = names.iter().find_map(|name| name.strip_prefix("datasets--")) {
        return cached.rsplit("--").next().unwrap_or(cached).to_owned();
    }
    let own = |name: &str| name == "data" || name == "default" || keyword(name).is_some();
    let name = names.iter().find(|name| !own(name)).or(names.first());
    name.map_or_else(|| "parquet".to_owned(), |name| name.to_string())
}

/// The split of a file: from its name (`test-00000-of-00001.parquet`), from a word in it, from its
/// folder's name, else `train`, as `datasets.load_dataset` has it.
fn split_of(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    split_in(&stem(path)).or_else(|| keyword(&folder).map(str::to_owned)).unwrap_or("train".into())
}

/// The split that a file's stem names.
fn split_in(stem: &str) -> Option<String> {
    let words = || stem.split(|c: char| !c.is_ascii_alphanumeric());
    shard_split(stem).or_else(|| words().find_map(keyword)).map(str::to_owned)
}

/// `testA` of `testA-00003-of-00012` and of `testA-00003-of-00012-0f3c...` (an older naming).
fn shard_split(stem: &str) -> Option<&str> {
    let (split, rest) = stem.split_once('-')?;
    let mut parts = rest.split('-');
    let is_number = |part: &str| part.len() == 5 && part.bytes().all(|b| b.is_ascii_digit());
    let numbered = parts.next().is_some_and(is_number)
        && parts.next() == Some("of")
        && parts.next().is_some_and(is_number);
    numbered.then_some(split)
}

/// A word that names a split.
fn keyword(word: &str) -> Option<&str> {
    let known = ["train", "val", "validation", "test", "testA", "testB"];
    known.contains(&word).then_some(word)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_splits() {
        let cases = [
            ("/d/refcocog_test/data/test-00000-of-00001.parquet", "refcocog_test", "test"),
            ("/d/x/testA-00003-of-00012-0f3c1d.parquet", "x", "testA"),
            ("/d/mine/data/0000.parquet", "0000", "train"),
            ("/d/mine/train/0000.parquet", "0000", "train"),
            ("/d/mine/val/part.0.parquet", "part.0", "val"),
            ("/d/mine/my_validation_set.parquet", "mine", "validation"),
            ("/d/mine/latest.parquet", "latest", "train"),
            (
                "/c/datasets--Ricky06662--ReasonSeg_test/snapshots/0f3c/data/test-00000-of-00002.parquet",
                "ReasonSeg_test",
                "test",
            ),
        ];
        for (path, name, split) in cases {
            let path = Path::new(path);
            assert_eq!(
                (name_of(path).as_str(), split_of(path).as_str()),
                (name, split),
                "{path:?}"
            );
        }
        assert_eq!(name_of(Path::new("/d/refCOCOg_2k_840/data")), "refCOCOg_2k_840");
        assert_eq!(name_of(Path::new("/d/set/default/train")), "set");
        assert_eq!(shard_split("train-0000-of-00001"), None);
    }
}
