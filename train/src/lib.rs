//! Training: SFT and GRPO of Qwen-VL by Seg-Zero's rewards, and of SAM 2 for masks ([`mask`]).
//!
//! ```text
//! rewards (segzero_eval::reward) ──▶ advantage ──▶ loss ──▶ policy ──▶ gradients ──▶ optimizer
//! ```
//!
//! Reward, advantage and loss are functions of numbers. The policy turns the loss's derivatives into
//! gradients, and the optimizer those into weights. Masks have a loss of their own; gradients, optimizer,
//! weights and checkpoints are the same.

mod advantage;
mod begin;
mod error;
mod gradients;
mod item;
mod lora;
mod loss;
pub mod mask;
mod memory;
mod optimizer;
mod picture;
mod policy;
mod recipe;
mod reply;
mod saved;
mod tape;
mod trainer;
mod weights;

pub use advantage::{AdvantageOptions, ScaleRewards, advantages};
pub use begin::{Beginning, ExportDtype, begin, export};
pub use error::TrainError;
pub use gradients::Accumulated;
pub use item::{Item, Row, acquaint, order, rows_of};
pub use lora::{ADAPTER, ADAPTER_CONFIG, Adapters, Lora, is_adapter, without_adapters};
pub use loss::{
    ImportanceLevel, KlEstimator, LossFigures, LossOptions, LossType, Pull, Scored, reply_loss,
    token_weights,
};
pub use memory::{Load, Part, Reference, estimate};
pub use optimizer::{AdamW, Decay, FirstStep, Moments, Schedule, SchedulerType};
pub use policy::{Batch, Likelihood, Policy, PolicyOptions, Timing, likelihoods};
pub use recipe::{Hyperparameters, LastStep, Preset};
pub use reply::{ReplyTemplate, SftOptions};
pub use saved::{CHECKPOINTS, State, checkpoints, last, restore, save};
pub use tape::Checkpointing;
pub use trainer::{Figures, GrpoOptions, Moving, Sampled, Trainer};
pub use weights::Weights;
