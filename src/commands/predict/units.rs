//! What is asked: the queries of a data set, in its order, or a part of them.

use std::fmt::{Display, Formatter};
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use segzero_datasets::{Error, Geometry, ImageSource, ReadOptions, Sample, Source};
use segzero_prep::image::{Rgb, decode};
use serde::{Deserialize, Serialize};

use super::Args;
use crate::failure::Failure;
use crate::pipeline::Miss;
use crate::source_args::format_hint;

/// Which queries of a sample are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Queries {
    /// Every one; of ReasonSeg, whose texts are rephrasings, the first.
    #[default]
    All,
    /// The first of every sample, as Seg-Zero's sets of one sentence an object have it.
    First,
}

/// One of several equal parts, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once('/').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        match parts {
            Some((number, of)) if 0 < number && number <= of => Ok(Self { number, of }),
            _ => Err("expected I/N, such as 2/8 for the second of eight".to_owned()),
        }
    }
}

impl Display for Shard {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    /// Its units. Batches are not parted, so that shards come to the same as the whole.
    fn range(self, total: usize, batch: usize) -> Range<usize> {
        let batches = total.div_ceil(batch);
        let begin = |number: usize| (number * batches / self.of * batch).min(total);
        begin(self.number - 1)..begin(self.number)
    }
}

/// A query, and the image that it is about.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Place among the units of this run.
    pub at: usize,
    /// What the prediction is for.
    pub key: String,
    /// What to look for.
    pub text: String,
    /// The image's file, or its name where it lies inside another file.
    pub image: PathBuf,
    pixels: ImageSource,
}

impl Unit {
    /// The image as it is stored, which is the frame of the masks.
    ///
    /// # Errors
    /// A file that is not there or no image.
    pub fn read_image(&self) -> Result<Rgb, Miss> {
        let bad = |error: &dyn Display| {
            Miss::new("bad-image", format_args!("`{}`: {error}", self.image.display()))
        };
        match &self.pixels {
            ImageSource::File(path) => {
                let bytes = std::fs::read(path).map_err(|error| bad(&error))?;
                decode(&bytes).map_err(|error| bad(&error))
            }
            ImageSource::Bytes(bytes) => decode(bytes).map_err(|error| bad(&error)),
            ImageSource::Absent => Err(bad(&"the image was not found")),
        }
    }

    /// Whether two units are about the same file.
    pub fn shares_image_with(&self, other: &Self) -> bool {
        match (&self.pixels, &other.pixels) {
            (ImageSource::File(a), ImageSource::File(b)) => a == b,
            (ImageSource::Bytes(a), ImageSource::Bytes(b)) => a.as_ptr() == b.as_ptr(),
            _ => false,
        }
    }
}

/// The units of a run.
pub struct Units<'a> {
    args: &'a Args,
    source: &'a Source,
    /// Those of the data set that are this run's.
    range: Range<usize>,
}

impl<'a> Units<'a> {
    /// Counts the units that the flags choose.
    ///
    /// # Errors
    /// A sample that cannot be read; no unit at all.
    pub fn count(args: &'a Args, source: &'a Source) -> Result<Self, Failure> {
        let mut total = 0;
        for sample in samples(args, source, true)? {
            total += asked(args, &sample.map_err(|error| hinted(error, source))?);
        }
        if total == 0 {
            let split = args.source.split.as_deref().unwrap_or("any split");
            let failure = Failure::new(format_args!("there is nothing to ask in {split}"));
            return Err(failure.hint("`segzero inspect` lists the splits and what cannot be read"));
        }
        let total = args.limit.map_or(total, |limit| total.min(limit as usize));
        let range =
            args.shard.map_or(0..total, |shard| shard.range(total, usize::from(args.batch)));
        Ok(Self { args, source, range })
    }

    /// Number of the first among those of the whole data set.
    pub fn first(&self) -> usize {
        self.range.start
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Reads them, one after the other; images of Parquet files come along.
    ///
    /// # Errors
    /// A data set that cannot be read.
    pub fn iter(&self) -> Result<impl Iterator<Item = Result<Unit, Failure>> + Send, Failure> {
        let (args, source, start) = (self.args, self.source, self.range.start);
        let samples = samples(args, source, false)?;
        let units = samples.flat_map(move |sample| match sample {
            Ok(sample) => units(args, &sample).map(Ok).collect(),
            Err(error) => vec![Err(hinted(error, source))],
        });
        let number = move |(at, unit): (usize, Result<Unit, Failure>)| {
            unit.map(|unit| Unit { at: at - start, ..unit })
        };
        Ok(units.enumerate().skip(start).take(self.range.len()).map(number))
    }
}

fn samples(
    args: &Args,
    source: &Source,
    skip_images: bool,
) -> Result<impl Iterator<Item = Result<Sample, Error>> + Send, Failure> {
    let read = ReadOptions { skip_images, ..args.source.read_options() };
    source.samples(&read).map_err(|error| hinted(error, source))
}

fn hinted(error: Error, source: &Source) -> Failure {
    Failure::from(error).or_hint(format_hint(source.format))
}

/// How many queries of a sample are asked.
fn asked(args: &Args, sample: &Sample) -> usize {
    let only_first = args.queries == Queries::First;
    let are_rephrasings = matches!(sample.geometry, Geometry::ReasonSeg(_));
    let most = if only_first || are_rephrasings { 1 } else { usize::MAX };
    sample.queries.len().min(most)
}

fn units(args: &Args, sample: &Sample) -> impl Iterator<Item = Unit> {
    let image = match &sample.image.source {
        ImageSource::File(path) => path.clone(),
        ImageSource::Bytes(_) | ImageSource::Absent => sample.image.file_name.clone().into(),
    };
    sample.queries.iter().take(asked(args, sample)).map(move |query| Unit {
        at: 0,
        key: sample.query_key(query),
        // As the annotator wrote it: what the published sets ask.
        text: query.raw.clone(),
        image: image.clone(),
        pixels: sample.image.source.clone(),
    })
}
