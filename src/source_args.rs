//! Flags that choose a data set; shared by every command that reads one.

use std::path::{Path, PathBuf};

use segzero_datasets::{Format, ReadOptions, Source, discover};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Which data set to read.
#[derive(clap::Args, Clone, Debug, Serialize, Deserialize)]
#[command(next_help_heading = "Data set")]
#[serde(rename_all = "kebab-case")]
pub struct SourceArgs {
    /// Folder that holds the data in any of the published layouts, or one file of it (a table, a
    /// Parquet file, an `instances.json`).
    #[arg(long, visible_alias = "set", value_name = "PATH")]
    pub root: PathBuf,
    /// Which data set under the root, where there are several: refcocog, refcoco, refcoco+,
    /// reasonseg, ... (see `segzero inspect`).
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Which of REFER's splits files: umd, google, unc, berkeley.
    #[arg(long, value_name = "NAME")]
    pub split_by: Option<String>,
    /// Which split: train, val, test, testA, testB; all of them if not given.
    #[arg(long, value_name = "NAME")]
    pub split: Option<String>,
    /// Folder of images, where it is not found under the root.
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
}

/// What a command needs of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Anything that can be shown.
    Any,
    /// Masks, which a prepared training set has no more.
    WithMasks,
}

impl SourceArgs {
    /// The one source that the flags name.
    ///
    /// # Errors
    /// None, or more than one; the message lists the candidates.
    pub fn source(&self, wanted: Wanted) -> Result<Source, Failure> {
        let all = discover(&self.root)?;
        let list = |sources: &[Source]| {
            let names: Vec<String> = sources.iter().map(Source::label).collect();
            names.join(", ")
        };
        let mut found: Vec<Source> = all
            .iter()
            .filter(|s| self.dataset.as_ref().is_none_or(|name| s.name == *name))
            .filter(|s| self.split_by.is_none() || s.split_by == self.split_by)
            .cloned()
            .collect();
        let has_masks = |source: &Source| source.format != Format::HfTrain;
        if wanted == Wanted::WithMasks && found.iter().any(has_masks) {
            // A set that was prepared into a folder under the root is not meant.
            found.retain(has_masks);
        }
        if found.len() > 1 {
            return Err(Failure::new(format_args!("several data sets match: {}", list(&found)))
                .hint("choose one with `--dataset` and `--split-by`"));
        }
        let Some(mut source) = found.pop() else {
            let root = self.root.display();
            return Err(match all.is_empty() {
                true => nothing_found(&self.root),
                false => Failure::new(format_args!("no such data set under `{root}`"))
                    .hint(format_args!("there are: {}", list(&all))),
            });
        };
        if wanted == Wanted::WithMasks && source.format == Format::HfTrain {
            let path = source.annotations.display();
            return Err(Failure::new(format_args!(
                "`{path}` is a prepared training set: it holds boxes and points, but no masks"
            ))
            .hint(
                "give the raw data set as `--root`; `segzero preview --set` draws a prepared one",
            ));
        }
        if let Some(images) = &self.images {
            source.images = Some(images.clone());
        }
        Ok(source)
    }

    /// Reading options of the flags.
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions { split: self.split.clone(), ..ReadOptions::default() }
    }
}

/// Where to look when a data set of this format cannot be read.
pub fn format_hint(format: Format) -> &'static str {
    match format {
        Format::Table => "docs/own-masks.md describes the columns of a table",
        _ => "`segzero inspect` names the records that cannot be read",
    }
}

/// No data set under `root`.
pub fn nothing_found(root: &Path) -> Failure {
    let path = root.display();
    if root.is_file() {
        return Failure::new(format_args!("`{path}` is no data set of a known format")).hint(
            "a file may be refs(NAME).p, a COCO .json with `images` and `annotations`, .parquet, \
             .csv, .tsv or .jsonl; predictions go to `--pred`",
        );
    }
    Failure::new(format_args!("no data set found under `{path}`"))
        .hint("see the README for the layouts that are recognised")
}
