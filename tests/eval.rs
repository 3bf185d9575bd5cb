//! `segzero eval` on a small table of one's own.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use segzero_datasets::{Mask, Size};
use segzero_eval::{Scores, Status, prediction_line};

const SIZE: Size = Size::new(20, 10);

/// A mask of the first pixels, down the columns.
fn first(pixels: u32) -> Mask {
    Mask::from_runs(SIZE, &[0, pixels, SIZE.pixels() as u32 - pixels]).unwrap()
}

/// Three samples: two texts on 100 px; one text on 50 px; no target.
fn write_table(folder: &Path) {
    let line = |id: &str, split: &str, text: &str, mask: &Mask| {
        let counts = serde_json::Value::from(mask.to_coco_string());
        format!(
            r#"{{"id": "{id}", "split": "{split}", "image": "{id}.jpg", "text": "{text}", "rle": {{"size": [10, 20], "counts": {counts}}}}}"#
        )
    };
    let none = Mask::empty(SIZE);
    let lines = [
        line("a", "val", "the left half", &first(100)),
        line("a", "val", "the half on the left", &first(100)),
        line("b", "val", "a quarter", &first(50)),
        line("c", "val", "nothing like it", &none),
        line("d", "train", "not of the split", &first(1)),
    ];
    fs::write(folder.join("mine.jsonl"), lines.join("\n")).unwrap();
}

/// Runs `segzero eval` on the table with predictions of these lines.
fn eval(folder: &Path, predictions: &[String], flags: &[&str]) -> Output {
    write_table(folder);
    fs::create_dir_all(folder.join("answers")).unwrap();
    fs::write(folder.join("answers/answers.jsonl"), predictions.join("\n")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_segzero"))
        .current_dir(folder)
        .args(["eval", "--root", "mine.jsonl", "--pred", "answers/answers.jsonl"])
        .args(if flags.contains(&"--split") { &[][..] } else { &["--split", "val"] })
        .args(flags)
        .output()
        .unwrap()
}

fn complete() -> Vec<String> {
    vec![
        prediction_line("a:0", &first(100)),
        prediction_line("a:1", &first(50)),
        prediction_line("b", &first(40)),
        r#"{"key": "c", "no_target": true}"#.to_owned(),
    ]
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The value in a line of the table.
fn value(stdout: &str, name: &str) -> String {
    let line = stdout.lines().find(|line| line.trim_start().starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no `{name}` in:\n{stdout}"));
    line.trim_start()[name.len()..].split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_complete_run_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    let output = eval(folder.path(), &complete(), &["--out", "scores.json", "--strict"]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    // IoUs 1, 0.5, 0.8 and 1; pixels 190 of 250.
    assert_eq!(value(&stdout, "queries"), "4");
    assert_eq!(value(&stdout, "gIoU"), "82.50");
    assert_eq!(value(&stdout, "cIoU"), "76.00");
    assert_eq!(value(&stdout, "median IoU"), "90.00");
    assert_eq!(value(&stdout, "Pr@0.5"), "100.00");
    assert_eq!(value(&stdout, "Pr@0.9"), "50.00");
    assert_eq!(value(&stdout, "both empty"), "1");
    assert!(!stdout.contains("INCOMPLETE") && stderr.is_empty(), "{stdout}{stderr}");

    let file = fs::read_to_string(folder.path().join("scores.json")).unwrap();
    let scores: Scores = serde_json::from_str(&file).unwrap();
    assert_eq!(scores.totals.summary.giou, Some(0.825));
    let keys: Vec<String> = scores.rows.iter().map(|row| row.query_key()).collect();
    assert_eq!(keys, ["a:0", "a:1", "b", "c"]);
    assert_eq!(scores.rows[1].text, "the half on the left");
    assert_eq!(scores.rows[3].status, Status::BothEmpty);
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!((&file["data"], &file["complete"]), (&"mine".into(), &true.into()));
    assert!(!folder.path().join("scores.json.part").exists());
}

#[test]
fn an_incomplete_run_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let predictions = [
        prediction_line("a:0", &first(100)),
        prediction_line("b", &Mask::empty(Size::new(10, 20))),
        prediction_line("b", &first(50)),
        prediction_line("stranger", &first(50)),
    ];
    let output = eval(folder.path(), &predictions, &[]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(value(&stdout, "gIoU"), "25.00");
    assert_eq!(value(&stdout, "missing"), "2");
    assert_eq!(value(&stdout, "other size"), "1");
    assert_eq!(value(&stdout, "duplicate"), "1");
    assert_eq!(value(&stdout, "unmatched"), "1");
    assert!(stdout.contains("INCOMPLETE"));
    assert!(stderr.contains("2 of 4 have NO PREDICTION (rule: missing): a:1, c"), "{stderr}");
    assert!(stderr.contains("b: the mask is 10x20, its image 20x10"), "{stderr}");
    assert!(stderr.contains("b (line 3)") && stderr.contains("stranger"), "{stderr}");

    let strict = eval(folder.path(), &predictions, &["--strict"]);
    assert_eq!(strict.status.code(), Some(1));
}

#[test]
fn a_bad_line_stops_unless_it_may_be_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let mut predictions = complete();
    predictions[2] = r#"{"key": "b", "counts": "04d0"}"#.to_owned();
    let flags = ["--out", "scores.json"];
    let output = eval(folder.path(), &predictions, &flags);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("answers.jsonl`: line 3: field `size`"), "{stderr}");
    assert!(stderr.contains("hint: docs/predictions.md"), "{stderr}");
    assert!(!folder.path().join("scores.json").exists());

    let output = eval(folder.path(), &predictions, &["--skip-bad"]);
    let stdout = text(&output.stdout);
    assert!(output.status.success());
    assert_eq!(
        (value(&stdout, "bad records"), value(&stdout, "missing")),
        ("1".into(), "1".into())
    );
}

#[test]
fn predictions_for_other_data_are_no_score_of_zero() {
    let folder = tempfile::tempdir().unwrap();
    let output = eval(folder.path(), &[prediction_line("17", &first(1))], &[]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("none of the 1 predictions"), "{stderr}");
    assert!(stderr.contains("`a:0`") && stderr.contains("`17`"), "{stderr}");
}

#[test]
fn an_empty_split_is_no_score_of_zero() {
    let folder = tempfile::tempdir().unwrap();
    let output = eval(folder.path(), &complete(), &["--split", "testA"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("no sample to score in testA"), "{stderr}");
}

#[test]
fn json_goes_to_stdout_for_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    let output = eval(folder.path(), &complete(), &["--json", "--unit", "sample"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["protocol"]["unit"], &report["summary"]["n"]),
        (&"sample".into(), &3.into())
    );
    // The first text of `a` speaks for it; the prediction for the second belongs to no sample.
    assert_eq!(report["summary"]["giou"], (1.0 + 0.8 + 1.0) / 3.0);
    assert_eq!(report["problems"]["unmatched"]["first"], serde_json::json!(["a:1"]));
}
