//! [`discover`]: what data sets lie under a folder; [`Source`]: one of them, to iterate.

use std::path::{Path, PathBuf};

use crate::{Error, Sample, coco, hf, reasonseg, refer, table};

/// The file formats we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `refs(SPLITBY).p` beside `instances.json` (gRefCOCO: `grefs(unc).json` or `.p`).
    Refer,
    /// ReasonSeg folders of `NAME.jpg` + `NAME.json`.
    ReasonSeg,
    /// Parquet, evaluation schema: `image, text, mask, image_id, ann_id, img_height, img_width`.
    HfEval,
    /// Parquet, training schema: `id, problem, solution, image, img_height, img_width`.
    HfTrain,
    /// COCO `instances.json`, category names as queries.
    Coco,
    /// CSV or JSONL with image path, text and mask.
    Table,
}

/// One data set on disk. Cheap to make; nothing big is read before [`Source::samples`].
#[derive(Clone, Debug)]
pub struct Source {
    /// `refcoco`, `refcoco+`, `refcocog`, `refclef`, `grefcoco`, `reasonseg`, or the folder's name.
    pub name: String,
    /// REFER's `splitBy` (`unc`, `umd`, `google`, `berkeley`).
    pub split_by: Option<String>,
    /// How to read it.
    pub format: Format,
    /// Annotation file (`refs(umd).p`, `instances.json`, table) or folder (ReasonSeg, Parquet).
    pub annotations: PathBuf,
    /// Folder that holds the images, where the format keeps them apart and it was found.
    pub images: Option<PathBuf>,
}

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Only this split, by REFER's rule for `test`, `testA`, ... (`protocols.md` §1.2); `None`: all.
    pub split: Option<String>,
    /// Leave embedded image bytes unread (a pass over keys and texts only).
    pub skip_images: bool,
}

/// Samples in file order; an unreadable record is an `Err` that names it, and reading goes on.
pub type SampleIter = Box<dyn Iterator<Item = Result<Sample, Error>> + Send>;

/// Every data set under `root`, in all directory variants of `protocols.md` §1.1; sorted by name.
/// `root` may also be one file: a table, a Parquet file, an `instances.json`, a `refs(...).p`.
///
/// # Errors
/// When `root` cannot be read. Finding nothing is an empty list.
pub fn discover(root: &Path) -> Result<Vec<Source>, Error> {
    if let Err(e) = std::fs::metadata(root) {
        return Err(Error::new(root, e));
    }
    let mut sources = Vec::new();
    for find in [refer::find, reasonseg::find, hf::find, coco::find, table::find] {
        sources.extend(find(root)?);
    }
    sources.sort_by(|a, b| (&a.name, &a.split_by).cmp(&(&b.name, &b.split_by)));
    Ok(sources)
}

impl Source {
    /// Name and `splitBy`: `refcocog/umd`.
    pub fn label(&self) -> String {
        match &self.split_by {
            Some(split_by) => format!("{}/{split_by}", self.name),
            None => self.name.clone(),
        }
    }

    /// The file (or folder) that the masks stand in: with REFER, `instances.json` beside the refs.
    pub fn mask_file(&self) -> PathBuf {
        match self.format {
            Format::Refer => self.annotations.with_file_name("instances.json"),
            _ => self.annotations.clone(),
        }
    }

    /// Iterates over the samples; Parquet is streamed by row group.
    ///
    /// # Errors
    /// When the file as a whole cannot be read.
    pub fn samples(&self, options: &ReadOptions) -> Result<SampleIter, Error> {
        match self.format {
            Format::Refer => refer::samples(self, options),
            Format::ReasonSeg => reasonseg::samples(self, options),
            Format::HfEval | Format::HfTrain => hf::samples(self, options),
            Format::Coco => coco::samples(self, options),
            Format::Table => table::samples(self, options),
        }
    }
}
