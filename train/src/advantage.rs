//! From the rewards of a group of replies to their advantages.

use serde::{Deserialize, Serialize};

/// What the distance of a reward from its group's mean is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ScaleRewards {
    /// The standard deviation of the group (GRPO, arXiv 2402.03300).
    #[default]
    Group,
    /// The standard deviation of all rewards of the step.
    Batch,
    /// Nothing (Dr. GRPO, arXiv 2503.20783).
    None,
}

/// How advantages are computed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdvantageOptions {
    /// What the distance from the mean is divided by.
    pub scale_rewards: ScaleRewards,
    /// Added to the standard deviation: 1e-6 in Seg-Zero, veRL and EasyR1, 1e-4 in TRL.
    pub epsilon: f64,
}

impl Default for AdvantageOptions {
    fn default() -> Self {
        Self { scale_rewards: ScaleRewards::Group, epsilon: 1e-6 }
    }
}

/// The advantage of each reply, of rewards in groups of `group` replies to one prompt each.
///
/// A = (r - mean) / (std + ε) with the unbiased standard deviation. Equal rewards give exactly 0;
/// the reply of a group of one has mean 0 and deviation 1, as in veRL.
///
/// ```
/// use segzero_train::{AdvantageOptions, advantages};
/// let a = advantages(&[5., 5., 4., 3., 5., 1., 0., 5.], 8, AdvantageOptions::default());
/// assert!((a[0] - 0.75).abs() < 1e-6 && (a[6] + 1.75).abs() < 1e-6);
/// ```
pub fn advantages(rewards: &[f64], group: usize, options: AdvantageOptions) -> Vec<f64> {
    let batch = deviation(rewards, mean(rewards));
    let of_group = |rewards: &[f64]| -> Vec<f64> {
        let middle = if rewards.len() > 1 { mean(rewards) } else { 0.0 };
        let divisor = match options.scale_rewards {
            ScaleRewards::Group => deviation(rewards, middle) + options.epsilon,
            ScaleRewards::Batch => batch + options.epsilon,
            ScaleRewards::None => 1.0,
        };
        let is_same = rewards.iter().all(|&reward| reward == rewards[0]) && rewards.len() > 1;
        let advantage = |&reward: &f64| if is_same { 0.0 } else { (reward - middle) / divisor };
        rewards.iter().map(advantage).collect()
    };
    rewards.chunks(group.max(1)).flat_map(of_group).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Unbiased; 1 of a single value.
fn deviation(values: &[f64], mean: f64) -> f64 {
    if values.len() < 2 {
        return 1.0;
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}
