//! ChartQA's and TextVQA's rules against a second statement of them (`fixtures/vqa/generate.py`).
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use std::collections::HashSet;

use segzero_eval::vqa::{answer_of, credit, is_relaxed_match, spelled};
use segzero_test_support::fixture;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    /// Answer, and its common spelling.
    spelled: Vec<[String; 2]>,
    /// Answer, those of ten people, credit in thirtieths.
    credits: Vec<(String, [String; 10], u64)>,
    /// Answers and targets of charts.
    numbers: Vec<String>,
    /// The pairs of them that match.
    right: HashSet<(String, String)>,
}

fn rules() -> Fixture {
    let path = fixture(env!("CARGO_MANIFEST_DIR"), "vqa/vqa.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn answers_are_spelled_as_the_challenge_does() {
    let cases = rules().spelled;
    assert!(cases.len() > 200);
    for [text, expected] in cases {
        assert_eq!(spelled(&text), expected, "{text:?}");
    }
}

#[test]
fn credit_is_the_mean_over_subsets_of_nine() {
    let cases = rules().credits;
    assert_eq!(cases.len(), 250);
    let mut seen = HashSet::new();
    for (answer, people, expected) in cases {
        assert_eq!(credit(&answer, &people), expected, "{answer:?} {people:?}");
        seen.insert(expected);
    }
    // 0, 1, 2, 3 and more people who agree.
    assert_eq!(seen, HashSet::from([0, 9, 18, 27, 30]));
}

#[test]
fn numbers_may_be_off_by_five_percent() {
    let Fixture { numbers, right, .. } = rules();
    assert!(numbers.len() > 50 && right.len() > numbers.len());
    for answer in &numbers {
        for target in &numbers {
            let expected = right.contains(&(answer.clone(), target.clone()));
            assert_eq!(is_relaxed_match(answer, target), expected, "{answer:?} for {target:?}");
        }
    }
}

/// The one difference from the published implementation: words for no number stay words.
#[test]
fn not_a_number_is_a_word() {
    assert!(is_relaxed_match("NaN", "nan") && is_relaxed_match("Infinity", "infinity"));
    assert!(!is_relaxed_match("nan", "5") && !is_relaxed_match("5", "inf"));
}

#[test]
fn an_answer_stands_between_its_tags() {
    for (reply, answer) in [
        ("42", "42"),
        (" Yes \n", "Yes"),
        ("<think>I see <answer> tags</think><answer>\n 42 </answer>", "42"),
        ("<answer>4</answer> or rather <answer>5</answer>.", "5"),
        ("<answer>cut off", "cut off"),
        ("no tag</answer> behind", "no tag"),
        ("<answer></answer>", ""),
    ] {
        assert_eq!(answer_of(reply), answer, "{reply:?}");
    }
}
