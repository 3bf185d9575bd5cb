//! The model as a policy: how likely it is to say what it said, and which way its weights must go for
//! that to change.
//!
//! A prompt is computed once for all of its replies: of Seg-Zero's thousand tokens of an image and its
//! question, every one of a group's replies would otherwise pay anew.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::activation::log_softmax;
use burn::tensor::{
    Bool, DType, Device, FloatDType, Gradients, IndexingUpdateOp, Int, Tensor, TensorData,
};
use segzero_model::qwen_vl::vision::{Course, VisionTower};
use segzero_model::qwen_vl::{Patches, Prompt, PromptError, QwenVl, Rotation};

use crate::gradients::Accumulated;
use crate::loss::Pull;
use crate::tape::{Checkpointing, State, Tape, pull};

/// Prompts and the replies to each, as many to one as to another.
#[derive(Clone, Debug, Default)]
pub struct Batch<'a> {
    /// The prompts.
    pub prompts: Vec<&'a Prompt>,
    /// Tokens of the replies, none of them empty: those of the first prompt first.
    pub replies: Vec<&'a [u32]>,
}

/// How likely each token of a reply is, and how undecided the policy was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Likelihood {
    /// ln of the probability of each token under softmax(logits / temperature).
    pub log_probs: Vec<f64>,
    /// Entropy of each such distribution, in nats.
    pub entropies: Vec<f64>,
}

/// How the policy computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyOptions {
    /// Divides the logits.
    pub temperature: f64,
    /// What is kept for the backward pass.
    pub checkpointing: Checkpointing,
    /// Tokens whose logits are held at once.
    pub logits_chunk: usize,
}

impl PolicyOptions {
    /// Runs of tokens whose logits are held at once: where each begins, and how many.
    fn chunks(&self, count: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let chunk = self.logits_chunk.max(1);
        (0..count).step_by(chunk).map(move |from| (from, chunk.min(count - from)))
    }
}

impl Default for PolicyOptions {
    fn default() -> Self {
        Self { temperature: 1.0, checkpointing: Checkpointing::Off, logits_chunk: 512 }
    }
}

/// What a step took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Up to the likelihoods.
    pub forward: Duration,
    /// From there to the gradients.
    pub backward: Duration,
}

/// A model with gradients, and the same without.
#[derive(Debug)]
pub struct Policy {
    plain: QwenVl,
    trained: QwenVl,
    options: PolicyOptions,
    trains_vision: bool,
}

impl Policy {
    /// Of a model without gradients, of which the parameters in `frozen` stay as they are.
    pub fn new(plain: QwenVl, frozen: &BTreeSet<ParamId>, options: PolicyOptions) -> Self {
        let trained = plain.clone().train().map(&mut Freeze(frozen));
        let mut count = 0;
        let vision = trained.vision.clone().map(&mut CountTrained(&mut count));
        drop(vision);
        Self { plain, trained, options, trains_vision: count > 0 }
    }

    /// The model without gradients: to sample from.
    pub fn model(&self) -> &QwenVl {
        &self.plain
    }

    /// How it computes.
    pub fn options(&self) -> &PolicyOptions {
        &self.options
    }

    /// Adds the gradients of a loss whose derivatives `judge` gives, reply by reply, once it knows how
    /// likely they are.
    ///
    /// # Errors
    /// Prompts that the model cannot take.
    pub fn learn(
        &self,
        batch: &Batch,
        gradients: &mut Accumulated,
        judge: impl FnOnce(&[Likelihood]) -> Vec<Pull>,
    ) -> Result<Timing, PromptError> {
        let start = Instant::now();
        let layout = Layout::new(&self.plain, batch)?;
        let sights = self.look(batch)?;
        let images = sights.iter().flat_map(Sight::tokens).collect();
        let embed = |model| -> Vec<Stage<'_>> {
            let layout = &layout;
            vec![Box::new(move |images| layout.embed(model, images))]
        };
        let (plain, trained) = (embed(&self.plain), embed(&self.trained));
        let embedded = Tape::run(images, plain, trained, Checkpointing::Off);
        let decoder = |model: &'_ QwenVl| -> Vec<Stage<'_>> {
            let (layout, model) = (layout.clone(), model.clone());
            let stage = |at: usize| -> Stage<'_> {
                let (layout, model) = (layout.clone(), model.clone());
                Box::new(move |state| layout.layer(&model, at, state))
            };
            (0..model.decoder.depth()).map(stage).collect()
        };
        let (plain, trained) = (decoder(&self.plain), decoder(&self.trained));
        let input = embedded.output.clone();
        let decoded = Tape::run(input, plain, trained, self.options.checkpointing);
        let rows = layout.rows(&decoded.output);
        let read = self.read_all(&layout, &rows);
        let forward = start.elapsed();
        let pulls = judge(&layout.by_reply(read.numbers.clone()));
        let by_rows = self.pull_rows(&layout, &rows, read, &pulls, gradients);
        let by_state = layout.spread(by_rows, &decoded.output);
        let by_input = decoded.back(by_state, |g| gradients.add(&self.trained, g));
        let by_images = embedded.back(by_input, |g| gradients.add(&self.trained, g));
        let mut by_images = by_images.into_iter();
        for sight in sights {
            match sight {
                Sight::Still(_) => drop(by_images.next()),
                Sight::Live(tape, count) => {
                    let by = Tensor::cat(by_images.by_ref().take(count).collect(), 1);
                    tape.back(vec![by], |g| gradients.add(&self.trained, g));
                }
            }
        }
        Ok(Timing { forward, backward: start.elapsed() - forward })
    }

    /// The images; on tapes if the tower is trained. Those of one size are seen at once.
    fn look(&self, batch: &Batch) -> Result<Vec<Sight<'_>>, PromptError> {
        let images: Vec<&Patches> =
            batch.prompts.iter().flat_map(|prompt| &prompt.images).collect();
        let mut sights = Vec::new();
        let mut from = 0;
        while from < images.len() {
            let [frames, height, width] = images[from].grid;
            // A video would be several frames, which no prompt of ours has.
            if !self.trains_vision || frames != 1 {
                sights.push(Sight::Still(self.plain.see(images[from])?.unsqueeze()));
                from += 1;
                continue;
            }
            let same = images[from..].iter().take_while(|image| image.grid == images[from].grid);
            let (frame, device) = ([height, width], &self.plain.placement().device);
            let course =
                |count: usize| Some((count, self.plain.vision.course(frame, count, device)?));
            let Some((count, course)) = course(same.count()).or_else(|| course(1)) else {
                return Ok(sights);
            };
            let seen = images[from..from + count].iter().map(|image| self.plain.patches(image));
            let patches = Tensor::cat(seen.collect::<Result<_, _>>()?, 0);
            let stages = |model: &QwenVl| tower(model, patches.clone(), &course);
            let (plain, trained) = (stages(&self.plain), stages(&self.trained));
            let tape = Tape::run(Vec::new(), plain, trained, self.options.checkpointing);
            sights.push(Sight::Live(tape, count));
            from += count;
        }
        Ok(sights)
    }

    /// All likelihoods; with their graph, where they fit one chunk.
    fn read_all(&self, layout: &Layout, rows: &Tensor<3>) -> ReadAll {
        let chunks: Vec<_> = self.options.chunks(layout.targets.len()).collect();
        if chunks.len() > 1 {
            let each = chunks.iter().map(|&(from, count)| {
                let rows = rows.clone().narrow(1, from, count);
                Reading::new(&self.plain, rows, &layout.targets[from..from + count], &self.options)
                    .numbers()
            });
            return ReadAll { numbers: each.collect(), live: None };
        }
        let leaf = Tensor::from_inner(rows.clone()).require_grad();
        let reading = Reading::new(&self.trained, leaf.clone(), &layout.targets, &self.options);
        ReadAll { numbers: vec![reading.numbers()], live: Some((leaf, reading)) }
    }

    /// The derivatives by the hidden states, from those by likelihoods.
    fn pull_rows(
        &self,
        layout: &Layout,
        rows: &Tensor<3>,
        read: ReadAll,
        pulls: &[Pull],
        gradients: &mut Accumulated,
    ) -> Tensor<3> {
        let flat = |of: fn(&Pull) -> &Vec<f64>| -> Vec<f32> {
            pulls.iter().flat_map(|pull| of(pull).iter().map(|&x| x as f32)).collect()
        };
        let (log_probs, entropies) = (flat(|pull| &pull.log_probs), flat(|pull| &pull.entropies));
        let mut live = read.live;
        let mut parts = Vec::new();
        for (from, count) in self.options.chunks(layout.targets.len()) {
            let (leaf, reading) = live.take().unwrap_or_else(|| {
                let rows = rows.clone().narrow(1, from, count);
                let leaf = Tensor::from_inner(rows).require_grad();
                let targets = &layout.targets[from..from + count];
                let reading = Reading::new(&self.trained, leaf.clone(), targets, &self.options);
                (leaf, reading)
            });
            let place = from..from + count;
            let mut found = reading.pull(&log_probs[place.clone()], &entropies[place]);
            let by = leaf.grad_remove(&mut found);
            parts.push(by.unwrap_or_else(|| leaf.inner().zeros_like()));
            gradients.add(&self.trained, found);
        }
        Tensor::cat(parts, 1)
    }
}

/// How likely the replies are to a model, without gradients.
///
/// # Errors
/// Prompts that the model cannot take.
pub fn likelihoods(
    model: &QwenVl,
    batch: &Batch,
    options: &PolicyOptions,
) -> Result<Vec<Likelihood>, PromptError> {
    let layout = Layout::new(model, batch)?;
    let mut images = Vec::new();
    for image in batch.prompts.iter().flat_map(|prompt| &prompt.images) {
        images.push(model.see(image)?.unsqueeze());
    }
    let state = layout.embed(model, images);
    let depth = model.decoder.depth();
    let state = (0..depth).fold(state, |state, at| layout.layer(model, at, state));
    let rows = layout.rows(&state);
    let parts = options.chunks(layout.targets.len()).map(|(from, count)| {
        let rows = rows.clone().narrow(1, from, count);
        Reading::new(model, rows, &layout.targets[from..from + count], options).numbers()
    });
    Ok(layout.by_reply(parts.collect()))
}

type Stage<'a> = Box<dyn Fn(State) -> State + 'a>;

/// The tower's stages for some images, from nothing to their tokens `[1, tokens, hidden]`.
fn tower<'a>(model: &QwenVl, patches: Tensor<2>, course: &Course) -> Vec<Stage<'a>> {
    let of = |run: fn(&VisionTower, usize, Tensor<2>, &Course) -> Tensor<2>, block: usize| {
        let (vision, course) = (model.vision.clone(), course.clone());
        let step = move |x: Tensor<3>| run(&vision, block, x.squeeze_dim(0), &course).unsqueeze();
        Box::new(move |state: State| state.into_iter().map(&step).collect()) as Stage<'a>
    };
    let (vision, way) = (model.vision.clone(), course.clone());
    let mut stages: Vec<Stage> =
        vec![Box::new(move |_| vec![vision.embed(patches.clone(), &way).unsqueeze()])];
    let block = |vision: &VisionTower, block, x, course: &Course| vision.block(block, x, course);
    stages.extend((0..model.vision.depth()).map(|at| of(block, at)));
    stages.push(of(|vision, _, x, course| vision.merge(x, course), 0));
    stages
}

/// Images as the decoder gets them: one, or several of one size behind each other.
enum Sight<'a> {
    Still(Tensor<3>),
    Live(Tape<'a>, usize),
}

impl Sight<'_> {
    /// The tokens of each image.
    fn tokens(&self) -> State {
        match self {
            Self::Still(tokens) => vec![tokens.clone()],
            Self::Live(tape, count) => tape.output[0].clone().chunk(*count, 1),
        }
    }
}

/// Likelihoods as tensors.
struct Reading {
    /// `[1, tokens, 1]`.
    log_probs: Tensor<3>,
    /// Of every token that could have been, `[1, tokens, vocabulary]`.
    all: Tensor<3>,
}

impl Reading {
    /// Of hidden states `[1, tokens, hidden]`, and the tokens that they foretell.
    fn new(model: &QwenVl, rows: Tensor<3>, targets: &[i32], options: &PolicyOptions) -> Self {
        let logits = model.decoder.logits(rows);
        let logits = match logits.dtype() {
            DType::F32 => logits,
            _ => logits.cast(FloatDType::F32),
        };
        let logits = match options.temperature {
            1.0 => logits,
            temperature => logits.div_scalar(temperature),
        };
        let data = TensorData::new(targets.to_vec(), [1, targets.len(), 1]);
        let targets = Tensor::<3, Int>::from_data(data, &logits.device());
        let all = log_softmax(logits, 2);
        Self { log_probs: all.clone().gather(2, targets), all }
    }

    fn numbers(&self) -> Likelihood {
        let all = self.all.clone().inner();
        let entropies = (all.clone().exp() * all).sum_dim(2).neg();
        let floats = |x: Tensor<3>| x.into_data().iter::<f64>().collect();
        Likelihood {
            log_probs: floats(self.log_probs.clone().inner()),
            entropies: floats(entropies),
        }
    }

    fn pull(self, by_log_probs: &[f32], by_entropies: &[f32]) -> Gradients {
        let device = self.all.device().without_autodiff();
        let tensor = |by: &[f32]| -> Tensor<3> {
            Tensor::from_data(TensorData::new(by.to_vec(), [1, by.len(), 1]), &device)
        };
        if by_entropies.iter().all(|&by| by == 0.0) {
            return pull(&[self.log_probs], &[tensor(by_log_probs)]);
        }
        let entropies = (self.all.clone().exp() * self.all).sum_dim(2).neg();
        pull(&[self.log_probs, entropies], &[tensor(by_log_probs), tensor(by_entropies)])
    }
}

struct ReadAll {
    numbers: Vec<Likelihood>,
    live: Option<(Tensor<3>, Reading)>,
}

/// Where the tokens of a batch are. Prompts and replies are padded at their ends, which nothing sees.
#[derive(Clone, Debug)]
struct Layout {
    prompts: Vec<Prompt>,
    /// Tokens of replies that others follow, padded: `[replies x longest]`.
    inputs: Vec<u32>,
    /// Longest prompt, and longest reply without its last token.
    longest: [usize; 2],
    rotations: [Rotation; 2],
    hidden: Option<Tensor<4, Bool>>,
    /// For each token of each reply, the place of the token before it among all rows.
    places: Vec<i32>,
    targets: Vec<i32>,
    lengths: Vec<usize>,
}

impl Layout {
    fn new(model: &QwenVl, batch: &Batch) -> Result<Self, PromptError> {
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
    fn embed(&self, model: &QwenVl, images: State) -> State {
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

    fn layer(&self, model: &QwenVl, at: usize, mut state: State) -> State {
        let (Some(replies), Some(prompts)) = (state.pop(), state.pop()) else { return state };
        let hidden = self.hidden.as_ref();
        model.decoder.branch(at, [prompts, replies], &self.rotations, hidden).into()
    }

    fn indices(&self, device: &Device) -> Tensor<1, Int> {
        let data = TensorData::new(self.places.clone(), [self.places.len()]);
        Tensor::from_data(data, device)
    }

    /// The hidden states `[1, tokens, hidden]` that foretell the tokens of the replies.
    fn rows(&self, state: &State) -> Tensor<3> {
        let flat = Tensor::cat(state.iter().map(|x| flat(x.clone())).collect(), 0);
        let indices = self.indices(&flat.device());
        flat.select(0, indices).unsqueeze()
    }

    /// The derivatives by all hidden states, from those by [`Layout::rows`].
    fn spread(&self, rows: Tensor<3>, state: &State) -> State {
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
    fn by_reply(&self, chunks: Vec<Likelihood>) -> Vec<Likelihood> {
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

struct Freeze<'a>(&'a BTreeSet<ParamId>);

impl ModuleMapper for Freeze<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_frozen = self.0.contains(&param.id);
        if is_frozen { param.set_require_grad(false) } else { param }
    }
}

struct CountTrained<'a>(&'a mut usize);

impl ModuleMapper for CountTrained<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        *self.0 += usize::from(param.val().is_require_grad());
        param
    }
}
