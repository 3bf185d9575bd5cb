//! Which of an object's masks are given out.

use burn::tensor::{DType, FloatDType, Int, Tensor};

use super::config::Stability;
use super::decoder::Predicted;
use super::model::{Decoded, Embedding, Output, Sam2};

/// All masks of some objects, in the memory of this machine.
pub(super) struct Masks {
    /// Masks for each object.
    count: usize,
    logits: Vec<f32>,
    ious: Vec<f32>,
    object_scores: Vec<f32>,
}

impl Sam2 {
    /// Leaves out the masks that are not asked for.
    pub(super) fn choose(&self, all: Predicted, output: Output) -> Masks {
        let [_, masks, pixels] = all.logits.dims();
        let object_scores = numbers(all.object_scores);
        let others = masks - 1;
        if output == Output::Multimask {
            return Masks {
                count: others,
                logits: numbers(all.logits.narrow(1, 1, others)),
                ious: numbers(all.ious.narrow(1, 1, others)),
                object_scores,
            };
        }
        let (logits, ious) = (numbers(all.logits), numbers(all.ious));
        let mut chosen = Masks { count: 1, logits: Vec::new(), ious: Vec::new(), object_scores };
        for (logits, ious) in logits.chunks_exact(masks * pixels).zip(ious.chunks_exact(masks)) {
            let i = single(&logits[..pixels], ious, self.config().decoder.stability);
            chosen.logits.extend_from_slice(&logits[i * pixels..(i + 1) * pixels]);
            chosen.ious.push(ious[i]);
        }
        chosen
    }
}

/// The first mask, or where it is not stable that of the others whose predicted IoU is highest; of
/// equal ones the first.
fn single(first: &[f32], ious: &[f32], stability: Option<Stability>) -> usize {
    let is_stable = |stability: Stability| {
        let above = |bound: f32| first.iter().filter(|&&logit| logit > bound).count() as f32;
        let (inner, outer) = (above(stability.delta), above(-stability.delta));
        outer == 0.0 || inner / outer >= stability.threshold
    };
    if stability.is_none_or(is_stable) {
        return 0;
    }
    (2..ious.len()).fold(1, |best, i| if ious[i] > ious[best] { i } else { best })
}

impl Embedding {
    /// Those of some of its images, one after another.
    pub(super) fn select(&self, images: &Tensor<1, Int>) -> Self {
        let fine = self.fine.clone().map(|level| level.select(0, images.clone()));
        let prepared = self.prepared.clone();
        let prepared = prepared.map(|prepared| prepared.map(|x| x.select(0, images.clone())));
        Self { image: self.image.clone().select(0, images.clone()), fine, prepared }
    }

    /// That of one of its images.
    pub(super) fn of(&self, image: usize) -> Self {
        let fine = self.fine.clone().map(|level| level.narrow(0, image, 1));
        let prepared = self.prepared.clone();
        let prepared = prepared.map(|prepared| prepared.map(|x| x.narrow(0, image, 1)));
        Self { image: self.image.clone().narrow(0, image, 1), fine, prepared }
    }
}

impl Decoded {
    /// Takes the masks of a group of objects, given by their numbers.
    pub(super) fn put(&mut self, group: &[usize], masks: Masks) {
        let pixels = masks.count * self.side * self.side;
        for (i, &object) in group.iter().enumerate() {
            let logits = &masks.logits[i * pixels..(i + 1) * pixels];
            self.logits[object * pixels..(object + 1) * pixels].copy_from_slice(logits);
            let ious = &masks.ious[i * masks.count..(i + 1) * masks.count];
            self.ious[object * masks.count..(object + 1) * masks.count].copy_from_slice(ious);
            self.object_scores[object] = masks.object_scores[i];
        }
    }
}

/// The elements in f32.
fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    let x = if x.dtype() == DType::F32 { x } else { x.cast(FloatDType::F32) };
    x.into_data().try_into_vec().unwrap_or_default()
}
