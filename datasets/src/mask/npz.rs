//! Masks in `.npz` archives.

use std::io::{Read, Seek};

use super::Mask;
use crate::ErrorKind;

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
            let mask = read.map_err(|e| damaged(&e)).and_then(|_| Self::read_npy(&bytes));
            each(&name, mask);
        }
        Ok(())
    }
}
