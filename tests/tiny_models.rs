//! The models that come with the command do what they are there for.
#![allow(clippy::unwrap_used)] // helpers of tests may, as tests may

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn segzero(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_segzero")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Scenes of another seed than those of their training. The bounds are well below what was measured on
/// a thousand scenes (docs/train.md), and far above what boxes by chance or by habit reach.
#[test]
fn they_find_and_segment_what_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    let [reasoner, segmenter] =
        ["reasoner", "segmenter"].map(|name| models.join(name).to_str().unwrap().to_owned());
    let (scenes, answers) = (at("scenes"), at("answers"));
    let of = ["--objects", "1-2", "--sentences", "plain", "--longest-side", "320"];
    segzero(&[&["synth", "--out", &scenes, "--count", "150", "--seed", "7"][..], &of].concat());
    let by = ["--reasoner", &reasoner, "--segmenter", &segmenter, "--side", "84", "--batch", "16"];
    let asked = ["predict", "--root", &scenes, "--split", "test", "--out", &answers];
    segzero(&[&asked[..], &by].concat());

    let scores = at("scores.json");
    segzero(&["eval", "--pred", &answers, "--protocol", "seg-zero", "--out", &scores]);
    let summary = json(Path::new(&scores))["summary"].clone();
    assert!(summary["n"].as_u64().unwrap() >= 40, "{summary}");
    assert!(summary["giou"].as_f64().unwrap() > 0.25, "{summary}");

    // Nearly all replies think first and can be read.
    let text = std::fs::read_to_string(folder.path().join("answers/predictions.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let thinks = |line: &&Value| line["thinking"].as_str().is_some_and(|said| !said.is_empty());
    assert!(10 * lines.iter().filter(thinks).count() >= 9 * lines.len());
    assert!(10 * lines.len() as u64 >= 9 * summary["n"].as_u64().unwrap());
}
