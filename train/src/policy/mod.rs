//! The model as a policy: how likely it is to say what it said, and which way its weights must go for
//! that to change.
//!
//! A prompt is computed once for all of its replies: of Seg-Zero's thousand tokens of an image and its
//! question, every one of a group's replies would otherwise pay anew.

mod layout;
mod reading;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use segzero_model::qwen_vl::vision::{Course, VisionTower};
use segzero_model::qwen_vl::{Patches, Prompt, PromptError, QwenVl};

use crate::gradients::Accumulated;
use crate::loss::Pull;
use crate::tape::{Checkpointing, State, Tape};
use layout::Layout;
use reading::Reading;

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
        let mut vision = HasTrained(false);
        trained.vision.visit(&mut vision);
        Self { plain, trained, options, trains_vision: vision.0 }
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

struct ReadAll {
    numbers: Vec<Likelihood>,
    live: Option<(Tensor<3>, Reading)>,
}

/// Leaves parameters without gradients.
pub(crate) struct Freeze<'a>(pub(crate) &'a BTreeSet<ParamId>);

impl ModuleMapper for Freeze<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_frozen = self.0.contains(&param.id);
        if is_frozen { param.set_require_grad(false) } else { param }
    }
}

/// Whether anything of a module has gradients.
struct HasTrained(bool);

impl ModuleVisitor for HasTrained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 |= param.val().is_require_grad();
    }
}
