//! [`Manifest`]: what a finished set is made of. Written last: where it is, the set is complete.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::PrepError;
use crate::journal::ShardEntry;
use crate::select::SkipCounts;
use crate::writer::FileEntry;

/// Name of the manifest in the output folder.
pub const MANIFEST: &str = "manifest.json";

/// What a finished set is made of. Holds no time and no thread count: the same set has the same
/// manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this crate.
    pub version: String,
    /// The resolved options, the source, and a digest of the choice of samples.
    pub making: serde_json::Value,
    /// Numbers of samples.
    pub counts: Counts,
    /// Files that no shard owns.
    pub files: Vec<FileEntry>,
    /// The shards and their files, in order.
    pub shards: Vec<ShardEntry>,
}

/// Numbers of samples.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Samples read.
    pub read: u64,
    /// Examples chosen.
    pub selected: u64,
    /// Examples written.
    pub written: u64,
    /// Samples left out, by reason.
    pub skipped: SkipCounts,
}

impl Manifest {
    /// The manifest of the set in `out`, if there is one.
    ///
    /// # Errors
    /// A file of that name that is not a manifest.
    pub fn read(out: &Path) -> Result<Option<Self>, PrepError> {
        let path = out.join(MANIFEST);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(PrepError::write(path, e)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|_| PrepError::OutputInUse {
            out: out.to_owned(),
            reason: format!("holds a `{MANIFEST}` that segzero did not write"),
        })
    }

    /// Every file of the set but the manifest itself.
    pub fn all_files(&self) -> impl Iterator<Item = &FileEntry> {
        self.shards.iter().flat_map(|shard| &shard.files).chain(&self.files)
    }
}
