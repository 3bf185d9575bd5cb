//! How published pipelines ask SAM 2 with what their language model answers.

use serde::{Deserialize, Serialize};

use super::predictor::{Choice, ImagePrompt};
use super::prompt::PointLabel;

/// A published way from boxes and points to masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Seg-Zero's `evaluation.py` and `infer.py`: one object, its box and its two points in one
    /// prompt.
    SegZero,
    /// VisionReasoner's (version 2 of the same repository): for each object its box and one point; the
    /// masks of an image are joined.
    VisionReasoner,
}

/// What a preset does. Both presets leave `multimask_output` at its default, which is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Positive points of an object, beside its box.
    pub points: usize,
    /// Most objects of an image.
    pub most_objects: Option<usize>,
    /// Which mask of an object is taken.
    pub choice: Choice,
}

/// Boxes and points that a preset does not know what to do with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{boxes} boxes and {points} points are given; the preset takes {expected}")]
pub struct PresetError {
    boxes: usize,
    points: usize,
    expected: &'static str,
}

impl Preset {
    /// What it does.
    pub fn recipe(self) -> Recipe {
        let choice = Choice::BestIou;
        match self {
            Self::SegZero => Recipe { points: 2, most_objects: Some(1), choice },
            Self::VisionReasoner => Recipe { points: 1, most_objects: None, choice },
        }
    }

    /// The prompts, one for each object: the first box goes with the first points.
    ///
    /// # Errors
    /// Where there are not as many points as the preset has for the boxes, or more boxes.
    pub fn prompts(
        self,
        boxes: &[[f32; 4]],
        points: &[[f32; 2]],
    ) -> Result<Vec<ImagePrompt>, PresetError> {
        let recipe = self.recipe();
        let is_full = recipe.most_objects.is_some_and(|most| boxes.len() > most);
        if boxes.is_empty() || is_full || points.len() != boxes.len() * recipe.points {
            let expected = match self {
                Self::SegZero => "one box and two points",
                Self::VisionReasoner => "as many points as boxes, at least one",
            };
            return Err(PresetError { boxes: boxes.len(), points: points.len(), expected });
        }
        let foreground = |&at: &[f32; 2]| (at, PointLabel::Foreground);
        let objects = boxes.iter().zip(points.chunks_exact(recipe.points));
        let prompt = |(&bbox, points): (&[f32; 4], &[[f32; 2]])| ImagePrompt {
            points: points.iter().map(foreground).collect(),
            bbox: Some(bbox),
            mask: None,
        };
        Ok(objects.map(prompt).collect())
    }
}
