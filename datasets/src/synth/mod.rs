//! A synthetic RefCOCOg: scenes with exact masks, written as the files that people download.
//!
//! It stands beside the readers because it is their inverse: what it writes, they must read back,
//! mask for mask. The demo, the tests of the command and the benches use it where no data may be
//! downloaded. Shapes are thin, concave, ringed, touching, occluded, in several parts, overlapping
//! within one annotation, and cut off by the image border; see [`Scene`].

mod dice;
mod object;
mod pickle;
mod predict;
mod render;
mod scene;
mod sentence;
mod shape;
mod write;

pub use pickle::PickleProtocol;
pub use predict::{Flaw, imperfect};
pub use scene::{Annotation, Reference, Scene, Sentence};
pub use write::{Summary, WriteError, write};

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;

/// Composes `images` scenes. The same seed gives the same scenes; scene `i` does not depend on how
/// many there are. Two images of ten are of split `test`, one of `val`; image 5 is in `train` and,
/// by its last object, in `test` too: a leak to be found.
///
/// ```
/// let scenes = segzero_datasets::synth::compose(10, 42);
/// let annotation = &scenes[0].annotations[0];
/// assert_eq!(annotation.mask.size(), scenes[0].size);
/// ```
pub fn compose(images: usize, seed: u64) -> Vec<Scene> {
    compose_with(images, seed, &Composition::default())
}

/// What scenes hold: simpler ones are for models that begin from nothing.
#[derive(clap::Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Composition {
    /// Objects of a scene, at most: a number, or a range as `1-3` of which each scene draws one.
    #[arg(long, default_value_t, hide_default_value = true, value_name = "N")]
    pub objects: Objects,
    /// What is said of them.
    #[arg(long, value_enum, default_value_t)]
    pub sentences: Sentences,
    /// Longer side of every image, in pixels, in place of sizes from 320 to 1024.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(64..=4096))]
    pub longest_side: Option<u32>,
}

impl Default for Composition {
    fn default() -> Self {
        Self { objects: Objects::default(), sentences: Sentences::All, longest_side: None }
    }
}

/// How many objects a scene has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    /// The least that may be drawn, not 0.
    pub low: usize,
    /// The most.
    pub high: usize,
}

impl Default for Objects {
    fn default() -> Self {
        Self { low: usize::MAX, high: usize::MAX }
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.low, self.high)
    }
}

impl FromStr for Objects {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.trim().parse::<usize>().map_err(|e| e.to_string());
        let (low, high) = (number(low)?, number(high)?);
        match 0 < low && low <= high {
            true => Ok(Self { low, high }),
            false => Err("scenes need an object to ask about: give `1`, or `1-3`".to_owned()),
        }
    }
}

/// What is said of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sentences {
    /// One to three sentences of several forms: relations, places, nicknames.
    #[default]
    All,
    /// Its colour and what it is: "red ring". Nothing of its place.
    Plain,
}

/// As [`compose`], of scenes of some composition.
pub fn compose_with(images: usize, seed: u64, composition: &Composition) -> Vec<Scene> {
    let compose = |index| Scene::compose(seed, index, composition);
    let mut scenes: Vec<Scene> = (0..images).into_par_iter().map(compose).collect();
    let (mut ann_id, mut ref_id, mut sent_id) = (50_001, 0, 0);
    for (index, scene) in scenes.iter_mut().enumerate() {
        let split = match index % 10 {
            2 => "val",
            4 | 7 => "test",
            _ => "train",
        };
        for annotation in &mut scene.annotations {
            annotation.id = ann_id;
            ann_id += 13;
            let Some(reference) = &mut annotation.reference else { continue };
            (reference.ref_id, reference.split) = (ref_id, split);
            ref_id += 1;
            for sentence in &mut reference.sentences {
                sentence.id = sent_id;
                sent_id += 1;
            }
        }
        let references = scene.annotations.iter_mut().filter_map(|a| a.reference.as_mut());
        if let (5, Some(last)) = (index, references.last()) {
            last.split = "test";
        }
    }
    scenes
}

#[cfg(test)]
mod tests;
