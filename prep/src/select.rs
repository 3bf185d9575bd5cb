//! Which samples are taken: filters, leaks, and a seeded draw that depends on nothing but the seed
//! and each sample's own key.

use std::collections::BTreeMap;

use segzero_datasets::{Geometry, HeldOut, ImageKey, ImageSource, Masks, Sample, Size};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Which samples are taken. Limits are inclusive; areas and sides are of the original image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SelectOptions {
    /// How many examples, drawn at random; `None`: all.
    pub count: Option<usize>,
    /// Seed of the draw and of the choice of sentences.
    pub seed: u64,
    /// Which sentences of an object.
    pub sentences: Sentences,
    /// Least number of mask pixels.
    pub min_area: Option<u64>,
    /// Largest number of mask pixels.
    pub max_area: Option<u64>,
    /// Least share of the image that the mask covers, 0 to 1.
    pub min_area_fraction: Option<f64>,
    /// Largest share of the image that the mask covers, 0 to 1.
    pub max_area_fraction: Option<f64>,
    /// Least length of the box's shorter side.
    pub min_side: Option<u32>,
    /// Largest length of the box's longer side.
    pub max_side: Option<u32>,
    /// Masks of several polygons.
    pub multi_part: MultiPart,
    /// COCO's crowd annotations.
    pub crowd: Crowd,
    /// Images that are in a val or test split of any data set at hand.
    pub leaks: Leaks,
}

impl SelectOptions {
    /// Whether a sample's mask must be rasterised to decide on it.
    pub(crate) fn needs_mask(&self) -> bool {
        self.multi_part != MultiPart::Any
            || self.min_area.is_some()
            || self.max_area.is_some()
            || self.min_area_fraction.is_some()
            || self.max_area_fraction.is_some()
            || self.min_side.is_some()
            || self.max_side.is_some()
    }
}

/// Which sentences of an object become examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Sentences {
    /// The first.
    #[default]
    First,
    /// One at random, by the seed.
    Random,
    /// Every one: an example each.
    All,
    /// The one of most characters; the first of equals.
    Longest,
}

/// What to do with masks of several polygons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum MultiPart {
    /// Take them too.
    #[default]
    Any,
    /// Take nothing else.
    Only,
    /// Leave them out.
    Exclude,
}

/// What to do with crowd annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Crowd {
    /// Leave them out.
    #[default]
    Exclude,
    /// Take them too.
    Include,
}

/// What to do with images that are held out for evaluation somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Leaks {
    /// Leave them out.
    #[default]
    Exclude,
    /// Take them too.
    Allow,
}

/// Why a sample is not in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// It refers to nothing in the image.
    NoTarget,
    /// Its annotation is a crowd.
    Crowd,
    /// Its image is in a val or test split of some data set.
    Leak,
    /// Its mask is too small or too large.
    Area,
    /// Its box is too small or too large.
    Side,
    /// Its mask has one part, or several.
    MultiPart,
    /// The draw did not fall on it.
    NotDrawn,
    /// A model's mask overlaps its annotation too little; listed by name.
    MaskIou,
    /// It could not be used; listed by name.
    Bad,
}

impl Skip {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoTarget => "no-target",
            Self::Crowd => "crowd",
            Self::Leak => "leak",
            Self::Area => "area",
            Self::Side => "side",
            Self::MultiPart => "multi-part",
            Self::NotDrawn => "not-drawn",
            Self::MaskIou => "mask-iou",
            Self::Bad => "bad",
        }
    }
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoTarget => "no target",
            Self::Crowd => "crowd",
            Self::Leak => "leak: image held out for val or test",
            Self::Area => "mask area",
            Self::Side => "box side",
            Self::MultiPart => "number of parts",
            Self::NotDrawn => "not drawn",
            Self::MaskIou => "IoU of the model's mask",
            Self::Bad => "bad record",
        })
    }
}

/// Number of samples left out, by reason.
pub type SkipCounts = BTreeMap<Skip, u64>;

/// A number that depends on the seed, on what it is for, and on a sample's own key; uniform over
/// `u128`. It is the first 16 bytes, big-endian, of SHA-256 over the seed (8 bytes, little-endian)
/// and each part preceded by its length (8 bytes, little-endian); stable across versions.
pub fn draw(seed: u64, purpose: &str, key: [&str; 3]) -> u128 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for part in std::iter::once(purpose).chain(key) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    u128::from_be_bytes(first)
}

/// Positions in `sample.queries` of the sentences that the policy takes.
pub fn choose_sentences(sample: &Sample, policy: Sentences, seed: u64) -> Vec<usize> {
    let queries = &sample.queries;
    match policy {
        _ if queries.is_empty() => Vec::new(),
        Sentences::First => vec![0],
        Sentences::All => (0..queries.len()).collect(),
        Sentences::Random => {
            let number = draw(seed, "sentence", [&sample.dataset, &sample.split, &sample.key]);
            vec![(number % queries.len() as u128) as usize]
        }
        Sentences::Longest => {
            let length = |i: &usize| queries[*i].raw.chars().count();
            // `max_by_key` gives the last of equals; reversed, the first.
            (0..queries.len()).rev().max_by_key(length).into_iter().collect()
        }
    }
}

/// Why `sample` is left out before its mask is looked at, if it is.
pub(crate) fn skip_by_record(
    sample: &Sample,
    options: &SelectOptions,
    held_out: &HeldOut,
) -> Option<Skip> {
    let no_target = match &sample.geometry {
        Geometry::Coco(segmentations) => segmentations.is_empty(),
        Geometry::ReasonSeg(shapes) => shapes.is_empty(),
        Geometry::Mask(mask) => mask.is_empty(),
        Geometry::File(_) | Geometry::Solution(_) => false,
    };
    match () {
        () if no_target => Some(Skip::NoTarget),
        () if sample.is_crowd && options.crowd == Crowd::Exclude => Some(Skip::Crowd),
        () if options.leaks == Leaks::Exclude && held_out.contains(&ImageKey::of(sample)) => {
            Some(Skip::Leak)
        }
        () => None,
    }
}

/// Why a sample of these masks is left out, if it is.
pub(crate) fn skip_by_mask(masks: &Masks, options: &SelectOptions) -> Option<Skip> {
    let several = masks.parts > 1;
    match options.multi_part {
        MultiPart::Only if !several => return Some(Skip::MultiPart),
        MultiPart::Exclude if several => return Some(Skip::MultiPart),
        _ => {}
    }
    let area = masks.target.area();
    let fraction = area as f64 / masks.target.size().pixels().max(1) as f64;
    if options.min_area.is_some_and(|least| area < least)
        || options.max_area.is_some_and(|most| area > most)
        || options.min_area_fraction.is_some_and(|least| fraction < least)
        || options.max_area_fraction.is_some_and(|most| fraction > most)
    {
        return Some(Skip::Area);
    }
    let (width, height) =
        masks.target.bbox().map_or((0, 0), |b| (b.width() as u32, b.height() as u32));
    if options.min_side.is_some_and(|least| width.min(height) < least)
        || options.max_side.is_some_and(|most| width.max(height) > most)
    {
        return Some(Skip::Side);
    }
    None
}

/// Size at which to rasterise `sample` for the filters, where they need it; the file's header says
/// where the annotations do not.
pub(crate) fn size_for_filters(
    sample: &Sample,
    options: &SelectOptions,
) -> Option<Result<Size, String>> {
    if !options.needs_mask() {
        return None;
    }
    if let Some(size) = sample.image.size {
        return Some(Ok(size));
    }
    Some(match &sample.image.source {
        ImageSource::File(path) => std::fs::read(path)
            .map_err(|e| e.to_string())
            .and_then(|bytes| crate::image::dimensions(&bytes).map_err(|e| e.to_string())),
        ImageSource::Bytes(bytes) => crate::image::dimensions(bytes).map_err(|e| e.to_string()),
        ImageSource::Absent => Err("the image's size is not known".to_owned()),
    })
}
