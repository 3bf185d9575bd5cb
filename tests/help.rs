//! Help, and readers that go away early.
#![allow(clippy::unwrap_used)] // helpers of tests may

mod common;

use std::process::{Command, Stdio};

use common::{Data, segzero, text};

const COMMANDS: [&str; 16] = [
    "demo",
    "inspect",
    "prep",
    "preview",
    "ask",
    "mask",
    "eval",
    "merge",
    "compare",
    "protocols",
    "vqa",
    "reward",
    "report",
    "leaderboard",
    "model",
    "serve",
];

#[test]
fn every_command_explains_itself() {
    let all = text(&segzero(["--help"]).stdout);
    for command in COMMANDS {
        assert!(all.contains(&format!("  {command}")), "{all}");
        for flag in ["--help", "-h"] {
            let output = segzero([command, flag]);
            assert!(output.status.success() && output.stderr.is_empty());
            let help = text(&output.stdout);
            assert!(help.contains(&format!("Usage: segzero {command}")), "{help}");
        }
    }
    assert!(text(&segzero(["--version"]).stdout).starts_with("segzero "));
    assert_eq!(segzero(["no-such-command"]).status.code(), Some(2));
}

/// `segzero ... | head -1`, where `head` is gone before the first line; and the same for stderr.
#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let data = Data::new(6);
    std::fs::write(data.at("predictions.jsonl"), r#"{"key": "0", "no_target": true}"#).unwrap();
    let [root, pred, out, page, demo] =
        ["data", "predictions.jsonl", "out", "page.html", "demo"].map(|name| data.at(name));
    let [root, pred, out, page, demo] =
        [&root, &pred, &out, &page, &demo].map(|path| path.to_str().unwrap());
    let small = ["--size", "64", "--png", "fast"];
    let prep = ["prep", "--root", root, "--out", out];
    let commands: [&[&str]; 9] = [
        &["--help"],
        &["inspect", root],
        &["inspect", root, "--json"],
        &[&prep[..], &small, &["--dry-run"]].concat(),
        &[&prep[..], &small].concat(),
        &["eval", "--root", root, "--pred", pred],
        &["preview", "--root", root, "--out", page, "--count", "1"],
        &["demo", "--count", "5", "--out", demo],
        &["inspect", "no such folder"],
    ];
    for words in commands {
        let expected = segzero(words).status.code();
        let closed = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            Stdio::from(writer)
        };
        let run = |stdout: Stdio, stderr: Stdio| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_segzero"));
            command.args(words).stdout(stdout).stderr(stderr).output().unwrap()
        };
        let output = run(closed(), Stdio::piped());
        assert_eq!(output.status.code(), expected, "{words:?}: {}", text(&output.stderr));
        assert!(!text(&output.stderr).contains("panicked"), "{words:?}");
        let output = run(Stdio::piped(), closed());
        assert_eq!(output.status.code(), expected, "{words:?}");
    }
}
