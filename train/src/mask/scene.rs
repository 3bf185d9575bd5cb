//! Images with objects, and what is asked about them in training: prompts drawn from the true masks.

use std::collections::{BTreeSet, HashMap};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use segzero_datasets::{Error, FillRegime, Geometry, ImageSource, Mask, Sample};
use segzero_model::sam2::{Config, ImagePrompt, PointLabel, Preprocessing, Prompt, pixels};
use segzero_prep::image::Rgb;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::picture::picture;

/// The share of a box's side that is the deviation of its edges, and their largest move in pixels of
/// the image: SAM's.
const JITTER: f64 = 0.1;
const JITTER_MAX: f64 = 20.0;

/// An image and its objects.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The image's file name.
    pub key: String,
    image: ImageSource,
    objects: Vec<Geometry>,
}

/// How often each kind of prompt is drawn, as parts of their sum.
#[derive(clap::Args, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[command(next_help_heading = "Prompts")]
pub struct PromptMix {
    /// Share of prompts that are a box whose edges are moved by a tenth of its side.
    #[arg(long = "box", default_value_t = 0.25, value_name = "SHARE")]
    pub bbox: f64,
    /// Of a point inside.
    #[arg(long, default_value_t = 0.125, value_name = "SHARE")]
    pub point: f64,
    /// Of two points inside.
    #[arg(long, default_value_t = 0.125, value_name = "SHARE")]
    pub points: f64,
    /// Of a box and two points inside, as Seg-Zero asks.
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    pub box_and_points: f64,
}

impl Default for PromptMix {
    fn default() -> Self {
        Self { bbox: 0.25, point: 0.125, points: 0.125, box_and_points: 0.5 }
    }
}

/// What is drawn of a scene.
#[derive(clap::Args, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[command(next_help_heading = "Training")]
pub struct DrawOptions {
    /// Most objects of an image that are asked for.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub objects: usize,
    /// How often images are mirrored left to right.
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    pub mirrored: f64,
    /// Kinds of prompts.
    #[command(flatten)]
    pub mix: PromptMix,
}

impl Default for DrawOptions {
    fn default() -> Self {
        Self { mix: PromptMix::default(), objects: 4, mirrored: 0.5 }
    }
}

/// A scene as the network sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// `[side, side, 3]`.
    pub pixels: Vec<f32>,
    /// What is asked, and what the answer is.
    pub objects: Vec<Asked>,
}

/// A prompt and its mask.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// In the frame of the network.
    pub prompt: Prompt,
    /// The share of each pixel of the network's mask that the true mask covers, row by row. An average
    /// over the pixel's area, so that objects thinner than a pixel are not lost between samples.
    pub target: Vec<f32>,
}

/// Samples by their image, in the order of the images' first samples; an object that several samples
/// speak of counts once.
///
/// # Errors
/// A sample that cannot be read.
pub fn scenes(samples: impl Iterator<Item = Result<Sample, Error>>) -> Result<Vec<Scene>, Error> {
    let mut scenes: Vec<Scene> = Vec::new();
    let mut places = HashMap::new();
    let mut known = BTreeSet::new();
    for sample in samples {
        let sample = sample?;
        if !sample.ann_ids.is_empty() && !known.insert(sample.ann_ids.clone()) {
            continue;
        }
        let key = sample.image.file_name.clone();
        let place = *places.entry(key.clone()).or_insert_with(|| {
            let image = sample.image.source.clone();
            scenes.push(Scene { key, image, objects: Vec::new() });
            scenes.len() - 1
        });
        scenes[place].objects.push(sample.geometry);
    }
    Ok(scenes)
}

impl Scene {
    /// How many objects it has.
    pub fn count(&self) -> usize {
        self.objects.len()
    }

    /// The image, and the masks of those objects, without empty ones.
    ///
    /// # Errors
    /// An image or a mask that cannot be read.
    pub fn open(&self, objects: &[usize]) -> Result<(Rgb, Vec<Mask>), TrainError> {
        let fault = |reason: String| TrainError::Sample { key: self.key.clone(), reason };
        let image = picture(&self.key, &self.image)?;
        let mask = |&object: &usize| {
            let masks = self.objects[object].rasterize(image.size, FillRegime::default());
            Ok(masks.map_err(|error| fault(error.to_string()))?.target)
        };
        let masks = objects.iter().map(mask).collect::<Result<Vec<_>, TrainError>>()?;
        Ok((image, masks.into_iter().filter(|mask| !mask.is_empty()).collect()))
    }

    /// Draws some of its objects and what is asked about each.
    ///
    /// # Errors
    /// As [`Scene::open`].
    pub fn view(
        &self,
        config: &Config,
        options: &DrawOptions,
        draws: &mut Draws,
    ) -> Result<View, TrainError> {
        let mut objects: Vec<usize> = (0..self.count()).collect();
        for last in (1..objects.len()).rev() {
            objects.swap(last, draws.below(last + 1));
        }
        objects.truncate(options.objects);
        let (mut image, masks) = self.open(&objects)?;
        let is_mirrored = draws.uniform() < options.mirrored;
        let width = image.size.width as usize;
        if is_mirrored {
            for row in image.pixels.chunks_exact_mut(3 * width.max(1)) {
                row.as_chunks_mut::<3>().0.reverse();
            }
        }
        let side = config.mask_side();
        let asked = masks.iter().filter_map(|mask| {
            let mut prompt = draws.prompt(mask, &options.mix)?;
            let mut target = averaged(mask, side);
            if is_mirrored {
                mirror(&mut prompt, width as f32);
                target.chunks_exact_mut(side).for_each(<[f32]>::reverse);
            }
            Some(Asked { prompt: prompt.seen(image.size, config.image_size), target })
        });
        let objects = asked.collect();
        let pixels = pixels(&image, config.image_size, Preprocessing::default());
        Ok(View { pixels, objects })
    }
}

/// Points are pixels' numbers, so the first column becomes the last.
fn mirror(prompt: &mut ImagePrompt, width: f32) {
    for (at, _) in &mut prompt.points {
        at[0] = width - 1.0 - at[0];
    }
    if let Some([left, _, right, _]) = &mut prompt.bbox {
        (*left, *right) = (width - 1.0 - *right, width - 1.0 - *left);
    }
}

/// The share of each of `side` by `side` equal parts of the image that a mask covers, row by row.
pub fn averaged(mask: &Mask, side: usize) -> Vec<f32> {
    let (width, height) = (mask.size().width, mask.size().height);
    let cell = [width, height].map(|pixels| f64::from(pixels) / side as f64);
    let mut sums = vec![0.0f64; side * side];
    for range in mask.foreground() {
        let mut at = range.start;
        while at < range.end {
            let column = at / height;
            let end = range.end.min((column + 1) * height);
            let rows = [at - column * height, end - column * height];
            for (x, wide) in overlaps([column, column + 1], cell[0], side) {
                for (y, high) in overlaps(rows, cell[1], side) {
                    sums[y * side + x] += wide * high;
                }
            }
            at = end;
        }
    }
    let area = cell[0] * cell[1];
    sums.into_iter().map(|sum| (sum / area).min(1.0) as f32).collect()
}

/// The cells that an interval of pixels reaches into, and how far.
fn overlaps([from, to]: [u32; 2], cell: f64, side: usize) -> impl Iterator<Item = (usize, f64)> {
    let (from, to) = (f64::from(from), f64::from(to));
    let first = (from / cell) as usize;
    (first..side).take_while(move |&at| at as f64 * cell < to).map(move |at| {
        let (begin, end) = (at as f64 * cell, (at + 1) as f64 * cell);
        (at, (end.min(to) - begin.max(from)).max(0.0))
    })
}

/// Random numbers of one scene in one step: they depend on nothing else.
#[derive(Clone, Debug)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// Of the scene in place `index` of step `step`.
    pub fn new(seed: u64, step: u64, index: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x006d_6173_6b73);
        random.set_stream((step << 24) | index as u64);
        Self(random)
    }

    /// From 0 up to 1, without 1.
    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }

    /// By Box and Muller's transform.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A prompt for a mask; none for an empty one.
    pub fn prompt(&mut self, mask: &Mask, mix: &PromptMix) -> Option<ImagePrompt> {
        let bounds = mask.bbox()?;
        let kinds = [mix.bbox, mix.point, mix.points, mix.box_and_points];
        let mut left = self.uniform() * kinds.iter().sum::<f64>();
        let kind = kinds.iter().position(|&share| {
            left -= share;
            left < 0.0
        });
        let (has_box, points) = [(true, 0), (false, 1), (false, 2), (true, 2)][kind.unwrap_or(3)];
        let bbox = has_box.then(|| {
            let edges = [bounds.x0, bounds.y0, bounds.x1, bounds.y1].map(f64::from);
            let sides = [edges[2] - edges[0] + 1.0, edges[3] - edges[1] + 1.0];
            let size = [mask.size().width, mask.size().height].map(|side| f64::from(side) - 1.0);
            std::array::from_fn(|i| {
                let deviation = (JITTER * sides[i % 2]).min(JITTER_MAX);
                let by = (self.normal() * deviation).clamp(-JITTER_MAX, JITTER_MAX);
                (edges[i] + by).clamp(0.0, size[i % 2]) as f32
            })
        });
        let bbox = bbox.map(|[a, b, c, d]: [f32; 4]| [a.min(c), b.min(d), a.max(c), b.max(d)]);
        let points = (0..points).map(|_| (self.inside(mask), PointLabel::Foreground)).collect();
        Some(ImagePrompt { points, bbox, mask: None })
    }

    /// A pixel of a mask, each as likely as any other.
    fn inside(&mut self, mask: &Mask) -> [f32; 2] {
        let mut left = self.below(mask.area() as usize) as u32;
        for range in mask.foreground() {
            let length = range.end - range.start;
            if left < length {
                let at = range.start + left;
                return [(at / mask.size().height) as f32, (at % mask.size().height) as f32];
            }
            left -= length;
        }
        [0.0; 2]
    }
}
