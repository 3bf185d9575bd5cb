//! Checkpoints of a training over several GPUs, as EasyR1 and veRL write them: each rank saves its pieces
//! of every tensor (FSDP), and the model is in none of the files.
//!
//! ```text
//! run/checkpoint_tracker.json, latest_checkpointed_iteration.txt    which step is the last
//! run/global_step_N/actor/model_world_size_W_rank_R.pt              a dict of pieces
//! run/global_step_N/actor/huggingface/                              configuration, tokenizer
//! ```
//!
//! A piece says of which tensor it is, along which axis that is cut, and where among the pieces it belongs
//! (`Parted`), so that nothing is concluded from sizes; pieces may be uneven, and empty. With replicas of
//! the model (a mesh of ranks with two axes) one of each piece is enough. What is no piece is whole in
//! every rank, and must be the same there.

mod error;
mod locate;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use safetensors::Dtype;

use super::torch::Parted;
use super::{Entry, Error, ErrorKind, Shard, View, canonical};
pub use error::ShardedError;
pub use locate::{Step, locate, refuse};
pub use write::{ImportDtype, Imported, import};

/// The pieces of all ranks, checked against one another.
#[derive(Debug)]
pub struct Sharded {
    /// The folder of the ranks' files.
    pub folder: PathBuf,
    /// How many ranks trained.
    pub world: usize,
    /// The files, in the order of the ranks.
    pub shards: Vec<Shard>,
    /// The whole tensors by canonical name.
    wholes: BTreeMap<String, Whole>,
}

/// A tensor of which the ranks have pieces.
#[derive(Clone, Debug)]
pub struct Whole {
    /// Type of the elements.
    pub dtype: Dtype,
    /// Sizes of the axes, the slowest first.
    pub shape: Vec<usize>,
    /// Along which the pieces follow one another; none of one piece.
    pub axis: Option<usize>,
    pieces: Vec<Entry>,
}

/// What one rank saved.
struct Rank {
    number: usize,
    parted: BTreeMap<String, Parted>,
}

impl Sharded {
    /// Opens the files of all ranks in a folder, and checks that they are the pieces of one model. Values
    /// are read of tensors only that every rank has whole.
    ///
    /// # Errors
    /// Ranks that are missing or disagree, and pieces that are not the whole, naming file and tensor.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let (world, files) = locate::ranks(folder)?;
        let (mut ranks, mut shards) = (Vec::new(), Vec::new());
        for (&number, path) in &files {
            let (shard, parted) = Shard::open_rank(path)?;
            if let Some(fault) = shard.faults().into_iter().next() {
                return Err(fault);
            }
            ranks.push(Rank { number, parted });
            shards.push(shard);
        }
        let mut sharded =
            Self { folder: folder.to_owned(), world, shards, wholes: BTreeMap::new() };
        sharded.check_ranks(&ranks)?;
        let names: BTreeSet<&String> =
            sharded.shards.iter().flat_map(|s| s.tensors.keys()).collect();
        let mut wholes: BTreeMap<String, Whole> = BTreeMap::new();
        for name in names {
            if name.starts_with("base_model.model.") || name.contains("lora_") {
                return Err(sharded.fault(0, name, ShardedError::Adapter));
            }
            let whole = sharded.whole(name, &ranks)?;
            if let Some(other) = wholes.insert(canonical(name).into_owned(), whole) {
                let path = sharded.shards[0].path.clone();
                let other = other.pieces.into_iter().next().map(|piece| piece.disk_name);
                let kind = ErrorKind::SameParameter { other: other.unwrap_or_default(), path };
                return Err(Error::new(&sharded.shards[0].path, kind).tensor(name));
            }
        }
        sharded.wholes = wholes;
        Ok(sharded)
    }

    /// All tensors by canonical name, sorted.
    pub fn wholes(&self) -> impl ExactSizeIterator<Item = (&str, &Whole)> {
        self.wholes.iter().map(|(name, whole)| (name.as_str(), whole))
    }

    /// The pieces of a tensor, in their order.
    pub fn pieces<'a>(&'a self, name: &'a str, whole: &'a Whole) -> Vec<View<'a>> {
        let view = |entry: &'a Entry| View { name, entry, shard: &self.shards[entry.shard] };
        whole.pieces.iter().map(view).collect()
    }

    fn fault(&self, rank: usize, tensor: &str, kind: ShardedError) -> Error {
        Error::new(&self.shards[rank].path, kind).tensor(tensor)
    }

    /// Whether no file is missing: where the model has replicas, some may be.
    fn check_ranks(&self, ranks: &[Rank]) -> Result<(), Error> {
        let here: BTreeSet<usize> = ranks.iter().map(|rank| rank.number).collect();
        let missing: Vec<usize> = (0..self.world).filter(|rank| !here.contains(rank)).collect();
        let mut cut = ranks.iter().flat_map(|r| r.parted.values()).filter(|p| p.axis.is_some());
        let all_replicated = cut.clone().next().is_some() && cut.all(|p| p.is_replicated);
        if !missing.is_empty() && !all_replicated {
            let kind = ShardedError::Missing { world: self.world, missing };
            return Err(Error::new(&self.folder, kind));
        }
        Ok(())
    }

    /// One tensor from what the ranks have of it.
    fn whole(&self, name: &str, ranks: &[Rank]) -> Result<Whole, Error> {
        let holds = |shard: &Shard| shard.tensors.contains_key(name);
        let first = self.shards.iter().position(holds).unwrap_or_default();
        if let Some(rank) = self.shards.iter().position(|shard| !holds(shard)) {
            return Err(self.fault(rank, name, ShardedError::NotHere(ranks[first].number)));
        }
        let form = |rank: usize| {
            let header = &self.shards[rank].tensors[name];
            let parted = ranks[rank].parted.get(name);
            let shape = parted.map_or(&header.shape, |parted| &parted.shape);
            (header.dtype, shape.clone(), parted.and_then(|parted| parted.axis))
        };
        let (dtype, shape, axis) = form(0);
        if let Some(rank) = (1..ranks.len()).find(|&rank| form(rank) != form(0)) {
            let [found, expected] = [rank, 0].map(|rank| described(form(rank)));
            let kind = ShardedError::Differs { found, expected, rank: ranks[0].number };
            return Err(self.fault(rank, name, kind));
        }
        let entry = |rank: usize| {
            let header = &self.shards[rank].tensors[name];
            let (disk_name, dtype, shape) = (name.to_owned(), header.dtype, header.shape.clone());
            let range = self.shards[rank].range(header).unwrap_or_default();
            Entry { disk_name, dtype, shape, shard: rank, range }
        };
        let entries: Vec<Entry> = (0..ranks.len()).map(entry).collect();
        let pieces = match axis {
            None => self.same(name, &shape, ranks, entries)?,
            Some(axis) => self.cut(name, &shape, axis, ranks, entries)?,
        };
        Ok(Whole { dtype, shape, axis, pieces })
    }

    /// The first of tensors that must all be the same.
    fn same(
        &self,
        name: &str,
        shape: &[usize],
        ranks: &[Rank],
        entries: Vec<Entry>,
    ) -> Result<Vec<Entry>, Error> {
        let views: Vec<View<'_>> =
            entries.iter().map(|e| View { name, entry: e, shard: &self.shards[e.shard] }).collect();
        let views = views.iter();
        let other = views.clone().position(|view| {
            let differs = view.shape() != shape || view.bytes() != views.as_slice()[0].bytes();
            view.release();
            differs
        });
        match other {
            Some(rank) => Err(self.fault(rank, name, ShardedError::Values(ranks[0].number))),
            None => Ok(entries.into_iter().take(1).collect()),
        }
    }

    /// The pieces along an axis, in their order.
    fn cut(
        &self,
        name: &str,
        shape: &[usize],
        axis: usize,
        ranks: &[Rank],
        entries: Vec<Entry>,
    ) -> Result<Vec<Entry>, Error> {
        let mut pieces: BTreeMap<usize, Entry> = BTreeMap::new();
        for (rank, entry) in entries.into_iter().enumerate() {
            let piece = &entry.shape;
            let fits = piece.len() == shape.len()
                && piece.iter().zip(shape).enumerate().all(|(a, (p, w))| a == axis || p == w);
            // torch gives an empty piece any shape that is empty.
            if !fits && !entry.range.is_empty() {
                let (piece, whole) = (piece.clone(), shape.to_vec());
                return Err(self.fault(rank, name, ShardedError::Piece { piece, whole, axis }));
            }
            let parted = &ranks[rank].parted[name];
            match pieces.get(&parted.piece) {
                Some(other) if !parted.is_replicated || other.shape != entry.shape => {
                    let (piece, rank_of) = (parted.piece, ranks[other.shard].number);
                    let kind = ShardedError::Twice { piece, rank: rank_of };
                    return Err(self.fault(rank, name, kind));
                }
                Some(_) => {}
                None => _ = pieces.insert(parted.piece, entry),
            }
        }
        let pieces: Vec<Entry> = pieces.into_values().filter(|e| !e.range.is_empty()).collect();
        let found: usize = pieces.iter().map(|entry| entry.shape[axis]).sum();
        // A tensor without elements has no pieces that are not empty.
        if found != shape[axis] && !shape.contains(&0) {
            let kind = ShardedError::Sum { found, whole: shape.to_vec(), axis };
            return Err(Error::new(&self.folder, kind).tensor(name));
        }
        Ok(pieces)
    }
}

/// Dtype, shape and axis in words.
fn described((dtype, shape, axis): (Dtype, Vec<usize>, Option<usize>)) -> String {
    match axis {
        Some(axis) => format!("{dtype} {shape:?} along axis {axis}"),
        None => format!("{dtype} {shape:?}, whole"),
    }
}
