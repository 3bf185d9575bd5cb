//! A folder of images and a JSONL file that names them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Extended, FileEntry, Lines, WORK_DIR, image_folder};
use crate::options::Columns;
use crate::{Example, PrepError};

/// One line; the columns of the Parquet files, with a path in place of the image.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    problem: &'a str,
    solution: &'a str,
    /// Inside the output folder.
    image: &'a str,
    img_height: u32,
    img_width: u32,
    #[serde(flatten)]
    extended: Option<Extended<'a>>,
}

/// Writes rows as JSON lines, and each image once. The images of a shard are collected in a folder
/// of their own, which is moved into the set when it is complete.
pub(crate) struct FolderRows {
    out: PathBuf,
    lines: Lines,
    columns: Columns,
    /// Folder of the images while they are written, and its final name inside `out`.
    work: PathBuf,
    folder: String,
    images: Vec<FileEntry>,
}

impl FolderRows {
    pub fn create(
        out: &Path,
        shard: usize,
        rows: &str,
        columns: Columns,
    ) -> Result<Self, PrepError> {
        let work = out.join(WORK_DIR).join(format!("images-{shard:05}"));
        remove_folder(&work)?;
        fs::create_dir_all(&work).map_err(|e| PrepError::write(&work, e))?;
        Ok(Self {
            out: out.to_owned(),
            lines: Lines::create(out, rows)?,
            columns,
            work,
            folder: image_folder(shard),
            images: Vec::new(),
        })
    }

    pub fn write(&mut self, examples: &[Example]) -> Result<(), PrepError> {
        for example in examples {
            let image = &example.image;
            let path = format!("{}/{}", self.folder, image.name);
            // Rows of an image follow each other.
            if self.images.last().is_none_or(|last| last.path != path) {
                let file = self.work.join(&image.name);
                fs::write(&file, &image.bytes).map_err(|e| PrepError::write(&file, e))?;
                let sha256 = format!("{:x}", Sha256::digest(&image.bytes));
                let bytes = image.bytes.len() as u64;
                self.images.push(FileEntry { path: path.clone(), bytes, sha256 });
            }
            let extended = match self.columns {
                Columns::Exact => None,
                Columns::Extended => {
                    Some(Extended::of(example).map_err(|e| PrepError::write(&self.out, e.into()))?)
                }
            };
            self.lines.push(&Row {
                id: &example.id,
                problem: &example.problem,
                solution: &example.solution,
                image: &path,
                img_height: example.original.height,
                img_width: example.original.width,
                extended,
            })?;
        }
        Ok(())
    }

    pub fn finish(self) -> Result<Vec<FileEntry>, PrepError> {
        let folder = self.out.join(&self.folder);
        // A killed run may have moved it here and not lived to say so.
        remove_folder(&folder)?;
        let parent = self.out.join("images");
        fs::create_dir_all(&parent)
            .and_then(|()| fs::rename(&self.work, &folder))
            .map_err(|e| PrepError::write(&folder, e))?;
        let mut files = self.images;
        files.push(self.lines.finish()?);
        Ok(files)
    }
}

fn remove_folder(path: &Path) -> Result<(), PrepError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(PrepError::write(path, e)),
        _ => Ok(()),
    }
}
