//! AdamW (arXiv 1711.05101) as torch computes it, and the schedule of its learning rate.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// AdamW's settings; the defaults are torch's, with TRL's names.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamW {
    /// Share of the first moment that stays.
    pub adam_beta1: f64,
    /// Share of the second moment that stays.
    pub adam_beta2: f64,
    /// Added to the root of the second moment.
    pub adam_epsilon: f64,
    /// Share of the weights, times the learning rate, that is taken off.
    pub weight_decay: f64,
    /// Which weights decay.
    pub decay: Decay,
    /// Gradients are scaled down to this norm; 0 leaves them.
    pub max_grad_norm: f64,
    /// What the learning rate of the vision tower and its merger, or of SAM 2's image encoder, is
    /// multiplied by. One that begins from nothing at the decoder's rate says the same of every image
    /// before the decoder can look.
    #[serde(default = "one")]
    pub vision_rate: f64,
}

fn one() -> f64 {
    1.0
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            weight_decay: 0.01,
            decay: Decay::All,
            max_grad_norm: 1.0,
            vision_rate: 1.0,
        }
    }
}

/// Which weights decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// All of them, as where parameters are flattened (Seg-Zero, veRL).
    #[default]
    All,
    /// Those of two axes and more: neither norms nor biases, as transformers' trainer has it.
    Matrices,
}

/// A parameter's first and second moment.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Mean of gradients.
    pub first: Tensor<1>,
    /// Mean of their squares.
    pub second: Tensor<1>,
}

impl Moments {
    /// Of a parameter that was never moved.
    pub fn of(weights: &Tensor<1>) -> Self {
        Self { first: weights.zeros_like(), second: weights.zeros_like() }
    }
}

impl AdamW {
    /// What the learning rate of a parameter of that name is multiplied by.
    pub fn rate_of(&self, name: &str) -> f64 {
        let sees = ["visual.", "image_encoder."].iter().any(|start| name.starts_with(start));
        if sees { self.vision_rate } else { 1.0 }
    }

    /// The weights after step `step`, counted from 1.
    pub fn step(
        &self,
        weights: Tensor<1>,
        gradient: Tensor<1>,
        moments: &mut Moments,
        rate: f64,
        step: u64,
        decays: bool,
    ) -> Tensor<1> {
        let (one, two) = (self.adam_beta1, self.adam_beta2);
        let first = moments.first.clone() * one + gradient.clone() * (1.0 - one);
        let second = moments.second.clone() * two + gradient.square() * (1.0 - two);
        let count = i32::try_from(step).unwrap_or(i32::MAX);
        let (bias_one, bias_two) = (1.0 - one.powi(count), 1.0 - two.powi(count));
        let root = second.clone().sqrt() / bias_two.sqrt() + self.adam_epsilon;
        let kept = if decays { weights * (1.0 - rate * self.weight_decay) } else { weights };
        let moved = kept - first.clone() / root * (rate / bias_one);
        *moments = Moments { first, second };
        moved
    }
}

/// How the learning rate goes after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SchedulerType {
    /// It stays.
    #[default]
    Constant,
    /// Down to 0 on a line.
    Linear,
    /// Down to 0 on half a cosine.
    Cosine,
}

/// The learning rate by step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its highest value.
    pub learning_rate: f64,
    /// What follows the warm-up.
    pub lr_scheduler_type: SchedulerType,
    /// Steps over which it rises from 0.
    pub warmup_steps: u64,
    /// Whether the first step is lost.
    pub first_step: FirstStep,
}

/// What the first step is without a warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FirstStep {
    /// A step like any other.
    #[default]
    Counts,
    /// One of rate 0, as in Seg-Zero's code, whose schedule multiplies by min(1, step / max(1, 0)).
    AtZero,
}

impl Schedule {
    /// The rate of a step, counted from 1, of `steps`.
    pub fn rate(&self, step: u64, steps: u64) -> f64 {
        let done = (step - 1) as f64;
        let warm = self.warmup_steps as f64;
        if self.first_step == FirstStep::AtZero && self.warmup_steps == 0 && step == 1 {
            return 0.0;
        }
        if step <= self.warmup_steps {
            return self.learning_rate * (done + 1.0) / (warm + 1.0);
        }
        let way = ((done - warm) / (steps as f64 - warm).max(1.0)).clamp(0.0, 1.0);
        self.learning_rate
            * match self.lr_scheduler_type {
                SchedulerType::Constant => 1.0,
                SchedulerType::Linear => 1.0 - way,
                SchedulerType::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * way).cos()),
            }
    }
}
