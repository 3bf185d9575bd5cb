//! One prediction of several replies.

use segzero_datasets::{Mask, MaskError};
use segzero_eval::answer::Object;
use segzero_model::sam2::Segmented;

use super::units::Unit;
use crate::masks::{Answered, Prediction};
use crate::pipeline::Found;

/// Which of several replies becomes the prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choose {
    /// The first with an answer.
    First,
    /// The pixels of more than half of the masks; the answer is that whose mask comes nearest.
    #[default]
    Majority,
    /// The one of whose mask the segmenter is surest: its predicted IoU, on average of the objects.
    BestIou,
}

/// A reply that came to a mask.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub text: String,
    pub found: Found,
    pub segmented: Vec<Segmented>,
    pub mask: Mask,
}

impl Attempt {
    /// Mean of the predicted IoUs; 0 where boxes were filled.
    fn confidence(&self) -> f32 {
        let sum: f32 = self.segmented.iter().map(Segmented::iou).sum();
        sum / self.segmented.len().max(1) as f32
    }

    /// The prediction, with a mask that may not be the attempt's own.
    pub fn line(self, unit: &Unit, mask: &Mask, texts: Vec<String>) -> Answered {
        let objects = &self.found.objects;
        let boxes = objects.iter().filter_map(|object| object.bbox).collect();
        let points = objects.iter().flat_map(|Object { points, .. }| points.clone()).collect();
        Answered {
            prediction: Prediction::new(&unit.key, &unit.image, mask, boxes, points),
            ious: self.segmented.iter().map(Segmented::iou).collect(),
            thinking: self.found.answer.thinking,
            repairs: self.found.answer.repairs,
            text: self.text,
            texts: if texts.len() > 1 { texts } else { Vec::new() },
        }
    }
}

/// The attempt that answers for all, and its mask; none where there is no attempt. Of equals the first.
///
/// # Errors
/// Masks of different sizes.
pub fn choose(attempts: Vec<Attempt>, how: Choose) -> Result<Option<(Attempt, Mask)>, MaskError> {
    let Some(first) = attempts.first() else { return Ok(None) };
    let size = first.mask.size();
    let majority = match how {
        Choose::Majority if attempts.len() > 1 => {
            let masks: Vec<Mask> = attempts.iter().map(|attempt| attempt.mask.clone()).collect();
            Some(Mask::majority(size, &masks)?)
        }
        _ => None,
    };
    let worth = |attempt: &Attempt| match (how, &majority) {
        (Choose::BestIou, _) => Ok(f64::from(attempt.confidence())),
        (_, Some(majority)) => iou(majority, &attempt.mask),
        (_, None) => Ok(0.0),
    };
    let worths = attempts.iter().map(worth).collect::<Result<Vec<f64>, _>>()?;
    let best = worths.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
    let best = best.map_or(0, |(index, _)| index);
    let attempt = attempts.into_iter().nth(best);
    Ok(attempt.map(|attempt| {
        let mask = majority.unwrap_or_else(|| attempt.mask.clone());
        (attempt, mask)
    }))
}

/// Two empty masks are equal.
fn iou(a: &Mask, b: &Mask) -> Result<f64, MaskError> {
    let both = a.intersection_area(b)?;
    let either = a.area() + b.area() - both;
    Ok(if either == 0 { 1.0 } else { both as f64 / either as f64 })
}

#[cfg(test)]
mod tests {
    use segzero_datasets::Size;

    use super::*;

    /// A row of six pixels, and no more.
    fn attempt(text: &str, pixels: [u8; 6]) -> Attempt {
        let mask = Mask::from_bitmap(Size::new(6, 1), &pixels).unwrap();
        let found = Found { answer: Default::default(), objects: Vec::new() };
        Attempt { text: text.to_owned(), found, segmented: Vec::new(), mask }
    }

    #[test]
    fn a_majority_is_more_than_half_and_answered_by_the_nearest() {
        let attempts = vec![
            attempt("a", [1, 1, 0, 0, 0, 0]),
            attempt("b", [0, 1, 1, 0, 0, 0]),
            attempt("c", [0, 1, 1, 0, 0, 1]),
            attempt("d", [0, 0, 0, 1, 0, 1]),
        ];
        let (chosen, mask) = choose(attempts.clone(), Choose::Majority).unwrap().unwrap();
        assert_eq!(mask.to_bitmap(), [0, 1, 0, 0, 0, 0]);
        assert_eq!(chosen.text, "a");
        let (chosen, mask) = choose(attempts[1..].to_vec(), Choose::Majority).unwrap().unwrap();
        assert_eq!((chosen.text.as_str(), mask.to_bitmap()), ("c", vec![0, 1, 1, 0, 0, 1]));
        let (chosen, mask) = choose(attempts, Choose::First).unwrap().unwrap();
        assert_eq!((chosen.text.as_str(), mask.to_bitmap()), ("a", vec![1, 1, 0, 0, 0, 0]));
        assert!(choose(Vec::new(), Choose::Majority).unwrap().is_none());
    }
}
