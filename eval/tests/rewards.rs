//! Rewards against a second statement of their rules (`fixtures/rewards/rules.py`), on replies that
//! are whole and replies that are mutilated. Equal to the last bit: both add and divide in the same
//! order.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use segzero_eval::reward::{Preset, Recipe, Reward, Solution, Weighted};
use segzero_test_support::fixture;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    /// Solution, reply, and rewards with strict and with soft names.
    seg_zero: Vec<(String, String, [f64; 8], [f64; 8])>,
    /// Solution, reply, rewards.
    vision_reasoner: Vec<(String, String, [f64; 4])>,
}

fn rules() -> Fixture {
    let path = fixture(env!("CARGO_MANIFEST_DIR"), "rewards/rewards.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bits(values: impl IntoIterator<Item = f64>) -> Vec<u64> {
    values.into_iter().map(f64::to_bits).collect()
}

fn check(recipe: &Recipe, solution: &str, reply: &str, expected: &[f64]) {
    let found = recipe.score(reply, &Solution::parse(solution).unwrap());
    let values = found.parts.iter().map(|(_, value)| *value);
    let expected_bits = bits(expected.iter().copied());
    assert_eq!(bits(values), expected_bits, "{reply}\n{:?}\n{expected:?}", found.parts);
}

#[test]
fn seg_zero_on_honest_and_mutilated_replies() {
    let cases = rules().seg_zero;
    assert!(cases.len() >= 200);
    let soft = [Reward::BboxIouSoft, Reward::BboxL1Soft, Reward::PointL1Soft];
    let [strict_recipe, soft_recipe] = [Preset::SegZero, Preset::SegZeroSoft].map(|preset| {
        let mut recipe = preset.recipe();
        recipe.rewards.extend(soft.map(|reward| Weighted { reward, weight: 1.0 }));
        recipe
    });
    let mut earned = [[0; 2]; 8];
    for (solution, reply, strict, soft) in &cases {
        check(&strict_recipe, solution, reply, strict);
        check(&soft_recipe, solution, reply, soft);
        for (i, value) in strict.iter().enumerate() {
            earned[i][usize::from(*value > 0.0)] += 1;
        }
    }
    // Each reward is earned and missed often enough to mean something.
    assert!(earned.iter().flatten().all(|&count| count > 20), "{earned:?}");
}

#[test]
fn vision_reasoner_on_honest_and_mutilated_replies() {
    let cases = rules().vision_reasoner;
    assert!(cases.len() >= 60);
    let recipe = Preset::VisionReasoner.recipe();
    for (solution, reply, expected) in &cases {
        check(&recipe, solution, reply, expected);
    }
    let accuracies = cases.iter().filter(|case| case.2[2] > 0.0 && case.2[2] < 3.0);
    assert!(accuracies.count() > 8);
}
