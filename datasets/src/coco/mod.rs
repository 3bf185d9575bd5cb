//! COCO `instances.json`: one sample per annotation, the category name as its query.

pub(crate) mod elements;
pub(crate) mod images;
pub(crate) mod instances;
pub(crate) mod segmentation;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use images::ImageFolder;
use instances::{Instances, Keep};

use crate::{
    Error, ErrorKind, Format, Geometry, ImageRef, Query, ReadOptions, Sample, SampleIter, Source,
    split_matches, walk,
};

/// Sources of this format under `root`: files `instances.json` and `instances_NAME.json`, except
/// those beside REFER's `refs(...)` files, which belong to them.
pub(crate) fn find(root: &Path) -> Result<Vec<Source>, Error> {
    if root.is_file() {
        return Ok(if has_instances(root) { vec![source(root)] } else { Vec::new() });
    }
    let folders = walk::folders(root)?.into_iter();
    let files = folders.filter(|folder| !folder.files.iter().any(|f| is_refs(f)));
    let files = files.flat_map(|folder| folder.files);
    Ok(files.filter(|f| is_instances(f)).map(|f| source(&f)).collect())
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn is_refs(path: &Path) -> bool {
    let name = file_name(path);
    name.starts_with("refs(") || name.starts_with("grefs(")
}

fn is_instances(path: &Path) -> bool {
    let name = file_name(path);
    // `..._results.json` are predictions on COCO's images.
    let listed = name == "instances.json" || name.starts_with("instances_");
    listed && name.ends_with(".json") && !name.ends_with("_results.json")
}

/// A file that was named by the user may have any name, if it has COCO's lists.
fn has_instances(path: &Path) -> bool {
    if is_instances(path) {
        return true;
    }
    let is_json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    let Some(text) = is_json.then(|| std::fs::read(path).ok()).flatten() else { return false };
    let members = elements::members(&text, elements::whole(&text)).map_while(Result::ok);
    let names: Vec<&[u8]> = members.map(|m| &text[m.name]).collect();
    [b"images".as_slice(), b"annotations"].iter().all(|name| names.contains(name))
}

fn source(file: &Path) -> Source {
    Source {
        name: data_set_name(file),
        split_by: None,
        format: Format::Coco,
        annotations: file.to_owned(),
        images: find_images(file),
    }
}

/// `instances_val2014.json` says its own name; `instances.json` has that of its folder.
fn data_set_name(file: &Path) -> String {
    let stem = file_name(file).trim_end_matches(".json");
    if let Some(name) = stem.strip_prefix("instances_") {
        return format!("coco-{name}");
    }
    if stem != "instances" {
        return stem.to_owned();
    }
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut folders = file.ancestors().skip(1).filter_map(|p| p.file_name()?.to_str());
    let name = folders.find(|name| *name != "annotations");
    name.map_or_else(|| "coco".to_owned(), str::to_owned)
}

/// `val` of `instances_val2014.json`; the whole file is one split.
fn split_name(file: &Path) -> &'static str {
    let stem = file_name(file);
    let known = ["train", "val", "test"];
    known.into_iter().find(|split| stem.contains(split)).unwrap_or("train")
}

/// The image folder: named like the split (`val2014`), `images`, or the file's own folder; beside
/// the file or one or two levels above it.
fn find_images(file: &Path) -> Option<PathBuf> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let stem = file_name(&file).trim_end_matches(".json");
    let set = stem.strip_prefix("instances_").unwrap_or_default();
    // `val2014_100` is a part of `val2014`.
    let set = set.split('_').next().unwrap_or_default();
    let mut names = Vec::new();
    if !set.is_empty() {
        names.extend([format!("images/{set}"), set.to_owned(), format!("coco/{set}")]);
    }
    let plain = ["images", "images/train2014", "images/train2017", "train2014", "train2017", ""];
    names.extend(plain.map(str::to_owned));
    let bases = file.ancestors().skip(1).take(3);
    bases
        .flat_map(|base| names.iter().map(|name| base.join(name)).collect::<Vec<_>>())
        .find(|path| walk::holds_images(path))
}

/// Reads one: every annotation is a sample whose query is its category's name.
pub(crate) fn samples(source: &Source, options: &ReadOptions) -> Result<SampleIter, Error> {
    let split = split_name(&source.annotations);
    if options.split.as_ref().is_some_and(|wanted| !split_matches(wanted, split)) {
        return Ok(Box::new(std::iter::empty()));
    }
    let mut instances = Instances::read(&source.annotations, Keep::All)?;
    let bad = std::mem::take(&mut instances.bad);
    let images = ImageFolder::new(source.images.as_deref(), &instances);
    let reader = Reader { dataset: source.name.as_str().into(), split: split.into(), images };
    let samples = (0..instances.len()).map(move |position| reader.sample(&instances, position));
    Ok(Box::new(bad.into_iter().map(Err).chain(samples)))
}

struct Reader {
    dataset: Arc<str>,
    split: Arc<str>,
    images: ImageFolder,
}

impl Reader {
    fn sample(&self, instances: &Instances, position: usize) -> Result<Sample, Error> {
        let annotation = instances.annotation_at(position)?;
        let id = annotation.id;
        let named = |e: Error| {
            let inner = e.record.as_ref().map_or(String::new(), |inner| format!(", {inner}"));
            e.record(format!("annotation {id}{inner}"))
        };
        let image = instances.image(annotation.image_id).map_err(named)?;
        let category = instances.category(annotation.category_id).ok_or_else(|| {
            let what = format!("category {}", annotation.category_id);
            let error = Error::new(instances.path(), ErrorKind::Missing { what });
            named(error.field("category_id"))
        })?;
        Ok(Sample {
            dataset: Arc::clone(&self.dataset),
            split: Arc::clone(&self.split),
            key: id.to_string(),
            image: ImageRef {
                id: annotation.image_id.to_string(),
                file_name: image.file_name.clone(),
                source: self.images.locate(&image.file_name),
                size: Some(image.size()),
            },
            queries: vec![Query { id: None, raw: category.to_owned(), text: category.to_owned() }],
            ref_id: None,
            ann_ids: vec![id],
            categories: vec![category.to_owned()],
            category_ids: vec![annotation.category_id],
            is_crowd: annotation.is_crowd,
            distractors: instances.distractors(std::slice::from_ref(&annotation)),
            is_sentence: None,
            geometry: Geometry::Coco(vec![annotation.segmentation]),
        })
    }
}
