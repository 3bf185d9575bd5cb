//! Everything that is wrong with a checkpoint, not only the first fault.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;
use safetensors::Dtype;

use super::{Checkpoint, Error, ErrorKind, INDEX, Shard, View};
use crate::sam2::OF_VIDEO;

/// Bytes that one task scans.
const TASK: usize = 1 << 20;

/// Whether the values are looked at, or headers and sizes only.
pub enum Values<'a> {
    /// Only what the headers say.
    Unread,
    /// Every value is read and must be finite, and check sums must be right where there are any; the
    /// function is told of bytes that were read.
    Finite(&'a (dyn Fn(u64) + Sync)),
}

/// What was found.
#[derive(Debug)]
pub struct Verified {
    /// Files that could be opened.
    pub shards: usize,
    /// Tensors whose bytes are there.
    pub tensors: usize,
    /// Bytes of those tensors.
    pub bytes: u64,
    /// Everything that is wrong. None: the checkpoint can be loaded.
    pub faults: Vec<Error>,
}

/// Checks a checkpoint: headers, offsets and sizes of its files, its index, and, where the caller
/// knows them, the parameters of its architecture (canonical name and shape).
///
/// # Errors
/// None of it could be read.
pub fn verify(
    path: &Path,
    expected: Option<&[(String, Vec<usize>)]>,
    values: Values<'_>,
) -> Result<Verified, Error> {
    let (checkpoint, mut faults) = Checkpoint::survey(path)?;
    // What was not opened has been reported; its tensors would all seem to be missing.
    let whole = faults.is_empty();
    faults.extend(unindexed(&checkpoint)?);
    if whole {
        faults.extend(total_size(&checkpoint));
    }
    if let Some(expected) = expected {
        faults.extend(against(&checkpoint, expected, whole));
    }
    if let Values::Finite(read) = values {
        faults.extend(checkpoint.shards.iter().flat_map(Shard::corrupted));
        faults.extend(not_finite(&checkpoint, read));
    }
    Ok(Verified {
        shards: checkpoint.shards.len(),
        tensors: checkpoint.entries().len(),
        bytes: checkpoint.bytes(),
        faults,
    })
}

/// Tensors and shards that the index does not name.
fn unindexed(checkpoint: &Checkpoint) -> Result<Vec<Error>, Error> {
    let Some(index) = &checkpoint.index else { return Ok(Vec::new()) };
    let mut faults = Vec::new();
    for shard in &checkpoint.shards {
        let stray = shard.tensors.keys().filter(|name| !index.weight_map.contains_key(*name));
        faults
            .extend(stray.map(|name| Error::new(&shard.path, ErrorKind::NotInIndex).tensor(name)));
    }
    let files = index.files();
    let folder = &checkpoint.folder;
    let mut beside = BTreeSet::new();
    for file in std::fs::read_dir(folder).map_err(|e| Error::new(folder, e))? {
        beside.insert(file.map_err(|e| Error::new(folder, e))?.file_name());
    }
    // Other safetensors files have their own reasons: adapters, or the whole in one piece.
    let names = beside.iter().filter_map(|name| name.to_str());
    let shards = names.filter(|n| n.starts_with("model-") && n.ends_with(".safetensors"));
    let stray = shards.filter(|name| !files.contains(name));
    faults.extend(stray.map(|name| Error::new(folder.join(name), ErrorKind::StrayShard)));
    Ok(faults)
}

fn total_size(checkpoint: &Checkpoint) -> Option<Error> {
    let index = checkpoint.index.as_ref()?.metadata.total_size? as u64;
    let found = checkpoint.bytes();
    let path = checkpoint.folder.join(INDEX);
    (index != found).then(|| Error::new(path, ErrorKind::TotalSize { index, found }))
}

/// The checkpoint's parameters against the architecture's. Those that are missing are named only
/// where every file could be read.
fn against(checkpoint: &Checkpoint, expected: &[(String, Vec<usize>)], whole: bool) -> Vec<Error> {
    let mut faults = Vec::new();
    for (name, shape) in expected {
        match checkpoint.get(name) {
            None if whole => faults.extend(checkpoint.require(name).err()),
            Some(view) if view.shape() != shape => {
                let (found, expected) = (view.shape().to_vec(), shape.clone());
                faults.push(view.fault(ErrorKind::Shape { found, expected }));
            }
            _ => {}
        }
    }
    let known: BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    // As in loading: trainers save tied embeddings under both names, and tables that are computed; SAM 2
    // has parts that only video needs.
    let of_video = |name: &str| OF_VIDEO.iter().any(|start| name.starts_with(start));
    let needless =
        |name: &str| name == "lm_head.weight" || name.ends_with(".inv_freq") || of_video(name);
    let unknown =
        checkpoint.views().filter(|view| !known.contains(view.name) && !needless(view.name));
    faults.extend(unknown.map(|view| view.fault(ErrorKind::Unknown)));
    faults
}

/// Reads every value in the order in which they lie on disk.
fn not_finite(checkpoint: &Checkpoint, read: &(dyn Fn(u64) + Sync)) -> Vec<Error> {
    let mut views: Vec<View<'_>> = checkpoint.views().collect();
    views.sort_by_key(|view| (view.entry.shard, view.entry.range.start));
    let mut faults = Vec::new();
    for (number, view) in views.iter().enumerate() {
        // The disk reads what comes next while the processor looks at this.
        views[number..].iter().take(3).for_each(View::prefetch);
        faults.extend(scan(view, read));
        view.release();
    }
    faults
}

fn scan(view: &View<'_>, read: &(dyn Fn(u64) + Sync)) -> Option<Error> {
    let counts = match view.dtype() {
        Dtype::BF16 => {
            count(view.bytes(), |b| kind(u16::from_le_bytes(b).into(), 0x7f80, 0x7f), read)
        }
        Dtype::F16 => {
            count(view.bytes(), |b| kind(u16::from_le_bytes(b).into(), 0x7c00, 0x3ff), read)
        }
        Dtype::F32 => {
            count(view.bytes(), |b| kind(u32::from_le_bytes(b), 0x7f80_0000, 0x7f_ffff), read)
        }
        // Integers are always finite, and no checkpoint that is read here has other floats.
        _ => {
            read(view.bytes().len() as u64);
            return None;
        }
    };
    let Counts { nan, infinite, first } = counts;
    let first = first?;
    Some(view.fault(ErrorKind::NotFinite { nan, infinite, first }))
}

/// Whether the value is NaN and whether it is infinite, by the bits of exponent and fraction: as
/// numbers without a branch, so that the loop is vectorised.
fn kind(bits: u32, exponent: u32, fraction: u32) -> [u32; 2] {
    let special = u32::from(bits & exponent == exponent);
    let nan = u32::from(bits & fraction != 0);
    [special & nan, special & (1 - nan)]
}

/// How many values are not finite.
#[derive(Clone, Copy, Default)]
struct Counts {
    nan: usize,
    infinite: usize,
    first: Option<usize>,
}

fn count<const N: usize>(
    bytes: &[u8],
    kind: impl Fn([u8; N]) -> [u32; 2] + Sync,
    read: &(dyn Fn(u64) + Sync),
) -> Counts {
    let tasks = bytes.par_chunks(TASK).enumerate().map(|(task, bytes)| {
        let elements = bytes.as_chunks::<N>().0;
        let sums = elements.iter().fold([0, 0], |[nan, infinite], element| {
            let [n, i] = kind(*element);
            [nan + n, infinite + i]
        });
        read(bytes.len() as u64);
        let found = sums != [0, 0];
        let first = || elements.iter().position(|element| kind(*element) != [0, 0]);
        let first = found.then(first).flatten().map(|i| task * TASK / N + i);
        Counts { nan: sums[0] as usize, infinite: sums[1] as usize, first }
    });
    tasks.reduce(Counts::default, |a, b| Counts {
        nan: a.nan + b.nan,
        infinite: a.infinite + b.infinite,
        first: [a.first, b.first].into_iter().flatten().min(),
    })
}
