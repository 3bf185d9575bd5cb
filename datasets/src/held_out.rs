//! Which images are held out for evaluation: training on them is a leak, also across data sets.
//!
//! RefCOCO, RefCOCO+ and RefCOCOg split the same COCO images differently, so that test images of
//! one are train images of another (`protocols.md` §1.5).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::{Error, Format, ImageRef, ReadOptions, Sample, Source, refer};

/// One picture, whichever data set it is met in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageKey {
    /// A COCO image by its number: `COCO_train2014_000000000790.jpg` and `000000000790.jpg` are one.
    Coco(u64),
    /// Any other image: its id counts within its data set only.
    Named {
        /// The data set.
        dataset: String,
        /// The image's id in it.
        id: String,
    },
}

impl ImageKey {
    /// The key of an image of a data set.
    pub fn new(dataset: &str, image: &ImageRef) -> Self {
        let number = family_number(dataset, &image.id).or_else(|| coco_number(&image.file_name));
        number.map_or_else(
            || Self::Named { dataset: dataset.to_owned(), id: image.id.clone() },
            Self::Coco,
        )
    }

    /// The key of a sample's image.
    pub fn of(sample: &Sample) -> Self {
        Self::new(&sample.dataset, &sample.image)
    }
}

impl std::fmt::Display for ImageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Coco(number) => write!(f, "COCO image {number}"),
            Self::Named { dataset, id } => write!(f, "{dataset} image {id}"),
        }
    }
}

/// The number in a COCO file name: twelve digits, after `COCO_train2014_` in the 2014 edition.
fn coco_number(file_name: &str) -> Option<u64> {
    let stem = file_name.rsplit(['/', '\\']).next()?.split('.').next()?;
    let digits = match stem.strip_prefix("COCO_") {
        Some(rest) => rest.split('_').nth(1)?,
        None => stem,
    };
    let twelve = digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit());
    if twelve { digits.parse().ok() } else { None }
}

/// The RefCOCO family numbers its images as COCO does, in every packaging.
fn family_number(dataset: &str, id: &str) -> Option<u64> {
    if is_refcoco(dataset) { id.parse().ok() } else { None }
}

fn is_refcoco(dataset: &str) -> bool {
    dataset.to_lowercase().contains("refcoco")
}

/// The images of the val and test splits of some sources.
#[derive(Debug, Default)]
pub struct HeldOut {
    /// Each image with the splits that hold it out: `refcocog/umd test`.
    pub images: BTreeMap<ImageKey, BTreeSet<Arc<str>>>,
    /// Records that could not be read, so that their images are not among those above.
    pub unreadable: Vec<Error>,
}

impl HeldOut {
    /// Whether an image must not be trained on.
    pub fn contains(&self, image: &ImageKey) -> bool {
        self.images.contains_key(image)
    }
}

/// The images of all val and test splits of `sources`. REFER's `google` files are left out: they
/// split objects and not images, so that nearly every train image would be held out.
///
/// # Errors
/// When a source as a whole cannot be read.
pub fn held_out_images(sources: &[Source]) -> Result<HeldOut, Error> {
    let mut held_out = HeldOut::default();
    for source in sources.iter().filter(|source| splits_images(source)) {
        let mut labels: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let label = source.label();
        for record in image_splits(source)? {
            match record {
                Ok((image, split)) if is_held_out(&split) => {
                    let label = labels
                        .entry(split.to_string())
                        .or_insert_with(|| format!("{label} {split}").into());
                    held_out.images.entry(image).or_default().insert(Arc::clone(label));
                }
                Ok(_) => {}
                Err(error) => held_out.unreadable.push(error),
            }
        }
    }
    Ok(held_out)
}

/// Whether the splits of a source have no image in common by design.
pub(crate) fn splits_images(source: &Source) -> bool {
    source.split_by.as_deref() != Some("google")
}

/// Whether a split is for evaluation: `val`, `validation`, `test`, `testA`, ...
pub fn is_held_out(split: &str) -> bool {
    split.starts_with("val") || split.contains("test")
}

type ImageSplits = Box<dyn Iterator<Item = Result<(ImageKey, Arc<str>), Error>>>;

/// Image and split of every record. The refs of the RefCOCO family suffice for it, so that their
/// `instances.json` of 100 MB stays unread.
fn image_splits(source: &Source) -> Result<ImageSplits, Error> {
    let options = ReadOptions { split: None, skip_images: true };
    if source.format != Format::Refer || !is_refcoco(&source.name) {
        let samples = source.samples(&options)?;
        return Ok(Box::new(samples.map(|s| s.map(|s| (ImageKey::of(&s), s.split)))));
    }
    let dataset = source.name.clone();
    let records = refer::records(source, &options)?;
    Ok(Box::new(records.into_iter().map(move |record| {
        let record = record?;
        let key = u64::try_from(record.image_id).map_or_else(
            |_| ImageKey::Named { dataset: dataset.clone(), id: record.image_id.to_string() },
            ImageKey::Coco,
        );
        Ok((key, record.split))
    })))
}
