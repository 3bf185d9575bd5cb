//! The golden tables of the rewards' description, row by row, and laws.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use proptest::prelude::*;
use segzero_datasets::{Bbox, Point};
use segzero_test_support::fixture;

use super::assignment::largest_sum;
use super::python::{Value, loads};
use super::*;

/// The published record that the golden table is about.
const RECORD: &str = "<box>(0,457),(374,672)</box><points>(50,592),(144,601)</points>";

fn parts(preset: Preset, reply: &str, solution: &str) -> Vec<f64> {
    let solution = Solution::parse(solution).unwrap();
    let rewards = preset.recipe().score(reply, &solution);
    let sum: f64 = rewards.parts.iter().map(|(_, value)| value).sum();
    assert_eq!(rewards.total, sum, "{reply}");
    rewards.parts.into_iter().map(|(_, value)| value).collect()
}

fn thought(answer: &str) -> String {
    format!("<think>a</think>\n<answer>{answer}</answer>")
}

/// Seg-Zero's answer with this box.
fn boxed(bbox: &str) -> String {
    thought(&format!(r#"{{"bbox":[{bbox}],"points_1":[50,592],"points_2":[144,601]}}"#))
}

const EXACT: &str = r#"{"bbox":[0,457,374,672],"points_1":[50,592],"points_2":[144,601]}"#;

#[test]
fn seg_zero_golden_table() {
    let named = |bbox: &str, a: &str, b: &str| {
        let names = EXACT.replace("\"bbox", &format!("\"{bbox}"));
        thought(&names.replace("points_1", a).replace("points_2", b))
    };
    let swapped = r#"{"bbox":[0,457,374,672],"points_1":[144,601],"points_2":[50,592]}"#;
    let points_as_text =
        r#"{"bbox":[0,457,374,672],"points_1":["50","592"],"points_2":["144","601"]}"#;
    let long = EXACT.replace("[50,592]", "[50,592,7]");
    let rows: [(String, [u8; 5], [u8; 5]); 20] = [
        (thought(EXACT), [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
        (thought(swapped), [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
        (thought(&EXACT.replace('"', "'")), [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]),
        (named("Bbox_2d", "points 1", "points 2"), [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]),
        (named("bbox", "point_1", "point_2"), [1, 1, 1, 1, 0], [1, 0, 1, 1, 0]),
        (thought(EXACT) + "\n", [0, 1, 1, 1, 1], [0, 1, 1, 1, 1]),
        (thought(EXACT) + " Here you are.", [0, 1, 1, 1, 1], [0, 1, 1, 1, 1]),
        (format!("<answer>{EXACT}</answer>"), [0, 1, 1, 1, 1], [0, 1, 1, 1, 1]),
        (thought(EXACT).replace("<think>a", r#"<think>{"a":1}"#), [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]),
        (thought(&format!("[{EXACT}]")), [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
        (thought(&format!("```json\n{EXACT}\n```")), [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
        (
            thought(r#"{"bbox":[0,457,374,672],"bbox":[0,457,374,672]}"#),
            [1, 0, 1, 1, 0],
            [1, 0, 1, 1, 0],
        ),
        (thought(points_as_text), [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
        (boxed(r#""0","457","374","672""#), [1, 1, 0, 0, 0], [1, 1, 0, 0, 0]),
        (boxed("13,470,381,678"), [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
        (boxed("13,470,381,679"), [1, 1, 1, 0, 1], [1, 1, 1, 0, 1]),
        (boxed("60,457,374,672"), [1, 1, 1, 0, 0], [1, 1, 1, 0, 0]),
        (boxed("374,672,0,457"), [1, 1, 0, 0, 0], [1, 1, 0, 0, 0]),
        (thought(&long), [1, 0, 1, 1, 1], [1, 0, 1, 1, 1]),
        (String::new(), [0; 5], [0; 5]),
    ];
    for (reply, soft, strict) in rows {
        assert_eq!(parts(Preset::SegZeroSoft, &reply, RECORD), soft.map(f64::from), "{reply}");
        assert_eq!(parts(Preset::SegZero, &reply, RECORD), strict.map(f64::from), "{reply}");
    }
}

#[test]
fn seg_zero_iou_check_values() {
    let soft = |bbox: &str, truth: &str| {
        let mut recipe = Recipe { rewards: Vec::new(), ..Recipe::default() };
        recipe.set_weight(Reward::BboxIouSoft, 1.0);
        recipe.set_weight(Reward::BboxIou, 10.0);
        recipe.score(&boxed(bbox), &Solution::parse(truth).unwrap()).total
    };
    assert!((soft("0,457,187,672", RECORD) - 10.50133).abs() < 5e-6);
    assert!((soft("0,457,186,672", RECORD) - 0.49867).abs() < 5e-6);
    let square = "<box>(5,5),(15,15)</box><points>(7,7),(8,8)</points>";
    assert!((soft("0,0,10,10", square) - 0.174757).abs() < 5e-7);
    assert_eq!(soft("0,457,374,672", RECORD), 11.0);
    assert_eq!(soft("NaN,457,374,672", RECORD), 0.0);
}

#[test]
fn soft_accuracy_is_a_share_of_the_frame() {
    let rewards = [Reward::BboxL1Soft, Reward::PointL1Soft];
    let rewards = rewards.map(|reward| Weighted { reward, weight: 1.0 }).to_vec();
    let recipe = Recipe { rewards, ..Recipe::default() };
    let solution = Solution::parse(RECORD).unwrap();
    let score = |reply: &str| recipe.score(reply, &solution).parts;
    let values = |reply: &str| score(reply).iter().map(|(_, value)| *value).collect::<Vec<_>>();
    assert_eq!(values(&thought(EXACT)), [1.0, 1.0]);
    // The box is off by 42 / 4 pixels; both points are in it.
    assert_eq!(values(&boxed("0,457,416,672")), [1.0 - 10.5 / 840.0, 1.0]);
    assert_eq!(values(&boxed("60,457,374,672")), [1.0 - 15.0 / 840.0, 0.0]);
    assert_eq!(values(&boxed("0,457,99999,672")), [0.0, 1.0]);
    assert_eq!(values("nothing"), [0.0, 0.0]);
}

const TWO: &str = r#"[{"bbox_2d": [100, 100, 200, 200], "point_2d": [150, 150]}, {"bbox_2d": [400, 400, 600, 600], "point_2d": [500, 500]}]"#;
const ONE: &str = r#"[{"bbox_2d": [100, 100, 200, 200], "point_2d": [150, 150]}]"#;

#[test]
fn vision_reasoner_golden_table() {
    let a = r#"{"bbox_2d": [100, 100, 200, 200], "point_2d": [150, 150]}"#;
    let b = r#"{"bbox_2d": [400, 400, 600, 600], "point_2d": [500, 500]}"#;
    let spurious = r#"{"bbox_2d": [700, 700, 800, 800], "point_2d": [750, 750]}"#;
    let no_point = r#"{"bbox_2d": [400, 400, 600, 600]}"#;
    let short = r#"{"bbox_2d": [400, 400, 600], "point_2d": [500, 500]}"#;
    let one = |bbox: &str, point: &str| format!(r#"[{{"bbox_2d": {bbox}, "point_2d": {point}}}]"#);
    let exact = "[100, 100, 200, 200]";
    let rows = [
        (TWO, format!("[{a}, {b}]"), 3.0, 3.0),
        (TWO, format!("[{b}, {a}]"), 3.0, 3.0),
        (TWO, format!("[{a}]"), 3.0, 1.5),
        (TWO, format!("[{a}, {spurious}, {b}]"), 3.0, 2.0),
        (TWO, format!("[{a}, {no_point}]"), 2.5, 0.0),
        (TWO, a.to_owned(), 1.0, 0.0),
        (TWO, "[]".to_owned(), 1.0, 0.0),
        (TWO, "null".to_owned(), 1.0, 0.0),
        (ONE, format!("[{short}]"), 2.0, 0.0),
        (TWO, format!("```json\n[{a}, {b}]\n```"), 1.0, 0.0),
        (TWO, one(exact, "[179.9, 150]"), 3.0, 1.5),
        (TWO, one(exact, "[180, 150]"), 3.0, 1.0),
        (ONE, one("[100, 100, 160, 200]", "[170, 150]"), 3.0, 1.0),
        (TWO, one("[100, 100, 160, 200]", "[170, 150]"), 3.0, 0.5),
    ];
    for (solution, answer, format, accuracy) in rows {
        let found = parts(Preset::VisionReasoner, &thought(&answer), solution);
        assert_eq!([found[0] + found[1], found[2]], [format, accuracy], "{answer}");
        assert_eq!(found[3], 1.0);
    }
}

#[test]
fn two_repeated_sentences_are_too_many() {
    let rows = [
        ("a. a. b", true),
        ("a. a. a", false),
        ("a. b. a. b", false),
        ("1. x. 1. y. 1. z", false),
        ("", true),
        ("...", true),
        ("a.A. a \x1c.", true),
    ];
    for (reply, expected) in rows {
        assert_eq!(vision_reasoner::is_without_repeats(reply), expected, "{reply}");
    }
}

#[test]
fn thresholds_follow_the_frame() {
    let solution = "<box>(0,91),(75,134)</box><points>(10,118),(29,120)</points>";
    let solution = Solution::parse(solution).unwrap();
    let reply = thought(r#"{"bbox":[3,91,75,134],"points_1":[10,118],"points_2":[70,120]}"#);
    let score = |frame: f64| {
        let recipe = Recipe { frame, ..Recipe::default() };
        recipe.score(&reply, &solution).parts.iter().map(|(_, value)| *value).collect::<Vec<_>>()
    };
    // Off by 0.75 pixels in the box and 20.5 in the points; limits are 2 and 20 here.
    assert_eq!(score(168.0), [1.0, 1.0, 1.0, 1.0, 0.0]);
    assert_eq!(score(840.0), [1.0; 5]);
}

#[test]
fn a_recipe_says_what_it_cannot_judge() {
    let solution = |text| Solution::parse(text).unwrap();
    let [one, several] = [Preset::SegZero, Preset::VisionReasoner].map(Preset::recipe);
    assert_eq!(one.fits(&solution(RECORD)), Ok(()));
    assert_eq!(several.fits(&solution(TWO)), Ok(()));
    assert_eq!(one.fits(&solution(TWO)), Err(Misfit::Objects(Reward::BboxIou, 2)));
    assert_eq!(one.fits(&solution(ONE)), Err(Misfit::Points(Reward::PointL1, 2, 1)));
    let other = Misfit::Points(Reward::ObjectsAccuracy, 1, 2);
    assert_eq!(several.fits(&solution(RECORD)), Err(other));
    assert_eq!(several.fits(&solution("[]")), Err(Misfit::Objects(Reward::ObjectsAccuracy, 0)));
}

#[test]
fn recipes_are_checked() {
    let recipe = Recipe::default();
    assert_eq!((recipe.check(), recipe.full_marks()), (Ok(()), 5.0));
    assert_eq!(Preset::VisionReasoner.recipe().full_marks(), 7.0);
    let text = r#"{"rewards": [{"reward": "think"}, {"reward": "bbox_l1", "weight": 0.5}]}"#;
    let own: Recipe = serde_json::from_str(text).unwrap();
    assert_eq!((own.full_marks(), own.frame, own.keys), (1.5, 840.0, Keys::Strict));
    let again: Recipe = serde_json::from_str(&serde_json::to_string(&own).unwrap()).unwrap();
    assert_eq!(own, again);
    let faulty = |change: fn(&mut Recipe)| {
        let mut recipe = Recipe::default();
        change(&mut recipe);
        recipe.check().unwrap_err()
    };
    assert_eq!(faulty(|r| r.rewards.clear()), RecipeError::Empty);
    assert_eq!(faulty(|r| r.rewards.push(r.rewards[0])), RecipeError::Twice(Reward::Think));
    let weight = RecipeError::Weight(Reward::Think);
    assert_eq!(faulty(|r| r.set_weight(Reward::Think, f64::NAN)), weight);
    assert_eq!(faulty(|r| r.frame = 0.0), RecipeError::NotPositive("frame"));
}

#[test]
fn names_are_one() {
    for reward in <Reward as clap::ValueEnum>::value_variants() {
        let flag = clap::ValueEnum::to_possible_value(reward).unwrap();
        assert_eq!(flag.get_name(), reward.name());
        assert_eq!(serde_json::to_value(reward).unwrap(), reward.name());
    }
}

#[test]
fn deep_nesting_ends() {
    let lists = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(loads(&lists(900)).is_some());
    assert_eq!(loads(&lists(100_000)), None);
}

#[test]
fn solutions_of_both_forms_are_read() {
    let one = Solution::parse("<box>(0,457),(374,672)</box><points>(50,592),(144,601)</points>");
    let expected = Truth {
        bbox: Bbox { x0: 0, y0: 457, x1: 374, y1: 672 },
        points: vec![Point::new(50, 592), Point::new(144, 601)],
    };
    assert_eq!(one, Ok(Solution { objects: vec![expected] }));
    let two = Solution::parse(
        r#"[{"bbox_2d": [1, 2, 3, 4], "point_2d": [2, 3]}, {"bbox_2d": [5, 6, 7, 8], "point_2d": [6, 7]}]"#,
    );
    assert_eq!(two.map(|two| two.objects.len()), Ok(2));
    for bad in ["", "<box>(1,2)</box><points>(1,2)</points>", "<box>(1,2),(3,x)</box>", "[1]"] {
        assert!(Solution::parse(bad).is_err(), "{bad}");
    }
}

/// Sums that scipy finds (`fixtures/rewards/generate.py`), up to 120 by 120.
#[test]
fn assignments_reach_the_sums_of_scipy() {
    let path = fixture(env!("CARGO_MANIFEST_DIR"), "rewards/rewards.json");
    let rewards: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases: Vec<[u64; 4]> = serde_json::from_value(rewards["assignments"].clone()).unwrap();
    assert_eq!(cases.len(), 40);
    for [rows, columns, seed, expected] in cases {
        let mut state = seed;
        let mark = |_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let marks = [0, 0, 0, 0, 0, 0, 1, 1, 2, 3];
            if state.is_multiple_of(3) { 0 } else { marks[(state >> 33) as usize % 10] }
        };
        let marks: Vec<u8> = (0..rows * columns).map(mark).collect();
        let found = largest_sum(&marks, rows as usize, columns as usize);
        assert_eq!(u64::from(found), expected, "{rows} x {columns}");
    }
}

/// The largest sum by trying every assignment.
fn by_trial(marks: &[u8], rows: usize, columns: usize, row: usize, taken: u32) -> u32 {
    if row == rows {
        return 0;
    }
    let rest = |taken| by_trial(marks, rows, columns, row + 1, taken);
    let free = (0..columns).filter(|column| taken >> column & 1 == 0);
    let with = free.map(|c| u32::from(marks[row * columns + c]) + rest(taken | 1 << c));
    // Marks are not negative: leaving a row out never gains, and must be allowed where rows are more.
    with.max().unwrap_or(0).max(rest(taken))
}

proptest! {
    #[test]
    fn assignments_are_the_best(rows in 0usize..6, columns in 0usize..6, seed in any::<[u8; 25]>()) {
        let marks: Vec<u8> = seed[..(rows * columns).min(25)].iter().map(|mark| mark % 4).collect();
        let expected = by_trial(&marks, rows, columns, 0, 0);
        prop_assert_eq!(largest_sum(&marks, rows, columns), expected);
    }

    /// What both read alike is most of JSON.
    #[test]
    fn plain_json_is_read_as_serde_reads_it(expected in json()) {
        for text in [expected.to_string(), serde_json::to_string_pretty(&expected).unwrap()] {
            let found = loads(&text);
            prop_assert!(found.is_some(), "{text}");
            prop_assert_eq!(as_serde(found.unwrap()), expected.clone());
        }
    }

    #[test]
    fn any_reply_is_scored(reply in any::<String>(), answer in r#"[<>/a-z{}"\[\]:,0-9 ]{0,60}"#) {
        for preset in [Preset::SegZero, Preset::SegZeroSoft, Preset::VisionReasoner] {
            for reply in [reply.clone(), thought(&answer)] {
                let rewards = preset.recipe().score(&reply, &Solution::parse(ONE).unwrap());
                prop_assert!((0.0..=7.0).contains(&rewards.total));
            }
        }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        any::<f64>()
            .prop_filter("has a sign and a point", |x| x.fract() != 0.0)
            .prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn as_serde(value: Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(truth) => truth.into(),
        Value::Int(number) => (number as i64).into(),
        Value::Float(number) => number.into(),
        Value::Text(text) => text.into_owned().into(),
        Value::List(items) => items.into_iter().map(as_serde).collect(),
        Value::Dict(members) => {
            let member =
                |name: &str| (name.to_owned(), as_serde(members.get(name).unwrap().clone()));
            members.names().map(member).collect()
        }
    }
}
