//! How prompts and replies lie side by side in tensors.

use burn::tensor::{Bool, Device, IndexingUpdateOp, Int, Tensor, TensorData};
use segzero_model::qwen_vl::{Prompt, PromptError, QwenVl, Rotation};

use super::{Batch, Likelihood};
use crate::tape::State;

/// Where the tokens of a batch are. Prompts and replies are padded at their ends, which nothing sees.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    prompts: Vec<Prompt>,
    /// Tokens of replies that others follow, padded: `[replies x longest]`.
    inputs: Vec<u32>,
    /// Longest prompt, and longest reply without its last token.
    longest: [usize; 2],
    rotations: [Rotation; 2],
    hidden: Option<Tensor<4, Bool>>,
    /// For each token of each reply, the place of the token before it among all rows.
    places: Vec<i32>,
    /// The tokens themselves.
    pub(super) targets: Vec<i32>,
    lengths: Vec<usize>,
}

impl Layout {
    pub(super) fn new(model: &QwenVl, batch: &Batch) -> Result<Self, PromptError> {
        let device = &model.placement().device;
        let prompts = batch.prompts.iter().map(|prompt| prompt.ids.len());
        let replies = batch.replies.iter().map(|reply| reply.len().saturating_sub(1));
        let longest = [prompts.max().unwrap_or(0), replies.max().unwrap_or(0).max(1)];
        let each = batch.replies.len() / batch.prompts.len().max(1);
        let (mut of_prompts, mut of_replies) = (Vec::new(), Vec::new());
        let (mut padded, mut inputs, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for prompt in &batch.prompts {
            let positions = model.positions(prompt)?;
            let mut places = positions.tokens;
            places.resize(longest[0], [0; 3]);
            of_prompts.push(places);
            let next = |at: usize| [positions.next + at as i64; 3];
            of_replies.extend((0..each).map(|_| (0..longest[1]).map(next).collect::<Vec<_>>()));
            let mut ids = prompt.ids.clone();
            ids.resize(longest[0], 0);
            padded.push(Prompt { ids, images: prompt.images.clone() });
        }
        let behind = batch.prompts.len() * longest[0];
        for (index, reply) in batch.replies.iter().enumerate() {
            let prompt = index / each;
            let last = prompt * longest[0] + batch.prompts[prompt].ids.len() - 1;
            let row = |at: usize| if at == 0 { last } else { behind + index * longest[1] + at - 1 };
            places.extend((0..reply.len()).map(|at| row(at) as i32));
            let before = &reply[..reply.len().saturating_sub(1)];
            inputs.extend(before);
            inputs.resize((index + 1) * longest[1], 0);
        }
        let lengths: Vec<usize> = batch.prompts.iter().map(|prompt| prompt.ids.len()).collect();
        Ok(Self {
            rotations: [model.rotation(&of_prompts), model.rotation(&of_replies)],
            hidden: hidden(&lengths, each, longest, device),
            prompts: padded,
            inputs,
            longest,
            places,
            targets: batch.replies.iter().flat_map(|r| r.iter().map(|&id| id as i32)).collect(),
            lengths: batch.replies.iter().map(|reply| reply.len()).collect(),
        })
    }

    /// Embeddings of prompts and replies.
    pub(super) fn embed(&self, model: &QwenVl, images: State) -> State {
        let mut images = images.into_iter().map(|image| image.squeeze_dim(0));
        let prompts = self
            .prompts
            .iter()
            .map(|prompt| model.place(prompt, images.by_ref().take(prompt.images.len()).collect()));
        let prompts = Tensor::cat(prompts.collect(), 0);
        let replies = model.decoder.embed(&self.inputs, &model.placement().device);
        let [_, hidden] = replies.dims();
        let replies = replies.reshape([self.lengths.len(), self.longest[1], hidden]);
        vec![prompts, replies]
    }

    pub(super) fn layer(&self, model: &QwenVl, at: usize, mut state: State) -> State {
        let (Some(replies), Some(prompts)) = (state.pop(), state.pop()) else { return state };
        let hidden = self.hidden.as_ref();
        model.decoder.branch(at, [prompts, replies], &self.rotations, hidden).into()
    }

    pub(super) fn indices(&self, device: &Device) -> Tensor<1, Int> {
        let data = TensorData::new(self.places.clone(), [self.places.len()]);
        Tensor::from_data(data, device)
    }

    /// The hidden states `[1, tokens, hidden]` that foretell the tokens of the replies.
    pub(super) fn rows(&self, state: &State) -> Tensor<3> {
        let flat = Tensor::cat(state.iter().map(|x| flat(x.clone())).collect(), 0);
        let indices = self.indices(&flat.device());
        flat.select(0, indices).unsqueeze()
    }

    /// The derivatives by all hidden states, from those by [`Layout::rows`].
    pub(super) fn spread(&self, rows: Tensor<3>, state: &State) -> State {
        let shapes: Vec<[usize; 3]> = state.iter().map(Tensor::dims).collect();
        let count = shapes.iter().map(|shape| shape[0] * shape[1]).sum();
        let rows: Tensor<2> = rows.squeeze_dim(0);
        let device = rows.device();
        let zeros = Tensor::zeros([count, rows.dims()[1]], (&device, rows.dtype()));
        let whole = zeros.select_assign(0, self.indices(&device), rows, IndexingUpdateOp::Add);
        let mut from = 0;
        let part = |shape: &[usize; 3]| {
            let part = whole.clone().narrow(0, from, shape[0] * shape[1]);
            from += shape[0] * shape[1];
            part.reshape(*shape)
        };
        shapes.iter().map(part).collect()
    }

    /// Chunks of likelihoods, cut by reply.
    pub(super) fn by_reply(&self, chunks: Vec<Likelihood>) -> Vec<Likelihood> {
        let (mut log_probs, mut entropies) = (Vec::new(), Vec::new());
        for chunk in chunks {
            log_probs.extend(chunk.log_probs);
            entropies.extend(chunk.entropies);
        }
        let (mut log_probs, mut entropies) = (log_probs.into_iter(), entropies.into_iter());
        let reply = |&length: &usize| Likelihood {
            log_probs: log_probs.by_ref().take(length).collect(),
            entropies: entropies.by_ref().take(length).collect(),
        };
        self.lengths.iter().map(reply).collect()
    }
}

fn flat(x: Tensor<3>) -> Tensor<2> {
    let [batch, tokens, hidden] = x.dims();
    x.reshape([batch * tokens, hidden])
}

/// The ends of prompts that are shorter than the longest.
fn hidden(
    lengths: &[usize],
    each: usize,
    longest: [usize; 2],
    device: &Device,
) -> Option<Tensor<4, Bool>> {
    if lengths.iter().all(|&length| length == longest[0]) {
        return None;
    }
    let whole = longest[0] + longest[1];
    let row = |&length: &usize| (0..whole).map(move |at| at >= length && at < longest[0]);
    let rows = lengths.iter().flat_map(|length| (0..each).flat_map(move |_| row(length)));
    let data = TensorData::new(rows.collect::<Vec<bool>>(), [lengths.len() * each, 1, 1, whole]);
    Some(Tensor::from_data(data, device))
}
