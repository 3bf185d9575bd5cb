//! ReasonSeg folders: `{train,val,test}/NAME.jpg` with `NAME.json` beside it (`protocols.md` §2).
//!
//! `explanatory/train.json` (training dialogues without masks) is not a split and is left alone.

mod find;
mod record;

pub(crate) use find::find;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Error, ImageRef, ImageSource, Query, ReadOptions, Sample, SampleIter, Source};
use find::{SPLITS, annotated_images};
use record::Record;

/// Reads one. Samples come split by split (train, val, test), in each sorted by JSON path, as LISA
/// and Seg-Zero order them; one file is open at a time.
pub(crate) fn samples(source: &Source, options: &ReadOptions) -> Result<SampleIter, Error> {
    let mut files = Vec::new();
    for (split, folder) in splits(&source.annotations) {
        if options.split.as_ref().is_none_or(|wanted| *wanted == split) {
            let split: Arc<str> = split.into();
            let found = annotated_images(&folder)?;
            files.extend(found.into_iter().map(|(json, image)| (split.clone(), json, image)));
        }
    }
    let (dataset, images): (Arc<str>, _) = (source.name.as_str().into(), source.images.clone());
    Ok(Box::new(files.into_iter().map(move |(split, json, image)| {
        let image = match &images {
            Some(folder) => image_elsewhere(folder, &split, &image),
            None => image,
        };
        read(&dataset, &split, &json, image)
    })))
}

/// The splits of a data set folder, or the one split that the folder itself is.
fn splits(folder: &Path) -> Vec<(String, PathBuf)> {
    let inside: Vec<_> = SPLITS
        .iter()
        .map(|split| (split.to_string(), folder.join(split)))
        .filter(|(_, path)| path.is_dir())
        .collect();
    if !inside.is_empty() {
        return inside;
    }
    let name = folder.file_name().map_or("train".into(), |name| name.to_string_lossy());
    vec![(name.into_owned(), folder.to_owned())]
}

/// The image of the same name in a folder that the user names, with or without split folders.
fn image_elsewhere(folder: &Path, split: &str, image: &Path) -> PathBuf {
    let name = image.file_name().unwrap_or_default();
    let in_split = folder.join(split).join(name);
    if in_split.is_file() { in_split } else { folder.join(name) }
}

/// Reads one annotation file.
fn read(
    dataset: &Arc<str>,
    split: &Arc<str>,
    json: &Path,
    image: PathBuf,
) -> Result<Sample, Error> {
    let bytes = fs::read(json).map_err(|e| Error::new(json, e))?;
    let record = Record::parse(&bytes).map_err(|fault| fault.at(json))?;
    let stem = json.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let file_name = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Sample {
        dataset: dataset.clone(),
        split: split.clone(),
        key: stem.clone(),
        image: ImageRef { id: stem, file_name, source: ImageSource::File(image), size: None },
        queries: queries(split, record.text),
        ref_id: None,
        ann_ids: Vec::new(),
        categories: Vec::new(),
        category_ids: Vec::new(),
        is_crowd: false,
        distractors: None,
        is_sentence: record.is_sentence,
        geometry: crate::Geometry::ReasonSeg(record.shapes),
    })
}

/// Training draws one of all texts; evaluation uses the first alone, so val and test have one query
/// without an id, and predictions for them are named by the file stem.
fn queries(split: &str, text: Vec<String>) -> Vec<Query> {
    let evaluation = matches!(split, "val" | "test");
    let kept = if evaluation { 1 } else { text.len() };
    let query = |(i, raw): (usize, String)| Query {
        id: (!evaluation).then_some(i as i64),
        text: raw.clone(),
        raw,
    };
    text.into_iter().take(kept).enumerate().map(query).collect()
}

#[cfg(test)]
mod tests;
