//! Advantages and losses against torch's autograd (`fixtures/grpo/generate.py`) and against what
//! published trainers compute, and what must hold of them for any replies.
//!
//! Both sides are f64 and add up at most forty terms, so they differ by rounding alone.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use segzero_test_support::{fixture, shared_data};
use segzero_train::{
    AdvantageOptions, ImportanceLevel, KlEstimator, LossFigures, LossOptions, LossType, Pull,
    ScaleRewards, Scored, advantages, reply_loss, token_weights,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    rewards: Vec<f64>,
    data: BTreeMap<String, Replies>,
    advantages: Vec<Advantages>,
    divergences: Vec<Divergences>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Replies {
    old: Vec<Vec<f64>>,
    reference: Vec<Vec<f64>>,
    new: Vec<Vec<f64>>,
    entropies: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Advantages {
    group: usize,
    options: AdvantageOptions,
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct Divergences {
    kl_estimator: KlEstimator,
    kl_clamp: Option<f64>,
    log_probs: Vec<f64>,
    values: Vec<f64>,
    derivatives: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    data: String,
    options: LossOptions,
    advantages: Vec<f64>,
    figures: LossFigures,
    by_log_probs: Vec<Vec<f64>>,
    by_entropies: Vec<Vec<f64>>,
}

fn expected() -> Expected {
    let path = fixture(env!("CARGO_MANIFEST_DIR"), "grpo/expected.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

impl Replies {
    fn scored(&self, advantages: &[f64]) -> Vec<Scored> {
        let reply = |(at, &advantage): (usize, &f64)| Scored {
            log_probs: self.new[at].clone(),
            old: self.old[at].clone(),
            reference: Some(self.reference[at].clone()),
            entropies: self.entropies[at].clone(),
            advantage,
        };
        advantages.iter().enumerate().map(reply).collect()
    }
}

/// A whole step.
fn step(replies: &[Scored], options: &LossOptions) -> (LossFigures, Vec<Pull>) {
    let lengths: Vec<usize> = replies.iter().map(|reply| reply.log_probs.len()).collect();
    let mut figures = LossFigures::default();
    let mut pulls = Vec::new();
    for (reply, weight) in replies.iter().zip(token_weights(&lengths, options)) {
        let (part, pull) = reply_loss(reply, weight, options);
        figures.add(&part);
        pulls.push(pull);
    }
    (figures, pulls)
}

fn numbers(figures: &LossFigures) -> [f64; 6] {
    let f = figures;
    [f.loss, f.pg_loss, f.kl_loss, f.entropy_loss, f.pg_clipfrac, f.ppo_kl]
}

fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= tolerance * expected.abs().max(1.0), "{what} [{at}]: {found} {expected}");
    }
}

#[test]
fn advantages_are_torchs() {
    let expected = expected();
    for case in &expected.advantages {
        let found = advantages(&expected.rewards, case.group, case.options);
        close(&format!("{:?} of {}", case.options, case.group), &found, &case.values, 1e-14);
    }
}

#[test]
fn losses_and_their_gradients_are_torchs() {
    let expected = expected();
    for case in &expected.cases {
        let name = format!("{} {}", case.data, case.name);
        let replies = expected.data[&case.data].scored(&case.advantages);
        let (figures, pulls) = step(&replies, &case.options);
        close(&name, &numbers(&figures), &numbers(&case.figures), 1e-14);
        for (row, pull) in pulls.iter().enumerate() {
            close(&name, &pull.log_probs, &case.by_log_probs[row], 1e-14);
            close(&name, &pull.entropies, &case.by_entropies[row], 1e-14);
        }
    }
}

#[test]
fn every_estimate_of_the_divergence_is_torchs() {
    for case in expected().divergences {
        let options = LossOptions {
            beta: 1.0,
            kl_estimator: case.kl_estimator,
            kl_clamp: case.kl_clamp,
            ..LossOptions::default()
        };
        for (at, &log_prob) in case.log_probs.iter().enumerate() {
            let reply = one(log_prob, log_prob, 0.0);
            let (figures, pull) = reply_loss(&reply, 1.0, &options);
            let what = format!("{:?} at {log_prob}", case.kl_estimator);
            close(&what, &[figures.kl_loss], &case.values[at..=at], 1e-14);
            close(&what, &pull.log_probs, &case.derivatives[at..=at], 1e-14);
        }
    }
}

/// A reply of one token, whose reference has a log-probability of 0.
fn one(new: f64, old: f64, advantage: f64) -> Scored {
    Scored {
        log_probs: vec![new],
        old: vec![old],
        reference: Some(vec![0.0]),
        entropies: vec![1.0],
        advantage,
    }
}

/// `oracle/grpo_fixture.json` of the shared data: computed once by the formulas of Seg-Zero, EasyR1,
/// TRL and veRL. They add 1e-8 to the lengths that they divide by, which is 1e-8 of a figure at most.
#[test]
fn losses_are_those_of_published_trainers() {
    let Some(data) = shared_data() else { return };
    let path = data.join("oracle/grpo_fixture.json");
    let published: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let expected = expected();
    let near = &expected.data["near"];
    let list = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    for (row, old) in near.old.iter().enumerate() {
        close("old", old, &list(&published["old"][row])[..old.len()], 1e-12);
        close("ref", &near.reference[row], &list(&published["ref"][row])[..old.len()], 1e-12);
        close("new", &near.new[row], &list(&published["new"][row])[..old.len()], 1e-12);
    }
    let segzero = "adv_segzero_verl_easyr1(ddof1,eps1e-6)";
    let options = |scale_rewards, epsilon| AdvantageOptions { scale_rewards, epsilon };
    for (name, options) in [
        (segzero, options(ScaleRewards::Group, 1e-6)),
        ("adv_trl(ddof1,eps1e-4)", options(ScaleRewards::Group, 1e-4)),
        ("adv_drgrpo", options(ScaleRewards::None, 0.0)),
    ] {
        close(name, &advantages(&expected.rewards, 8, options), &list(&published[name]), 1e-12);
    }
    // veRL's norm divides by the longest reply alone, not by the number of replies as well.
    let pairs = [
        ("seg-zero", "segzero token-mean +0.005*k3", 1.0),
        ("easy-r1 token", "easyr1 default clip(0.2,0.28) dual3 token", 1.0),
        ("easy-r1 sequence", "easyr1 default clip(0.2,0.28) dual3 seq", 1.0),
        ("trl grpo", "trl grpo {}", 1.0),
        ("trl bnpo", "trl bnpo {}", 1.0),
        ("trl dr_grpo", "trl dr_grpo {}", 1.0),
        ("trl dapo", "trl dapo {'hi': 0.28}", 1.0),
        ("trl gspo", "trl grpo {'level': 'sequence', 'lo': 0.0003, 'hi': 0.0004}", 1.0),
        ("trl grpo with beta", "trl grpo {'beta': 0.04}", 1.0),
        ("verl token-mean", "verl agg token-mean", 1.0),
        ("verl seq-mean-token-sum", "verl agg seq-mean-token-sum", 1.0),
        ("verl seq-mean-token-mean", "verl agg seq-mean-token-mean", 1.0),
        ("verl seq-mean-token-sum-norm", "verl agg seq-mean-token-sum-norm", 8.0),
    ];
    for (ours, theirs, factor) in pairs {
        let is_it = |case: &&Case| case.name == ours && case.data == "near";
        let case = expected.cases.iter().find(is_it).unwrap();
        let (figures, pulls) = step(&near.scored(&case.advantages), &case.options);
        let result = &published["results"][theirs];
        let value = |key: &str| result[key].as_f64();
        close(theirs, &[figures.loss * factor], &[value("loss").unwrap()], 1e-8);
        for (key, found) in [
            ("pg", figures.pg_loss),
            ("kl", figures.kl_loss),
            ("clipfrac", figures.pg_clipfrac),
            ("ppo_kl", figures.ppo_kl),
        ] {
            if let Some(value) = value(key) {
                close(theirs, &[found], &[value], 1e-9);
            }
        }
        if result["grad0"].is_array() {
            close(theirs, &pulls[0].log_probs, &list(&result["grad0"]), 1e-9);
        }
    }
}

fn any_options() -> impl Strategy<Value = LossOptions> {
    let kinds = (
        prop::sample::select(vec![
            LossType::TokenMean,
            LossType::SequenceMean,
            LossType::SequenceSum,
            LossType::DrGrpo,
        ]),
        prop::sample::select(vec![ImportanceLevel::Token, ImportanceLevel::Sequence]),
        prop::sample::select(vec![
            KlEstimator::K1,
            KlEstimator::K2,
            KlEstimator::K3,
            KlEstimator::Abs,
        ]),
    );
    let clips = (0.05..0.4, 0.05..0.4, prop::option::of(1.5..4.0), prop::option::of(0.1..2.0));
    (kinds, clips, 0usize..4, 0.0..0.5, 0.0..0.5).prop_map(
        |((loss_type, importance_sampling_level, kl_estimator), clips, micro_batch, beta, c)| {
            LossOptions {
                epsilon: clips.0,
                epsilon_high: clips.1,
                delta: clips.2,
                importance_sampling_level,
                loss_type,
                micro_batch,
                max_completion_length: 9,
                beta,
                kl_estimator,
                kl_clamp: clips.3,
                entropy_coef: c,
            }
        },
    )
}

fn any_reply() -> impl Strategy<Value = Scored> {
    let token = (-4.0..0.0, -1.5..1.5, -2.0..2.0, 0.0..5.0);
    (prop::collection::vec(token, 1..7), -2.0..2.0).prop_map(|(tokens, advantage)| Scored {
        log_probs: tokens.iter().map(|t| t.0).collect(),
        old: tokens.iter().map(|t| t.0 - t.1).collect(),
        reference: Some(tokens.iter().map(|t| t.0 + t.2).collect()),
        entropies: tokens.iter().map(|t| t.3).collect(),
        advantage,
    })
}

fn any_step() -> impl Strategy<Value = Vec<Scored>> {
    prop::collection::vec(any_reply(), 1..6)
}

const STEP: f64 = 1e-5;

/// The difference quotient of a step's loss as one number of it moves, and the derivative on both
/// sides: where the loss has a kink between them, the quotient is anything between the two.
fn quotient(
    replies: &[Scored],
    options: &LossOptions,
    number: impl Fn(&mut [Scored]) -> &mut f64,
    derivative: impl Fn(&[Pull]) -> f64,
) -> (f64, f64) {
    let [below, above] = [-STEP, STEP].map(|by| {
        let mut moved = replies.to_vec();
        *number(&mut moved) += by;
        let (figures, pulls) = step(&moved, options);
        (figures.loss, derivative(&pulls))
    });
    ((above.0 - below.0) / (2.0 * STEP), (above.1 - below.1).abs())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn derivatives_are_difference_quotients(replies in any_step(), options in any_options()) {
        let (_, pulls) = step(&replies, &options);
        for (row, pull) in pulls.iter().enumerate() {
            for at in 0..pull.log_probs.len() {
                let (found, jump) = quotient(
                    &replies, &options, |r| &mut r[row].log_probs[at], |p| p[row].log_probs[at],
                );
                prop_assert!((found - pull.log_probs[at]).abs() <= jump + 1e-7, "{found} {pull:?}");
                let (found, jump) = quotient(
                    &replies, &options, |r| &mut r[row].entropies[at], |p| p[row].entropies[at],
                );
                prop_assert!((found - pull.entropies[at]).abs() <= jump + 1e-7, "{found} {pull:?}");
            }
        }
    }

    /// Of the policies that sample and learn alike only the advantage is left.
    #[test]
    fn at_ratio_one_each_token_is_pulled_by_its_advantage(
        replies in any_step(),
        options in any_options(),
    ) {
        let mut replies = replies;
        for reply in &mut replies {
            reply.old.clone_from(&reply.log_probs);
            reply.reference = None;
        }
        let lengths: Vec<usize> = replies.iter().map(|reply| reply.log_probs.len()).collect();
        let (figures, pulls) = step(&replies, &options);
        prop_assert_eq!((figures.pg_clipfrac, figures.ppo_kl, figures.kl_loss), (0.0, 0.0, 0.0));
        for ((pull, weight), reply) in
            pulls.iter().zip(token_weights(&lengths, &options)).zip(&replies)
        {
            for by in &pull.log_probs {
                prop_assert_eq!(*by, -reply.advantage * weight);
            }
        }
    }

    #[test]
    fn what_is_clipped_pulls_no_further(
        outside in 0.0..3.0f64,
        advantage in 0.01..3.0f64,
        options in any_options(),
    ) {
        let options = LossOptions { beta: 0.0, ..options };
        let high = (1.0 + options.epsilon_high).ln() + 1e-9 + outside;
        let low = (1.0 - options.epsilon).ln() - 1e-9 - outside;
        for (distance, advantage) in [(high, advantage), (low, -advantage)] {
            let (figures, pull) = reply_loss(&one(distance, 0.0, advantage), 1.0, &options);
            prop_assert_eq!(pull.log_probs[0], 0.0);
            prop_assert!(figures.pg_clipfrac > 0.0);
        }
        // The other way it is pulled back, as far as the second clip does not forbid it.
        let options = LossOptions { delta: None, ..options };
        for (distance, advantage) in [(low, advantage), (high, -advantage)] {
            let (figures, pull) = reply_loss(&one(distance, 0.0, advantage), 1.0, &options);
            prop_assert_eq!(pull.log_probs[0], -advantage * distance.exp());
            prop_assert_eq!(figures.pg_clipfrac, 0.0);
        }
    }

    #[test]
    fn k3_is_never_negative(d in -30.0..30.0f64, small in -1e-6..1e-6f64) {
        let options = LossOptions { beta: 1.0, kl_clamp: None, ..LossOptions::default() };
        for d in [d, small, 0.0] {
            let (figures, _) = reply_loss(&one(d, d, 0.0), 1.0, &options);
            prop_assert!(figures.kl_loss >= 0.0, "{} at {d}", figures.kl_loss);
        }
    }

    #[test]
    fn equal_rewards_teach_nothing(reward in -10.0..10.0f64, group in 2usize..20) {
        for scale_rewards in [ScaleRewards::Group, ScaleRewards::Batch, ScaleRewards::None] {
            let options = AdvantageOptions { scale_rewards, epsilon: 1e-6 };
            let found = advantages(&vec![reward; 2 * group], group, options);
            prop_assert_eq!(found, vec![0.0; 2 * group]);
        }
    }

    #[test]
    fn a_constant_added_to_rewards_changes_nothing(
        rewards in prop::collection::vec(0u8..6, 12),
        constant in -8i8..8,
        group in prop::sample::select(vec![2usize, 3, 4, 6, 12]),
    ) {
        for scale_rewards in [ScaleRewards::Group, ScaleRewards::Batch, ScaleRewards::None] {
            let options = AdvantageOptions { scale_rewards, epsilon: 1e-6 };
            let plain: Vec<f64> = rewards.iter().map(|&r| f64::from(r)).collect();
            let more: Vec<f64> = plain.iter().map(|r| r + f64::from(constant)).collect();
            let [plain, more] = [plain, more].map(|r| advantages(&r, group, options));
            for (a, b) in plain.iter().zip(&more) {
                prop_assert!((a - b).abs() <= 1e-12, "{a} {b}");
            }
            for part in plain.chunks(group) {
                prop_assert!(part.iter().sum::<f64>().abs() <= 1e-12, "{part:?}");
            }
        }
    }

    /// All weights of the tokens add up to one, or to the mean length, as the loss is one.
    #[test]
    fn weights_are_those_of_a_mean(
        lengths in prop::collection::vec(1usize..50, 1..20),
        options in any_options(),
    ) {
        let weights = token_weights(&lengths, &options);
        let sum: f64 = weights.iter().zip(&lengths).map(|(w, &l)| w * l as f64).sum();
        let size = if options.micro_batch == 0 { lengths.len() } else { options.micro_batch };
        let means: Vec<f64> = lengths
            .chunks(size)
            .map(|part| part.iter().sum::<usize>() as f64 / part.len() as f64)
            .collect();
        let mean = means.iter().sum::<f64>() / means.len() as f64;
        let expected = match options.loss_type {
            LossType::TokenMean | LossType::SequenceMean => 1.0,
            LossType::SequenceSum => mean,
            LossType::DrGrpo => mean / 9.0,
        };
        prop_assert!((sum - expected).abs() <= 1e-12 * expected, "{sum} {expected}");
    }
}
