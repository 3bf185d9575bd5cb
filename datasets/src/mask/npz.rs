//! Masks in `.npz` archives.

use std::io::{Read, Seek};

use super::Mask;
use crate::{ErrorKind, Size};

/// The largest array that is read: no mask of less than 2^32 pixels of one byte is larger.
const MAX_ARRAY: u64 = 1 << 32;

impl Mask {
    /// Reads every array of an `.npz` archive as [`Mask::read_npy`] does, one at a time: its name
    /// without `.npy`, and the mask or what is wrong with it.
    ///
    /// # Errors
    /// What is no archive.
    pub fn read_npz(
        archive: impl Read + Seek,
        mut each: impl FnMut(&str, Result<Self, ErrorKind>),
    ) -> Result<(), ErrorKind> {
        Self::read_npz_bytes(archive, |name, bytes| each(name, bytes.and_then(Self::read_npy)))
    }

    /// Hands out every array of an `.npz` archive as the bytes of a `.npy` file, one at a time.
    ///
    /// # Errors
    /// What is no archive.
    pub fn read_npz_bytes(
        archive: impl Read + Seek,
        mut each: impl FnMut(&str, Result<&[u8], ErrorKind>),
    ) -> Result<(), ErrorKind> {
        let mut archive = npyz::npz::NpzArchive::new(archive)?;
        let zip = archive.zip_archive();
        let mut bytes = Vec::new();
        for position in 0..zip.len() {
            let damaged = |e: &dyn std::fmt::Display| ErrorKind::Unexpected {
                expected: "a readable .npz archive".to_owned(),
                found: e.to_string(),
            };
            let mut file = zip.by_index(position).map_err(|e| damaged(&e))?;
            let name = file.name().strip_suffix(".npy").unwrap_or(file.name()).to_owned();
            bytes.clear();
            let read = file.by_ref().take(MAX_ARRAY).read_to_end(&mut bytes);
            each(&name, read.map(|_| bytes.as_slice()).map_err(|e| damaged(&e)));
        }
        Ok(())
    }

    /// Reads a three-dimensional `.npy` array of booleans or bytes in C order, `[n, height, width]`,
    /// as `n` masks of the pixels that `is_set` takes.
    ///
    /// # Errors
    /// A damaged file, another shape, order or element type, or 2^32 pixels or more a mask.
    pub fn read_npy_stack(
        bytes: &[u8],
        is_set: impl Fn(u8) -> bool,
    ) -> Result<Vec<Self>, ErrorKind> {
        let unexpected = |found: String| ErrorKind::Unexpected {
            expected: "an array of booleans or bytes, [n, height, width], in C order".to_owned(),
            found,
        };
        let mut data = bytes;
        let file = npyz::NpyFile::new(&mut data)?;
        let (order, descr, shape) = (file.order(), file.dtype().descr(), file.shape().to_vec());
        let &[_, height, width] = shape.as_slice() else {
            return Err(unexpected(format!("shape {shape:?}")));
        };
        let is_bytes = ["'|b1'", "'|u1'", "'|i1'"].contains(&descr.as_str());
        if order != npyz::Order::C || !is_bytes {
            return Err(unexpected(descr));
        }
        let side = |n: u64| u32::try_from(n).map_err(|_| unexpected(format!("shape {shape:?}")));
        let size = Size::new(side(width)?, side(height)?);
        super::check_size(size)?;
        let pixels = size.pixels() as usize;
        if pixels == 0 || shape[0].checked_mul(size.pixels()) != Some(data.len() as u64) {
            return Err(unexpected(format!("{} bytes for shape {shape:?}", data.len())));
        }
        let slices = data.chunks_exact(pixels);
        slices
            .map(|slice| {
                let slice: Vec<u8> = slice.iter().map(|&value| is_set(value).into()).collect();
                Ok(Self::from_bitmap(size, &slice)?)
            })
            .collect()
    }
}
