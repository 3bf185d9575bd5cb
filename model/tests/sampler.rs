//! The choice of tokens, against transformers' processors of logits.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::collections::BTreeMap;

use segzero_model::qwen_vl::{Sampler, Sampling};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    logits: BTreeMap<String, Vec<f32>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    logits: String,
    history: Vec<u32>,
    /// Of the history; transformers leaves it out, and our prompts have none.
    padding: usize,
    settings: Settings,
    kept: Vec<u32>,
    scores: Vec<f32>,
    probs: Vec<f64>,
    #[serde(default)]
    tied: bool,
}

#[derive(Debug, Deserialize)]
struct Settings {
    temperature: Option<f64>,
    top_k: Option<usize>,
    top_p: Option<f64>,
    repetition_penalty: Option<f64>,
}

impl Settings {
    fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature.unwrap_or(1.0),
            top_k: self.top_k.unwrap_or(0),
            top_p: self.top_p.unwrap_or(1.0),
            repetition_penalty: self.repetition_penalty.unwrap_or(1.0),
            seed: 7,
        }
    }
}

fn fixture() -> Fixture {
    let text = std::fs::read(common::fixture("sampling.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn what_can_be_drawn_is_what_transformers_leaves() {
    let fixture = fixture();
    assert!(fixture.cases.len() > 20);
    for case in &fixture.cases {
        let what = format!("{} {:?}", case.logits, case.settings);
        let mut sampler =
            Sampler::new(case.settings.sampling(), 0, 0, &case.history[case.padding..]);
        let mut found = sampler.candidates(&fixture.logits[&case.logits]).to_vec();
        assert_eq!(found.len(), case.kept.len(), "{what}");
        found.sort_by_key(|&(_, token)| token);
        if !case.tied {
            let tokens: Vec<u32> = found.iter().map(|&(_, token)| token).collect();
            assert_eq!(tokens, case.kept, "{what}");
        }
        let mut scores: Vec<f32> = found.iter().map(|&(score, _)| score).collect();
        let mut expected = case.scores.clone();
        if case.tied {
            scores.sort_by(f32::total_cmp);
            expected.sort_by(f32::total_cmp);
        }
        // The same products and quotients of f32: equal to the last bit.
        assert_eq!(scores, expected, "{what}");
    }
}

#[test]
fn tokens_are_drawn_as_often_as_they_are_likely() {
    let fixture = fixture();
    let case = fixture
        .cases
        .iter()
        .find(|case| case.settings.top_k == Some(20) && case.settings.repetition_penalty.is_none());
    let case = case.unwrap();
    let logits = &fixture.logits[&case.logits];
    let mut counts = BTreeMap::new();
    const DRAWS: usize = 20_000;
    for sample in 0..DRAWS {
        let choice = Sampler::new(case.settings.sampling(), 0, sample, &[]).choose(logits);
        *counts.entry(choice.token).or_insert(0) += 1;
    }
    for (token, probability) in case.kept.iter().zip(&case.probs) {
        let found = counts.remove(token).unwrap_or(0) as f64;
        let mean = probability * DRAWS as f64;
        // Five standard deviations: one in a million draws of the seed would fail.
        let spread = 5.0 * (mean * (1.0 - probability)).sqrt() + 1.0;
        assert!((found - mean).abs() <= spread, "{token}: {found}, expected {mean}");
    }
    assert!(counts.is_empty(), "{counts:?} cannot be drawn");
}

#[test]
fn a_seed_decides_and_sequences_differ() {
    let logits: Vec<f32> = (0..50).map(|i| (i as f32 * 0.7).sin()).collect();
    let draw = |seed, prompt, sample| {
        let mut sampler = Sampler::new(Sampling::plain(seed), prompt, sample, &[]);
        (0..20).map(|_| sampler.choose(&logits).token).collect::<Vec<_>>()
    };
    assert_eq!(draw(1, 0, 0), draw(1, 0, 0));
    assert_ne!(draw(1, 0, 0), draw(2, 0, 0));
    assert_ne!(draw(1, 0, 0), draw(1, 1, 0));
    assert_ne!(draw(1, 0, 0), draw(1, 0, 1));
}

#[test]
fn greedy_takes_the_first_of_the_likeliest_and_reports_its_probability() {
    let choice = Sampler::new(Sampling::default(), 0, 0, &[]).choose(&[0.0, 2.0, f32::NAN, 2.0]);
    assert_eq!(choice.token, 1);
    let expected = 2.0 - (1.0f64 + 2.0 * 2f64.exp()).ln();
    assert!((f64::from(choice.log_prob) - expected).abs() < 1e-6);
    // Nothing but infinities is no reason to fail.
    let choice = Sampler::new(Sampling::plain(0), 0, 0, &[]).choose(&[f32::NEG_INFINITY; 3]);
    assert!(choice.token < 3);
}
