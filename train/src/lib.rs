//! Training: SFT and GRPO of Qwen-VL by Seg-Zero's rewards.
//!
//! ```text
//! rewards (segzero_eval::reward) ──▶ advantage ──▶ loss ──▶ policy ──▶ gradients ──▶ optimizer
//! ```
//!
//! Reward, advantage and loss are functions of numbers. The policy turns the loss's derivatives into
//! gradients, and the optimizer those into weights.

mod advantage;
mod gradients;
mod loss;
mod policy;
mod tape;

pub use advantage::{AdvantageOptions, ScaleRewards, advantages};
pub use gradients::Accumulated;
pub use loss::{
    ImportanceLevel, KlEstimator, LossFigures, LossOptions, LossType, Pull, Scored, reply_loss,
    token_weights,
};
pub use policy::{Batch, Likelihood, Policy, PolicyOptions, Timing};
pub use tape::Checkpointing;
