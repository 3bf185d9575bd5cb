//! The policy's likelihoods and gradients against transformers and torch's autograd, through two tiny
//! networks that keep every mechanism (`fixtures/gradients/generate.py`).
//!
//! Expected numbers were computed in 64 bits. In 32 bits transformers' own gradients are up to 9e-5 of
//! a parameter's norm away, ours up to 9e-5; `GRADIENT` is the bound that training asks for.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests; errors are worth seeing

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::module::ParamId;
use common::{GRADIENT, gradient_error, norm};
use segzero_datasets::Size;
use segzero_model::checkpoint::random::Formula;
use segzero_model::load::Named;
use segzero_model::qwen_vl::{Config, Patches, Prompt, QwenVl, View, parameters};
use segzero_test_support::fixture;
use segzero_train::{
    Accumulated, Batch, Checkpointing, Likelihood, LossFigures, LossOptions, Policy, PolicyOptions,
    Pull, Scored, likelihoods, reply_loss, token_weights,
};
use serde::Deserialize;

/// Of log-probabilities, as a part of the largest.
const LOG_PROB: f64 = 1e-5;
/// Of entropies, as a part of the largest. Those of the second network are below 2, what is left of
/// log-probabilities of up to 60, whose rounding they bear.
const ENTROPY: f64 = 1e-4;
/// The same between two ways of ours. They differ by rounding: without a graph Burn computes attention
/// in another order than with one, and batches of other sizes add up their products otherwise.
const ROUNDING: f64 = 1e-4;

#[derive(Deserialize)]
struct Expected {
    prompts: Vec<Given>,
    replies: Vec<Vec<u32>>,
    advantages: Vec<f64>,
    networks: BTreeMap<String, BTreeMap<String, Case>>,
}

#[derive(Deserialize)]
struct Given {
    ids: Vec<u32>,
    grid: [usize; 3],
}

#[derive(Deserialize)]
struct Case {
    temperature: f64,
    /// None: SFT.
    options: Option<LossOptions>,
    old: Vec<Vec<f64>>,
    reference: Vec<Vec<f64>>,
    figures: BTreeMap<String, f64>,
    log_probs: Vec<Vec<f64>>,
    entropies: Vec<Vec<f64>>,
    /// Norm, and dot products with four vectors.
    gradients: BTreeMap<String, [f64; 5]>,
}

fn expected() -> Expected {
    let path = fixture(env!("CARGO_MANIFEST_DIR"), "gradients/expected.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A tiny network of the model crate's fixtures, with the names of its tensors.
fn network(name: &str) -> (QwenVl, Vec<Named>) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder: PathBuf = manifest.join("../model/tests/fixtures/qwen_vl").join(name);
    let config = Config::open(&folder).unwrap();
    common::network(&parameters(&config), |checkpoint, placement| {
        QwenVl::load_named(checkpoint, config, placement, None).unwrap()
    })
}

impl Expected {
    fn prompts(&self, config: &Config) -> Vec<Prompt> {
        let prompt = |(number, given): (usize, &Given)| {
            let count: usize = given.grid.iter().product();
            let formula = Formula::scaled(&format!("pixel_values/gradients/{number}"), 2.0);
            let size = Size::new(given.grid[2] as u32 * 14, given.grid[1] as u32 * 14);
            let image = Patches {
                values: formula.values(count * config.vision.patch_len()),
                grid: given.grid,
                tokens: count / config.vision.merge_len(),
                view: View { original: size, resized: size },
            };
            Prompt { ids: given.ids.clone(), images: vec![image] }
        };
        self.prompts.iter().enumerate().map(prompt).collect()
    }

    /// What the loss of all replies asks of those in a range.
    fn judge(
        &self,
        case: &Case,
        range: Range<usize>,
        found: &[Likelihood],
    ) -> (LossFigures, Vec<Pull>) {
        let lengths: Vec<usize> = self.replies.iter().map(Vec::len).collect();
        let mut figures = LossFigures::default();
        let Some(options) = &case.options else {
            let weight = 1.0 / lengths.iter().sum::<usize>() as f64;
            let pull = |one: &Likelihood| Pull {
                log_probs: vec![-weight; one.log_probs.len()],
                entropies: vec![0.0; one.log_probs.len()],
            };
            figures.loss = -weight * found.iter().flat_map(|one| &one.log_probs).sum::<f64>();
            return (figures, found.iter().map(pull).collect());
        };
        let weights = token_weights(&lengths, options);
        let pull = |(at, one): (usize, &Likelihood)| {
            let reply = Scored {
                log_probs: one.log_probs.clone(),
                old: case.old[at].clone(),
                reference: Some(case.reference[at].clone()),
                entropies: one.entropies.clone(),
                advantage: self.advantages[at],
            };
            let (part, pull) = reply_loss(&reply, weights[at], options);
            figures.add(&part);
            pull
        };
        let pulls = range.zip(found).map(pull).collect();
        (figures, pulls)
    }
}

/// What a step gave.
struct Learned {
    likelihoods: Vec<Likelihood>,
    figures: LossFigures,
    gradients: Accumulated,
}

/// One of the networks with what is expected of it.
struct Bench<'a> {
    expected: &'a Expected,
    model: QwenVl,
    named: Vec<Named>,
    prompts: Vec<Prompt>,
}

impl<'a> Bench<'a> {
    fn of(expected: &'a Expected, name: &str) -> Self {
        let (model, named) = network(name);
        let prompts = expected.prompts(model.config());
        Self { expected, model, named, prompts }
    }

    fn policy(&self, frozen: &BTreeSet<ParamId>, options: PolicyOptions) -> Policy {
        Policy::new(self.model.clone(), frozen, options)
    }

    fn batch(&self, prompts: Range<usize>) -> Batch<'_> {
        let each = self.expected.replies.len() / self.prompts.len();
        let replies = &self.expected.replies[prompts.start * each..prompts.end * each];
        Batch {
            prompts: self.prompts[prompts].iter().collect(),
            replies: replies.iter().map(Vec::as_slice).collect(),
        }
    }

    /// A step of all prompts, `together` of them in a batch.
    fn learn(&self, policy: &Policy, case: &Case, together: usize) -> Learned {
        let each = self.expected.replies.len() / self.prompts.len();
        let mut learned = Learned {
            likelihoods: Vec::new(),
            figures: LossFigures::default(),
            gradients: Accumulated::default(),
        };
        for start in (0..self.prompts.len()).step_by(together) {
            let range = start..start + together;
            let replies = range.start * each..range.end * each;
            let judge = |found: &[Likelihood]| {
                learned.likelihoods.extend_from_slice(found);
                let (figures, pulls) = self.expected.judge(case, replies, found);
                learned.figures.add(&figures);
                pulls
            };
            policy.learn(&self.batch(range), &mut learned.gradients, judge).unwrap();
        }
        learned
    }

    /// The gradients by name, of the parameters that have one.
    fn gradients(&self, gradients: &Accumulated) -> BTreeMap<String, Vec<f64>> {
        let numbers = |named: &Named| -> Option<(String, Vec<f64>)> {
            let gradient = gradients.get(named.id)?.clone();
            Some((named.name.clone(), gradient.into_data().iter::<f64>().collect()))
        };
        self.named.iter().filter_map(numbers).collect()
    }
}

/// The largest difference of two sets of gradients, as a part of each parameter's norm.
fn difference(a: &BTreeMap<String, Vec<f64>>, b: &BTreeMap<String, Vec<f64>>) -> (f64, String) {
    assert!(a.keys().eq(b.keys()));
    let mut worst = (0.0, String::new());
    for (name, a) in a {
        let by: Vec<f64> = a.iter().zip(&b[name]).map(|(a, b)| a - b).collect();
        let error = norm(&by) / norm(a);
        if error > worst.0 || error.is_nan() {
            worst = (if error.is_nan() { f64::INFINITY } else { error }, name.clone());
        }
    }
    worst
}

/// The largest difference of rows as a part of the largest number.
fn row_error(found: Vec<&Vec<f64>>, expected: &[Vec<f64>]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().flatten().fold(0.0f64, |m, x| m.max(x.abs()));
    let mut worst = 0.0f64;
    for (found, expected) in found.into_iter().zip(expected) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            worst = if f.is_nan() { f64::INFINITY } else { worst.max((f - e).abs()) };
        }
    }
    worst / largest
}

fn check_likelihoods(what: &str, found: &[Likelihood], case: &Case) {
    let log_probs = row_error(found.iter().map(|one| &one.log_probs).collect(), &case.log_probs);
    let entropies = row_error(found.iter().map(|one| &one.entropies).collect(), &case.entropies);
    println!("{what}: log-probabilities {log_probs:.1e}, entropies {entropies:.1e}");
    assert!(log_probs <= LOG_PROB && entropies <= ENTROPY, "{what} {log_probs} {entropies}");
}

fn check_figures(what: &str, found: &LossFigures, case: &Case) {
    let serde_json::Value::Object(found) = serde_json::to_value(found).unwrap() else { panic!() };
    for (key, expected) in &case.figures {
        let found = found[key].as_f64().unwrap();
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{what} {key} {found}");
    }
}

fn options(case: &Case, checkpointing: Checkpointing, logits_chunk: usize) -> PolicyOptions {
    PolicyOptions { temperature: case.temperature, checkpointing, logits_chunk }
}

#[test]
fn likelihoods_losses_and_gradients_are_those_of_transformers() {
    let expected = expected();
    for (name, cases) in &expected.networks {
        let bench = Bench::of(&expected, name);
        for (case_name, case) in cases {
            for (checkpointing, chunk, together) in
                [(Checkpointing::Off, 512, 2), (Checkpointing::Blocks, 5, 1)]
            {
                let what = format!("{name} {case_name} {checkpointing:?}");
                let policy = bench.policy(&BTreeSet::new(), options(case, checkpointing, chunk));
                let learned = bench.learn(&policy, case, together);
                check_likelihoods(&what, &learned.likelihoods, case);
                check_figures(&what, &learned.figures, case);
                let found = bench.gradients(&learned.gradients);
                assert!(found.keys().eq(case.gradients.keys()), "{what}: other parameters");
                let errors = found
                    .iter()
                    .map(|(key, found)| (gradient_error(key, found, &case.gradients[key]), key));
                let (worst, key) = errors.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
                println!("{what}: gradients {worst:.1e} at {key}");
                assert!(worst <= GRADIENT, "{what}: {worst} at {key}");
            }
        }
    }
}

/// As they are asked for without gradients: by the policies that sample and that are held on to.
#[test]
fn likelihoods_alone_are_those_of_transformers() {
    let expected = expected();
    for (name, cases) in &expected.networks {
        let bench = Bench::of(&expected, name);
        for (case_name, case) in cases {
            for chunk in [512, 5] {
                let policy =
                    bench.policy(&BTreeSet::new(), options(case, Checkpointing::Off, chunk));
                let alone = |prompts| {
                    likelihoods(policy.model(), &bench.batch(prompts), policy.options()).unwrap()
                };
                let found = alone(0..2);
                check_likelihoods(&format!("{name} {case_name} {chunk}"), &found, case);
                let apart = [0..1, 1..2].map(alone);
                check_likelihoods(&format!("{name} {case_name} apart"), &apart.concat(), case);
            }
        }
    }
}

/// Neither what is kept, nor how many logits are held, nor what is computed together is seen in the
/// gradients, but for rounding.
#[test]
fn ways_to_compute_agree() {
    let expected = expected();
    for (name, cases) in &expected.networks {
        let bench = Bench::of(&expected, name);
        let case = &cases["grpo"];
        let run = |checkpointing, chunk, together| {
            let policy = bench.policy(&BTreeSet::new(), options(case, checkpointing, chunk));
            bench.learn(&policy, case, together)
        };
        let whole = run(Checkpointing::Off, 512, 2);
        let plain = bench.gradients(&whole.gradients);
        for (what, other) in [
            ("checkpointing", run(Checkpointing::Blocks, 512, 2)),
            ("chunks", run(Checkpointing::Off, 5, 2)),
            ("apart", run(Checkpointing::Off, 512, 1)),
        ] {
            let (worst, key) = difference(&plain, &bench.gradients(&other.gradients));
            println!("{name} {what}: {worst:.1e} at {key}");
            assert!(worst <= ROUNDING, "{name} {what}: {worst} at {key}");
        }
    }
}

/// What is frozen, in words and by the names of parameters.
type Frozen<'a> = (&'a str, &'a dyn Fn(&str) -> bool);

#[test]
fn what_is_frozen_has_no_gradient_and_others_have_theirs() {
    let expected = expected();
    for (name, cases) in &expected.networks {
        let bench = Bench::of(&expected, name);
        let case = &cases["grpo"];
        for checkpointing in [Checkpointing::Off, Checkpointing::Blocks] {
            let run = |is_frozen: &dyn Fn(&str) -> bool| {
                let frozen = bench.named.iter().filter(|named| is_frozen(&named.name));
                let frozen = frozen.map(|named| named.id).collect();
                let policy = bench.policy(&frozen, options(case, checkpointing, 512));
                bench.learn(&policy, case, 2).gradients
            };
            let all = run(&|_| false);
            let kinds: [Frozen; 4] = [
                ("tower", &|name| name.starts_with("visual.")),
                ("tower but its merger", &|name| {
                    name.starts_with("visual.") && !name.starts_with("visual.merger.")
                }),
                ("decoder", &|name| !name.starts_with("visual.")),
                ("embeddings", &|name| name.contains("embed_tokens")),
            ];
            for (what, is_frozen) in kinds {
                let found = run(is_frozen);
                let found = bench.gradients(&found);
                let mut kept = bench.gradients(&all);
                kept.retain(|name, _| !is_frozen(name));
                let (worst, key) = difference(&kept, &found);
                println!("{name} without {what}: {worst:.1e} {key}");
                assert!(worst <= ROUNDING, "{name} without {what}: {worst} at {key}");
            }
        }
    }
}

/// Where nothing is trained before the first layer, there is nothing to go back to.
#[test]
fn prompts_without_images_are_learned_from() {
    let expected = expected();
    let mut bench = Bench::of(&expected, "qwen2_5_vl_tiny");
    let is_text = |&id: &u32| id < 140;
    for prompt in &mut bench.prompts {
        prompt.images.clear();
        prompt.ids.retain(is_text);
    }
    let case = &expected.networks["qwen2_5_vl_tiny"]["sft"];
    let is_frozen = |name: &str| name.contains("embed_tokens") || name.starts_with("visual.");
    let frozen = bench.named.iter().filter(|named| is_frozen(&named.name));
    let frozen = frozen.map(|named| named.id).collect();
    let mut found = Vec::new();
    for frozen in [BTreeSet::new(), frozen] {
        for (checkpointing, together) in [(Checkpointing::Off, 2), (Checkpointing::Blocks, 1)] {
            let policy = bench.policy(&frozen, options(case, checkpointing, 512));
            let mut gradients = bench.gradients(&bench.learn(&policy, case, together).gradients);
            assert_eq!(gradients.keys().any(|name| is_frozen(name)), frozen.is_empty());
            gradients.retain(|name, _| !is_frozen(name));
            found.push(gradients);
        }
    }
    for other in &found[1..] {
        let (worst, key) = difference(&found[0], other);
        assert!(worst <= ROUNDING, "{worst} at {key}");
    }
}
