//! Logits as `.npy` files.

use std::io::{self, Write};
use std::path::Path;

use npyz::WriterBuilder as _;
use segzero_datasets::{Error, ErrorKind};

use crate::failure::Failure;

/// Longest header of an array of few dimensions; longer ones describe something else.
const MAX_HEADER: usize = 512;

/// Reads the `[side, side]` logits of one object, in f32 or f64; leading dimensions may be 1.
///
/// # Errors
/// Another file, type or shape.
pub fn read(path: &Path, side: usize) -> Result<Vec<f32>, Failure> {
    let bytes = std::fs::read(path).map_err(|e| Error::new(path, e))?;
    let unexpected = |found: String| {
        let expected = format!("a .npy array [{side}, {side}] of f32, as `--logits` writes it");
        Failure::from(Error::new(path, ErrorKind::Unexpected { expected, found }))
    };
    let header = bytes.get(8..10).map(|length| u16::from_le_bytes([length[0], length[1]]));
    if !bytes.starts_with(b"\x93NUMPY\x01") || header.is_none_or(|n| usize::from(n) > MAX_HEADER) {
        return Err(unexpected("another file".to_owned()));
    }
    let array = npyz::NpyFile::new(&bytes[..]).map_err(|e| Error::new(path, e))?;
    let shape = array.shape().to_vec();
    let (leading, last) = shape.split_at(shape.len().saturating_sub(2));
    if last != [side as u64; 2] || leading.iter().any(|&n| n != 1) {
        return Err(unexpected(format!("shape {shape:?}")));
    }
    let is_square_transposed = array.order() == npyz::Order::Fortran;
    let kind = array.dtype().descr();
    let numbers: io::Result<Vec<f32>> = match kind.trim_matches('\'') {
        _ if is_square_transposed => return Err(unexpected("Fortran order".to_owned())),
        "<f4" => array.into_vec(),
        "<f8" => array.into_vec().map(|all: Vec<f64>| all.iter().map(|&x| x as f32).collect()),
        other => return Err(unexpected(format!("elements `{other}`"))),
    };
    Ok(numbers.map_err(|e| Error::new(path, e))?)
}

/// Writes `[objects, side, side]`.
///
/// # Errors
/// A full disk.
pub fn write(out: &mut dyn Write, objects: &[&[f32]], side: usize) -> io::Result<()> {
    let shape = [objects.len(), side, side].map(|n| n as u64);
    let mut writer =
        npyz::WriteOptions::new().default_dtype().shape(&shape).writer(out).begin_nd()?;
    for logits in objects {
        writer.extend(logits.iter())?;
    }
    writer.finish()
}
