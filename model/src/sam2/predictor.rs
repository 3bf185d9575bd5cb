//! What a user asks of SAM 2, in the frame of an image of any size: embedded once, asked often.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;
use segzero_datasets::{Mask, MaskError, Size};
use segzero_prep::image::Rgb;
use serde::{Deserialize, Serialize};

use super::image::{Preprocessing, pixels};
use super::model::{Decoded, Embedding, Output, Sam2};
use super::prompt::{PointLabel, Prompt};
use super::upscale::upscale;

/// Objects whose masks are held at once, of all logits that the network gives out.
const OBJECTS: usize = 32;

/// The bound of the logits that are given out, as Meta's predictor bounds them. Masks are made of
/// the logits before.
const LOGIT_BOUND: f32 = 32.0;

/// SAM 2 behind an interface of images and masks.
#[derive(Debug)]
pub struct Predictor {
    network: Sam2,
    preprocessing: Preprocessing,
}

/// An image that the network has seen.
#[derive(Clone, Debug)]
pub struct Embedded {
    embedding: Embedding,
    size: Size,
}

/// What is asked for one object. Coordinates are continuous (x, y) in pixels of the image, whatever
/// its size: Meta's `SAM2ImagePredictor.predict` divides them by the image's size and multiplies by
/// the network's. Nothing is clamped: places outside the image are embedded as they are, and so are a
/// box of no area and one whose corners are reversed (the network was never shown such; it answers
/// with some mask). Nothing asked at all is answered with what stands out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImagePrompt {
    /// Points and what they say.
    pub points: Vec<([f32; 2], PointLabel)>,
    /// x and y of the upper left and the lower right corner.
    pub bbox: Option<[f32; 4]>,
    /// Logits of a former answer: [`Segmented::logits`].
    pub mask: Option<Vec<f32>>,
}

/// Which of an object's masks is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Of three the one whose predicted IoU is highest; of equal ones the last, as
    /// `numpy.argsort(scores)[::-1]` has it. What Seg-Zero and VisionReasoner take.
    #[default]
    BestIou,
    /// The one that is for prompts that leave no doubt, or the best of the others where it is not
    /// stable.
    Single,
}

/// One object in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmented {
    /// The mask, of the image's size.
    pub mask: Mask,
    /// Predicted IoU of each mask that there was, from 0 to 1.
    pub ious: Vec<f32>,
    /// Which of them was taken.
    pub chosen: usize,
    /// Above 0 where the network sees an object. The published image predictor does not look at it.
    pub object_score: f32,
    /// Logits of the mask before it was enlarged, `[side, side]`, row-major, bounded to ±32: the mask
    /// of a next prompt.
    pub logits: Vec<f32>,
}

impl Segmented {
    /// Predicted IoU of the mask that was taken.
    pub fn iou(&self) -> f32 {
        self.ious[self.chosen]
    }
}

/// A prompt that cannot be asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PromptError {
    /// A coordinate or logit that is no number.
    #[error("object {object}: `{field}` is {value}, and must be a finite number")]
    NotFinite {
        /// Position among the prompts, from 0.
        object: usize,
        /// `box`, `points[1]` or `mask`.
        field: String,
        /// What stands there.
        value: f32,
    },
    /// A mask of another size.
    #[error("object {object}: `mask` has {found} logits, and must have {side}x{side}")]
    MaskLength {
        /// Position among the prompts, from 0.
        object: usize,
        /// How many there are.
        found: usize,
        /// [`super::Config::mask_side`].
        side: usize,
    },
    /// An image that no mask can have.
    #[error("{0}")]
    Image(#[from] MaskError),
}

impl Embedded {
    /// Size of the image, and the frame of prompts and masks.
    pub fn size(&self) -> Size {
        self.size
    }
}

impl Predictor {
    /// A network that images are prepared for in some way.
    pub fn new(network: Sam2, preprocessing: Preprocessing) -> Self {
        Self { network, preprocessing }
    }

    /// The network.
    pub fn network(&self) -> &Sam2 {
        &self.network
    }

    /// Looks at an image.
    pub fn embed(&self, image: &Rgb) -> Embedded {
        let side = self.network.config().image_size;
        let pixels = TensorData::new(pixels(image, side, self.preprocessing), [1, side, side, 3]);
        let pixels = Tensor::from_data(pixels, (self.network.device(), self.network.dtype()));
        Embedded { embedding: self.network.embed(pixels), size: image.size }
    }

    /// The objects that are asked for, in the order of their prompts. What is asked beside an object
    /// does not change its mask.
    ///
    /// # Errors
    /// A number that is not finite, a mask of another size than the network's, or an image of 2^32
    /// pixels or more.
    pub fn predict(
        &self,
        image: &Embedded,
        prompts: &[ImagePrompt],
        choice: Choice,
    ) -> Result<Vec<Segmented>, PromptError> {
        let config = self.network.config();
        for (object, prompt) in prompts.iter().enumerate() {
            prompt.check(object, config.mask_side())?;
        }
        let output = match choice {
            Choice::BestIou => Output::Multimask,
            Choice::Single => Output::Single,
        };
        let mut objects = Vec::with_capacity(prompts.len());
        for prompts in prompts.chunks(OBJECTS) {
            let seen: Vec<Prompt> =
                prompts.iter().map(|p| p.seen(image.size, config.image_size)).collect();
            let decoded = self.network.decode(&image.embedding, 0, &seen, output);
            let chosen = (0..prompts.len()).into_par_iter();
            let chosen = chosen.map(|object| choose(&decoded, object, image.size));
            objects.extend(chosen.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(objects)
    }
}

impl ImagePrompt {
    /// Whether it can be asked.
    fn check(&self, object: usize, side: usize) -> Result<(), PromptError> {
        let finite = |field: &dyn Fn() -> String, numbers: &[f32]| match numbers
            .iter()
            .find(|number| !number.is_finite())
        {
            Some(&value) => Err(PromptError::NotFinite { object, field: field(), value }),
            None => Ok(()),
        };
        for (index, (at, _)) in self.points.iter().enumerate() {
            finite(&|| format!("points[{index}]"), at)?;
        }
        finite(&|| "box".to_owned(), self.bbox.as_ref().map_or(&[], |bbox| &bbox[..]))?;
        if let Some(mask) = &self.mask {
            if mask.len() != side * side {
                return Err(PromptError::MaskLength { object, found: mask.len(), side });
            }
            finite(&|| "mask".to_owned(), mask)?;
        }
        Ok(())
    }

    /// The prompt in the frame of the network's square image. Operations are Meta's, in f32.
    pub fn seen(&self, size: Size, side: usize) -> Prompt {
        let x = |x: f32| x / size.width as f32 * side as f32;
        let y = |y: f32| y / size.height as f32 * side as f32;
        Prompt {
            points: self.points.iter().map(|&(at, label)| ([x(at[0]), y(at[1])], label)).collect(),
            bbox: self.bbox.map(|[x1, y1, x2, y2]| [x(x1), y(y1), x(x2), y(y2)]),
            mask: self.mask.clone(),
        }
    }
}

/// Takes one of the masks of an object.
fn choose(decoded: &Decoded, object: usize, size: Size) -> Result<Segmented, MaskError> {
    let Decoded { masks, side, .. } = *decoded;
    let ious = &decoded.ious[object * masks..][..masks];
    // `max_by` gives the last of equals.
    let best = ious.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    let chosen = best.map_or(0, |(index, _)| index);
    let logits = &decoded.logits[(object * masks + chosen) * side * side..][..side * side];
    Ok(Segmented {
        mask: upscale(logits, side, size)?,
        ious: ious.to_vec(),
        chosen,
        object_score: decoded.object_scores[object],
        logits: logits.iter().map(|logit| logit.clamp(-LOGIT_BOUND, LOGIT_BOUND)).collect(),
    })
}

#[cfg(test)]
#[path = "predictor_tests.rs"]
mod tests;
