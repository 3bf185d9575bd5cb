//! The pieces of a training's ranks joined to a model as it is published.

use std::fs;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use serde_json::Value;

use super::super::writer::{Sink, Tensor, write_model};
use super::super::{INDEX, Layout, View, is_weights};
use super::locate::SIDE_FILES;
use super::{Error, ErrorKind, Sharded, ShardedError, Whole};

const CONFIG: &str = "config.json";
/// Most bytes of a file: as Hugging Face's tools cut models.
const SHARD_BYTES: u64 = 5_000_000_000;
/// The output layer, and what it is where the configuration ties them.
const TIED: [&str; 2] = ["lm_head.weight", "model.embed_tokens.weight"];

/// In what floating-point numbers are written; integers stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ImportDtype {
    /// As models are published; what is trained in f32 is rounded to nearest, ties to even.
    #[default]
    Bf16,
    /// Exact from bf16 and f16.
    F32,
    /// Rounded to nearest; what is too large becomes infinite.
    F16,
    /// As they were saved.
    Keep,
}

impl ImportDtype {
    fn of(self, saved: Dtype) -> Dtype {
        let is_float = matches!(saved, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16);
        match self {
            Self::Bf16 if is_float => Dtype::BF16,
            Self::F32 if is_float => Dtype::F32,
            Self::F16 if is_float => Dtype::F16,
            _ => saved,
        }
    }
}

/// What configurations call the numbers that are written, where all are of one kind.
fn name(sharded: &Sharded, dtype: ImportDtype) -> Option<&'static str> {
    let name = |dtype| match dtype {
        Dtype::BF16 => Some("bfloat16"),
        Dtype::F32 => Some("float32"),
        Dtype::F16 => Some("float16"),
        Dtype::F64 => Some("float64"),
        _ => None,
    };
    let mut names = sharded.wholes().filter_map(|(_, whole)| name(dtype.of(whole.dtype)));
    let first = names.next()?;
    names.all(|other| other == first).then_some(first)
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Number of tensors.
    pub tensors: usize,
    /// Bytes of tensors.
    pub bytes: u64,
    /// Files of weights.
    pub files: usize,
}

/// Writes a model to a folder that is new or empty: weights under their published names, in several files
/// with an index where they are large, and what lies in `huggingface/` beside the pieces. All is written to
/// `.OUT.segzero-part` (what an interrupted import left there is removed), which is renamed at the end. The function
/// is told of bytes that were read.
///
/// In memory are the numbers of one piece, or of one tensor where it is cut along another axis than the
/// first.
///
/// # Errors
/// No configuration; a folder that is not empty; numbers of f64 unless they are kept; a disk that is full.
pub fn import(
    sharded: &Sharded,
    out: &Path,
    dtype: ImportDtype,
    read: &dyn Fn(u64),
) -> Result<Imported, Error> {
    let side_files = sharded.folder.join(SIDE_FILES);
    let config = side_files.join(CONFIG);
    let text = match fs::read(&config) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::new(&config, ShardedError::NoConfig));
        }
        text => text.map_err(|e| Error::new(&config, e))?,
    };
    let stated: Value = serde_json::from_slice(&text).map_err(|e| Error::new(&config, e))?;
    let is_taken = fs::read_dir(out).is_ok_and(|mut files| files.next().is_some());
    // `.`, `..` and links cannot be replaced by a rename.
    if out.is_symlink() || out.file_name().is_none() {
        return Err(Error::new(out, ShardedError::NotItself));
    }
    if is_taken || out.is_file() {
        return Err(Error::new(out, ShardedError::Exists));
    }
    let part = beside(out);
    if part.exists() {
        fs::remove_dir_all(&part).map_err(|e| Error::new(&part, e))?;
    }
    let written = write(sharded, &side_files, &stated, &part, dtype, read).and_then(|imported| {
        // An empty folder makes way.
        let _ = fs::remove_dir(out);
        fs::rename(&part, out).map_err(|e| Error::new(out, e))?;
        Ok(imported)
    });
    written.inspect_err(|_| {
        // The first error is the one to report.
        let _ = fs::remove_dir_all(&part);
    })
}

/// `.OUT.segzero-part`, which nobody else would name a folder of theirs.
fn beside(out: &Path) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!(".{name}.segzero-part"))
}

fn write(
    sharded: &Sharded,
    side_files: &Path,
    config: &Value,
    part: &Path,
    dtype: ImportDtype,
    read: &dyn Fn(u64),
) -> Result<Imported, Error> {
    fs::create_dir_all(part).map_err(|e| Error::new(part, e))?;
    copy(side_files, part)?;
    let mut stated = config.clone();
    if let Some(name) = name(sharded, dtype) {
        state(&mut stated, name);
    }
    let path = part.join(CONFIG);
    fs::write(&path, format!("{stated:#}\n")).map_err(|e| Error::new(&path, e))?;
    let wholes: Vec<(&str, &Whole)> =
        sharded.wholes().filter(|(name, _)| !is_tied(sharded, config, name)).collect();
    let tensor = |(name, whole): &(&str, &Whole)| Tensor {
        name: Layout::Published.on_disk(name),
        dtype: dtype.of(whole.dtype),
        shape: whole.shape.clone(),
    };
    let tensors: Vec<Tensor> = wholes.iter().map(tensor).collect();
    let files = write_model(part, &tensors, SHARD_BYTES, &mut |number, sink| {
        let (name, whole) = wholes[number];
        join(&sharded.pieces(name, whole), whole, tensors[number].dtype, sink, read)
    })?;
    let bytes = tensors.iter().map(Tensor::bytes).sum();
    Ok(Imported { tensors: tensors.len(), bytes, files })
}

/// Copies all files but weights and the configuration, which is written anew.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let fail = |e| Error::new(from, e);
    for file in fs::read_dir(from).map_err(fail)? {
        let path = file.map_err(fail)?.path();
        let name = path.file_name().unwrap_or_default();
        let weights = name.to_str().is_some_and(|name| is_weights(name) || name == INDEX);
        if path.is_file() && !weights && name != CONFIG {
            fs::copy(&path, to.join(name)).map_err(|e| Error::new(&path, e))?;
        }
    }
    Ok(())
}

/// Sets what a configuration says of its weights' numbers, in all its parts: programs load them as that.
fn state(config: &mut Value, name: &str) {
    for (key, value) in config.as_object_mut().into_iter().flatten() {
        match value {
            Value::String(stated) if key == "torch_dtype" || key == "dtype" => {
                name.clone_into(stated);
            }
            other => state(other, name),
        }
    }
}

/// Whether it is the output layer of a model that has the embeddings in its place. Trainers save it
/// under both names; it is published under one.
fn is_tied(sharded: &Sharded, config: &Value, name: &str) -> bool {
    let [head, embeddings] = TIED.map(|name| sharded.wholes.get_key_value(name));
    let (Some((head, whole)), Some((embeddings, same))) = (head, embeddings) else { return false };
    let flag = |part: &Value| part["tie_word_embeddings"].as_bool();
    let is_stated = flag(config).or_else(|| flag(&config["text_config"])).unwrap_or(false);
    if name != head || !is_stated || (whole.dtype, &whole.shape) != (same.dtype, &same.shape) {
        return false;
    }
    let (head, embeddings) = (sharded.pieces(head, whole), sharded.pieces(embeddings, same));
    let same = |(a, b): (&View<'_>, &View<'_>)| {
        let is_same = a.bytes() == b.bytes();
        a.release();
        b.release();
        is_same
    };
    head.len() == embeddings.len() && head.iter().zip(&embeddings).all(same)
}

/// Hands over the elements of a whole tensor.
fn join(
    pieces: &[View<'_>],
    whole: &Whole,
    dtype: Dtype,
    sink: Sink<'_>,
    read: &dyn Fn(u64),
) -> Result<(), Error> {
    if pieces.is_empty() {
        return Ok(());
    }
    let axis = whole.axis.unwrap_or_default();
    let rows: usize = whole.shape.iter().take(axis).product();
    if rows == 1 {
        for piece in pieces {
            sink(Numbers::of(piece, dtype)?.bytes())?;
            finish(piece, read);
        }
        return Ok(());
    }
    let numbers: Result<Vec<_>, _> = pieces.iter().map(|p| Numbers::of(p, dtype)).collect();
    let numbers = numbers?;
    for row in 0..rows {
        for bytes in numbers.iter().map(Numbers::bytes) {
            let width = bytes.len() / rows;
            sink(&bytes[row * width..(row + 1) * width])?;
        }
    }
    pieces.iter().for_each(|piece| finish(piece, read));
    Ok(())
}

fn finish(piece: &View<'_>, read: &dyn Fn(u64)) {
    piece.release();
    read(piece.bytes().len() as u64);
}

/// The elements of a piece: where they lie, or converted.
enum Numbers<'a> {
    Kept(&'a [u8]),
    Bf16(Vec<bf16>),
    F16(Vec<f16>),
    F32(Vec<f32>),
}

impl<'a> Numbers<'a> {
    fn of(piece: &View<'a>, dtype: Dtype) -> Result<Self, Error> {
        Ok(match dtype {
            same if same == piece.dtype() => {
                piece.prefetch();
                Self::Kept(piece.bytes())
            }
            Dtype::BF16 => Self::Bf16(piece.to_bf16()?),
            Dtype::F16 => Self::F16(piece.to_f16()?),
            Dtype::F32 => Self::F32(piece.to_f32()?),
            other => return Err(piece.fault(ErrorKind::Dtype(other))),
        })
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes,
            Self::Bf16(numbers) => bytemuck::cast_slice(numbers),
            Self::F16(numbers) => bytemuck::cast_slice(numbers),
            Self::F32(numbers) => bytemuck::cast_slice(numbers),
        }
    }
}
