//! `segzero vqa` on a few questions.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{assert_refused, text};
use serde_json::{Value, json};

/// Runs `segzero vqa` on these two files.
fn vqa(folder: &Path, metric: &str, data: &str, answers: &str, flags: &[&str]) -> Output {
    fs::write(folder.join("data.jsonl"), data).unwrap();
    fs::write(folder.join("answers.jsonl"), answers).unwrap();
    std::process::Command::new(env!("CARGO_BIN_EXE_segzero"))
        .current_dir(folder)
        .args(["vqa", "--metric", metric, "--data", "data.jsonl", "--pred", "answers.jsonl"])
        .args(flags)
        .output()
        .unwrap()
}

const CHARTS: &str = r#"
{"id": 1, "question": "How many?", "answer": "100", "type": "human", "image": "a"}
{"id": 2, "question": "Which?", "answer": "Blue", "type": "human", "image": "a"}
{"id": "3", "question": "What share?", "answer": "12%", "type": "augmented", "image": "b"}
{"id": 4, "question": "Who?", "answers": ["Ann", "Anna"], "type": "augmented", "image": "b"}
"#;

const REPLIES: &str = r#"
{"id": "1", "answer": "<think>five more</think><answer>105</answer>"}
{"question_id": 2, "answer": "blue"}
{"id": 3, "answer": 12}
{"id": 4, "answer": "Anna"}
"#;

/// The value in a line of the table.
fn value(stdout: &str, name: &str) -> String {
    let line = stdout.lines().find(|line| line.trim_start().starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no `{name}` in:\n{stdout}"));
    line.trim_start()[name.len()..].split_whitespace().next().unwrap().to_owned()
}

#[test]
fn charts_are_scored_by_type() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--out", "scores.json", "--strict"];
    let output = vqa(folder.path(), "chartqa", CHARTS, REPLIES, &flags);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    // All but the share, whose percent sign is missing.
    assert_eq!(value(&stdout, "questions"), "4");
    assert_eq!(value(&stdout, "relaxed acc."), "75.00");
    assert_eq!(value(&stdout, "human"), "100.00");
    assert_eq!(value(&stdout, "augmented"), "50.00");
    // Two images, one right in both questions and one in half of them.
    assert!(stdout.contains("50.00 to 100.00 (95 %), of 4"), "{stdout}");

    let file = fs::read_to_string(folder.path().join("scores.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    assert_eq!((&file["metric"], &file["complete"]), (&json!("chartqa"), &json!(true)));
    assert_eq!(file["summary"]["accuracy"], 0.75);
    assert_eq!(file["by_type"]["human"]["n"], 2);
    assert_eq!(
        file["rows"][0],
        json!({"id": "1", "type": "human", "image": "a", "answer": "105", "credit": 30})
    );

    let output = vqa(folder.path(), "chartqa", CHARTS, REPLIES, &["--json", "--level", "0.5"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["summary"]["accuracy"], &json["bootstrap"]["level"]),
        (&json!(0.75), &json!(0.5))
    );
    assert_eq!(json.get("rows"), None);
}

/// A question and how many of ten people said "stop".
fn sign(id: u32, stop: usize) -> String {
    let people: Vec<&str> = (0..10).map(|i| if i < stop { "Stop." } else { "go" }).collect();
    json!({"question_id": id, "answers": people}).to_string() + "\n"
}

#[test]
fn texts_are_scored_by_the_people_who_agree() {
    let folder = tempfile::tempdir().unwrap();
    let data: String =
        [(1, 10), (2, 4), (3, 2), (4, 1), (5, 0)].map(|(id, n)| sign(id, n)).concat();
    let said: String =
        (1..6).map(|id| format!("{{\"id\": {id}, \"answer\": \"a STOP\"}}\n")).collect();
    let output = vqa(folder.path(), "textvqa", &data, &said, &[]);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // (1 + 1 + 0.6 + 0.3 + 0) / 5.
    assert_eq!(value(&stdout, "VQA acc."), "58.00");
}

#[test]
fn what_is_missing_is_counted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("{CHARTS}{}", CHARTS.lines().nth(2).unwrap());
    let replies = r#"{"id": 1, "answer": "100"}
{"id": 1, "answer": "7"}
{"id": "stranger", "answer": "7"}"#;
    let output = vqa(folder.path(), "chartqa", &data, replies, &[]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(value(&stdout, "relaxed acc."), "20.00");
    assert!(stdout.contains("INCOMPLETE"));
    let counts = ["missing", "repeated", "duplicate", "unmatched"].map(|name| value(&stdout, name));
    assert_eq!(counts, ["4", "1", "1", "1"]);
    for needle in [
        "4 of 5 have NO ANSWER and count as wrong: 2, 3, 4, 2",
        "1 answers repeat an id; the first of each id counts: 1 (line 2)",
        "1 answers belong to no question: stranger",
        "1 ids stand in the data more than once, and each time count: 2",
    ] {
        assert!(stderr.contains(needle), "no `{needle}` in:\n{stderr}");
    }
    let strict = vqa(folder.path(), "chartqa", &data, replies, &["--strict"]);
    assert_eq!(strict.status.code(), Some(1));
}

#[test]
fn bad_records_are_refused_or_counted() {
    let folder = tempfile::tempdir().unwrap();
    let run = |metric, data: &str, answers: &str, flags: &[&str]| {
        vqa(folder.path(), metric, data, answers, &[&["--out", "scores.json"], flags].concat())
    };
    for (bad, needles) in [
        (r#"{"answer": "5"}"#, &["answers.jsonl`: line 6: field `id`", "question_id"][..]),
        (r#"{"id": 9}"#, &["line 6: field `answer`: an answer (or `answers`) is missing"]),
        (r#"{"id": 9, "answer": null}"#, &["line 6: field `answer`"]),
        (r#"{"id": 9, "answers": []}"#, &["line 6: field `answer`"]),
        (r#"{"id": 9, "answers": ["a", "b"]}"#, &["field `answers`: expected one answer, found 2"]),
        (r#"{"id": 9, "answer": {"a": 1}}"#, &["line 6", "a string, a number or a list of them"]),
        (r#"{"id": 9, "#, &["line 6: expected a record in JSON"]),
    ] {
        let answers = format!("{REPLIES}{bad}\n");
        assert_refused(&run("chartqa", CHARTS, &answers, &[]), needles);
        assert!(!folder.path().join("scores.json").exists());
        let output = run("chartqa", CHARTS, &answers, &["--skip-bad"]);
        assert_eq!(value(&text(&output.stdout), "bad records"), "1");
        fs::remove_file(folder.path().join("scores.json")).unwrap();
    }
    let one_person = r#"{"id": 1, "answer": "x"}"#;
    let needles = ["data.jsonl`: line 1: field `answers`", "10 people, found 1 answers"];
    assert_refused(&run("textvqa", one_person, one_person, &[]), &needles);
    let both = format!("{}{one_person}\n", sign(7, 3));
    let output = run("textvqa", &both, r#"{"id": 7, "answer": "stop"}"#, &["--skip-bad"]);
    let stdout = text(&output.stdout);
    assert!(stdout.contains("INCOMPLETE") && value(&stdout, "bad samples") == "1", "{stdout}");
    assert_eq!(value(&stdout, "VQA acc."), "90.00");
}

#[test]
fn nothing_to_score_is_no_score_of_zero() {
    let folder = tempfile::tempdir().unwrap();
    let run = |data: &str, answers: &str| vqa(folder.path(), "chartqa", data, answers, &[]);
    assert_refused(&run("\n", REPLIES), &["there is no question", "docs/vqa.md"]);
    assert_refused(&run(CHARTS, ""), &["there is no answer in"]);
    let strangers = run(CHARTS, r#"{"id": "x7", "answer": "7"}"#);
    assert_refused(&strangers, &["none of the answers", "`1`", "`x7`"]);
    let output = common::segzero(["vqa", "--metric", "chartqa", "--data", "no", "--pred", "none"]);
    assert_refused(&output, &["could not read `none`"]);
}
