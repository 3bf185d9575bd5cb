//! Checkpoints of random weights in the published form, for tests and benchmarks: what they hold
//! follows from the parameters' names, so that no weights need be kept, and Python can compute the
//! same (`tests/fixtures/qwen_vl/formula.py`).
//!
//! An array's name, hashed by FNV-1a (64 bits), seeds a counter; splitmix64 mixes it; the upper 24
//! bits become a number u in [-1, 1) that f32 holds exactly. Scales are larger than those of a usual
//! initialisation: with a standard deviation of 0.02 a network is so nearly linear that a mistake in
//! it hardly moves its logits.

use std::path::{Path, PathBuf};

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::Dtype;

use super::writer::{Sink, Tensor, write_model};
use super::{Error, ErrorKind, Layout};

/// Elements computed before they are written: all that is held in memory.
const BLOCK: usize = 1 << 22;
/// Elements of one task.
const TASK: usize = 1 << 16;

/// What is in the names of parameters that are added to activations rather than multiplied by them.
const EMBEDDINGS: [&str; 8] = [
    "embed_tokens",
    "pos_embed",
    "_token.weight",
    "_tokens.weight",
    "point_embed",
    "no_mask_embed",
    "no_mem_embed",
    "gaussian",
];

/// The numbers of one array: `offset + scale * u`, computed in f64 and rounded once to f32.
#[derive(Clone, Copy, Debug)]
pub struct Formula {
    seed: u64,
    offset: f64,
    scale: f64,
}

impl Formula {
    /// Values `scale * u` of an array of that name: 2 for `pixel_values/CASE`.
    pub fn scaled(name: &str, scale: f64) -> Self {
        Self { seed: fnv1a(name), offset: 0.0, scale }
    }

    /// A parameter by its canonical name: norms about 1, biases up to 0.3, embeddings of variance 1,
    /// matrices that multiply the variance of their input by 2.25. Those of SAM 2's neck, which
    /// takes in the trunk's residual stream as it has grown, multiply it by 0.16.
    pub fn weight(name: &str, shape: &[usize]) -> Self {
        let fan_in: usize = shape.iter().skip(1).product();
        let (offset, scale) = match shape.len() {
            0 | 1 if name.ends_with(".weight") => (1.0, 0.3),
            0 | 1 => (0.0, 0.3),
            _ if EMBEDDINGS.iter().any(|part| name.contains(part)) => (0.0, f64::sqrt(3.0)),
            _ => {
                let gain = if name.contains(".neck.") { 0.4 } else { 1.5 };
                (0.0, gain * (3.0 / fan_in as f64).sqrt())
            }
        };
        Self { offset, ..Self::scaled(name, scale) }
    }

    /// Element `index` of the array in row-major order.
    pub fn value(&self, index: usize) -> f32 {
        let u = f64::from(self.integer(index)) / f64::from(1 << 23) - 1.0;
        (self.offset + self.scale * u) as f32
    }

    /// The 24 bits behind [`Formula::value`]: modulo the size of a vocabulary, a token.
    pub fn integer(&self, index: usize) -> u32 {
        let counter = (index as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut z = self.seed.wrapping_add(counter);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as u32
    }

    /// The first `count` elements.
    pub fn values(&self, count: usize) -> Vec<f32> {
        (0..count).into_par_iter().with_min_len(TASK).map(|index| self.value(index)).collect()
    }

    /// Elements from `first` on as stored bytes of that dtype, `N` bytes each.
    fn fill<const N: usize>(&self, first: usize, bytes: &mut [u8], store: fn(f32) -> [u8; N]) {
        bytes.par_chunks_mut(TASK * N).enumerate().for_each(|(task, bytes)| {
            for (i, element) in bytes.as_chunks_mut::<N>().0.iter_mut().enumerate() {
                *element = store(self.value(first + task * TASK + i));
            }
        });
    }
}

fn fnv1a(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    name.bytes().fold(0xCBF2_9CE4_8422_2325, step)
}

/// How a random checkpoint is written.
#[derive(Clone, Debug)]
pub struct Form {
    /// F32, F16 or BF16.
    pub dtype: Dtype,
    /// Names on disk; the values are always those of the canonical names.
    pub layout: Layout,
    /// Most bytes of tensors in one file, unless a single tensor has more.
    pub shard_bytes: u64,
}

impl Default for Form {
    /// As Qwen's are published: bf16 in shards of up to 4 GB.
    fn default() -> Self {
        Self { dtype: Dtype::BF16, layout: Layout::Published, shard_bytes: 4_000_000_000 }
    }
}

/// Writes a checkpoint of those parameters (canonical name and shape) into a folder, with copies of
/// further files (`config.json`, the tokenizer's). Memory: two blocks of `BLOCK` elements.
///
/// # Errors
/// A dtype that is none of the three; a disk that is full.
pub fn write(
    folder: &Path,
    parameters: &[(String, Vec<usize>)],
    form: &Form,
    files: &[PathBuf],
) -> Result<(), Error> {
    if !matches!(form.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
        return Err(Error::new(folder, ErrorKind::Dtype(form.dtype)));
    }
    std::fs::create_dir_all(folder).map_err(|e| Error::new(folder, e))?;
    for file in files {
        let copy = folder.join(file.file_name().unwrap_or_default());
        std::fs::copy(file, copy).map_err(|e| Error::new(file, e))?;
    }
    let mut tensors: Vec<Tensor> = Vec::new();
    let mut rows: Vec<&[(String, Vec<usize>)]> = Vec::new();
    let name = |(name, _): &(String, Vec<usize>)| form.layout.on_disk(name);
    // Consecutive parameters with one name on disk are rows of one tensor.
    for group in parameters.chunk_by(|a, b| name(a) == name(b)) {
        let [(_, first), more @ ..] = group else { continue };
        let mut shape = first.clone();
        more.iter().for_each(|(_, shape_of)| shape[0] += shape_of[0]);
        tensors.push(Tensor { name: name(&group[0]), dtype: form.dtype, shape });
        rows.push(group);
    }
    write_model(folder, &tensors, form.shard_bytes, &mut |number, write| {
        rows[number].iter().try_for_each(|(name, shape)| fill(name, shape, form.dtype, write))
    })?;
    Ok(())
}

/// Hands over the numbers of a parameter, block by block.
fn fill(name: &str, shape: &[usize], dtype: Dtype, write: Sink<'_>) -> Result<(), Error> {
    let formula = Formula::weight(name, shape);
    let (size, count) = (dtype.bitsize() / 8, shape.iter().product::<usize>());
    let mut block = Vec::new();
    for first in (0..count).step_by(BLOCK) {
        block.resize(BLOCK.min(count - first) * size, 0);
        match dtype {
            Dtype::F32 => formula.fill(first, &mut block, f32::to_le_bytes),
            Dtype::F16 => formula.fill(first, &mut block, |v| f16::from_f32(v).to_le_bytes()),
            _ => formula.fill(first, &mut block, |v| bf16::from_f32(v).to_le_bytes()),
        }
        write(&block)?;
    }
    Ok(())
}
