//! Hyper-parameters under a name, with TRL's names where it has one, else veRL's.

use serde::{Deserialize, Serialize};

use crate::advantage::AdvantageOptions;
use crate::loss::{KlEstimator, LossOptions, LossType};
use crate::optimizer::{AdamW, FirstStep, Schedule, SchedulerType};

/// Settings of a training that do not depend on machine or data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameters {
    /// Prompts (in supervised training, samples) of a step.
    pub rollout_batch_size: usize,
    /// Replies to each prompt.
    pub num_generations: usize,
    /// Steps of the optimizer on each set of replies.
    pub num_iterations: u64,
    /// Divides the logits.
    pub temperature: f64,
    /// Sampling from the most likely tokens of this probability only.
    pub top_p: f64,
    /// Sampling from so many most likely tokens only; 0 is all.
    pub top_k: usize,
    /// Longest reply, in tokens.
    pub max_completion_length: usize,
    /// The loss.
    pub loss: LossOptions,
    /// The advantage.
    pub advantage: AdvantageOptions,
    /// The optimizer.
    pub optimizer: AdamW,
    /// Its rate.
    pub schedule: Schedule,
    /// Passes over the training set, where the number of steps is not said.
    pub num_train_epochs: f64,
    /// Which of an epoch's steps are taken.
    pub last_step: LastStep,
}

/// What becomes of the last step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LastStep {
    /// It is taken.
    #[default]
    Taken,
    /// It is left out, as in Seg-Zero's loop, which counts before it asks whether it is done: T - 1
    /// updates, of which the last is saved as the T-th.
    LeftOut,
}

/// Named settings (`seg-zero.md` §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// What Seg-Zero's paper states: 16 replies, no entropy term, no weight on the reference that it
    /// would name (5e-3 is the code's).
    #[default]
    SegZeroPaper,
    /// What Seg-Zero's scripts set: 8 replies, an entropy term of 1e-3.
    SegZeroCode,
    /// What VisionReasoner's scripts set: replies of up to 2000 tokens, 1e-2 on the reference.
    VisionReasoner,
    /// Supervised training of the paper's Table 1: 600 steps at 1e-5.
    Sft,
}

impl Preset {
    /// The settings.
    pub fn hyperparameters(self) -> Hyperparameters {
        let loss = LossOptions {
            epsilon: 0.2,
            epsilon_high: 0.2,
            loss_type: LossType::TokenMean,
            micro_batch: 1,
            max_completion_length: 1300,
            beta: 5e-3,
            kl_estimator: KlEstimator::K3,
            kl_clamp: Some(10.0),
            ..LossOptions::default()
        };
        let paper = Hyperparameters {
            rollout_batch_size: 16,
            num_generations: 16,
            num_iterations: 1,
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            max_completion_length: 1300,
            loss,
            advantage: AdvantageOptions::default(),
            optimizer: AdamW::default(),
            schedule: Schedule {
                learning_rate: 1e-6,
                lr_scheduler_type: SchedulerType::Constant,
                warmup_steps: 0,
                first_step: FirstStep::Counts,
            },
            num_train_epochs: 1.0,
            last_step: LastStep::Taken,
        };
        let code = Hyperparameters {
            num_generations: 8,
            loss: LossOptions { entropy_coef: 1e-3, ..loss },
            ..paper
        };
        match self {
            Self::SegZeroPaper => paper,
            Self::SegZeroCode => code,
            Self::VisionReasoner => Hyperparameters {
                max_completion_length: 2000,
                loss: LossOptions { beta: 1e-2, max_completion_length: 2000, ..code.loss },
                ..code
            },
            Self::Sft => Hyperparameters {
                schedule: Schedule { learning_rate: 1e-5, ..paper.schedule },
                ..paper
            },
        }
    }
}
