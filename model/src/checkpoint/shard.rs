//! One file of weights, mapped: its header parsed and every offset checked, its data untouched.
//!
//! Files of `torch.save` are told by their first bytes and read by `torch/`; all others must be
//! safetensors (<https://huggingface.co/docs/safetensors>): eight bytes, little-endian, for the length
//! of the header; the header, a JSON object from name to dtype, shape and offsets; the data, without
//! holes.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};
use safetensors::Dtype;
use serde::Deserialize;

use super::torch::{self, Parted, TorchError};
use super::{Error, ErrorKind};

/// The format's own limit, which keeps a forged length from taking all memory.
const HEADER_BYTES_MAX: u64 = 100_000_000;

/// How tensors are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// A header in JSON, then the data without holes.
    Safetensors,
    /// A zip archive of a pickle and storages, which several tensors may share.
    Torch,
}

/// A mapped file and what its header says.
#[derive(Debug)]
pub struct Shard {
    /// The file.
    pub path: PathBuf,
    /// How it is written.
    pub format: FileFormat,
    /// Its bytes.
    pub map: Arc<Mmap>,
    /// Where the data begins: offsets in the header count from here.
    pub data_start: u64,
    /// By name on disk.
    pub tensors: BTreeMap<String, Header>,
    /// Free text of the writer (`format: pt`).
    pub metadata: BTreeMap<String, String>,
    /// Tensors of `torch.save` that cannot be read, and why.
    unread: BTreeMap<String, TorchError>,
}

/// What the header says of a tensor.
#[derive(Clone, Debug, Deserialize)]
pub struct Header {
    /// Type of the elements.
    pub dtype: Dtype,
    /// Sizes of the axes, the slowest first.
    pub shape: Vec<usize>,
    /// First byte and one past the last, in the data.
    pub data_offsets: (u64, u64),
}

impl Header {
    /// Bytes that dtype and shape call for; none where they are more than can be counted.
    fn bytes(&self) -> Option<u64> {
        let bits = self.dtype.bitsize() as u64;
        let product = |bits: u64, &size: &usize| bits.checked_mul(size as u64);
        self.shape.iter().try_fold(bits, product).map(|bits| bits.div_ceil(8))
    }
}

#[derive(Deserialize)]
struct Table {
    #[serde(default, rename = "__metadata__")]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Header>,
}

impl Shard {
    /// Maps a file and reads its header.
    ///
    /// # Errors
    /// A file of neither format; of `torch.save`, anything but a table by name. Its tensors are judged
    /// by [`Shard::faults`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fail = |kind: ErrorKind| Error::new(path, kind);
        let map = mapped(path)?;
        if map.starts_with(torch::MAGIC) {
            let contents = torch::read(&map).map_err(|fault| fail(fault.into()))?;
            return Ok(Self::of_torch(path, map, contents.whole()));
        }
        let length = map.len() as u64;
        let Some((head, rest)) = map.split_first_chunk::<8>() else {
            return Err(fail(recognised(&map).unwrap_or(ErrorKind::TooShort(length))));
        };
        let header = u64::from_le_bytes(*head);
        if header > HEADER_BYTES_MAX || header > rest.len() as u64 {
            let kind = ErrorKind::HeaderLength { header, file: length };
            return Err(fail(recognised(&map).unwrap_or(kind)));
        }
        let table: Table = serde_json::from_slice(&rest[..header as usize])
            .map_err(|e| fail(ErrorKind::Header(e)))?;
        let mut shard = Self::new(path, FileFormat::Safetensors, map, 8 + header, table.tensors);
        shard.metadata = table.metadata;
        Ok(shard)
    }

    /// What one rank of a training saved: its pieces among the tensors, and of what they are pieces.
    ///
    /// # Errors
    /// Not a file of `torch.save`, or anything but a table by name.
    pub(super) fn open_rank(path: &Path) -> Result<(Self, BTreeMap<String, Parted>), Error> {
        let map = mapped(path)?;
        let mut contents = match map.starts_with(torch::MAGIC) {
            true => torch::read(&map).map_err(|fault| Error::new(path, fault))?,
            false => {
                let kind = recognised(&map).unwrap_or(TorchError::NoArchive.into());
                return Err(Error::new(path, kind));
            }
        };
        let parted = std::mem::take(&mut contents.parted);
        Ok((Self::of_torch(path, map, contents), parted))
    }

    fn of_torch(path: &Path, map: Mmap, contents: torch::Contents) -> Self {
        let mut shard = Self::new(path, FileFormat::Torch, map, 0, contents.tensors);
        shard.unread = contents.faults;
        shard
    }

    fn new(
        path: &Path,
        format: FileFormat,
        map: Mmap,
        data_start: u64,
        tensors: BTreeMap<String, Header>,
    ) -> Self {
        let (path, map) = (path.to_owned(), Arc::new(map));
        let (metadata, unread) = (BTreeMap::new(), BTreeMap::new());
        Self { path, format, map, data_start, tensors, metadata, unread }
    }

    /// Everything that is wrong with sizes and offsets, in the order of the data.
    pub fn faults(&self) -> Vec<Error> {
        if self.format == FileFormat::Torch {
            // Tensors lie in the file, or they would be among these; and they may share bytes.
            let fault = |(name, fault): (&String, &TorchError)| {
                Error::new(&self.path, fault.clone()).tensor(name)
            };
            return self.unread.iter().map(fault).collect();
        }
        let data = self.map.len() as u64 - self.data_start;
        let mut faults = Vec::new();
        let mut order: Vec<(&String, &Header)> = self.tensors.iter().collect();
        order.sort_by_key(|(_, header)| header.data_offsets);
        faults.extend(self.truncated(&order));
        let mut previous: (u64, &str) = (0, "");
        for (name, header) in order {
            let (start, end) = header.data_offsets;
            let mut fault = |kind| faults.push(Error::new(&self.path, kind).tensor(name));
            if end < start {
                fault(ErrorKind::Backwards { start, end });
                continue;
            }
            if header.bytes() != Some(end - start) {
                let (dtype, shape) = (header.dtype, header.shape.clone());
                fault(ErrorKind::Size {
                    bytes: end - start,
                    dtype,
                    shape,
                    expected: header.bytes(),
                });
            }
            if start < previous.0 {
                fault(ErrorKind::Overlap(previous.1.to_owned()));
            } else if start > previous.0 {
                fault(ErrorKind::Gap { bytes: start - previous.0 });
            }
            if end >= previous.0 {
                previous = (end, name);
            }
        }
        if previous.0 < data {
            faults.push(Error::new(&self.path, ErrorKind::Tail { bytes: data - previous.0 }));
        }
        faults
    }

    /// Reads everything, and compares it with the check sums that a file of `torch.save` has;
    /// safetensors have none.
    pub fn corrupted(&self) -> Vec<Error> {
        let faults = match self.format {
            FileFormat::Torch => torch::corrupted(&self.map),
            FileFormat::Safetensors => Vec::new(),
        };
        faults.into_iter().map(|fault| Error::new(&self.path, fault)).collect()
    }

    /// What was cut off, as one fault.
    fn truncated(&self, order: &[(&String, &Header)]) -> Option<Error> {
        let file = self.map.len() as u64;
        let end = |header: &Header| header.data_offsets.1.saturating_add(self.data_start);
        let beyond: Vec<_> = order.iter().filter(|(_, header)| end(header) > file).collect();
        let (first, _) = beyond.first()?;
        let needed = beyond.iter().map(|(_, header)| end(header)).max()?;
        let kind = ErrorKind::Truncated { file, needed, tensors: beyond.len() };
        Some(Error::new(&self.path, kind).tensor(*first))
    }

    /// Where a tensor's bytes lie in the file; none where they do not.
    pub fn range(&self, header: &Header) -> Option<Range<usize>> {
        let at = |offset: u64| usize::try_from(offset.checked_add(self.data_start)?).ok();
        let range = at(header.data_offsets.0)?..at(header.data_offsets.1)?;
        self.map.get(range.clone()).is_some().then_some(range)
    }
}

fn mapped(path: &Path) -> Result<Mmap, Error> {
    let file = File::open(path).map_err(|e| Error::new(path, e))?;
    // SAFETY: the map is read only, and nothing here writes to weights. Another program that shortens
    // the file while it is mapped would end this one with SIGBUS: the price of reading weights where
    // they lie, which every reader of them pays.
    unsafe { MmapOptions::new().map(&file) }.map_err(|e| Error::new(path, e))
}

/// What a file is that is not safetensors, where its first bytes tell.
fn recognised(bytes: &[u8]) -> Option<ErrorKind> {
    let text = bytes[..bytes.len().min(512)].trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"version https://git-lfs") {
        return Some(ErrorKind::LfsPointer(bytes.len() as u64));
    }
    if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") {
        return Some(ErrorKind::Html);
    }
    // A bare pickle of protocol 2 to 5.
    matches!(bytes, [0x80, 2..=5, ..]).then_some(ErrorKind::Torch(TorchError::Legacy))
}
