//! From samples to cards and pictures.

use std::collections::HashMap;
use std::path::Path;

use segzero_datasets::{
    Error, ErrorKind, FillRegime, Geometry, ImageSource, Masks, Query, Sample, Size,
};
use segzero_eval::reward::{Solution, Truth};
use segzero_eval::{Counts, Predictions, Protocol, judge};
use segzero_prep::image::{Filter, ImageError, Rgb, decode, encode_jpeg, resize};
use segzero_prep::{Circle, Flags, Target, TargetOptions};
use serde::Deserialize;

use super::{Card, Picture, Prediction, Said};

/// How cards are made.
#[derive(Clone, Copy, Debug)]
pub struct BuilderOptions {
    /// How boxes and circles are found, where the data have none.
    pub target: TargetOptions,
    /// Fill rule of ReasonSeg's polygons.
    pub fill: FillRegime,
    /// Longest side of a picture, in pixels.
    pub longest_side: u32,
}

impl Default for BuilderOptions {
    fn default() -> Self {
        Self { target: TargetOptions::default(), fill: FillRegime::default(), longest_side: 640 }
    }
}

/// A sample that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Its mask or image cannot be read.
    #[error(transparent)]
    Read(#[from] Error),
    /// Its image cannot be decoded, or not be encoded again.
    #[error("could not read the image `{file_name}` of sample `{key}`: {source}")]
    Image {
        /// File name of the image.
        file_name: String,
        /// Key of the sample.
        key: String,
        /// Why.
        source: ImageError,
    },
    /// Its image has another size than the annotations say.
    #[error("the image `{file_name}` of sample `{key}` is {found}, its annotation says {expected}")]
    ImageSize {
        /// File name of the image.
        file_name: String,
        /// Key of the sample.
        key: String,
        /// Size by the annotations.
        expected: Size,
        /// Size of the file.
        found: Size,
    },
}

/// What is needed of a line of `provenance/*.jsonl`: how each object of an example was made.
#[derive(Deserialize)]
struct Provenance {
    id: String,
    objects: Vec<Made>,
}

#[derive(Deserialize)]
struct Made {
    /// At the original size.
    target: Target,
}

/// Collects cards; an image that several samples share is kept once.
pub struct Builder<'a> {
    options: BuilderOptions,
    predictions: Option<&'a Predictions>,
    provenance: HashMap<String, Provenance>,
    cards: Vec<Card>,
    pictures: Vec<Picture>,
    by_file: HashMap<std::path::PathBuf, usize>,
}

impl<'a> Builder<'a> {
    /// No cards yet.
    pub fn new(options: BuilderOptions, predictions: Option<&'a Predictions>) -> Self {
        Self {
            options,
            predictions,
            provenance: HashMap::new(),
            cards: Vec::new(),
            pictures: Vec::new(),
            by_file: HashMap::new(),
        }
    }

    /// Reads the `provenance/*.jsonl` of a prepared set, which knows radii and flags that the
    /// `solution` column does not; a set without it is shown without them.
    ///
    /// # Errors
    /// When a file of it is there but cannot be read.
    pub fn read_provenance(&mut self, set: &Path) -> Result<(), Error> {
        let folder = set.join("provenance");
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
        for entry in entries {
            let path = entry.map_err(|e| Error::new(&folder, e))?.path();
            let text = std::fs::read_to_string(&path).map_err(|e| Error::new(&path, e))?;
            for (number, line) in text.lines().enumerate() {
                let record: Provenance = serde_json::from_str(line).map_err(|e| {
                    Error::new(&path, e).record(format_args!("line {}", number + 1))
                })?;
                self.provenance.insert(record.id.clone(), record);
            }
        }
        Ok(())
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// When its mask or image cannot be read; the sample is then left out.
    pub fn add(&mut self, sample: &Sample) -> Result<(), BuildError> {
        let (picture, is_new) = match self.known_picture(sample) {
            Some(index) => (index, false),
            None => {
                self.pictures.push(load(sample, self.options.longest_side)?);
                (self.pictures.len() - 1, true)
            }
        };
        match self.card(sample, picture) {
            Ok(card) => self.cards.push(card),
            Err(error) => {
                if is_new {
                    self.pictures.pop();
                }
                return Err(error);
            }
        }
        if let (true, ImageSource::File(path)) = (is_new, &sample.image.source) {
            self.by_file.insert(path.clone(), picture);
        }
        Ok(())
    }

    /// What was collected.
    pub fn finish(self) -> (Vec<Card>, Vec<Picture>) {
        (self.cards, self.pictures)
    }

    fn known_picture(&self, sample: &Sample) -> Option<usize> {
        match &sample.image.source {
            ImageSource::File(path) => self.by_file.get(path).copied(),
            _ => None,
        }
    }

    fn card(&self, sample: &Sample, picture: usize) -> Result<Card, BuildError> {
        let found = self.pictures[picture].original;
        let key = sample.key.clone();
        let mut card = Card {
            picture,
            split: sample.split.to_string(),
            frame: found,
            said: sample.queries.iter().map(unanswered).collect(),
            mask: None,
            ignore: None,
            targets: Vec::new(),
            facts: facts(sample),
            flags: Vec::new(),
            key,
        };
        if let Geometry::Solution(text) = &sample.geometry {
            card.targets = self.trained_on(sample, text, found)?;
        } else {
            if let Some(expected) = sample.image.size.filter(|&size| size != found) {
                let (file_name, key) = (sample.image.file_name.clone(), card.key);
                return Err(BuildError::ImageSize { file_name, key, expected, found });
            }
            let masks = sample.geometry.rasterize(found, self.options.fill);
            let masks = masks.map_err(|e| named(e, sample))?;
            for (said, query) in card.said.iter_mut().zip(&sample.queries) {
                said.prediction = self.prediction(sample, query, &masks)?;
            }
            card.targets.extend(Target::from_masks(&masks, &self.options.target));
            card.facts.push(("parts", masks.parts.to_string()));
            card.flags.extend(masks.overlap.is_some().then_some("overlapping parts"));
            (card.mask, card.ignore) = (Some(masks.target), masks.ignore);
        }
        card.flags.extend(sample.is_crowd.then_some("crowd"));
        card.flags.extend(card.targets.is_empty().then_some("no target"));
        let union = |f: fn(&Flags) -> bool| card.targets.iter().any(|target| f(&target.flags));
        let flags: [(&'static str, bool); 3] = [
            ("touches border", union(|f| f.touches_border)),
            ("tie", union(|f| f.tie)),
            ("degenerate", union(|f| f.degenerate)),
        ];
        card.flags.extend(flags.iter().filter(|(_, set)| *set).map(|(name, _)| *name));
        Ok(card)
    }

    /// The targets of a training set's row: box and points as it states them, radii and flags from
    /// the set's own record of how it was made, where there is one.
    fn trained_on(&self, sample: &Sample, text: &str, frame: Size) -> Result<Vec<Target>, Error> {
        let Ok(Solution { objects }) = Solution::parse(text) else {
            let expected = "`<box>..</box><points>..</points>` or a JSON list".to_owned();
            let found = format!("`{}`", text.chars().take(80).collect::<String>());
            let kind = ErrorKind::Unexpected { expected, found };
            return Err(named(Error::new("", kind), sample).field("solution"));
        };
        let known = self.provenance.get(&sample.key);
        let target = |(index, answer): (usize, Truth)| {
            let made =
                known.and_then(|known| known.objects.get(index)).map(|object| &object.target);
            let radius_squared = |circle: usize| {
                let squared = made?.circles.get(circle)?.radius_squared as f64;
                let scale = frame.pixels() as f64 / made?.size.pixels().max(1) as f64;
                Some((squared * scale).round() as u64)
            };
            let circle = |(index, &center): (usize, &segzero_datasets::Point)| Circle {
                center,
                radius_squared: radius_squared(index).unwrap_or(0),
            };
            Target {
                size: frame,
                bbox: answer.bbox,
                circles: answer.points.iter().enumerate().map(circle).collect(),
                flags: made.map(|target| target.flags).unwrap_or_default(),
            }
        };
        Ok(objects.into_iter().enumerate().map(target).collect())
    }

    fn prediction(
        &self,
        sample: &Sample,
        query: &Query,
        truth: &Masks,
    ) -> Result<Option<Prediction>, Error> {
        let Some(predictions) = self.predictions else { return Ok(None) };
        let size = truth.target.size();
        let found = predictions.for_query(sample, query, size).unwrap_or_default();
        let Some(found) = found.filter(|found| found.mask.size() == size) else {
            return Ok(Some(Prediction { mask: None, iou: 0.0 }));
        };
        let counts = Counts::of(truth, &found.mask).map_err(|e| Error::new("", e))?;
        let outcome = judge(counts, found.no_target, &Protocol::default());
        Ok(Some(Prediction { mask: Some(found.mask), iou: outcome.iou.value() }))
    }
}

fn unanswered(query: &Query) -> Said {
    Said { text: query.raw.clone(), prediction: None }
}

fn facts(sample: &Sample) -> Vec<(&'static str, String)> {
    let list = |items: Vec<String>| (!items.is_empty()).then(|| items.join(", "));
    let facts = [
        ("data set", Some(sample.dataset.to_string())),
        ("ref", sample.ref_id.map(|id| id.to_string())),
        ("annotation", list(sample.ann_ids.iter().map(i64::to_string).collect())),
        ("category", list(sample.categories.clone())),
        ("image", Some(sample.image.id.clone())),
        ("file", Some(sample.image.file_name.clone())),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The error, naming the sample.
fn named(mut error: Error, sample: &Sample) -> Error {
    error.record.get_or_insert_with(|| format!("sample `{}`", sample.key));
    if error.path.as_os_str().is_empty() {
        error.path = sample.image.file_name.clone().into();
    }
    error
}

/// Reads and shrinks an image.
pub(crate) fn load(sample: &Sample, longest_side: u32) -> Result<Picture, BuildError> {
    let file_name = sample.image.file_name.clone();
    let bytes = match &sample.image.source {
        ImageSource::Bytes(bytes) => bytes.clone(),
        ImageSource::File(path) => {
            let read = std::fs::read(path).map_err(|e| named(Error::new(path, e), sample));
            read?.into()
        }
        ImageSource::Absent => {
            let missing = ErrorKind::Missing { what: "the image".to_owned() };
            return Err(named(Error::new("", missing), sample).into());
        }
    };
    let shrunk = decode(&bytes).and_then(|rgb| {
        let original = rgb.size;
        Ok((encode_jpeg(&shrink(rgb, longest_side), JPEG_QUALITY)?, original))
    });
    match shrunk {
        Ok((jpeg, original)) => Ok(Picture { file_name, jpeg, original }),
        Err(source) => Err(BuildError::Image { file_name, key: sample.key.clone(), source }),
    }
}

/// Quality of the pictures.
const JPEG_QUALITY: u8 = 82;

/// The image at most `longest_side` long, in its own aspect ratio.
fn shrink(rgb: Rgb, longest_side: u32) -> Rgb {
    let Size { width, height } = rgb.size;
    let longest = width.max(height);
    if longest <= longest_side {
        return rgb;
    }
    let scaled = |side: u32| {
        let exact = f64::from(side) * f64::from(longest_side) / f64::from(longest);
        (exact.round() as u32).max(1)
    };
    resize(&rgb, Size::new(scaled(width), scaled(height)), Filter::Area)
}
