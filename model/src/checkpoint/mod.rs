//! Published weights: a folder of safetensors files, or a file of `torch.save`, as a map from parameter
//! to bytes.
//!
//! ```text
//! folder, file ──open──▶ Checkpoint ──get──▶ View ──▶ bytes where they lie, or a copy as f32
//! ```
//!
//! Opening reads headers only; the data is mapped and read when it is asked for.

mod error;
pub mod hub;
mod names;
pub mod random;
mod shard;
pub mod sharded;
mod torch;
mod verify;
mod view;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use error::{Error, ErrorKind};
pub use names::{Layout, canonical};
pub use safetensors::Dtype;
pub use shard::{FileFormat, Header, Shard};
pub use sharded::ShardedError;
pub use torch::{EntryFault, TorchError};
pub use verify::{Values, Verified, verify};
pub use view::{View, WeightBytes};

/// The file that says in which shard each tensor lies.
pub const INDEX: &str = "model.safetensors.index.json";
/// The file of a checkpoint in one piece.
pub const SINGLE: &str = "model.safetensors";

/// A published checkpoint: names, dtypes and shapes of its parameters, and where their bytes lie.
#[derive(Debug)]
pub struct Checkpoint {
    /// The folder of the weights, where `config.json` and the tokenizer lie too.
    pub folder: PathBuf,
    /// Its files, in the order of their names.
    pub shards: Vec<Shard>,
    /// What the index says, where there is one.
    pub index: Option<Index>,
    entries: BTreeMap<String, Entry>,
}

/// Where a parameter lies, and as what.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name in the file.
    pub disk_name: String,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Sizes of the axes, the slowest first.
    pub shape: Vec<usize>,
    /// Its file, an index into [`Checkpoint::shards`].
    pub shard: usize,
    /// Its bytes in that file.
    pub range: Range<usize>,
}

impl Entry {
    /// One of so many rows, as a matrix of its own.
    fn row(&self, row: usize, rows: usize) -> Self {
        let length = self.range.len() / rows;
        let start = self.range.start + row * length;
        let shape = std::iter::once(1).chain(self.shape.iter().skip(1).copied()).collect();
        Self { shape, range: start..start + length, ..self.clone() }
    }
}

/// `model.safetensors.index.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Index {
    /// Figures of the whole.
    #[serde(default)]
    pub metadata: IndexMetadata,
    /// Name on disk → file name.
    pub weight_map: BTreeMap<String, String>,
}

/// Figures of the whole checkpoint, as its writer counted them.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct IndexMetadata {
    /// Bytes of all tensors. Some trainers write it as a float.
    pub total_size: Option<f64>,
}

impl Index {
    /// Reads the index of a folder.
    ///
    /// # Errors
    /// Unreadable, not an index, or a shard that is not named by a plain file name: an index must
    /// not reach out of its folder.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(INDEX);
        let text = std::fs::read(&path).map_err(|e| Error::new(&path, e))?;
        let index: Self = serde_json::from_slice(&text).map_err(|e| Error::new(&path, e))?;
        for (tensor, file) in &index.weight_map {
            if Path::new(file).file_name().is_none_or(|name| name != file.as_str()) {
                let kind = ErrorKind::NotAFileName(file.clone());
                return Err(Error::new(&path, kind).tensor(tensor));
            }
        }
        Ok(index)
    }

    /// The shards, in the order of their names.
    pub fn files(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }
}

impl Checkpoint {
    /// Opens a folder with `model.safetensors`, with an index and shards, or with one file of
    /// `torch.save` (`*.pt`, `*.pth`, `pytorch_model.bin`); or one such file, whatever it is called.
    ///
    /// # Errors
    /// The first fault found: [`verify`] lists all of them.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (checkpoint, faults) = Self::survey(path.as_ref())?;
        faults.into_iter().next().map_or(Ok(checkpoint), Err)
    }

    /// What can be read of a checkpoint, and what is wrong with it.
    fn survey(path: &Path) -> Result<(Self, Vec<Error>), Error> {
        let (folder, index, files) = Self::files(path)?;
        let (mut shards, mut faults) = (Vec::new(), Vec::new());
        for file in &files {
            match Shard::open(file) {
                Err(fault) => faults.push(fault),
                Ok(shard) => {
                    faults.extend(shard.faults());
                    shards.push(shard);
                }
            }
        }
        let entries = entries(&shards, &mut faults);
        let checkpoint = Self { folder, entries, shards, index };
        faults.extend(checkpoint.misplaced());
        Ok((checkpoint, faults))
    }

    /// The folder, the index and the weight files that a path stands for. As in transformers, a
    /// file in one piece goes before an index.
    pub(crate) fn files(path: &Path) -> Result<(PathBuf, Option<Index>, Vec<PathBuf>), Error> {
        let parent = || path.parent().unwrap_or(Path::new("")).to_owned();
        if path.file_name().is_some_and(|name| name == INDEX) {
            return Self::indexed(parent());
        }
        if !path.is_dir() {
            return Ok((parent(), None, vec![path.to_owned()]));
        }
        let single = path.join(SINGLE);
        if single.exists() {
            return Ok((path.to_owned(), None, vec![single]));
        }
        if path.join(INDEX).exists() {
            return Self::indexed(path.to_owned());
        }
        sharded::refuse(path)?;
        let others = other_weights(path)?;
        let mut torch = others.iter().filter(|name| is_torch(name));
        match (torch.next(), torch.next()) {
            (Some(file), None) => Ok((path.to_owned(), None, vec![path.join(file)])),
            _ => Err(Error::new(path, ErrorKind::no_weights(others))),
        }
    }

    fn indexed(folder: PathBuf) -> Result<(PathBuf, Option<Index>, Vec<PathBuf>), Error> {
        let index = Index::read(&folder)?;
        let files = index.files().into_iter().map(|file| folder.join(file)).collect();
        Ok((folder, Some(index), files))
    }

    /// Tensors that the index looks for in a shard that does not have them.
    fn misplaced(&self) -> Vec<Error> {
        let located = self.index.iter().flat_map(|index| &index.weight_map);
        let faults = located.filter_map(|(tensor, file)| {
            let path = self.folder.join(file);
            let shard = self.shards.iter().find(|shard| shard.path == path)?;
            let here = shard.tensors.contains_key(tensor);
            (!here).then(|| Error::new(path, ErrorKind::NotHere).tensor(tensor))
        });
        faults.collect()
    }

    /// The parameters by canonical name, sorted.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// All parameters, sorted by canonical name.
    pub fn views(&self) -> impl ExactSizeIterator<Item = View<'_>> {
        self.entries.iter().map(|(name, entry)| self.view(name, entry))
    }

    /// A parameter by its canonical name.
    pub fn get(&self, name: &str) -> Option<View<'_>> {
        self.entries.get_key_value(name).map(|(name, entry)| self.view(name, entry))
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// It is missing.
    pub fn require(&self, name: &str) -> Result<View<'_>, Error> {
        self.get(name).ok_or_else(|| Error::new(&self.folder, ErrorKind::Missing).tensor(name))
    }

    /// Bytes of all parameters.
    pub fn bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.range.len() as u64).sum()
    }

    fn view<'a>(&'a self, name: &'a str, entry: &'a Entry) -> View<'a> {
        View { name, entry, shard: &self.shards[entry.shard] }
    }
}

/// Whether a file by this name is one of `torch.save` that holds weights: other `.bin` files are
/// optimisers' and trainers'.
pub(crate) fn is_torch(name: &str) -> bool {
    name == "pytorch_model.bin" || name.ends_with(".pt") || name.ends_with(".pth")
}

/// Whether a file by this name may hold weights, in a form that is read or not.
pub(crate) fn is_weights(name: &str) -> bool {
    is_torch(name) || [".safetensors", ".bin", ".gguf"].iter().any(|end| name.ends_with(end))
}

/// Weights in a folder by file name, sorted.
fn other_weights(folder: &Path) -> Result<Vec<String>, Error> {
    let fail = |e| Error::new(folder, ErrorKind::Io(e));
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder).map_err(fail)? {
        found.extend(file.map_err(fail)?.file_name().to_str().map(str::to_owned));
    }
    Ok(found.into_iter().filter(|name| is_weights(name)).collect())
}

/// The tensors of all files under their canonical names, but for those whose bytes are not there.
fn entries(shards: &[Shard], faults: &mut Vec<Error>) -> BTreeMap<String, Entry> {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    for (number, shard) in shards.iter().enumerate() {
        for (disk_name, header) in &shard.tensors {
            let Some(range) = shard.range(header) else { continue };
            let whole = Entry {
                disk_name: disk_name.clone(),
                dtype: header.dtype,
                shape: header.shape.clone(),
                shard: number,
                range,
            };
            let names = names::held(disk_name, &header.shape);
            let rows = names.len();
            for (row, name) in names.into_iter().enumerate() {
                let entry = if rows == 1 { whole.clone() } else { whole.row(row, rows) };
                let Some(other) = entries.insert(name, entry.clone()) else { continue };
                // transformers saves some parameters twice.
                let bytes = |entry: &Entry| &shards[entry.shard].map[entry.range.clone()];
                if (other.dtype, &other.shape) != (entry.dtype, &entry.shape)
                    || bytes(&other) != bytes(&entry)
                {
                    let path = shards[other.shard].path.clone();
                    let kind = ErrorKind::SameParameter { other: other.disk_name, path };
                    faults.push(Error::new(&shard.path, kind).tensor(disk_name));
                }
            }
        }
    }
    entries
}
