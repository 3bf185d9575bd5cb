//! The stateful part: weights, the step that they are at, and what a step of either training does.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use segzero_eval::reward::{Recipe, Rewards};
use segzero_model::load::Named;
use segzero_model::qwen_vl::{Finish, Options, Prompter, QwenVl, Reply, Sampling, SpecialTokens};
use serde::{Deserialize, Serialize};

use crate::advantage::{AdvantageOptions, advantages};
use crate::error::TrainError;
use crate::gradients::Accumulated;
use crate::item::Item;
use crate::loss::{LossFigures, LossOptions, Pull, Scored, reply_loss, token_weights};
use crate::optimizer::{AdamW, Schedule};
use crate::policy::{Batch, Likelihood, Policy, PolicyOptions, Timing, likelihoods};
use crate::reply::SftOptions;
use crate::weights::Weights;

/// What is logged of a step, by the names of veRL and EasyR1.
pub type Figures = BTreeMap<String, f64>;

/// A model in training.
#[derive(Debug)]
pub struct Trainer {
    weights: Weights<QwenVl>,
    /// The policy that training does not leave far behind.
    reference: Option<QwenVl>,
    optimizer: AdamW,
    schedule: Schedule,
    policy: PolicyOptions,
    step: u64,
    steps: u64,
}

/// How a trainer moves weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moving {
    /// The optimizer.
    pub optimizer: AdamW,
    /// Its rate.
    pub schedule: Schedule,
    /// Steps in all.
    pub steps: u64,
}

/// Group relative policy optimisation (arXiv 2402.03300), with TRL's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrpoOptions {
    /// Replies to each prompt.
    pub num_generations: usize,
    /// Steps of the optimizer on each set of replies.
    pub num_iterations: u64,
    /// Divides the logits, in sampling and in the loss.
    pub temperature: f64,
    /// As [`Sampling::top_p`].
    pub top_p: f64,
    /// As [`Sampling::top_k`].
    pub top_k: usize,
    /// Longest reply, in tokens.
    pub max_completion_length: usize,
    /// The loss.
    pub loss: LossOptions,
    /// The advantage.
    pub advantage: AdvantageOptions,
    /// Prompts, each with all its replies, computed at once.
    pub prompts_at_once: usize,
    /// Where the randomness comes from.
    pub seed: u64,
}

/// A reply that was sampled, and what it was worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// The step.
    pub step: u64,
    /// The sample's key.
    pub key: String,
    /// What was looked for.
    pub question: String,
    /// What was said.
    pub reply: String,
    /// Each reward by its name.
    pub rewards: BTreeMap<String, f64>,
    /// Their weighted sum.
    pub score: f64,
    /// How much better that is than the rest of the group.
    pub advantage: f64,
}

impl Trainer {
    /// Of a model without gradients and the names of its tensors; parameters are trained for whose
    /// names `trains` holds.
    pub fn new(
        model: QwenVl,
        named: Vec<Named>,
        trains: impl Fn(&str) -> bool,
        moving: Moving,
        policy: PolicyOptions,
    ) -> Self {
        let weights = Weights::new(model, named, trains);
        let Moving { optimizer, schedule, steps } = moving;
        Self { weights, reference: None, optimizer, schedule, policy, step: 0, steps }
    }

    /// Holds on to a policy: the loss then counts how far from it the trained one went.
    pub fn hold_to(&mut self, reference: QwenVl) {
        self.reference = Some(reference);
    }

    /// Goes on behind a step.
    pub fn resume_at(&mut self, step: u64) {
        self.step = step;
    }

    /// Steps taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The weights.
    pub fn weights(&self) -> &Weights<QwenVl> {
        &self.weights
    }

    /// The same, to read what the optimizer remembers into them.
    pub fn weights_mut(&mut self) -> &mut Weights<QwenVl> {
        &mut self.weights
    }

    fn policy(&self, temperature: f64) -> Policy {
        let options = PolicyOptions { temperature, ..self.policy };
        Policy::new(self.weights.network().clone(), self.weights.frozen(), options)
    }

    /// Moves the weights for the `update`-th time in all, in the step that is being taken, and notes
    /// how.
    fn advance(&mut self, gradients: Accumulated, update: u64, figures: &mut Figures) -> Duration {
        let start = Instant::now();
        let rate = self.schedule.rate(self.step + 1, self.steps);
        let norm = self.weights.step(gradients, &self.optimizer, rate, update);
        figures.insert("actor/lr".to_owned(), rate);
        figures.insert("actor/grad_norm".to_owned(), norm);
        start.elapsed()
    }

    /// The replies that the next step of supervised training teaches, as tokens; the last is `stop`.
    ///
    /// # Errors
    /// Text that the tokenizer cannot take.
    pub fn taught(
        &self,
        items: &[Item],
        prompter: &Prompter,
        stop: u32,
        options: &SftOptions,
    ) -> Result<Vec<Vec<u32>>, TrainError> {
        options.taught(items, self.step as usize * items.len(), prompter, stop)
    }

    /// A step of supervised training: the mean of -ln p over the tokens of the replies.
    ///
    /// # Errors
    /// Samples that the model cannot take; a loss that is no number.
    pub fn sft(
        &mut self,
        items: &[Item],
        prompter: &Prompter,
        stop: u32,
        options: &SftOptions,
    ) -> Result<Figures, TrainError> {
        let begin = Instant::now();
        let replies = self.taught(items, prompter, stop, options)?;
        let weight = 1.0 / replies.iter().map(Vec::len).sum::<usize>().max(1) as f64;
        let policy = self.policy(1.0);
        let (mut gradients, mut loss, mut clock) = (Accumulated::default(), 0.0, Clock::default());
        let size = options.micro_batch.max(1);
        for (items, replies) in items.chunks(size).zip(replies.chunks(size)) {
            let batch = Batch {
                prompts: items.iter().map(|item| &item.prompt).collect(),
                replies: replies.iter().map(Vec::as_slice).collect(),
            };
            let timing = policy.learn(&batch, &mut gradients, |found| {
                let pull = |found: &Likelihood| {
                    loss -= weight * found.log_probs.iter().sum::<f64>();
                    let count = found.log_probs.len();
                    Pull { log_probs: vec![-weight; count], entropies: vec![0.0; count] }
                };
                found.iter().map(pull).collect()
            })?;
            clock.add(timing);
        }
        drop(policy);
        let mut figures = Figures::new();
        figures.insert("loss".to_owned(), loss);
        finite(loss, self.step + 1)?;
        lengths(&mut figures, "response_length", replies.iter().map(Vec::len));
        lengths(&mut figures, "prompt_length", items.iter().map(|item| item.prompt.ids.len()));
        clock.optimizer = self.advance(gradients, self.step + 1, &mut figures);
        self.step += 1;
        clock.note(&mut figures, begin);
        Ok(figures)
    }

    /// A step of GRPO: samples replies, has them judged, and moves the weights towards those that were
    /// better than the rest of their group, once for each iteration. Losses are those of the last one.
    ///
    /// # Errors
    /// As [`Trainer::sft`].
    pub fn grpo(
        &mut self,
        items: &[Item],
        prompter: &Prompter,
        stop: &[u32],
        recipe: &Recipe,
        options: &GrpoOptions,
    ) -> Result<(Figures, Vec<Sampled>), TrainError> {
        let begin = Instant::now();
        let replies = self.rollout(items, stop, options)?;
        let rollout = begin.elapsed();
        let each = options.num_generations;
        let (texts, rewards) = judged(items, &replies, prompter, recipe);
        let scores: Vec<f64> = rewards.iter().map(|rewards| rewards.total).collect();
        let advantages = advantages(&scores, each, options.advantage);
        let judging = begin.elapsed() - rollout;
        let counts: Vec<usize> = replies.iter().map(|reply| reply.tokens.len()).collect();
        let weights = token_weights(&counts, &options.loss);
        let (mut figures, mut clock) = (Figures::new(), Clock::default());
        let mut sampled = Rollout { replies, advantages, weights, old: Vec::new() };
        let iterations = options.num_iterations.max(1);
        for iteration in 1..=iterations {
            let update = self.step * iterations + iteration;
            let more = self.learn(items, &mut sampled, update, options, &mut figures)?;
            clock.join(&more);
        }
        self.step += 1;
        let Rollout { replies, advantages, .. } = sampled;
        clock.note(&mut figures, begin);
        let seconds = rollout.as_secs_f64();
        figures.insert("timing_s/rollout".to_owned(), seconds);
        figures.insert("timing_s/reward".to_owned(), judging.as_secs_f64());
        let tokens: usize = replies.iter().map(|reply| reply.tokens.len()).sum();
        figures.insert("tokens_per_second/rollout".to_owned(), tokens as f64 / seconds);
        note_rewards(&mut figures, &rewards, &scores, &advantages);
        let cut = replies.iter().filter(|reply| reply.finish == Finish::Length).count();
        let share = cut as f64 / replies.len().max(1) as f64;
        figures.insert("response_length/clip_ratio".to_owned(), share);
        lengths(&mut figures, "response_length", replies.iter().map(|reply| reply.tokens.len()));
        lengths(&mut figures, "prompt_length", items.iter().map(|item| item.prompt.ids.len()));
        Ok((figures, kept(self.step, items, texts, rewards, &advantages)))
    }

    /// Replies as a step would sample them, and what they earn; nothing is learned.
    ///
    /// # Errors
    /// Samples that the model cannot take.
    pub fn rehearse(
        &self,
        items: &[Item],
        prompter: &Prompter,
        stop: &[u32],
        recipe: &Recipe,
        options: &GrpoOptions,
    ) -> Result<Vec<Sampled>, TrainError> {
        let replies = self.rollout(items, stop, options)?;
        let (texts, rewards) = judged(items, &replies, prompter, recipe);
        let scores: Vec<f64> = rewards.iter().map(|rewards| rewards.total).collect();
        let advantages = advantages(&scores, options.num_generations, options.advantage);
        Ok(kept(self.step, items, texts, rewards, &advantages))
    }

    fn rollout(
        &self,
        items: &[Item],
        stop: &[u32],
        options: &GrpoOptions,
    ) -> Result<Vec<Reply>, TrainError> {
        let prompts: Vec<_> = items.iter().map(|item| item.prompt.clone()).collect();
        let sampling = Sampling {
            temperature: options.temperature,
            top_k: options.top_k,
            top_p: options.top_p,
            repetition_penalty: 1.0,
            // Of every step its own numbers, whatever came before.
            seed: options.seed ^ self.step.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        };
        let options = Options {
            max_new_tokens: options.max_completion_length,
            sampling,
            stop: stop.to_vec(),
            samples: options.num_generations,
        };
        let network = self.weights.network();
        let replies = network.generate(&prompts, &options, |_| ControlFlow::Continue(()))?;
        Ok(replies.into_iter().flatten().collect())
    }

    /// The `update`-th step of the optimizer, on replies that were sampled.
    fn learn(
        &mut self,
        items: &[Item],
        rollout: &mut Rollout,
        update: u64,
        options: &GrpoOptions,
        figures: &mut Figures,
    ) -> Result<Clock, TrainError> {
        let each = options.num_generations;
        let policy = self.policy(options.temperature);
        let reference = self.reference.as_ref().filter(|_| options.loss.beta != 0.0);
        let (mut gradients, mut sums, mut clock) =
            (Accumulated::default(), LossFigures::default(), Clock::default());
        let prompts_at_once = options.prompts_at_once.max(1);
        for from in (0..items.len()).step_by(prompts_at_once) {
            let prompts = from..(from + prompts_at_once).min(items.len());
            let range = prompts.start * each..prompts.end * each;
            let replies = rollout.replies[range.clone()].to_vec();
            let batch = Batch {
                prompts: items[prompts].iter().map(|item| &item.prompt).collect(),
                replies: replies.iter().map(|reply| reply.tokens.as_slice()).collect(),
            };
            let start = Instant::now();
            let held = reference.map(|model| likelihoods(model, &batch, policy.options()));
            let held = held.transpose()?;
            clock.reference += start.elapsed();
            let timing = policy.learn(&batch, &mut gradients, |found| {
                let part = found.iter().zip(range.clone()).map(|(found, index)| {
                    let held = held.as_ref().map(|held| &held[index - range.start]);
                    rollout.pull(index, found, held, &options.loss, &mut sums)
                });
                part.collect()
            })?;
            clock.add(timing);
        }
        drop(policy);
        finite(sums.loss, self.step + 1)?;
        for (name, value) in [
            ("loss", sums.loss),
            ("actor/pg_loss", sums.pg_loss),
            ("actor/kl_loss", sums.kl_loss),
            ("actor/entropy_loss", sums.entropy_loss),
            ("actor/pg_clipfrac", sums.pg_clipfrac),
            ("actor/ppo_kl", sums.ppo_kl),
        ] {
            figures.insert(name.to_owned(), value);
        }
        clock.optimizer = self.advance(gradients, update, figures);
        Ok(clock)
    }
}

/// Replies to some prompts, and what they are worth.
struct Rollout {
    replies: Vec<Reply>,
    advantages: Vec<f64>,
    /// Each reply's [`token_weights`].
    weights: Vec<f64>,
    /// Log-probabilities under the policy that sampled. They are computed in the first iteration, with
    /// the same weights and by the same arithmetic as the new ones, so that the first ratio is 1 and
    /// not nearly 1.
    old: Vec<Vec<f64>>,
}

impl Rollout {
    /// What the loss asks of a reply, which adds its part to `sums`.
    fn pull(
        &mut self,
        index: usize,
        found: &Likelihood,
        held: Option<&Likelihood>,
        options: &LossOptions,
        sums: &mut LossFigures,
    ) -> Pull {
        if self.old.len() == index {
            self.old.push(found.log_probs.clone());
        }
        let reply = Scored {
            log_probs: found.log_probs.clone(),
            old: self.old[index].clone(),
            reference: held.map(|held| held.log_probs.clone()),
            entropies: found.entropies.clone(),
            advantage: self.advantages[index],
        };
        let (part, pull) = reply_loss(&reply, self.weights[index], options);
        sums.add(&part);
        pull
    }
}

/// What is kept of a rollout.
fn judged(
    items: &[Item],
    replies: &[Reply],
    prompter: &Prompter,
    recipe: &Recipe,
) -> (Vec<String>, Vec<Rewards>) {
    let each = replies.len() / items.len().max(1);
    let score = |(index, reply): (usize, &Reply)| {
        let text = prompter.tokenizer.decode(&reply.tokens, SpecialTokens::Skip);
        let rewards = recipe.score(&text, &items[index / each].solution);
        (text, rewards)
    };
    replies.par_iter().enumerate().map(score).unzip()
}

fn kept(
    step: u64,
    items: &[Item],
    texts: Vec<String>,
    rewards: Vec<Rewards>,
    advantages: &[f64],
) -> Vec<Sampled> {
    let each = texts.len() / items.len().max(1);
    let replies = texts.into_iter().zip(rewards).zip(advantages).enumerate();
    let sampled = replies.map(|(index, ((reply, rewards), &advantage))| Sampled {
        step,
        key: items[index / each].key.clone(),
        question: items[index / each].question.clone(),
        reply,
        rewards: rewards.parts.iter().map(|(r, x)| (r.name().to_owned(), *x)).collect(),
        score: rewards.total,
        advantage,
    });
    sampled.collect()
}

/// # Errors
/// A loss that is no number.
fn finite(loss: f64, step: u64) -> Result<(), TrainError> {
    if loss.is_finite() { Ok(()) } else { Err(TrainError::Diverged { step, loss }) }
}

/// Where the time of a step goes.
#[derive(Default)]
struct Clock {
    timing: Timing,
    reference: Duration,
    optimizer: Duration,
}

impl Clock {
    fn add(&mut self, timing: Timing) {
        self.timing.forward += timing.forward;
        self.timing.backward += timing.backward;
    }

    /// Adds those of another iteration.
    fn join(&mut self, other: &Self) {
        self.add(other.timing);
        self.reference += other.reference;
        self.optimizer += other.optimizer;
    }

    fn note(&self, figures: &mut Figures, begin: Instant) {
        for (name, time) in [
            ("ref", self.reference),
            ("forward", self.timing.forward),
            ("backward", self.timing.backward),
            ("optimizer", self.optimizer),
            ("step", begin.elapsed()),
        ] {
            figures.insert(format!("timing_s/{name}"), time.as_secs_f64());
        }
    }
}

fn lengths(figures: &mut Figures, name: &str, lengths: impl Iterator<Item = usize>) {
    let lengths: Vec<f64> = lengths.map(|length| length as f64).collect();
    spread(figures, name, &lengths);
}

/// Mean, largest and smallest.
fn spread(figures: &mut Figures, name: &str, values: &[f64]) {
    let count = values.len().max(1) as f64;
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    figures.insert(format!("{name}/mean"), values.iter().sum::<f64>() / count);
    figures.insert(format!("{name}/max"), largest);
    figures.insert(format!("{name}/min"), smallest);
}

fn note_rewards(figures: &mut Figures, rewards: &[Rewards], scores: &[f64], advantages: &[f64]) {
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for (reward, value) in rewards.iter().flat_map(|rewards| &rewards.parts) {
        *sums.entry(reward.name()).or_default() += value;
    }
    for (name, sum) in sums {
        figures.insert(format!("reward/{name}/mean"), sum / rewards.len().max(1) as f64);
    }
    spread(figures, "critic/score", scores);
    spread(figures, "critic/rewards", scores);
    spread(figures, "critic/advantages", advantages);
}
