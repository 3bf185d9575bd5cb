//! SESAME's results: `.npz` archives that hold targets beside predictions, and a JSON file that says
//! what they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use segzero_datasets::{
    Error, ErrorKind, Geometry, ImageRef, ImageSource, Mask, Query, Sample, Size,
};
use serde::Deserialize;

use crate::Predictions;

/// What the index says of one image.
#[derive(Deserialize)]
struct Entry {
    conversation_list: Vec<String>,
    #[serde(default)]
    ref_ids: Vec<i64>,
    #[serde(default)]
    sent_ids: Vec<i64>,
    segmentation_path: PathBuf,
}

/// The JSON file of results at a path: the path itself, or the only JSON file of the folder; `None`
/// where that is no object.
pub fn sesame_index(path: &Path) -> Option<PathBuf> {
    let is_json = |path: &Path| path.extension().is_some_and(|e| e == "json");
    let index = if path.is_dir() {
        let entries = std::fs::read_dir(path).ok()?.flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = entries.filter(|path| is_json(path)).collect();
        files.pop().filter(|_| files.is_empty())?
    } else {
        path.to_owned()
    };
    let file = File::open(&index).ok().filter(|_| is_json(&index))?;
    let mut bytes = BufReader::new(file).bytes().map_while(Result::ok);
    (bytes.find(|byte| !byte.is_ascii_whitespace())? == b'{').then_some(index)
}

/// Reads all results as samples with their predictions: 1 in `gt` is target, what is not 0 in `pred`
/// is predicted. Masks are kept as runs. Arrays lie where the index says, seen from its folder.
///
/// # Errors
/// A file that cannot be read, or arrays that do not fit the sentences; names file and image.
pub fn sesame_results(index: &Path) -> Result<(Vec<Sample>, Predictions), Error> {
    let text = std::fs::read(index).map_err(|e| Error::new(index, e))?;
    let images: BTreeMap<String, Entry> = serde_json::from_slice(&text).map_err(|e| {
        let expected = "results as SESAME writes them, by image".to_owned();
        Error::new(index, ErrorKind::Unexpected { expected, found: e.to_string() })
    })?;
    let folder = index.parent().unwrap_or(Path::new(""));
    let (mut samples, mut predictions) = (Vec::new(), Predictions::default());
    for (image, entry) in images {
        let path = folder.join(&entry.segmentation_path);
        let at = |kind: ErrorKind| Error::new(&path, kind).record(format!("image `{image}`"));
        let [found, targets] = arrays(&path).map_err(at)?;
        let sentences = entry.conversation_list.len();
        if found.len() != sentences || targets.len() != sentences {
            let expected = format!("{sentences} masks, one a sentence, in `pred` and `gt`");
            let found = format!("{} and {}", found.len(), targets.len());
            return Err(at(ErrorKind::Unexpected { expected, found }));
        }
        let masks = found.into_iter().zip(targets);
        for (position, (text, (found, target))) in
            entry.conversation_list.iter().zip(masks).enumerate()
        {
            let key = entry.ref_ids.get(position).map(i64::to_string);
            let key = key.unwrap_or_else(|| format!("{image}#{position}"));
            let id = entry.sent_ids.get(position).copied();
            let query = Query { id, raw: text.clone(), text: text.clone() };
            let sample = sample(&image, key, query, target);
            predictions.insert(&sample.query_key(&sample.queries[0]), Geometry::Mask(found));
            samples.push(sample);
        }
    }
    Ok((samples, predictions))
}

/// The stacks `pred` and `gt` of an archive.
fn arrays(path: &Path) -> Result<[Vec<Mask>; 2], ErrorKind> {
    let file = BufReader::new(File::open(path)?);
    let [mut found, mut targets] = [None, None];
    let mut fault = None;
    Mask::read_npz_bytes(file, |name, bytes| {
        let result = bytes.and_then(|bytes| match name {
            "pred" => Mask::read_npy_stack(bytes, |v| v != 0).map(|masks| found = Some(masks)),
            "gt" => Mask::read_npy_stack(bytes, |v| v == 1).map(|masks| targets = Some(masks)),
            _ => Ok(()),
        });
        fault = fault.take().or(result.err());
    })?;
    match (fault, found, targets) {
        (Some(fault), ..) => Err(fault),
        (None, Some(found), Some(targets)) => Ok([found, targets]),
        _ => Err(ErrorKind::Missing { what: "one of the arrays `pred` and `gt`".to_owned() }),
    }
}

fn sample(image: &str, key: String, query: Query, target: Mask) -> Sample {
    let size: Size = target.size();
    Sample {
        dataset: Arc::from("sesame"),
        split: Arc::from("results"),
        key,
        image: ImageRef {
            id: image.to_owned(),
            file_name: image.to_owned(),
            source: ImageSource::Absent,
            size: Some(size),
        },
        queries: vec![query],
        ref_id: None,
        ann_ids: Vec::new(),
        categories: Vec::new(),
        category_ids: Vec::new(),
        is_crowd: false,
        distractors: None,
        is_sentence: None,
        geometry: Geometry::Mask(target),
    }
}
