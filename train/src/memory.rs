//! What a training will need, before it starts.
//!
//! Weights, moments, gradients, caches and encoded images are counted exactly. Activations are counted as
//! the tensors that Burn's graph holds on to for each token of a block, which were counted once by reading
//! the blocks.

use segzero_model::qwen_vl::Config;
use serde::Serialize;

use crate::tape::Checkpointing;

#[cfg(test)]
mod tests;

/// What decides on memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Numbers that are trained, and all.
    pub counts: [usize; 2],
    /// Bytes of a number as the network computes.
    pub bytes: usize,
    /// Bytes of the training set's images, which are held as they are encoded.
    pub set: usize,
    /// Whether a frozen copy is held.
    pub reference: Reference,
    /// Tokens of a prompt, those of its image included.
    pub prompt: usize,
    /// Patches of its image.
    pub patches: usize,
    /// Longest reply.
    pub reply: usize,
    /// Replies to each prompt.
    pub replies: usize,
    /// Prompts whose replies grow together.
    pub prompts: usize,
    /// Prompts that gradients are computed for at once.
    pub prompts_at_once: usize,
    /// Tokens whose logits are held at once.
    pub logits_chunk: usize,
    /// What is kept for the backward pass.
    pub checkpointing: Checkpointing,
}

/// What the divergence is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Nothing, or the model without its adapters.
    Free,
    /// Another copy of the weights.
    Copy,
}

/// One part of the estimate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What for.
    pub name: &'static str,
    /// Bytes.
    pub bytes: u64,
    /// What makes it smaller.
    #[serde(skip)]
    pub advice: &'static str,
}

/// The parts, the largest first.
pub fn estimate(config: &Config, load: &Load) -> Vec<Part> {
    let [trained, all] = load.counts.map(|count| count as u64);
    let wide = 4 * trained;
    // In f32 the network's weights are those that the optimizer moves.
    let masters = if load.bytes == 4 { 0 } else { wide };
    let held = if load.reference == Reference::Copy { all * load.bytes as u64 } else { 0 };
    let mut parts = vec![
        part("weights", all * load.bytes as u64, "a smaller model"),
        part("weights in f32", masters, "`--lora-r 16`, or `--freeze`"),
        part("gradients", wide, "`--lora-r 16`, or `--freeze`"),
        part("moments", 2 * wide, "`--lora-r 16`, or `--freeze`"),
        part("reference", held, "`--lora-r 16`, or `--beta 0`"),
        part("training set", load.set as u64, "fewer samples, by `segzero prep --count`"),
        part(
            "rollout cache",
            cache(config, load),
            "fewer or shorter replies, or `--rollout-batch-size`",
        ),
        part(
            "activations",
            activations(config, load),
            "`--checkpointing blocks`, `--prompts-at-once 1`",
        ),
        part("logits", logits(config, load), "a smaller `--logits-chunk`"),
    ];
    parts.retain(|part| part.bytes > 0);
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    parts
}

fn part(name: &'static str, bytes: u64, advice: &'static str) -> Part {
    Part { name, bytes, advice }
}

/// Keys and values of all replies, each with its prompt.
fn cache(config: &Config, load: &Load) -> u64 {
    let text = &config.text;
    let width = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim();
    let tokens = load.prompts * load.replies * (load.prompt + load.reply);
    (width * tokens * load.bytes) as u64
}

/// Tokens that gradients are computed for at once: of prompts, and of replies.
fn tokens(load: &Load) -> [usize; 2] {
    let prompts = load.prompts_at_once;
    [prompts * load.prompt, prompts * load.replies * load.reply]
}

fn activations(config: &Config, load: &Load) -> u64 {
    let (text, vision) = (&config.text, &config.vision);
    let [of_prompts, of_replies] = tokens(load);
    // Two norms, projections, both halves of the rotation, residuals; the gated MLP; scores, masked
    // and normalised.
    let per_token = |hidden: usize, inner: usize, heads: usize, seen: usize| {
        18 * hidden + 6 * inner + 3 * heads * seen
    };
    let decoder = |seen: usize| {
        per_token(text.hidden_size, text.intermediate_size, text.num_attention_heads, seen)
    };
    let block = of_prompts * decoder(load.prompt) + of_replies * decoder(load.prompt + load.reply);
    let patches = load.prompts_at_once * load.patches;
    let seen = load.patches.max(1);
    let sight =
        patches * per_token(vision.hidden_size, vision.intermediate_size, vision.num_heads, seen);
    let inputs = (of_prompts + of_replies) * text.hidden_size * text.num_hidden_layers
        + patches * vision.hidden_size * vision.depth;
    let numbers = match load.checkpointing {
        Checkpointing::Off => block * text.num_hidden_layers + sight * vision.depth,
        Checkpointing::Blocks => inputs + block.max(sight),
    };
    (numbers * load.bytes) as u64
}

/// Logits, their softmax, and the derivatives of both, in f32.
fn logits(config: &Config, load: &Load) -> u64 {
    let rows = load.logits_chunk.min(tokens(load)[1]);
    (4 * 4 * rows * config.text.vocab_size) as u64
}
