//! Files of `torch.save` (`.pt`, `.pth`, `pytorch_model.bin`), read without executing anything: a zip
//! archive of `data.pkl`, which says what the tensors are called and how they lie in their storages,
//! and of the storages, `data/0`, `data/1`, …, whose bytes stay in the mapped file.
//!
//! The pickle is a program for Python; here it is data (`segzero_datasets::pickle`), and of what it may
//! name, [`OBJECTS`] is all. What torch writes: `torch/serialization.py`, `torch/_utils.py`
//! (`_rebuild_tensor_v2`: storage, offset, size, strides, …).

mod archive;
mod dtensor;
mod error;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;
use safetensors::Dtype;
use segzero_datasets::pickle::{Pickle, Value, parse_naming};

use super::shard::Header;
use archive::Stored;
pub(super) use dtensor::Parted;
pub use error::{EntryFault, TorchError};

/// What a zip archive begins with.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

const DICT: &str = "collections.OrderedDict";
const TENSOR: &str = "torch._utils._rebuild_tensor_v2";
/// A tensor of a dtype that has no storage class of its own.
const TENSOR_OF_DTYPE: &str = "torch._utils._rebuild_tensor_v3";
const PARAMETER: &str = "torch._utils._rebuild_parameter";
/// Most axes of a tensor in torch.
const AXES_MAX: usize = 64;
const UNTYPED: &str = "torch.storage.UntypedStorage";

/// The Python objects that a file may name.
const OBJECTS: &[&str] = &[
    DICT,
    TENSOR,
    TENSOR_OF_DTYPE,
    PARAMETER,
    UNTYPED,
    "torch.Size",
    "torch.device",
    "torch.BoolStorage",
    "torch.ByteStorage",
    "torch.CharStorage",
    "torch.ShortStorage",
    "torch.IntStorage",
    "torch.LongStorage",
    "torch.HalfStorage",
    "torch.BFloat16Storage",
    "torch.FloatStorage",
    "torch.DoubleStorage",
    "torch.bool",
    "torch.uint8",
    "torch.uint16",
    "torch.uint32",
    "torch.uint64",
    "torch.int8",
    "torch.int16",
    "torch.int32",
    "torch.int64",
    "torch.float16",
    "torch.bfloat16",
    "torch.float32",
    "torch.float64",
    "torch.float8_e4m3fn",
    "torch.float8_e5m2",
    dtensor::REBUILT,
    dtensor::WRAPPER,
    dtensor::DTENSOR,
    "torch.distributed._tensor.api.DTensor",
    "torch.serialization._get_layout",
    "torch.distributed.device_mesh.DeviceMesh",
    "torch.distributed._mesh_layout._MeshLayout",
    "torch.distributed._mesh_layout._FlatLayout",
    "torch.distributed.tensor._dtensor_spec.DTensorSpec",
    "torch.distributed.tensor._dtensor_spec.TensorMeta",
    "torch.distributed.tensor._dtensor_spec.ShardOrderEntry",
    "torch.distributed._tensor.placement_types.DTensorSpec",
    "torch.distributed._tensor.placement_types.TensorMeta",
    "torch.distributed.tensor.placement_types.Shard",
    "torch.distributed.tensor.placement_types.Replicate",
    "torch.distributed.tensor.placement_types.Partial",
    "torch.distributed.tensor.placement_types._StridedShard",
    "torch.distributed._tensor.placement_types.Shard",
    "torch.distributed._tensor.placement_types.Replicate",
];

/// Type of the elements of a storage class, or by the name of a dtype.
fn dtype(object: &str) -> Option<Dtype> {
    Some(match object.strip_prefix("torch.")? {
        "BoolStorage" | "bool" => Dtype::BOOL,
        "ByteStorage" | "uint8" => Dtype::U8,
        "CharStorage" | "int8" => Dtype::I8,
        "ShortStorage" | "int16" => Dtype::I16,
        "IntStorage" | "int32" => Dtype::I32,
        "LongStorage" | "int64" => Dtype::I64,
        "HalfStorage" | "float16" => Dtype::F16,
        "BFloat16Storage" | "bfloat16" => Dtype::BF16,
        "FloatStorage" | "float32" => Dtype::F32,
        "DoubleStorage" | "float64" => Dtype::F64,
        "uint16" => Dtype::U16,
        "uint32" => Dtype::U32,
        "uint64" => Dtype::U64,
        "float8_e4m3fn" => Dtype::F8_E4M3,
        "float8_e5m2" => Dtype::F8_E5M2,
        _ => return None,
    })
}

/// What a file holds; offsets count from its first byte.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// By name.
    pub tensors: BTreeMap<String, Header>,
    /// Of which tensors these are pieces, where they are.
    pub parted: BTreeMap<String, Parted>,
    /// What is wrong with those that are not there.
    pub faults: BTreeMap<String, TorchError>,
}

impl Contents {
    /// Without pieces, which are at fault where whole tensors are asked for.
    pub fn whole(mut self) -> Self {
        for (name, _) in std::mem::take(&mut self.parted) {
            self.tensors.remove(&name);
            self.faults.insert(name, TorchError::Piece);
        }
        self
    }
}

/// Reads the table of tensors.
pub(super) fn read(file: &[u8]) -> Result<Contents, TorchError> {
    let entries = archive::entries(file)?;
    let mut folders = entries.keys().filter_map(|name| name.strip_suffix("data.pkl"));
    let folder = folders.next().ok_or(TorchError::NoPickle)?;
    // Before torch 2.1 the order of bytes was not stated.
    if let Some(entry) = entries.get(&format!("{folder}byteorder"))
        && &file[entry.range.clone()] != b"little"
    {
        let stated = file[entry.range.clone()].iter().take(16).map(|&byte| char::from(byte));
        return Err(TorchError::ByteOrder(stated.collect()));
    }
    let text = &file[entries[&format!("{folder}data.pkl")].range.clone()];
    let pickle = parse_naming(text, OBJECTS)?;
    let reader = Reader { pickle, entries: &entries, data: format!("{folder}data/") };
    let mut contents = Contents::default();
    for (key, value) in reader.pickle.entries(reader.table()?).into_iter().flatten() {
        let name = reader.pickle.text(key).ok_or(TorchError::NoTable("keys that are not text"))?;
        match reader.entry(value) {
            Ok((header, parted)) => {
                contents.tensors.insert(name.to_owned(), header);
                contents.parted.extend(parted.map(|parted| (name.to_owned(), parted)));
            }
            Err(fault) => _ = contents.faults.insert(name.to_owned(), fault),
        }
    }
    Ok(contents)
}

/// The entries whose bytes are not those that were written.
pub(super) fn corrupted(file: &[u8]) -> Vec<TorchError> {
    // What cannot be opened has been reported.
    let entries = archive::entries(file).unwrap_or_default();
    let corrupted = entries.into_par_iter().filter(|(_, stored)| !stored.is_whole(file));
    let fault = EntryFault::Corrupted;
    corrupted.map(|(entry, _)| TorchError::Entry { entry, fault: fault.clone() }).collect()
}

struct Reader<'a> {
    pickle: Pickle<'a>,
    entries: &'a BTreeMap<String, Stored>,
    /// Folder of the storages in the archive.
    data: String,
}

impl<'a> Reader<'a> {
    /// The table from names to tensors: under `model` (Meta's), under `state_dict` (trainers'), or all.
    fn table(&self) -> Result<Value<'a>, TorchError> {
        let root = self.pickle.root();
        let inner =
            ["model", "state_dict"].into_iter().filter_map(|key| self.pickle.get(root, key));
        let mut tables = inner.chain([root]).filter(|&value| self.is_dict(value));
        tables.next().ok_or(TorchError::NoTable(root.type_name()))
    }

    fn is_dict(&self, value: Value<'a>) -> bool {
        match value {
            Value::Dict(_) => true,
            // Keys and values among the arguments are Python 2's.
            _ => self.pickle.call(value) == Some((DICT, &[])),
        }
    }

    /// A tensor, or a piece of one.
    fn entry(&self, value: Value<'a>) -> Result<(Header, Option<Parted>), TorchError> {
        let value = match self.pickle.call(value) {
            Some((PARAMETER, [tensor, ..])) => *tensor,
            _ => value,
        };
        match self.parted(value)? {
            Some((local, parted)) => Ok((self.tensor(local)?, Some(parted))),
            None => Ok((self.tensor(value)?, None)),
        }
    }

    fn tensor(&self, value: Value<'a>) -> Result<Header, TorchError> {
        let (storage, offset, size, strides, stated) = match self.pickle.call(value) {
            Some((TENSOR, &[storage, offset, size, strides, ..])) => {
                (storage, offset, size, strides, None)
            }
            Some((TENSOR_OF_DTYPE, &[storage, offset, size, strides, _, _, dtype, ..])) => {
                (storage, offset, size, strides, Some(dtype))
            }
            _ => return Err(TorchError::NotATensor(value.type_name())),
        };
        let (bytes, stored) = self.storage(storage)?;
        let stated = match stated {
            None => stored,
            Some(Value::Object(name)) => dtype(name),
            Some(_) => None,
        };
        let dtype = stated.ok_or(TorchError::Described("its dtype"))?;
        let shape = self.sizes(size).ok_or(TorchError::Described("its size"))?;
        let strides = self.sizes(strides).filter(|strides| strides.len() == shape.len());
        let strides = strides.ok_or(TorchError::Described("its strides"))?;
        let offset = offset.int().and_then(|offset| usize::try_from(offset).ok());
        let offset = offset.ok_or(TorchError::Described("its offset"))?;
        if !is_contiguous(&shape, &strides) {
            return Err(TorchError::Strided { shape, strides });
        }
        let data_offsets = place(&bytes, dtype, offset, &shape).ok_or_else(|| {
            let elements = bytes.len() * 8 / dtype.bitsize();
            TorchError::Beyond { shape: shape.clone(), offset, elements }
        })?;
        Ok(Header { dtype, shape, data_offsets })
    }

    /// The bytes of a storage, and the type of its elements where it is stated.
    fn storage(&self, value: Value<'a>) -> Result<(Range<usize>, Option<Dtype>), TorchError> {
        let id = self.pickle.persistent(value).and_then(|id| self.pickle.items(id));
        let Some(&[kind, Value::Object(class), key, _, elements, ..]) = id else {
            return Err(TorchError::Described("its storage"));
        };
        let key = self.pickle.text(key).filter(|_| self.pickle.text(kind) == Some("storage"));
        let key = key.ok_or(TorchError::Described("its storage"))?;
        let dtype = dtype(class);
        if dtype.is_none() && class != UNTYPED {
            return Err(TorchError::Described("its storage"));
        }
        let entry = self.entries.get(&format!("{}{key}", self.data));
        let entry = entry.ok_or_else(|| TorchError::NoData(key.chars().take(120).collect()))?;
        let range = &entry.range;
        let size = dtype.map_or(1, |dtype| dtype.bitsize() as i128 / 8);
        let elements = elements.int().ok_or(TorchError::Described("its number of elements"))?;
        let expected = i128::from(elements) * size;
        if expected != range.len() as i128 {
            let key = key.to_owned();
            return Err(TorchError::DataSize { key, found: range.len(), expected });
        }
        Ok((range.clone(), dtype))
    }

    /// A tuple of sizes or strides. Its length is torch's limit at most, so that a tuple that many
    /// tensors share does not become many long ones.
    fn sizes(&self, value: Value<'a>) -> Option<Vec<usize>> {
        let items = self.pickle.items(value).filter(|items| items.len() <= AXES_MAX)?;
        items.iter().map(|item| usize::try_from(item.int()?).ok()).collect()
    }
}

/// Whether elements lie one after another, the last axis fastest; axes of size 1 may have any stride.
fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1_usize;
    shape.contains(&0)
        || shape.iter().zip(strides).rev().filter(|(size, _)| **size != 1).all(|(size, stride)| {
            let is_next = *stride == expected;
            expected = expected.saturating_mul(*size);
            is_next
        })
}

/// First byte and one past the last of a contiguous tensor in the storage at these bytes; none where it
/// reaches beyond.
fn place(bytes: &Range<usize>, dtype: Dtype, offset: usize, shape: &[usize]) -> Option<(u64, u64)> {
    let size = dtype.bitsize() / 8;
    let length = shape.iter().try_fold(size, |bytes, &size| bytes.checked_mul(size))?;
    let start = bytes.start.checked_add(offset.checked_mul(size)?)?;
    let end = start.checked_add(length)?;
    (end <= bytes.end).then_some((start as u64, end as u64))
}
