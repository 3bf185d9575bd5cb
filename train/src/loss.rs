//! From log-probabilities and advantages to the loss of a step, and what it asks of each token.
//!
//! The loss is a function of numbers: how likely each token of each reply is under the policy that is
//! trained, the one that sampled, and the one that is held on to. Its derivative by the first is given
//! beside it, so that a network need only differentiate its log-probabilities.

use serde::{Deserialize, Serialize};

/// A reply, token by token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// ln of each token's probability under the policy that is trained.
    pub log_probs: Vec<f64>,
    /// The same under the policy that sampled.
    pub old: Vec<f64>,
    /// The same under the reference, where there is one.
    pub reference: Option<Vec<f64>>,
    /// Entropy of the distribution that each token was drawn from.
    pub entropies: Vec<f64>,
    /// The reply's advantage.
    pub advantage: f64,
}

/// What tokens are averaged over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LossType {
    /// Over all tokens of a micro-batch (Seg-Zero, veRL; DAPO with one micro-batch a step).
    #[default]
    TokenMean,
    /// Over the tokens of a reply, then over replies (GRPO's paper, TRL's `grpo`).
    SequenceMean,
    /// Summed over the tokens of a reply, then the mean over replies (veRL's `seq-mean-token-sum`).
    SequenceSum,
    /// Summed over the tokens, divided by replies x the longest length that is allowed (Dr. GRPO).
    DrGrpo,
}

/// What the ratio of the two policies is taken of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ImportanceLevel {
    /// Each token.
    #[default]
    Token,
    /// The whole reply: the geometric mean of its tokens' ratios (GSPO, arXiv 2507.18071).
    Sequence,
}

/// An estimate of the divergence from the reference, with d = ln p_ref - ln p
/// (<http://joschu.net/blog/kl-approx.html>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum KlEstimator {
    /// -d.
    K1,
    /// d² / 2.
    K2,
    /// eᵈ - d - 1, never negative (veRL's `low_var_kl`).
    #[default]
    K3,
    /// |d|.
    Abs,
}

/// The loss, under TRL's names where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossOptions {
    /// How far below 1 the ratio counts.
    pub epsilon: f64,
    /// How far above 1 it counts (DAPO: 0.28).
    pub epsilon_high: f64,
    /// Where the advantage is negative, the most that a token's loss is, in advantages (dual clip).
    pub delta: Option<f64>,
    /// What the ratio is of.
    pub importance_sampling_level: ImportanceLevel,
    /// What tokens are averaged over.
    pub loss_type: LossType,
    /// Replies that are averaged over together; 0 is all of a step.
    pub micro_batch: usize,
    /// Longest reply, for [`LossType::DrGrpo`].
    pub max_completion_length: usize,
    /// Weight of the divergence from the reference.
    pub beta: f64,
    /// Its estimate.
    pub kl_estimator: KlEstimator,
    /// The estimate is bounded to ± this; beyond, it pulls no more.
    pub kl_clamp: Option<f64>,
    /// Weight of the entropy, which is subtracted.
    pub entropy_coef: f64,
}

impl Default for LossOptions {
    /// Seg-Zero's, as its code has it, without the entropy that its paper does not name.
    fn default() -> Self {
        Self {
            epsilon: 0.2,
            epsilon_high: 0.2,
            delta: None,
            importance_sampling_level: ImportanceLevel::Token,
            loss_type: LossType::TokenMean,
            micro_batch: 1,
            max_completion_length: 1300,
            beta: 5e-3,
            kl_estimator: KlEstimator::K3,
            kl_clamp: Some(10.0),
            entropy_coef: 0.0,
        }
    }
}

/// The figures of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossFigures {
    /// What is minimised.
    pub loss: f64,
    /// The policy's part.
    pub pg_loss: f64,
    /// Mean of the estimated divergence, unweighted.
    pub kl_loss: f64,
    /// Mean of the entropy, unweighted.
    pub entropy_loss: f64,
    /// Share of tokens whose ratio was clipped: where the loss is not a mean over tokens, the mean
    /// of each reply's.
    pub pg_clipfrac: f64,
    /// Mean of ln p_old - ln p, over the same.
    pub ppo_kl: f64,
}

impl LossFigures {
    /// Adds those of another part of the step.
    pub fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.pg_loss += other.pg_loss;
        self.kl_loss += other.kl_loss;
        self.entropy_loss += other.entropy_loss;
        self.pg_clipfrac += other.pg_clipfrac;
        self.ppo_kl += other.ppo_kl;
    }
}

/// What a loss asks of a reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pull {
    /// The derivative of the loss by the log-probability of each token.
    pub log_probs: Vec<f64>,
    /// The derivative by the entropy at each token.
    pub entropies: Vec<f64>,
}

/// The share of a whole step that each token of a reply has, from the lengths of all of its replies.
pub fn token_weights(lengths: &[usize], options: &LossOptions) -> Vec<f64> {
    let size = if options.micro_batch == 0 { lengths.len() } else { options.micro_batch }.max(1);
    let batches = lengths.len().div_ceil(size).max(1) as f64;
    let of_batch = |lengths: &[usize]| -> Vec<f64> {
        let tokens = lengths.iter().sum::<usize>().max(1) as f64;
        let replies = lengths.len().max(1) as f64;
        let weight = |&length: &usize| match options.loss_type {
            LossType::TokenMean => 1.0 / tokens,
            LossType::SequenceMean => 1.0 / (replies * length.max(1) as f64),
            LossType::SequenceSum => 1.0 / replies,
            LossType::DrGrpo => 1.0 / (replies * options.max_completion_length.max(1) as f64),
        };
        lengths.iter().map(|length| weight(length) / batches).collect()
    };
    lengths.chunks(size).flat_map(of_batch).collect()
}

/// The part that one reply has in a step's loss, and what it asks of its tokens; `weight` is that of
/// [`token_weights`].
///
/// Loss of a token: max(-A ρ, -A clip(ρ, 1 - ε, 1 + ε_high)) + β KL - c H, with ρ = p / p_old.
pub fn reply_loss(reply: &Scored, weight: f64, options: &LossOptions) -> (LossFigures, Pull) {
    let length = reply.log_probs.len();
    let mut figures = LossFigures::default();
    let mut pull = Pull { log_probs: vec![0.0; length], entropies: vec![0.0; length] };
    let distances: Vec<f64> =
        reply.log_probs.iter().zip(&reply.old).map(|(new, old)| new - old).collect();
    let whole = distances.iter().sum::<f64>() / length.max(1) as f64;
    let share = token_share(length, weight, options);
    for at in 0..length {
        let distance = match options.importance_sampling_level {
            ImportanceLevel::Token => distances[at],
            ImportanceLevel::Sequence => whole,
        };
        let policy = policy_loss(distance, reply.advantage, options);
        figures.pg_loss += weight * policy.loss;
        figures.pg_clipfrac += share * f64::from(u8::from(policy.is_clipped));
        figures.ppo_kl -= share * distances[at];
        // Of a whole reply's ratio every token has an equal part, in as many equal losses.
        pull.log_probs[at] += weight * policy.derivative;
        if let Some(reference) = &reply.reference {
            let (kl, derivative) = divergence(reference[at] - reply.log_probs[at], options);
            figures.kl_loss += weight * kl;
            pull.log_probs[at] += weight * options.beta * derivative;
        }
        if let Some(entropy) = reply.entropies.get(at) {
            figures.entropy_loss += weight * entropy;
        }
        pull.entropies[at] = -weight * options.entropy_coef;
    }
    figures.loss = figures.pg_loss + options.beta * figures.kl_loss
        - options.entropy_coef * figures.entropy_loss;
    (figures, pull)
}

/// The part of a token in figures that are means, also where the loss is a sum.
fn token_share(length: usize, weight: f64, options: &LossOptions) -> f64 {
    let of_reply = match options.loss_type {
        LossType::TokenMean | LossType::SequenceMean => return weight,
        LossType::SequenceSum => 1.0,
        LossType::DrGrpo => options.max_completion_length.max(1) as f64,
    };
    weight * of_reply / length.max(1) as f64
}

/// A token's part by the policy, and its derivative by ln p.
struct PolicyLoss {
    loss: f64,
    derivative: f64,
    is_clipped: bool,
}

fn policy_loss(distance: f64, advantage: f64, options: &LossOptions) -> PolicyLoss {
    let ratio = distance.exp();
    let free = -advantage * ratio;
    let bound = -advantage * ratio.clamp(1.0 - options.epsilon, 1.0 + options.epsilon_high);
    let is_clipped = bound > free;
    let (loss, derivative) = if is_clipped { (bound, 0.0) } else { (free, free) };
    match options.delta {
        Some(delta) if advantage < 0.0 && -advantage * delta < loss => {
            PolicyLoss { loss: -advantage * delta, derivative: 0.0, is_clipped }
        }
        _ => PolicyLoss { loss, derivative, is_clipped },
    }
}

/// The estimate for d = ln p_ref - ln p, and its derivative by ln p.
fn divergence(d: f64, options: &LossOptions) -> (f64, f64) {
    let (kl, derivative) = match options.kl_estimator {
        KlEstimator::K1 => (-d, 1.0),
        KlEstimator::K2 => (d * d / 2.0, -d),
        // Not exp(d) - 1: that rounds to below d near 0.
        KlEstimator::K3 => (d.exp_m1() - d, -d.exp_m1()),
        KlEstimator::Abs => (d.abs(), if d == 0.0 { 0.0 } else { -d.signum() }),
    };
    match options.kl_clamp {
        Some(bound) if kl.abs() > bound => (kl.clamp(-bound, bound), 0.0),
        _ => (kl, derivative),
    }
}
