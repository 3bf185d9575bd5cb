//! The files: `refcocog/refs(umd).p`, `refcocog/instances.json`, and JPEGs under
//! `images/mscoco/images/train2014/` (`protocols.md` §1.1, REFER original).

use std::path::{Path, PathBuf};

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;
use serde_json::json;

use super::object::{KINDS, Kind};
use super::pickle::{self, PickleProtocol, Value};
use super::render::render;
use super::scene::{Annotation, Reference, Scene};
use crate::CocoSegmentation;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Images.
    pub images: usize,
    /// Annotations of `instances.json`.
    pub annotations: usize,
    /// Refs, i.e. annotations that something is said of.
    pub refs: usize,
    /// Sentences.
    pub sentences: usize,
}

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write `{}`: {source}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// Writes scenes under `root`, in RefCOCOg's original layout.
///
/// # Errors
/// When a folder or file cannot be written.
pub fn write(
    root: &Path,
    scenes: &[Scene],
    protocol: PickleProtocol,
) -> Result<Summary, WriteError> {
    let images = root.join("images/mscoco/images/train2014");
    let set = root.join("refcocog");
    for folder in [&images, &set] {
        std::fs::create_dir_all(folder)
            .map_err(|source| WriteError { path: folder.clone(), source })?;
    }
    scenes.par_iter().try_for_each(|scene| {
        let path = images.join(scene.file_name());
        let size = scene.size;
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 92)
            .encode(&render(scene), size.width, size.height, ExtendedColorType::Rgb8)
            .map_err(|e| WriteError { path: path.clone(), source: std::io::Error::other(e) })?;
        save(path, &jpeg)
    })?;
    save(set.join("instances.json"), instances(scenes).to_string().as_bytes())?;
    save(set.join("refs(umd).p"), &pickle::write(&refs(scenes), protocol))?;
    let references =
        || scenes.iter().flat_map(|s| &s.annotations).filter_map(|a| a.reference.as_ref());
    Ok(Summary {
        images: scenes.len(),
        annotations: scenes.iter().map(|s| s.annotations.len()).sum(),
        refs: references().count(),
        sentences: references().map(|r| r.sentences.len()).sum(),
    })
}

fn save(path: PathBuf, bytes: &[u8]) -> Result<(), WriteError> {
    std::fs::write(&path, bytes).map_err(|source| WriteError { path, source })
}

fn instances(scenes: &[Scene]) -> serde_json::Value {
    let image = |scene: &Scene| {
        json!({
            "id": scene.image_id,
            "file_name": scene.file_name(),
            "width": scene.size.width,
            "height": scene.size.height,
            "license": 1,
            "coco_url": "",
            "flickr_url": "",
            "date_captured": "2026-01-01 00:00:00",
        })
    };
    let annotation = |image_id: i64, a: &Annotation| {
        json!({
            "id": a.id,
            "image_id": image_id,
            "category_id": a.category_id,
            "iscrowd": i32::from(a.is_crowd),
            "area": a.mask.area() as f64,
            "bbox": a.mask.bbox().map(crate::Bbox::to_coco_xywh),
            "segmentation": segmentation(a),
        })
    };
    let annotations =
        scenes.iter().flat_map(|s| s.annotations.iter().map(|a| annotation(s.image_id, a)));
    let category = |kind: &Kind| {
        let (id, name) = (kind.category_id(), kind.noun());
        json!({ "id": id, "name": name, "supercategory": "shape" })
    };
    json!({
        "info": { "description": "synthetic RefCOCOg of `segzero demo`", "version": "1.0" },
        "licenses": [{ "id": 1, "name": "public domain", "url": "" }],
        "images": scenes.iter().map(image).collect::<Vec<_>>(),
        "annotations": annotations.collect::<Vec<_>>(),
        "categories": KINDS.iter().map(category).collect::<Vec<_>>(),
    })
}

/// Polygons as flat lists; crowds as plain counts, other runs as the compressed string.
fn segmentation(annotation: &Annotation) -> serde_json::Value {
    match &annotation.segmentation {
        CocoSegmentation::Polygons(polygons) => json!(polygons),
        CocoSegmentation::Rle(mask) => {
            let size = [mask.size().height, mask.size().width];
            match annotation.is_crowd {
                true => json!({ "size": size, "counts": mask.runs() }),
                false => json!({ "size": size, "counts": mask.to_coco_string() }),
            }
        }
    }
}

/// Key order as in the published files.
fn refs(scenes: &[Scene]) -> Value {
    let record = |scene: &Scene, a: &Annotation, reference: &Reference| {
        let sentence = |s: &super::Sentence| {
            let tokens = s.sent.split(' ').map(|token| Value::Text(token.to_owned()));
            Value::Dict(vec![
                ("tokens", Value::List(tokens.collect())),
                ("raw", Value::Text(s.raw.clone())),
                ("sent_id", Value::Int(s.id)),
                ("sent", Value::Text(s.sent.clone())),
            ])
        };
        let file_name = format!("COCO_train2014_{:012}_{}.jpg", scene.image_id, reference.ref_id);
        let sentences = &reference.sentences;
        Value::Dict(vec![
            ("sent_ids", Value::List(sentences.iter().map(|s| Value::Int(s.id)).collect())),
            ("file_name", Value::Text(file_name)),
            ("ann_id", Value::Int(a.id)),
            ("ref_id", Value::Int(reference.ref_id)),
            ("image_id", Value::Int(scene.image_id)),
            ("split", Value::Text(reference.split.to_owned())),
            ("sentences", Value::List(sentences.iter().map(sentence).collect())),
            ("category_id", Value::Int(a.category_id)),
        ])
    };
    let mut records = Vec::new();
    for scene in scenes {
        for annotation in &scene.annotations {
            if let Some(reference) = &annotation.reference {
                records.push(record(scene, annotation, reference));
            }
        }
    }
    Value::List(records)
}
