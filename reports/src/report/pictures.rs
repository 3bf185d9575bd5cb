//! Pictures, masks and replies of the chosen samples, from the data and the predictions.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use ahash::RandomState;
use rayon::prelude::*;
use segzero_datasets::{
    Error, FillRegime, Geometry, ImageSource, Mask, Query, ReadOptions, Sample, Size, Source,
};
use segzero_eval::{Names, Predictions};

use super::{Chosen, Report};
use crate::preview::{BuildError, Picture, load};

/// Where the data and the predictions of one run lie; none where they are gone.
#[derive(Debug, Default)]
pub struct Place {
    /// The data set.
    pub source: Option<Source>,
    /// Its split.
    pub split: Option<String>,
    /// The predictions.
    pub predictions: Option<Predictions>,
}

/// What is shown of the chosen samples.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// By position of the unit.
    pub(super) cards: BTreeMap<usize, Card>,
    /// The images that cards refer to.
    pub(super) pictures: Vec<Picture>,
    /// What could not be shown, and why.
    pub problems: Names,
}

/// One unit with its masks.
#[derive(Clone, Debug)]
pub(super) struct Card {
    /// Position of its image.
    pub picture: Option<usize>,
    /// Size of the image, the frame of all below.
    pub size: Size,
    pub target: Mask,
    pub ignore: Option<Mask>,
    /// What each run predicted.
    pub answers: Vec<Option<Answer>>,
}

/// What a run predicted for a unit.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub mask: Mask,
    pub no_target: bool,
    /// `[x0, y0, x1, y1]`.
    pub boxes: Vec<[f64; 4]>,
    /// `[x, y]`.
    pub points: Vec<[f64; 2]>,
    /// The model's reply.
    pub reply: Option<String>,
}

/// Longest reply that is shown, in characters.
const REPLY: usize = 6000;
/// Samples that are worked on together.
const TOGETHER: usize = 64;

/// A sample with its chosen units: position, and the query's id.
type Job = (Sample, Vec<(usize, Option<i64>)>);

impl Gallery {
    /// Opens the data of every run and draws the chosen samples. What cannot be opened is left out
    /// and named; a report is worth having without pictures.
    pub fn open(
        report: &Report,
        chosen: &Chosen,
        places: &[Place],
        longest_side: u32,
        done: impl Fn(usize),
    ) -> Self {
        let units = report.units();
        let mut wanted: HashMap<[String; 3], Vec<_>, RandomState> = HashMap::default();
        for unit in chosen.all() {
            let row = units[unit].first;
            let name = [&*row.dataset, &*row.split, &*row.key].map(str::to_owned);
            wanted.entry(name).or_default().push((unit, row.query));
        }
        let mut gallery = Self::default();
        let fill = report.entries[0].run.scores.totals.protocol.fill;
        let mut open = Opener { places, fill, longest_side, known: HashMap::new() };
        for source in distinct(places) {
            let options = ReadOptions { split: source.1.cloned(), ..ReadOptions::default() };
            let samples = match source.0.samples(&options) {
                Ok(samples) => samples,
                Err(error) => {
                    gallery.problems.push(|| error.to_string());
                    continue;
                }
            };
            let mut jobs: Vec<Job> = Vec::new();
            for sample in samples.filter_map(Result::ok) {
                let name = [&*sample.dataset, &*sample.split, &*sample.key].map(str::to_owned);
                let Some(units) = wanted.remove(&name) else { continue };
                jobs.push((sample, units));
                if jobs.len() == TOGETHER {
                    open.add(&mut gallery, &jobs);
                    done(gallery.cards.len());
                    jobs.clear();
                }
                if wanted.is_empty() {
                    break;
                }
            }
            open.add(&mut gallery, &jobs);
        }
        done(gallery.cards.len());
        gallery
    }
}

/// The different sources among the places.
fn distinct(places: &[Place]) -> Vec<(&Source, Option<&String>)> {
    let mut sources: Vec<(&Source, Option<&String>)> = Vec::new();
    for place in places {
        let Some(source) = &place.source else { continue };
        let is_same = |(other, split): &(&Source, Option<&String>)| {
            other.annotations == source.annotations && *split == place.split.as_ref()
        };
        if !sources.iter().any(is_same) {
            sources.push((source, place.split.as_ref()));
        }
    }
    sources
}

struct Opener<'a> {
    places: &'a [Place],
    fill: FillRegime,
    longest_side: u32,
    /// Positions of the pictures by their file.
    known: HashMap<PathBuf, usize>,
}

impl Opener<'_> {
    fn add(&mut self, gallery: &mut Gallery, jobs: &[Job]) {
        let pictures = self.pictures(gallery, jobs);
        let this = &*self;
        let cards: Vec<_> = jobs
            .par_iter()
            .zip(pictures)
            .flat_map_iter(|((sample, units), picture)| {
                let size = picture.map(|(_, size)| size);
                let masks = this.masks(sample, size);
                let picture = picture.map(|(position, _)| position);
                units.iter().map(move |&(unit, query)| match &masks {
                    Ok((target, ignore)) => {
                        let answers = this.answers(sample, query, target.size());
                        let (target, ignore) = (target.clone(), ignore.clone());
                        let size = target.size();
                        Ok((unit, Card { picture, size, target, ignore, answers }))
                    }
                    Err(error) => Err(error.to_string()),
                })
            })
            .collect();
        for card in cards {
            match card {
                Ok((unit, card)) => drop(gallery.cards.insert(unit, card)),
                Err(error) => gallery.problems.push(|| error),
            }
        }
    }

    /// Position and original size of every job's picture; an image that several samples share is read
    /// once.
    fn pictures(&mut self, gallery: &mut Gallery, jobs: &[Job]) -> Vec<Option<(usize, Size)>> {
        let file = |sample: &Sample| match &sample.image.source {
            ImageSource::File(path) => Some(path.clone()),
            _ => None,
        };
        let mut new: Vec<&Sample> = Vec::new();
        // Positions in `gallery.pictures`, then in `new`.
        let mut positions: Vec<Result<usize, usize>> = Vec::new();
        let mut waiting: HashMap<PathBuf, usize> = HashMap::new();
        for (sample, _) in jobs {
            let path = file(sample);
            let known = path.as_ref().and_then(|path| self.known.get(path).copied());
            let again = path.as_ref().and_then(|path| waiting.get(path).copied());
            positions.push(match (known, again) {
                (Some(known), _) => Ok(known),
                (None, Some(again)) => Err(again),
                (None, None) => {
                    path.map(|path| waiting.insert(path, new.len()));
                    new.push(sample);
                    Err(new.len() - 1)
                }
            });
        }
        let load = |sample: &&Sample| load(sample, self.longest_side);
        let loaded: Vec<Result<Picture, BuildError>> = new.par_iter().map(load).collect();
        let mut placed = Vec::with_capacity(loaded.len());
        for (sample, picture) in new.into_iter().zip(loaded) {
            placed.push(match picture {
                Ok(picture) => {
                    gallery.pictures.push(picture);
                    let position = gallery.pictures.len() - 1;
                    file(sample).map(|path| self.known.insert(path, position));
                    Some(position)
                }
                Err(error) => {
                    gallery.problems.push(|| error.to_string());
                    None
                }
            });
        }
        let position = |at: Result<usize, usize>| at.map_or_else(|new| placed[new], Some);
        let with_size = |at| position(at).map(|at: usize| (at, gallery.pictures[at].original));
        positions.into_iter().map(with_size).collect()
    }

    /// Target and ignored pixels, at the image's size.
    fn masks(&self, sample: &Sample, picture: Option<Size>) -> Result<(Mask, Option<Mask>), Error> {
        let stated = match &sample.geometry {
            Geometry::Mask(mask) => Some(mask.size()),
            _ => sample.image.size,
        };
        let missing = || {
            let what = "the image's size (no annotation states it, and the image is not there)";
            let kind = segzero_datasets::ErrorKind::Missing { what: what.to_owned() };
            Error::new(&sample.image.file_name, kind)
        };
        let size = stated.or(picture).ok_or_else(missing)?;
        let masks = sample.geometry.rasterize(size, self.fill);
        let masks = masks.map_err(|e| e.record(format_args!("sample `{}`", sample.key)))?;
        Ok((masks.target, masks.ignore))
    }

    fn answers(&self, sample: &Sample, query: Option<i64>, size: Size) -> Vec<Option<Answer>> {
        let found = sample.queries.iter().find(|known| query.is_some() && known.id == query);
        // A unit of all queries is predicted under its sample's key, or else its first query's.
        let whole = Query { id: None, raw: String::new(), text: String::new() };
        let first = sample.queries.first().unwrap_or(&whole);
        let answer = |place: &Place| {
            let predictions = place.predictions.as_ref()?;
            let of = |query: &Query| {
                let answer = predictions.for_query(sample, query, size).ok().flatten()?;
                let mask = match answer.mask.size() == size {
                    true => answer.mask,
                    false => answer.mask.resized_nearest(size).ok()?,
                };
                let reply = predictions.reply(sample, query);
                Some(Answer {
                    mask,
                    no_target: answer.no_target == Some(true),
                    boxes: answer.boxes,
                    points: answer.points,
                    reply: reply.map(|reply| reply.chars().take(REPLY).collect()),
                })
            };
            match found {
                Some(query) => of(query),
                None => of(&whole).or_else(|| of(first)),
            }
        };
        self.places.iter().map(answer).collect()
    }
}
