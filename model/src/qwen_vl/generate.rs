//! Replies to prompts: each prompt is read once, then all replies grow together, a token a step.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::decoder::Cache;
use super::model::{Prompt, PromptError, QwenVl};
use super::sampler::{Sampler, Sampling};

/// How to reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Tokens at most, the one that ends the reply included.
    pub max_new_tokens: usize,
    /// The choice of tokens.
    pub sampling: Sampling,
    /// Tokens that end a reply.
    pub stop: Vec<u32>,
    /// Replies to each prompt; its keys and values are computed once.
    pub samples: usize,
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    /// By one of the stop tokens.
    Stop,
    /// By its length, or because the caller wanted no more.
    Length,
}

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Its tokens, the stop token included.
    pub tokens: Vec<u32>,
    /// ln of the probability of each ([`super::sampler::Choice::log_prob`]).
    pub log_probs: Vec<f32>,
    /// Why it ended.
    pub finish: Finish,
}

/// A token of a reply as it is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Which prompt.
    pub prompt: usize,
    /// Which of its replies.
    pub sample: usize,
    /// The token.
    pub id: u32,
}

/// A reply that grows.
struct Sequence {
    prompt: usize,
    sample: usize,
    sampler: Sampler,
    reply: Reply,
    next: i64,
    done: bool,
}

impl QwenVl {
    /// Replies to prompts of any lengths: `samples` replies each, in the order of the prompts. Every
    /// token is shown as it is chosen; the caller can end all replies by [`ControlFlow::Break`].
    ///
    /// # Errors
    /// A prompt that the model cannot take.
    pub fn generate(
        &self,
        prompts: &[Prompt],
        options: &Options,
        mut show: impl FnMut(Token) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<Reply>>, PromptError> {
        let mut sequences = Vec::with_capacity(prompts.len() * options.samples);
        let mut caches = Vec::with_capacity(prompts.len());
        let mut logits = Vec::new();
        let alone = prompts.len() * options.samples == 1;
        for (index, prompt) in prompts.iter().enumerate() {
            let room = if alone { options.max_new_tokens } else { 0 };
            let prefilled = self.prefill(prompt, room)?;
            for sample in 0..options.samples {
                let sampler = Sampler::new(options.sampling, index, sample, &prompt.ids);
                logits.extend_from_slice(&prefilled.logits);
                sequences.push(Sequence::new(index, sample, sampler, prefilled.next));
            }
            caches.push(prefilled.cache);
        }
        if options.max_new_tokens > 0 && !sequences.is_empty() {
            let mut cache = join(caches, &sequences, options.max_new_tokens);
            while advance(&mut sequences, &logits, options, &mut show).is_continue() {
                let tokens: Vec<u32> = sequences.iter().map(Sequence::last).collect();
                let at: Vec<i64> = sequences.iter().map(|sequence| sequence.next).collect();
                sequences.iter_mut().for_each(|sequence| sequence.next += 1);
                logits = self.step(&tokens, &at, &mut cache);
            }
        }
        let mut replies: Vec<Vec<Reply>> = prompts.iter().map(|_| Vec::new()).collect();
        for sequence in sequences {
            replies[sequence.prompt].push(sequence.reply);
        }
        Ok(replies)
    }
}

impl Sequence {
    fn new(prompt: usize, sample: usize, sampler: Sampler, next: i64) -> Self {
        let reply = Reply { tokens: Vec::new(), log_probs: Vec::new(), finish: Finish::Length };
        Self { prompt, sample, sampler, reply, next, done: false }
    }

    fn last(&self) -> u32 {
        self.reply.tokens.last().copied().unwrap_or_default()
    }
}

/// A single cache has its room already.
fn join(mut caches: Vec<Cache>, sequences: &[Sequence], more: usize) -> Cache {
    if sequences.len() == 1 {
        return caches.swap_remove(0);
    }
    let longest = caches.iter().map(Cache::len).max().unwrap_or(0);
    let prompts: Vec<usize> = sequences.iter().map(|sequence| sequence.prompt).collect();
    Cache::join(&caches, &prompts, longest + more)
}

/// Chooses a token for each reply that has not ended; breaks where all have.
fn advance(
    sequences: &mut [Sequence],
    logits: &[f32],
    options: &Options,
    show: &mut impl FnMut(Token) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let vocabulary = logits.len() / sequences.len();
    for (sequence, logits) in sequences.iter_mut().zip(logits.chunks_exact(vocabulary)) {
        if sequence.done {
            continue;
        }
        let choice = sequence.sampler.choose(logits);
        sequence.reply.tokens.push(choice.token);
        sequence.reply.log_probs.push(choice.log_prob);
        let Sequence { prompt, sample, .. } = *sequence;
        show(Token { prompt, sample, id: choice.token })?;
        if options.stop.contains(&choice.token) {
            sequence.reply.finish = Finish::Stop;
        }
        sequence.done = sequence.reply.finish == Finish::Stop
            || sequence.reply.tokens.len() >= options.max_new_tokens;
    }
    match sequences.iter().all(|sequence| sequence.done) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}
