//! REFER: `refs(SPLITBY).p` beside `instances.json` (`protocols.md` §1); gRefCOCO likewise.

mod layout;
mod refs;

use std::collections::HashSet;
use std::sync::Arc;

use crate::coco::images::ImageFolder;
use crate::coco::instances::{Annotation, Instances, Keep};
use crate::{Error, Geometry, ImageRef, ReadOptions, Sample, SampleIter, Source, split_matches};

pub(crate) use layout::find;
pub(crate) use refs::RefRecord;

/// Reads one: the refs of the wanted split in file order, masks unrasterised.
pub(crate) fn samples(source: &Source, options: &ReadOptions) -> Result<SampleIter, Error> {
    let records = records(source, options)?;
    let wanted: HashSet<i64> =
        records.iter().flatten().flat_map(|record| record.ann_ids.iter().copied()).collect();
    let instances = source.mask_file();
    let mut instances = Instances::read(&instances, Keep::Ids(&wanted))?;
    let bad = std::mem::take(&mut instances.bad);
    let joiner = Joiner {
        dataset: source.name.as_str().into(),
        images: ImageFolder::new(source.images.as_deref(), &instances),
        source: source.clone(),
        instances,
    };
    let samples = records.into_iter().map(move |record| joiner.sample(record?));
    Ok(Box::new(bad.into_iter().map(Err).chain(samples)))
}

/// The records of the wanted split, without masks: enough to know which images are where.
/// Unreadable records are of every split, as theirs is not known.
pub(crate) fn records(
    source: &Source,
    options: &ReadOptions,
) -> Result<Vec<Result<RefRecord, Error>>, Error> {
    let mut records = refs::read(&source.annotations)?;
    if let Some(split) = &options.split {
        records.retain(|record| match record {
            Ok(record) => split_matches(split, &record.split),
            Err(_) => true,
        });
    }
    Ok(records)
}

/// Joins refs with their annotations and images.
struct Joiner {
    source: Source,
    dataset: Arc<str>,
    images: ImageFolder,
    instances: Instances,
}

impl Joiner {
    fn sample(&self, record: RefRecord) -> Result<Sample, Error> {
        let ref_id = record.ref_id;
        // What is wrong is in `instances.json`, and the user looks for it by the ref.
        self.join(record).map_err(|e| {
            let inner = e.record.as_ref().map_or(String::new(), |inner| format!(", {inner}"));
            e.record(format!("ref_id {ref_id}{inner}"))
        })
    }

    fn join(&self, record: RefRecord) -> Result<Sample, Error> {
        let image = self.instances.image(record.image_id).map_err(|e| e.field("image_id"))?;
        let annotations = record.ann_ids.iter().map(|&id| self.instances.annotation(id));
        let annotations: Vec<Annotation> = annotations.collect::<Result<_, _>>()?;
        if let Some(stray) = annotations.iter().find(|a| a.image_id != record.image_id) {
            let kind = crate::ErrorKind::Unexpected {
                expected: format!("an annotation of image {}", record.image_id),
                found: format!("annotation {} of image {}", stray.id, stray.image_id),
            };
            return Err(Error::new(&self.source.annotations, kind).field("ann_id"));
        }
        let category = |a: &Annotation| self.instances.category(a.category_id).map(str::to_owned);
        Ok(Sample {
            dataset: Arc::clone(&self.dataset),
            split: record.split,
            key: record.ref_id.to_string(),
            image: ImageRef {
                id: record.image_id.to_string(),
                file_name: image.file_name.clone(),
                source: self.images.locate(&image.file_name),
                size: Some(image.size()),
            },
            queries: record.queries,
            ref_id: Some(record.ref_id),
            categories: annotations.iter().filter_map(category).collect(),
            category_ids: annotations.iter().map(|a| a.category_id).collect(),
            is_crowd: annotations.iter().any(|a| a.is_crowd),
            distractors: self.instances.distractors(&annotations),
            is_sentence: None,
            ann_ids: record.ann_ids,
            geometry: Geometry::Coco(annotations.into_iter().map(|a| a.segmentation).collect()),
        })
    }
}
