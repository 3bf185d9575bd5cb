//! Backward passes stage by stage, so that what comes between two stages need not be kept.

use burn::tensor::{Gradients, Tensor};

/// What flows between two stages.
pub type State = Vec<Tensor<3>>;

/// What is kept for the backward pass.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Checkpointing {
    /// Everything.
    #[default]
    Off,
    /// The inputs of each block, which is run again on the way back: a fraction of the memory, and the
    /// forward pass a second time.
    Blocks,
}

/// A run through stages that can be gone back.
pub struct Tape<'a> {
    stages: Vec<Box<dyn Fn(State) -> State + 'a>>,
    kept: Vec<Segment>,
    /// What the last stage gave, without a graph.
    pub output: State,
}

/// A part of the run, from inputs to outputs.
enum Segment {
    /// With its graph.
    Live { inputs: State, outputs: State },
    /// Inputs only.
    Inputs(State),
}

impl<'a> Tape<'a> {
    /// Runs the stages. `plain` and `trained` are the same stages without and with gradients.
    pub fn run(
        input: State,
        plain: Vec<Box<dyn Fn(State) -> State + 'a>>,
        trained: Vec<Box<dyn Fn(State) -> State + 'a>>,
        checkpointing: Checkpointing,
    ) -> Self {
        match checkpointing {
            Checkpointing::Off => {
                let inputs = leaves(input);
                let outputs = trained.iter().fold(inputs.clone(), |state, stage| stage(state));
                let output = plain_of(&outputs);
                let kept = vec![Segment::Live { inputs, outputs }];
                Self { stages: trained, kept, output }
            }
            Checkpointing::Blocks => {
                let mut state = input;
                let mut kept = Vec::with_capacity(plain.len());
                for stage in &plain {
                    kept.push(Segment::Inputs(state.clone()));
                    state = stage(state);
                }
                Self { stages: trained, kept, output: state }
            }
        }
    }

    /// Goes back: from the derivatives by the outputs to those by the inputs. The gradients of each
    /// part's parameters are shown.
    pub fn back(mut self, derivatives: State, mut show: impl FnMut(Gradients)) -> State {
        let mut derivatives = derivatives;
        while let Some(segment) = self.kept.pop() {
            let (inputs, outputs) = match segment {
                Segment::Live { inputs, outputs } => (inputs, outputs),
                Segment::Inputs(inputs) => {
                    let inputs = leaves(inputs);
                    let stage = &self.stages[self.kept.len()];
                    let outputs = stage(inputs.clone());
                    (inputs, outputs)
                }
            };
            let mut gradients = pull(&outputs, &derivatives);
            derivatives = inputs
                .iter()
                .map(|input| {
                    let gradient = input.grad_remove(&mut gradients);
                    gradient.unwrap_or_else(|| input.clone().inner().zeros_like())
                })
                .collect();
            show(gradients);
        }
        derivatives
    }
}

/// The same numbers, as the beginning of a graph.
fn leaves(state: State) -> State {
    state.into_iter().map(|tensor| Tensor::from_inner(tensor.inner()).require_grad()).collect()
}

fn plain_of(state: &State) -> State {
    state.iter().map(|tensor| tensor.clone().inner()).collect()
}

/// Backward from `outputs`, whose derivatives are given; of those that depend on nothing that is
/// trained, there is nothing to go back to.
pub fn pull(outputs: &[Tensor<3>], derivatives: &[Tensor<3>]) -> Gradients {
    let parts = outputs.iter().zip(derivatives).filter(|(output, _)| output.is_tracked());
    let parts = parts.map(|(output, by)| (output.clone() * by.clone()).sum());
    let whole = parts.reduce(|a, b| a + b);
    match whole {
        Some(whole) => whole.backward(),
        None => Tensor::<1>::zeros([1], &Default::default()).autodiff().require_grad().backward(),
    }
}
