//! `segzero eval` on parts of published data sets.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Scores the fixture `data` with predictions of nothing under these keys.
fn eval(data: &str, split: &str, keys: &[&str], flags: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let lines = keys.iter().map(|key| format!("{{\"key\": {key}, \"no_target\": true}}\n"));
    fs::write(folder.path().join("answers.jsonl"), lines.collect::<String>()).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/tests/fixtures/refer");
    Command::new(env!("CARGO_BIN_EXE_segzero"))
        .arg("eval")
        .arg("--root")
        .arg(fixtures.join(data))
        .args(["--split", split, "--pred"])
        .arg(folder.path().join("answers.jsonl"))
        .args(flags)
        .output()
        .unwrap()
}

#[test]
fn a_part_of_a_published_split_is_said_loudly() {
    // Two refs of two sentences each.
    for (unit, expected) in [
        ("query", "refcoco/unc val: 4 of 10,834 sentences"),
        ("first-query", "refcoco/unc val: 2 of 3,811 refs"),
        ("sample", "refcoco/unc val: 2 of 3,811 refs"),
    ] {
        let flags = ["--unit", unit, "--strict"];
        let output = eval("refcoco", "val", &["1", "5"], &flags);
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        assert!(stdout.contains(&format!("PARTIAL RUN: {expected}\n")), "{stdout}");
        assert!(stderr.contains(&format!("warning: PARTIAL RUN: {expected}\n")), "{stderr}");
        // Every unit that is there has its prediction.
        assert!(!stdout.contains("INCOMPLETE"), "{stdout}");
        assert_eq!(output.status.code(), Some(1), "--strict");

        let output = eval("refcoco", "val", &["1", "5"], &["--unit", unit, "--json"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["complete"], false);
        assert_eq!(report["partial"], serde_json::json!([expected]));
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn where_only_images_are_published_those_are_counted() {
    let output = eval("grefcoco/grefs(unc).json", "val", &["1"], &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("PARTIAL RUN: grefcoco/unc val: 1 of 1,500 images"), "{stderr}");
}
