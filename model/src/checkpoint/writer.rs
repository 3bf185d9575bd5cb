//! A checkpoint in the published form, written as its numbers come: only what is on its way is in memory.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use safetensors::Dtype;
use serde_json::{Map, json};

use super::{Error, ErrorKind, INDEX, SINGLE};

/// A tensor that is to be written.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// Name on disk.
    pub name: String,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Sizes of the axes, the slowest first.
    pub shape: Vec<usize>,
}

impl Tensor {
    pub fn bytes(&self) -> u64 {
        if self.shape.contains(&0) {
            return 0;
        }
        (self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8) as u64
    }
}

/// Takes the next bytes of a tensor.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Error>;

/// Writes `model.safetensors`, or an index and shards of at most so many bytes, unless a single tensor
/// has more. `fill` is asked for the bytes of one tensor after another, by number. Gives the number of
/// files with weights.
///
/// # Errors
/// Those of `fill`; a disk that is full.
pub(super) fn write_model(
    folder: &Path,
    tensors: &[Tensor],
    shard_bytes: u64,
    fill: &mut dyn FnMut(usize, Sink<'_>) -> Result<(), Error>,
) -> Result<usize, Error> {
    let shards = split(tensors, shard_bytes);
    if let [_] = &shards[..] {
        write_shard(&folder.join(SINGLE), tensors, fill)?;
        return Ok(1);
    }
    let mut weight_map = Map::new();
    let mut first = 0;
    for (number, shard) in shards.iter().enumerate() {
        let file = format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len());
        write_shard(&folder.join(&file), shard, &mut |tensor, sink| fill(first + tensor, sink))?;
        weight_map.extend(shard.iter().map(|tensor| (tensor.name.clone(), json!(file))));
        first += shard.len();
    }
    let total: u64 = tensors.iter().map(Tensor::bytes).sum();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
    let path = folder.join(INDEX);
    fs::write(&path, format!("{index:#}\n")).map_err(|e| Error::new(&path, e))?;
    Ok(shards.len())
}

/// Consecutive tensors for each file.
fn split(tensors: &[Tensor], shard_bytes: u64) -> Vec<&[Tensor]> {
    let mut shards = Vec::new();
    let (mut first, mut size) = (0, 0);
    for (number, tensor) in tensors.iter().enumerate() {
        if size + tensor.bytes() > shard_bytes && number > first {
            shards.push(&tensors[first..number]);
            (first, size) = (number, 0);
        }
        size += tensor.bytes();
    }
    shards.push(&tensors[first..]);
    shards
}

/// One file under a temporary name, renamed when it is whole.
fn write_shard(
    path: &Path,
    tensors: &[Tensor],
    fill: &mut dyn FnMut(usize, Sink<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let incomplete = path.with_extension("incomplete");
    let io = |e| Error::new(path, ErrorKind::Io(e));
    let mut file = BufWriter::new(File::create(&incomplete).map_err(io)?);
    let header = header(tensors);
    file.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
    file.write_all(header.as_bytes()).map_err(io)?;
    for number in 0..tensors.len() {
        fill(number, &mut |bytes| file.write_all(bytes).map_err(io))?;
    }
    file.flush().map_err(io)?;
    fs::rename(&incomplete, path).map_err(io)
}

/// The header, padded so that the data is aligned.
fn header(tensors: &[Tensor]) -> String {
    let mut table = Map::from_iter([("__metadata__".to_owned(), json!({ "format": "pt" }))]);
    let mut start = 0;
    for tensor in tensors {
        let end = start + tensor.bytes();
        let (dtype, shape) = (tensor.dtype.to_string(), &tensor.shape);
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
        table.insert(tensor.name.clone(), entry);
        start = end;
    }
    let mut text = serde_json::Value::Object(table).to_string();
    let padding = text.len().next_multiple_of(8) - text.len();
    text.extend(std::iter::repeat_n(' ', padding));
    text
}
