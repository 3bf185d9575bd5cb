//! [`inspect`]: what data sets are there, whether they are complete, and whether they leak.

mod deep;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use crate::counts::{Comparison, Counts, PublishedSet, compare, published_sets};
use crate::held_out::{ImageKey, is_held_out, splits_images};
use crate::{Error, Format, Geometry, ImageSource, ReadOptions, Sample, Source};

/// How closely to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// Read the annotations, and see whether the image files exist.
    #[default]
    Annotations,
    /// Also rasterise every mask and read the size in every image's header.
    Masks,
}

/// Number of faults that are listed by name; all are counted.
const LISTED: usize = 10;

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One entry a data set.
    pub sources: Vec<SourceReport>,
    /// Train images that are val or test images, within a data set or of another.
    pub overlaps: Vec<Overlap>,
}

/// One data set.
#[derive(Debug, Serialize)]
pub struct SourceReport {
    /// `refcocog/umd`.
    pub label: String,
    /// How it is stored.
    pub format: Format,
    /// Its annotation file or folder.
    pub annotations: PathBuf,
    /// Its image folder, where the format has one and it was found.
    pub images: Option<PathBuf>,
    /// Counts by split.
    pub splits: BTreeMap<String, Counts>,
    /// All splits together; an image of two splits counts once.
    pub total: Counts,
    /// The nearest published counts.
    pub published: Option<Comparison>,
    /// Images whose file does not exist.
    pub missing_images: Faults,
    /// Records that could not be read.
    pub unreadable: Faults,
    /// What [`Depth::Masks`] found.
    pub masks: Option<MaskReport>,
}

/// What rasterising found.
#[derive(Debug, Default, Serialize)]
pub struct MaskReport {
    /// Masks that were rasterised without a fault.
    pub rasterised: u64,
    /// Masks that could not be rasterised.
    pub failures: Faults,
    /// Masks without a pixel, where a target is stated.
    pub empty: Faults,
    /// Images whose file is of another size than the annotations say.
    pub size_mismatches: Faults,
    /// Images whose header could not be read.
    pub unreadable_images: Faults,
}

/// Faults of one kind: their number, and the first by name.
#[derive(Debug, Default, Serialize)]
pub struct Faults {
    /// How many.
    pub count: u64,
    /// The first ten.
    pub first: Vec<String>,
}

impl Faults {
    fn add(&mut self, name: impl std::fmt::Display) {
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(name.to_string());
        }
    }
}

/// Images that are in one split to train on and in another to evaluate on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// `refcoco/unc train`.
    pub train: String,
    /// `refcocog/umd test`.
    pub held_out: String,
    /// Number of images in both.
    pub images: u64,
    /// Whether it is a fault of the data or known of it.
    pub kind: OverlapKind,
}

/// How an overlap came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverlapKind {
    /// Within one data set that splits images: its own evaluation is void.
    Within,
    /// Between data sets, as is known of the RefCOCO family: exclude these images when training.
    Between,
    /// `google` splits objects and not images: known, and why `unc` and `umd` are recommended.
    ByDesign,
}

impl Report {
    /// Number of faults: missing images, unreadable records, bad masks, leaks within a data set.
    /// Differences from published counts and overlaps between data sets are facts, not faults.
    pub fn problems(&self) -> u64 {
        let within = self.overlaps.iter().filter(|o| o.kind == OverlapKind::Within);
        let sources = self.sources.iter().map(SourceReport::problems);
        sources.sum::<u64>() + within.map(|o| o.images).sum::<u64>()
    }
}

impl SourceReport {
    /// Number of faults of this data set.
    pub fn problems(&self) -> u64 {
        let masks = self.masks.as_ref().map_or(0, |m| {
            let faults = [&m.failures, &m.empty, &m.size_mismatches, &m.unreadable_images];
            faults.iter().map(|f| f.count).sum()
        });
        self.missing_images.count + self.unreadable.count + masks
    }
}

/// What happens while inspecting, for a progress display.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Reading of this data set begins.
    Source(&'a Source),
    /// So many samples of it are done.
    Samples(u64),
}

/// Looks at all `sources`, each read once and streamed.
///
/// # Errors
/// When the published counts cannot be read. A source that cannot be read as a whole is counted as
/// an unreadable record, so that the others are still reported.
pub fn inspect(
    sources: &[Source],
    depth: Depth,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Report, Error> {
    let published = published_sets().map_err(|e| Error::new("manifests/published.json", e))?;
    let mut reports = Vec::new();
    let mut split_images = Vec::new();
    for source in sources {
        progress(Progress::Source(source));
        let mut survey = Survey::new(source);
        survey.read(depth, progress);
        let (report, images) = survey.finish(&published);
        reports.push(report);
        split_images.push((source, images));
    }
    Ok(Report { sources: reports, overlaps: overlaps(&split_images) })
}

type SplitImages = BTreeMap<String, BTreeSet<ImageKey>>;

/// One data set while it is being read.
struct Survey<'a> {
    source: &'a Source,
    splits: BTreeMap<String, Counts>,
    images: SplitImages,
    missing_images: Faults,
    unreadable: Faults,
    masks: Option<deep::MaskSurvey>,
}

impl<'a> Survey<'a> {
    fn new(source: &'a Source) -> Self {
        Self {
            source,
            splits: BTreeMap::new(),
            images: BTreeMap::new(),
            missing_images: Faults::default(),
            unreadable: Faults::default(),
            masks: None,
        }
    }

    fn read(&mut self, depth: Depth, progress: &mut dyn FnMut(Progress<'_>)) {
        if depth == Depth::Masks {
            self.masks = Some(deep::MaskSurvey::default());
        }
        let options = ReadOptions { split: None, skip_images: depth == Depth::Annotations };
        let samples = match self.source.samples(&options) {
            Ok(samples) => samples,
            // Nothing else will be said of this source, so that the advice belongs here.
            Err(error) => {
                let hint = error.hint().map_or(String::new(), |hint| format!(" ({hint})"));
                return self.unreadable.add(format_args!("{error}{hint}"));
            }
        };
        for (done, sample) in samples.enumerate() {
            match sample {
                Ok(sample) => self.add(sample),
                Err(error) => self.unreadable.add(error),
            }
            if done % 256 == 0 {
                progress(Progress::Samples(done as u64));
            }
        }
    }

    fn add(&mut self, sample: Sample) {
        let counts = self.splits.entry(sample.split.to_string()).or_default();
        counts.refs += 1;
        counts.sentences += sample.queries.len() as u64;
        counts.masks += u64::from(has_mask(&sample.geometry));
        let key = ImageKey::of(&sample);
        let known = self.images.values().any(|images| images.contains(&key));
        if !known && let Some(fault) = missing_image(self.source, &sample) {
            self.missing_images.add(fault);
        }
        let images = self.images.entry(sample.split.to_string()).or_default();
        counts.images += u64::from(images.insert(key));
        if let Some(masks) = &mut self.masks {
            masks.add(sample, !known);
        }
    }

    fn finish(self, published: &[PublishedSet]) -> (SourceReport, SplitImages) {
        let mut total = Counts::default();
        for counts in self.splits.values() {
            total += *counts;
        }
        total.images = self.images.values().flatten().collect::<BTreeSet<_>>().len() as u64;
        let source = self.source;
        let report = SourceReport {
            label: source.label(),
            format: source.format,
            annotations: source.annotations.clone(),
            images: source.images.clone(),
            published: compare(&source.name, source.split_by.as_deref(), &self.splits, published),
            splits: self.splits,
            total,
            missing_images: self.missing_images,
            unreadable: self.unreadable,
            masks: self.masks.map(deep::MaskSurvey::finish),
        };
        (report, self.images)
    }
}

fn has_mask(geometry: &Geometry) -> bool {
    match geometry {
        Geometry::Coco(parts) => !parts.is_empty(),
        Geometry::ReasonSeg(shapes) => !shapes.is_empty(),
        Geometry::File(_) | Geometry::Mask(_) => true,
        Geometry::Solution(_) => false,
    }
}

/// What to call the sample's image if its file is not there. Embedded images are always there.
fn missing_image(source: &Source, sample: &Sample) -> Option<String> {
    let embedded = matches!(source.format, Format::HfEval | Format::HfTrain);
    match &sample.image.source {
        ImageSource::File(path) if !path.is_file() => Some(path.display().to_string()),
        ImageSource::Absent if !embedded => Some(sample.image.file_name.clone()),
        _ => None,
    }
}

/// Every train split against every val and test split.
fn overlaps(sources: &[(&Source, SplitImages)]) -> Vec<Overlap> {
    let splits = || {
        sources.iter().flat_map(|(source, images)| {
            images.iter().map(move |(split, images)| (*source, split.as_str(), images))
        })
    };
    let mut found = Vec::new();
    for (source, split, images) in splits().filter(|(_, split, _)| split.starts_with("train")) {
        for (other, held_out, other_images) in splits().filter(|(_, s, _)| is_held_out(s)) {
            let count = images.intersection(other_images).count() as u64;
            if count == 0 {
                continue;
            }
            let same = source.annotations == other.annotations;
            found.push(Overlap {
                train: format!("{} {split}", source.label()),
                held_out: format!("{} {held_out}", other.label()),
                images: count,
                kind: match (splits_images(source) && splits_images(other), same) {
                    (false, _) => OverlapKind::ByDesign,
                    (true, true) => OverlapKind::Within,
                    (true, false) => OverlapKind::Between,
                },
            });
        }
    }
    found
}
