//! Training of SAM 2 for promptable masks: scenes, prompts drawn from their true masks, loss, steps.

mod loss;
mod scene;

use std::collections::BTreeSet;
use std::time::Instant;

use burn::module::{Module, ParamId};
use burn::tensor::{DType, FloatDType, Tensor, TensorData};
use rayon::prelude::*;
use segzero_model::load::Named;
use segzero_model::sam2::{Predicted, Prompt, Sam2};

use crate::error::TrainError;
use crate::gradients::Accumulated;
use crate::policy::Freeze;
use crate::tape::pull;
use crate::trainer::{Figures, Moving};
use crate::weights::Weights;

pub use loss::{Found, IouError, MaskLossFigures, MaskLossOptions, MaskPull, Taught, mask_loss};
pub use scene::{Asked, DrawOptions, Draws, PromptMix, Scene, View, averaged, scenes};

/// Where positions are projected to is drawn once and stays, as published: a buffer, no parameter.
const FIXED: &str = "positional_encoding_gaussian_matrix";

/// A SAM 2 in training.
#[derive(Debug)]
pub struct MaskTrainer {
    weights: Weights<Sam2>,
    moving: Moving,
    step: u64,
}

impl MaskTrainer {
    /// Of a network without gradients and the names of its tensors; parameters are trained for whose
    /// names `trains` holds.
    pub fn new(
        network: Sam2,
        named: Vec<Named>,
        trains: impl Fn(&str) -> bool,
        moving: Moving,
    ) -> Self {
        let trains = |name: &str| !name.ends_with(FIXED) && trains(name);
        Self { weights: Weights::new(network, named, trains), moving, step: 0 }
    }

    /// The weights.
    pub fn weights(&self) -> &Weights<Sam2> {
        &self.weights
    }

    /// The same, to read what the optimizer remembers into them.
    pub fn weights_mut(&mut self) -> &mut Weights<Sam2> {
        &mut self.weights
    }

    /// Steps taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Goes on behind a step.
    pub fn resume_at(&mut self, step: u64) {
        self.step = step;
    }

    /// A step on some views, `at_once` of which are computed together.
    ///
    /// # Errors
    /// A loss that is no number; views without any object.
    pub fn learn(
        &mut self,
        views: &[View],
        at_once: usize,
        options: &MaskLossOptions,
    ) -> Result<Figures, TrainError> {
        let begin = Instant::now();
        let objects: usize = views.iter().map(|view| view.objects.len()).sum();
        if objects == 0 {
            let (key, reason) = (format!("step {}", self.step + 1), "no object in it".to_owned());
            return Err(TrainError::Sample { key, reason });
        }
        let weight = 1.0 / objects as f64;
        let mut gradients = Accumulated::default();
        let mut sums = MaskLossFigures::default();
        for views in views.chunks(at_once.max(1)) {
            let (network, frozen) = (self.weights.network(), self.weights.frozen());
            let part = mask_gradients(network, frozen, views, weight, options, &mut gradients);
            sums.add(&part, 1.0);
        }
        if !sums.loss.is_finite() {
            return Err(TrainError::Diverged { step: self.step + 1, loss: sums.loss });
        }
        self.step += 1;
        let rate = self.moving.schedule.rate(self.step, self.moving.steps);
        let norm = self.weights.step(gradients, &self.moving.optimizer, rate, self.step);
        let figures = [
            ("loss", sums.loss),
            ("loss/focal", sums.focal),
            ("loss/dice", sums.dice),
            ("loss/iou", sums.iou),
            ("loss/object", sums.object),
            ("iou/best", sums.best),
            ("actor/lr", rate),
            ("actor/grad_norm", norm),
            ("objects", objects as f64),
            ("timing_s/step", begin.elapsed().as_secs_f64()),
        ];
        Ok(figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// Adds the gradients of the loss of some views, of which each object counts `weight`, and gives the
/// loss's parts.
pub fn mask_gradients(
    network: &Sam2,
    frozen: &BTreeSet<ParamId>,
    views: &[View],
    weight: f64,
    options: &MaskLossOptions,
    gradients: &mut Accumulated,
) -> MaskLossFigures {
    let trained = network.clone().train().map(&mut Freeze(frozen));
    let side = network.config().image_size;
    let pixels: Vec<f32> = views.iter().flat_map(|view| view.pixels.iter().copied()).collect();
    let pixels = TensorData::new(pixels, [views.len(), side, side, 3]);
    let pixels = Tensor::from_data(pixels, (network.device(), network.dtype()));
    let asked = views.iter().enumerate().flat_map(|(image, view)| {
        view.objects.iter().map(move |object| (image, object.prompt.clone()))
    });
    let asked: Vec<(usize, Prompt)> = asked.collect();
    let targets: Vec<&[f32]> =
        views.iter().flat_map(|view| &view.objects).map(|object| &object.target[..]).collect();
    let mut sums = MaskLossFigures::default();
    if asked.is_empty() {
        return sums;
    }
    let predicted = trained.predict(&trained.embed(pixels), &asked);
    let Predicted { logits, ious, object_scores } = predicted;
    let outputs = [logits, ious.unsqueeze_dim(2), object_scores.unsqueeze_dim(2)];
    let [logits, ious, scores] = outputs.each_ref().map(numbers);
    let (masks, pixels) = (outputs[0].dims()[1], outputs[0].dims()[2]);
    let judged = targets.par_iter().enumerate().map(|(i, target)| {
        let found = Found {
            logits: &logits[i * masks * pixels..][..masks * pixels],
            ious: &ious[i * masks..][..masks],
            object_score: scores[i],
        };
        mask_loss(&found, target, options)
    });
    let judged: Vec<(MaskLossFigures, MaskPull)> = judged.collect();
    let mut by = [Vec::new(), Vec::new(), Vec::new()];
    for (figures, pull) in judged {
        sums.add(&figures, weight);
        by[0].extend(pull.logits);
        by[1].extend(pull.ious);
        by[2].push(pull.object_score);
    }
    let derivatives: Vec<Tensor<3>> = by
        .into_iter()
        .zip(&outputs)
        .map(|(by, output)| {
            let by: Vec<f32> = by.into_iter().map(|by| by * weight as f32).collect();
            let options = (network.device(), output.dtype());
            Tensor::from_data(TensorData::new(by, output.dims()), options)
        })
        .collect();
    gradients.add(&trained, pull(&outputs, &derivatives));
    sums
}

fn numbers(x: &Tensor<3>) -> Vec<f32> {
    let x = x.clone().inner();
    let x = if x.dtype() == DType::F32 { x } else { x.cast(FloatDType::F32) };
    x.into_data().try_into_vec().unwrap_or_default()
}
