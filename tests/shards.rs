//! Scores in parts: `segzero merge`, and rows that Seg-Zero's evaluation counted.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use segzero_eval::{Run, Status};

fn segzero(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segzero"));
    command.current_dir(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn whole() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/regression/scores.json")
}

/// The committed scores in three parts: a.json, b.json, c.json.
fn shards(folder: &Path) -> Run {
    let whole = Run::read(&whole()).unwrap();
    for (name, part) in ["a", "b", "c"].into_iter().zip([0..50, 50..51, 51..120]) {
        let mut run = whole.clone();
        run.scores.rows = whole.scores.rows[part].to_vec();
        run.scores.totals.problems = Default::default();
        run.write(fs::File::create(folder.join(format!("{name}.json"))).unwrap()).unwrap();
    }
    whole
}

#[test]
fn shards_are_the_whole_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let whole = shards(folder.path());
    for order in [["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"]] {
        let names = order.map(|name| format!("{name}.json"));
        let [first, second, third] = [&names[0], &names[1], &names[2]].map(String::as_str);
        let arguments = ["merge", first, second, third, "--out", "all.json"];
        let output = segzero(folder.path(), &arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let merged = Run::read(&folder.path().join("all.json")).unwrap().scores.totals;
        assert_eq!(merged.summary, whole.scores.totals.summary, "{order:?}");
        assert_eq!(merged.intervals, whole.scores.totals.intervals, "{order:?}");
        assert_eq!(merged.breakdowns, whole.scores.totals.breakdowns, "{order:?}");
        assert_eq!(merged.problems.repeated.count, 0);
    }
    let output = segzero(folder.path(), &["merge", "a.json", "a.json", "--out", "all.json"]);
    assert!(text(&output.stderr).contains("50 units stand in several shards"));
}

#[test]
fn shards_of_other_rules_or_data_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = shards(folder.path());
    other.scores.totals.protocol.name = "lisa".to_owned();
    let path = folder.path().join("other.json");
    other.write(fs::File::create(&path).unwrap()).unwrap();
    let output = segzero(folder.path(), &["merge", "a.json", "other.json", "--out", "all.json"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("`a.json` was scored by default, `other.json` by lisa"), "{stderr}");
    other.provenance.data = "elsewhere".to_owned();
    other.write(fs::File::create(&path).unwrap()).unwrap();
    let output = segzero(folder.path(), &["merge", "a.json", "other.json", "--out", "all.json"]);
    assert!(text(&output.stderr).contains("different data"), "{}", text(&output.stderr));
    assert!(!folder.path().join("all.json").exists(), "nothing is written");
}

/// Two shards of the reducer's input: an IoU of 0.8, a failed answer, an empty union, and 0.5.
fn counted(folder: &Path) {
    let a = r#"[{"image_id": "i1", "ann_id": "a1", "think": "...", "intersection": 80, "union": 100, "bbox_iou": 1},
               {"image_id": "i2", "ann_id": "a2", "think": "", "intersection": 0, "union": 100, "bbox_iou": 0}]"#;
    let b = r#"[{"image_id": 3, "ann_id": 31, "think": "", "intersection": 0, "union": 0, "bbox_iou": 0},
               {"image_id": 3, "ann_id": 32, "think": "", "intersection": 50, "union": 100, "bbox_iou": 1}]"#;
    let outputs = folder.join("outputs");
    fs::create_dir_all(&outputs).unwrap();
    fs::write(outputs.join("output_0.json"), a).unwrap();
    fs::write(outputs.join("output_1.json"), b).unwrap();
    fs::write(outputs.join("notes.json"), "{}").unwrap();
}

#[test]
fn counted_rows_give_the_reducers_numbers() {
    let folder = tempfile::tempdir().unwrap();
    counted(folder.path());
    let arguments = ["eval", "--pred", "outputs", "--protocol", "all", "--out", "s.json"];
    let output = segzero(folder.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = Run::read(&folder.path().join("s.json")).unwrap();
    let totals = &run.scores.totals;
    assert_eq!(totals.protocol.name, "seg-zero");
    // Seg-Zero's evaluation never writes an empty union; its rule would have left it out.
    assert_eq!((totals.summary.n, totals.summary.skipped), (3, 1));
    assert_eq!(totals.summary.ciou, Some(130.0 / 300.0));
    let other = &totals.others[0];
    assert_eq!(other.protocol.name, "vision-reasoner");
    assert_eq!(other.summary.n, 4);
    assert!((other.summary.giou.unwrap() - (0.8 + 0.5) / 4.0).abs() < 1e-15, "2^-64 a term");
    assert_eq!(other.summary.ciou, Some(130.0 / 300.0));
    assert_eq!(totals.others.len(), 1, "other rules count other pixels");
    assert_eq!(totals.summary.box_accuracy, Some(2.0 / 3.0));
    assert_eq!(other.summary.box_accuracy, Some(0.5));
    assert_eq!(run.scores.rows[2].status, Status::Skipped);
    let keys: Vec<&str> = run.scores.rows.iter().map(|row| &*row.key).collect();
    assert_eq!(keys, ["a1", "a2", "31", "32"]);
}

#[test]
fn counts_are_not_taken_for_what_they_are_not() {
    let folder = tempfile::tempdir().unwrap();
    counted(folder.path());
    let output = segzero(folder.path(), &["eval", "--pred", "outputs"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("protocol default needs unit=query"), "{stderr}");
    assert!(stderr.contains("hint: choose `--protocol seg-zero`"), "{stderr}");
    for (name, content, message) in [
        ("bad.json", r#"[{"image_id": 1, "union": 3}]"#, "[0]"),
        (
            "bad.json",
            r#"[{"image_id": 1, "intersection": 4, "union": 3}]"#,
            "at most 3 (the union)",
        ),
        ("bad.json", r#"{"rows": []}"#, "results as SESAME writes them"),
        ("bad.json", "[]", "there is no record"),
        ("bad.jsonl", "{}", "give it as `--root`"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
        let output = segzero(folder.path(), &["eval", "--pred", name, "--protocol", "seg-zero"]);
        assert_eq!(output.status.code(), Some(2), "{content}");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(message) && stderr.contains(name), "{content}: {stderr}");
    }
    fs::create_dir_all(folder.path().join("empty")).unwrap();
    let output = segzero(folder.path(), &["eval", "--pred", "empty", "--protocol", "seg-zero"]);
    assert!(text(&output.stderr).contains("output_*.json"));
}
