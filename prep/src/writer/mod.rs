//! Shards of the training set on disk. A file gets its final name only when it is complete.

mod folder;
mod parquet;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::options::{OutputFormat, PrepOptions};
use crate::{Example, PrepError};

pub(crate) use parquet::arrays;
pub use parquet::{features_json, schema};

/// Folder, inside the output folder, of everything that is not finished.
pub(crate) const WORK_DIR: &str = ".segzero-prep";

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path inside the output folder, with `/`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

impl FileEntry {
    /// Whether the file is there, at its length.
    pub(crate) fn is_intact(&self, out: &Path) -> bool {
        fs::metadata(out.join(&self.path)).is_ok_and(|found| found.len() == self.bytes)
    }
}

/// Passes bytes on, counting and hashing them.
pub(crate) struct Hashing<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A file that is written beside the set and moved into it when complete.
pub(crate) struct NewFile {
    out: PathBuf,
    /// Final path inside `out`.
    path: String,
    temporary: PathBuf,
    writer: Hashing<File>,
}

impl NewFile {
    /// Begins the file that will be `path` in the folder `out`.
    pub fn create(out: &Path, path: &str) -> Result<Self, PrepError> {
        let temporary = out.join(WORK_DIR).join(format!("{}.tmp", path.replace('/', "_")));
        let file = File::create(&temporary).map_err(|e| PrepError::write(&temporary, e))?;
        let writer = Hashing::new(file);
        Ok(Self { out: out.to_owned(), path: path.to_owned(), temporary, writer })
    }

    /// The path under which errors are reported.
    pub fn final_path(&self) -> PathBuf {
        self.out.join(&self.path)
    }

    /// Gives the file its name, once its bytes have reached the disk.
    pub fn finish(mut self) -> Result<FileEntry, PrepError> {
        let target = self.final_path();
        let fail = |e| PrepError::write(&target, e);
        self.writer.flush().map_err(fail)?;
        self.writer.inner.sync_data().map_err(fail)?;
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(fail)?;
        }
        fs::rename(&self.temporary, &target).map_err(fail)?;
        let sha256 = format!("{:x}", std::mem::take(&mut self.writer.hash).finalize());
        Ok(FileEntry { path: std::mem::take(&mut self.path), bytes: self.writer.bytes, sha256 })
    }
}

impl Drop for NewFile {
    /// Frees the space of a file that was given up; a finished one has moved away.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

impl Write for NewFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.writer.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Writes a whole file at once.
pub(crate) fn write_file(out: &Path, path: &str, bytes: &[u8]) -> Result<FileEntry, PrepError> {
    let mut file = NewFile::create(out, path)?;
    file.write_all(bytes).map_err(|e| PrepError::write(file.final_path(), e))?;
    file.finish()
}

/// A file of one JSON value a line.
pub(crate) struct Lines {
    /// Named in errors.
    path: PathBuf,
    file: NewFile,
    buffer: Vec<u8>,
}

impl Lines {
    pub fn create(out: &Path, path: &str) -> Result<Self, PrepError> {
        let file = NewFile::create(out, path)?;
        Ok(Self { path: file.final_path(), file, buffer: Vec::new() })
    }

    pub fn push(&mut self, value: &impl Serialize) -> Result<(), PrepError> {
        let fail = |e| PrepError::write(&self.path, e);
        serde_json::to_writer(&mut self.buffer, value).map_err(|e| fail(e.into()))?;
        self.buffer.push(b'\n');
        if self.buffer.len() > 1 << 16 {
            self.file.write_all(&self.buffer).map_err(fail)?;
            self.buffer.clear();
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<FileEntry, PrepError> {
        let fail = |e| PrepError::write(&self.path, e);
        self.file.write_all(&self.buffer).map_err(fail)?;
        self.file.finish()
    }
}

/// Final name of a shard's rows and of its sidecar.
pub(crate) fn shard_files(format: OutputFormat, shard: usize, shards: usize) -> [String; 2] {
    let name = format!("train-{shard:05}-of-{shards:05}");
    let rows = match format {
        OutputFormat::Parquet => format!("data/{name}.parquet"),
        // Joined into `train.jsonl` at the end.
        OutputFormat::Jsonl => format!("{WORK_DIR}/{name}.jsonl"),
    };
    [rows, format!("provenance/{name}.jsonl")]
}

/// Final folder of a shard's images, with [`OutputFormat::Jsonl`].
pub(crate) fn image_folder(shard: usize) -> String {
    format!("images/{shard:05}")
}

/// Writes one shard: its rows and its sidecar.
pub(crate) struct ShardWriter {
    rows: Rows,
    provenance: Lines,
}

// One value a shard: its size does not matter.
#[allow(clippy::large_enum_variant)]
enum Rows {
    Parquet(Box<parquet::ParquetRows<NewFile>>),
    Folder(folder::FolderRows),
}

impl ShardWriter {
    pub fn create(
        out: &Path,
        options: &PrepOptions,
        shard: usize,
        [rows, provenance]: &[String; 2],
    ) -> Result<Self, PrepError> {
        let rows = match options.format {
            OutputFormat::Parquet => {
                let file = NewFile::create(out, rows)?;
                let path = file.final_path();
                Rows::Parquet(Box::new(parquet::ParquetRows::new(file, path, options.columns)?))
            }
            OutputFormat::Jsonl => {
                Rows::Folder(folder::FolderRows::create(out, shard, rows, options.columns)?)
            }
        };
        Ok(Self { rows, provenance: Lines::create(out, provenance)? })
    }

    pub fn write(&mut self, examples: &[Example]) -> Result<(), PrepError> {
        for example in examples {
            self.provenance.push(&example.provenance)?;
        }
        match &mut self.rows {
            Rows::Parquet(rows) => rows.write(examples),
            Rows::Folder(rows) => rows.write(examples),
        }
    }

    /// Completes the shard's files; the rows come last, so that they imply the others.
    pub fn finish(self) -> Result<Vec<FileEntry>, PrepError> {
        let mut files = vec![self.provenance.finish()?];
        match self.rows {
            Rows::Parquet(rows) => files.push(rows.finish()?.finish()?),
            Rows::Folder(rows) => files.extend(rows.finish()?),
        }
        Ok(files)
    }
}

/// The columns that [`Columns::Extended`](crate::options::Columns::Extended) adds.
#[derive(Serialize)]
pub(crate) struct Extended<'a> {
    dataset: &'a str,
    split: &'a str,
    image_id: &'a str,
    file_name: &'a str,
    /// The sidecar's line.
    provenance: String,
}

impl<'a> Extended<'a> {
    pub const NAMES: [&'static str; 5] =
        ["dataset", "split", "image_id", "file_name", "provenance"];

    pub fn of(example: &'a Example) -> Result<Self, serde_json::Error> {
        let provenance = &example.provenance;
        Ok(Self {
            dataset: &provenance.dataset,
            split: &provenance.split,
            image_id: &provenance.image_id,
            file_name: &provenance.file_name,
            provenance: serde_json::to_string(provenance)?,
        })
    }

    /// In the order of `NAMES`.
    pub fn values(&self) -> [&str; 5] {
        [self.dataset, self.split, self.image_id, self.file_name, &self.provenance]
    }
}
