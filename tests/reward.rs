//! `segzero reward` on a few replies.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{Data, assert_refused, text};
use serde_json::{Value, json};

const SET: &str = r#"
{"key": "a", "solution": "<box>(0,457),(374,672)</box><points>(50,592),(144,601)</points>"}
{"id": 7, "solution": "<box>(5,5),(15,15)</box><points>(7,7),(8,8)</points>"}
"#;

const RIGHT: &str =
    r#"<answer>{"bbox":[0,457,374,672],"points_1":[50,592],"points_2":[144,601]}</answer>"#;

/// The second reply lacks the thinking, the third is nothing at all, the last two are one group.
fn replies() -> String {
    let thought = format!("<think>a</think>{RIGHT}");
    let lines = [
        json!({"key": "a", "text": thought}),
        json!({"key": "a", "reply": RIGHT, "step": 3}),
        json!({"key": "a", "text": "no"}),
        json!({"id": 7, "text": thought}),
        json!({"id": "7", "text": thought}),
    ];
    lines.map(|line| format!("{line}\n")).concat()
}

fn reward(folder: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_segzero"))
        .current_dir(folder)
        .arg("reward")
        .args(flags)
        .output()
        .unwrap()
}

/// Runs `segzero reward` on these two files.
fn scored(set: &str, replies: &str, flags: &[&str]) -> (Output, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("set.jsonl"), set).unwrap();
    fs::write(folder.path().join("replies.jsonl"), replies).unwrap();
    let files = ["--set", "set.jsonl", "--replies", "replies.jsonl", "--out", "out.jsonl"];
    let output = reward(folder.path(), &[&files, flags].concat());
    let lines = fs::read_to_string(folder.path().join("out.jsonl")).unwrap_or_default();
    (output, lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn scores(lines: &[Value]) -> Vec<f64> {
    lines.iter().map(|line| line["score"].as_f64().unwrap()).collect()
}

#[test]
fn replies_are_scored_in_their_order() {
    let (output, lines) = scored(SET, &replies(), &["--strict"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    assert_eq!(scores(&lines), [5.0, 4.0, 0.0, 2.0, 2.0]);
    let first = r#"{"key":"a","rewards":{"think":1.0,"seg_format":1.0,"bbox_iou":1.0,"bbox_l1":1.0,"point_l1":1.0},"score":5.0}"#;
    assert_eq!(lines[0], serde_json::from_str::<Value>(first).unwrap());
    let stdout = text(&output.stdout);
    assert!(stdout.contains("5 replies to 2 of 2 examples"), "{stdout}");
    let line =
        |name: &str| stdout.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
    let words = |name: &str| line(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words("score")[1..6], ["2.6000", "of", "5", "20.00", "%"]);
    assert_eq!(words("think")[1..6], ["0.6000", "of", "1", "60.00", "%"]);
}

#[test]
fn groups_have_advantages() {
    let (output, lines) = scored(SET, &replies(), &["--group", "--json"]);
    let advantages: Vec<f64> = lines.iter().map(|l| l["advantage"].as_f64().unwrap()).collect();
    // 5, 4, 0: mean 3, deviation 2.6458 with n - 1; then two alike.
    let expected = [0.755_929, 0.377_964, -1.133_893, 0.0, 0.0];
    for (found, expected) in advantages.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{advantages:?}");
    }
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let groups = json!({"count": 2, "smallest": 2, "largest": 3, "alike": 1,
                        "scattered": {"count": 0, "first": []}});
    assert_eq!(summary["groups"], groups);
    assert_eq!((&summary["replies"], &summary["score"]["mean"]), (&json!(5), &json!(2.6)));
    assert_eq!(summary["recipe"]["keys"], "strict");
    let mixed = replies()
        .lines()
        .rev()
        .skip(1)
        .chain(replies().lines().rev().take(1))
        .collect::<Vec<_>>()
        .join("\n");
    let (output, _) = scored(SET, &mixed, &["--group"]);
    assert!(text(&output.stderr).contains("1 groups are of a key that had one before"));
}

#[test]
fn recipes_can_be_mixed() {
    let (_, lines) = scored(SET, &replies(), &["--weights", "think=0.5,non_repeat=2,bbox_l1=0"]);
    assert_eq!(scores(&lines), [5.5, 5.0, 2.0, 3.5, 3.5]);
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("own.json");
    let own = r#"{"rewards": [{"reward": "bbox_iou_soft", "weight": 10}], "keys": "soft"}"#;
    fs::write(&recipe, own).unwrap();
    let (_, lines) = scored(SET, &replies(), &["--recipe", recipe.to_str().unwrap()]);
    assert_eq!(scores(&lines), [10.0, 10.0, 0.0, 0.0, 0.0]);
    // Points that are 9 pixels off are near in 840 pixels and far in 42, where 5 are allowed.
    let near = RIGHT.replace("[50,592]", "[50,610]");
    let line = json!({"key": "a", "text": near}).to_string();
    for (frame, expected) in [("840", 4.0), ("42", 3.0)] {
        let (_, lines) = scored(SET, &line, &["--frame", frame]);
        assert_eq!(scores(&lines), [expected]);
    }
}

#[test]
fn a_prepared_set_is_read() {
    let data = Data::new(4);
    assert!(data.prep(&[]).status.success());
    let set = segzero_datasets::discover(&data.at("out")).unwrap().pop().unwrap();
    let samples = set.samples(&Default::default()).unwrap().map(Result::unwrap);
    let mut lines = String::new();
    for sample in samples {
        let segzero_datasets::Geometry::Solution(solution) = sample.geometry else { panic!() };
        let numbers: Vec<i32> = solution
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let (bbox, points) = (&numbers[..4], &numbers[4..]);
        let answer = json!({"bbox": bbox, "points_1": points[..2], "points_2": points[2..]});
        let reply = format!("<think>a</think><answer>{answer}</answer>");
        lines += &format!("{}\n", json!({"key": sample.key, "text": reply}));
    }
    fs::write(data.at("replies.jsonl"), lines).unwrap();
    let flags =
        ["--set", "out", "--replies", "replies.jsonl", "--frame", "64", "--strict", "--json"];
    let output = reward(&data.at(""), &flags);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["score"]["mean"], &summary["missing"]["count"]), (&json!(5.0), &json!(0)));
    // Its solutions are Seg-Zero's.
    let output = reward(&data.at(""), &[&flags[..4], &["--recipe", "vision-reasoner"]].concat());
    assert_refused(
        &output,
        &["objects_accuracy", "needs 1 points of an object, the solution has 2"],
    );
}

#[test]
fn one_reply_is_explained() {
    let solution = "<box>(0,457),(374,672)</box><points>(50,592),(144,601)</points>";
    let folder = tempfile::tempdir().unwrap();
    let output = reward(folder.path(), &["--explain", RIGHT, "--solution", solution]);
    let stdout = text(&output.stdout);
    assert!(stdout.contains("think               0.0000 of 1\n"), "{stdout}");
    assert!(stdout.contains("score               4.0000 of 5\n"), "{stdout}");
}

#[test]
fn what_is_missing_is_said() {
    let replies = r#"{"key": "a", "text": "no"}
        {"key": "elsewhere", "text": "no"}
        {"key": "a"}"#;
    let (output, lines) = scored(SET, replies, &["--skip-bad", "--strict"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines[1], json!({"key": "elsewhere", "rewards": null, "score": null}));
    assert_eq!(lines.len(), 2);
    let stderr = text(&output.stderr);
    for warning in ["1 examples have no reply: 7", "1 replies belong to no example", "line 3"] {
        assert!(stderr.contains(warning), "{stderr}");
    }
}

#[test]
fn bad_input_is_named() {
    let replies = replies();
    let cases: [(&str, &str, &[&str], &[&str]); 8] = [
        (SET, "{\"key\": 1}", &[], &["line 1", "text"]),
        (SET, "", &[], &["no reply in"]),
        (SET, r#"{"key": "z", "text": ""}"#, &[], &["none of the replies", "`a`", "`z`"]),
        (r#"{"key": "a", "solution": "left"}"#, &replies, &[], &["line 1", "solution", "`left`"]),
        (r#"{"key": "a", "solution": "[]"}"#, &replies, &[], &["line 1", "needs one object"]),
        (SET, &replies, &["--recipe", "nonsense"], &["nonsense", "hint:"]),
        (SET, &replies, &["--weights", "think=inf"], &["weight of `think`"]),
        (SET, &replies, &["--frame", "0"], &["frame"]),
    ];
    for (set, replies, flags, words) in cases {
        let (output, lines) = scored(set, replies, flags);
        assert_refused(&output, words);
        assert!(lines.iter().all(|line| line["score"].is_null()));
    }
    let (output, _) = scored(SET, &replies, &["--weights", "thought=1"]);
    let stderr = text(&output.stderr);
    assert!(output.status.code() == Some(2) && stderr.contains("there are think, "), "{stderr}");
}
