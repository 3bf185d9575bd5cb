//! `segzero compare`, and with it our own regression test: the scores of committed predictions, under
//! every protocol, to the last digit.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use segzero_eval::{Run, Status};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/regression").join(name)
}

fn segzero(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_segzero")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Scores of the committed predictions, as this build finds them.
fn scored(folder: &Path, predictions: &Path, flags: &[&str]) -> PathBuf {
    let out = folder.join("new.json");
    let root = fixture("truth.jsonl");
    let [root, predictions, to] = [&root, predictions, &out].map(|path| path.to_str().unwrap());
    let output =
        segzero(&[&["eval", "--root", root, "--pred", predictions, "--out", to], flags].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    out
}

fn compared(base: &Path, new: &Path, flags: &[&str]) -> Output {
    segzero(&[&["compare", base.to_str().unwrap(), new.to_str().unwrap()], flags].concat())
}

#[test]
fn scores_are_those_of_every_earlier_build() {
    let folder = tempfile::tempdir().unwrap();
    let new = scored(folder.path(), &fixture("predictions.jsonl"), &["--protocol", "all"]);
    let base = fixture("scores.json");
    let output = compared(&base, &new, &["--max-drop", "0"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));

    let (base, new) = (Run::read(&base).unwrap(), Run::read(&new).unwrap());
    assert_eq!(new.scores.rows, base.scores.rows);
    assert_eq!(new.scores.totals.summary, base.scores.totals.summary);
    assert_eq!(new.scores.totals.others.len(), base.scores.totals.others.len());
    for (new, base) in new.scores.totals.others.iter().zip(&base.scores.totals.others) {
        assert_eq!(new.protocol, base.protocol);
        assert_eq!(new.summary, base.summary, "{}", base.protocol.name);
    }
    assert_eq!(new.scores.totals.breakdowns, base.scores.totals.breakdowns);
    assert_eq!(new.scores.totals.intervals, base.scores.totals.intervals);
}

/// Predictions of which the first sample's are blanked.
fn worse(folder: &Path) -> PathBuf {
    let lines = fs::read_to_string(fixture("predictions.jsonl")).unwrap();
    let lines = lines.lines().map(|line| match line.contains(r#""key": "s01:0""#) {
        true => r#"{"key": "s01:0", "no_target": true}"#,
        false => line,
    });
    let path = folder.join("worse.jsonl");
    fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    path
}

#[test]
fn a_drop_fails_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let new = scored(folder.path(), &worse(folder.path()), &[]);
    let base = fixture("scores.json");
    let output = compared(&base, &new, &["--max-drop", "0.1"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("FAILED: gIoU dropped by"), "{stderr}");
    let stdout = text(&output.stdout);
    assert!(stdout.contains("largest losses") && stdout.contains("s01:0"), "{stdout}");
    assert!(!stdout.contains("largest wins"), "{stdout}");
    // One unit of 120 cannot cost more than a point.
    assert!(compared(&base, &new, &["--max-drop", "1"]).status.success());
    assert!(compared(&base, &new, &[]).status.success(), "without --max-drop it only tells");
    // What got better is no fault.
    assert!(compared(&new, &base, &["--max-drop", "0"]).status.success());
}

#[test]
fn a_unit_that_is_not_scored_any_more_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::read(&fixture("scores.json")).unwrap();
    run.scores.rows.retain(|row| row.key != "s01");
    let new = folder.path().join("fewer.json");
    run.write(fs::File::create(&new).unwrap()).unwrap();
    let output = compared(&fixture("scores.json"), &new, &["--max-drop", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("2 units of the base are not scored: s01:0, s01:1"));
    assert!(text(&output.stdout).contains("2 only in the base"));
}

#[test]
fn json_holds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let new = scored(folder.path(), &worse(folder.path()), &[]);
    let output = compared(&fixture("scores.json"), &new, &["--json", "--max-drop", "0"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["losses"][0]["key"], "s01:0");
    assert_eq!(report["losses"].as_array().unwrap().len(), 1);
    assert_eq!(report["figures"]["giou"]["losses"], 1);
    assert_eq!(report["figures"]["giou"]["ties"], 119);
    assert_eq!(report["faults"].as_array().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lisa = scored(folder.path(), &fixture("predictions.jsonl"), &["--protocol", "lisa"]);
    let base = fixture("scores.json");
    let output = compared(&base, &lisa, &[]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("`overlap` is foreground in one, background in the other"), "{stderr}");
    assert!(stderr.contains("hint: score both with the same"), "{stderr}");

    let output = compared(&base, &fixture("truth.jsonl"), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("truth.jsonl"), "the file is named");

    let mut run = Run::read(&base).unwrap();
    run.scores.rows.iter_mut().for_each(|row| row.split = "other".to_owned());
    let other = folder.path().join("other.json");
    run.write(fs::File::create(&other).unwrap()).unwrap();
    assert!(text(&compared(&base, &other, &[]).stderr).contains("no unit in common"));
    run.scores.rows.clear();
    run.write(fs::File::create(&other).unwrap()).unwrap();
    assert!(text(&compared(&base, &other, &[]).stderr).contains("the new run has no rows"));
}

#[test]
fn a_missing_prediction_is_said_in_the_row() {
    let run = Run::read(&fixture("scores.json")).unwrap();
    let missing = run.scores.rows.iter().filter(|row| row.status == Status::Missing).count();
    assert_eq!(missing as u64, run.scores.totals.problems.missing.count);
    assert!(missing > 0);
}
