//! The choice of the next token from logits.

use std::cmp::Ordering;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

/// How tokens are chosen, with the names and meanings of `generation_config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most likely token always.
    pub temperature: f64,
    /// Only so many most likely tokens are drawn from; 0 is all.
    pub top_k: usize,
    /// Only the most likely tokens that together have this probability are drawn from; 1 is all.
    pub top_p: f64,
    /// Logits of tokens that stand in the prompt or the reply are divided by this where positive,
    /// multiplied where negative; 1 changes nothing.
    pub repetition_penalty: f64,
    /// Where the randomness comes from.
    pub seed: u64,
}

impl Default for Sampling {
    /// Greedy.
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// Draws from the model's own distribution, as Seg-Zero's training does.
    pub fn plain(seed: u64) -> Self {
        Self { temperature: 1.0, seed, ..Self::default() }
    }
}

/// A token and the logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: u32,
    /// ln of its probability under softmax(logits / temperature) (temperature 1 if greedy), before
    /// penalties and truncation: what a policy gradient needs.
    pub log_prob: f32,
}

/// Chooses the tokens of one sequence. The choices depend on the seed and the numbers of the sequence
/// only, not on what is generated beside it.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
    seen: Vec<bool>,
    scratch: Vec<(f32, u32)>,
}

impl Sampler {
    /// Of the sample `sample` of the prompt `prompt`, which consists of `ids`.
    pub fn new(sampling: Sampling, prompt: usize, sample: usize, ids: &[u32]) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(sampling.seed);
        random.set_stream(((prompt as u64) << 32) | sample as u64);
        let mut sampler = Self { sampling, random, seen: Vec::new(), scratch: Vec::new() };
        if sampling.repetition_penalty != 1.0 {
            ids.iter().for_each(|&id| sampler.note(id));
        }
        sampler
    }

    fn note(&mut self, token: u32) {
        let token = token as usize;
        if self.seen.len() <= token {
            self.seen.resize(token + 1, false);
        }
        self.seen[token] = true;
    }

    /// Chooses from the logits of all tokens, which must not be empty. NaN counts as impossible.
    pub fn choose(&mut self, logits: &[f32]) -> Choice {
        let raw = Normalizer::new(logits, self.divisor());
        self.process(logits);
        let token = match self.sampling.temperature > 0.0 {
            true => draw(&self.scratch, uniform(&mut self.random)),
            false => self.scratch[0].1,
        };
        if self.sampling.repetition_penalty != 1.0 {
            self.note(token);
        }
        Choice { token, log_prob: raw.log_prob(logits[token as usize]) }
    }

    fn divisor(&self) -> f64 {
        if self.sampling.temperature > 0.0 { self.sampling.temperature } else { 1.0 }
    }

    /// The tokens that can be drawn, most likely first (the smaller id first of equal ones), with
    /// their logits after penalty and temperature; the most likely alone if greedy.
    fn process(&mut self, logits: &[f32]) {
        let penalty = self.sampling.repetition_penalty as f32;
        let divisor = self.divisor() as f32;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend(logits.iter().zip(0u32..).map(|(&logit, token)| {
            let seen = self.seen.get(token as usize).copied().unwrap_or(false);
            let logit = match (seen, logit < 0.0) {
                (false, _) => logit,
                (true, true) => logit * penalty,
                (true, false) => logit / penalty,
            };
            let logit = if logit.is_nan() { f32::NEG_INFINITY } else { logit / divisor };
            (logit, token)
        }));
        let count = match (self.sampling.temperature > 0.0, self.sampling.top_k) {
            (false, _) => 1,
            (true, 0) => scratch.len(),
            (true, k) => k.min(scratch.len()),
        };
        if count < scratch.len() {
            // Equals of the last are kept, as transformers does, unless one is chosen without lot.
            let (_, last, _) = scratch.select_nth_unstable_by(count - 1, most_likely);
            let last = last.0;
            match self.sampling.temperature > 0.0 {
                true => scratch.retain(|&(logit, _)| logit >= last),
                false => scratch.truncate(count),
            }
        }
        if self.sampling.temperature > 0.0 && self.sampling.top_p < 1.0 {
            scratch.sort_unstable_by(most_likely);
            truncate(&mut scratch, self.sampling.top_p);
        }
        self.scratch = scratch;
    }

    /// The logits, after penalty and temperature, of the tokens that can be drawn, with those: a
    /// token's chance is the softmax of them.
    pub fn candidates(&mut self, logits: &[f32]) -> &[(f32, u32)] {
        self.process(logits);
        &self.scratch
    }
}

fn most_likely(a: &(f32, u32), b: &(f32, u32)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// Keeps the first tokens until they have the probability `top_p`, and at least one.
fn truncate(sorted: &mut Vec<(f32, u32)>, top_p: f64) {
    let normalizer = Normalizer::of(sorted.iter().map(|&(logit, _)| logit), 1.0);
    let mut sum = 0.0;
    let missing = |&&(logit, _): &&(f32, u32)| {
        let before = sum;
        sum += f64::from(normalizer.log_prob(logit)).exp();
        before < top_p
    };
    let kept = sorted.iter().take_while(missing).count().max(1);
    sorted.truncate(kept);
}

/// The token at which the probabilities sum to more than `at` of their whole.
fn draw(candidates: &[(f32, u32)], at: f64) -> u32 {
    let highest = candidates.iter().map(|c| c.0).fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| f64::from(logit - highest).exp();
    let whole: f64 = candidates.iter().map(|c| weight(c.0)).sum();
    let mut left = at * whole;
    for &(logit, token) in candidates {
        left -= weight(logit);
        if left < 0.0 {
            return token;
        }
    }
    // All logits are infinite, or rounding left a rest.
    candidates.iter().max_by(|a, b| most_likely(b, a)).map_or(0, |c| c.1)
}

/// In [0, 1), of 53 bits.
fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// ln Σ exp(logit / divisor).
struct Normalizer {
    divisor: f64,
    log_sum: f64,
}

impl Normalizer {
    fn new(logits: &[f32], divisor: f64) -> Self {
        Self::of(logits.iter().copied(), divisor)
    }

    fn of(logits: impl Iterator<Item = f32> + Clone, divisor: f64) -> Self {
        let highest = f64::from(logits.clone().fold(f32::NEG_INFINITY, f32::max));
        let term = |logit: f32| ((f64::from(logit) - highest) / divisor).exp();
        let sum: f64 = logits.filter(|logit| !logit.is_nan()).map(term).sum();
        Self { divisor, log_sum: sum.ln() + highest / divisor }
    }

    fn log_prob(&self, logit: f32) -> f32 {
        (f64::from(logit) / self.divisor - self.log_sum) as f32
    }
}
