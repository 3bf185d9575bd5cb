//! How much better a reply is than the others to the same question.

/// Keeps the advantage finite where all replies to a question score alike.
pub const EPSILON: f64 = 1e-6;

/// GRPO's advantage of each reply of a group: (score - mean) / (standard deviation + 1e-6), the
/// deviation with n - 1 below. A group of one has mean 0 and deviation 1, as in EasyR1.
///
/// ```
/// let advantages = segzero_eval::reward::advantages(&[5., 5., 4., 3., 5., 1., 0., 5.]);
/// assert!((advantages[6] + 1.75).abs() < 1e-5); // mean 3.5, deviation 2
/// ```
pub fn advantages(scores: &[f64]) -> Vec<f64> {
    let n = scores.len() as f64;
    let (mean, deviation) = match scores.len() {
        0 | 1 => (0.0, 1.0),
        _ => {
            let mean = scores.iter().sum::<f64>() / n;
            let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
            (mean, (squares / (n - 1.0)).sqrt())
        }
    };
    scores.iter().map(|score| (score - mean) / (deviation + EPSILON)).collect()
}
