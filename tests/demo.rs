//! `segzero demo` and `segzero preview`, as a user runs them.
#![allow(clippy::unwrap_used)] // helpers of tests may, as tests may

use std::path::Path;
use std::process::{Command, Output};

fn segzero(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_segzero")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn demo(out: &Path) -> String {
    let output = segzero(&["demo", "--count", "6", "--out", out.to_str().unwrap()]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The data of a page, as a browser finds them.
fn page(path: &Path) -> serde_json::Value {
    let html = std::fs::read_to_string(path).unwrap();
    let (_, rest) = html.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    serde_json::from_str(rest.split_once("</script").unwrap().0).unwrap()
}

#[test]
fn the_demo_goes_the_whole_way_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    // A space, so that the printed commands need quotes.
    let out = folder.path().join("the demo");
    let said = demo(&out);
    for command in ["inspect", "prep", "eval", "preview", "report", "synth", "predict"] {
        assert!(said.contains(&format!("$ segzero {command} ")), "{command}: {said}");
    }
    let at = |name: &str| out.join(name);
    assert!(at("data/refcocog/refs(umd).p").is_file());
    assert!(at("train/manifest.json").is_file() && at("train-seg-zero/manifest.json").is_file());
    assert_eq!(std::fs::read(at("sheet.png")).unwrap()[1..4], *b"PNG");

    // The small model was asked about every object of the test split, and what it thought is there.
    let answers: serde_json::Value =
        serde_json::from_slice(&std::fs::read(at("answers/scores.json")).unwrap()).unwrap();
    assert!(answers["summary"]["n"].as_u64().unwrap() > 0);
    let replies = std::fs::read_to_string(at("answers/predictions.jsonl")).unwrap();
    assert!(replies.contains("<think>I see "), "{replies}");
    assert!(at("answers-report/index.html").is_file());

    // The page shows what `eval` scored: the same queries, the same mean.
    let scores: serde_json::Value =
        serde_json::from_slice(&std::fs::read(at("scores.json")).unwrap()).unwrap();
    let data = page(&at("page.html"));
    let cards = data["cards"].as_array().unwrap();
    let ious: Vec<f64> = cards
        .iter()
        .flat_map(|card| card["said"].as_array().unwrap())
        .map(|said| said["iou"].as_f64().unwrap())
        .collect();
    assert_eq!(scores["summary"]["n"].as_u64().unwrap(), ious.len() as u64);
    let mean = ious.iter().sum::<f64>() / ious.len() as f64;
    assert!((scores["summary"]["giou"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!(cards.iter().all(|card| card["mask"].as_str().unwrap().starts_with('M')));

    // The training set is drawn in its own frame, with the radii that its provenance knows.
    let train = page(&at("train.html"));
    for card in train["cards"].as_array().unwrap() {
        assert_eq!(card["size"], serde_json::json!([840, 840]));
        assert_eq!(card["circles"][0].as_array().unwrap().len(), 2);
        assert!(card["circles"][0][0][2].as_f64().unwrap() > 0.0);
    }

    // A second run replaces the first, byte for byte.
    let before = std::fs::read(at("page.html")).unwrap();
    demo(&out);
    assert_eq!(before, std::fs::read(at("page.html")).unwrap());
}

#[test]
fn the_demo_leaves_other_folders_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("page.html");
    std::fs::write(&mine, "mine").unwrap();
    let output = segzero(&["demo", "--out", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is not empty"));
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A text of a table may hold markup; on the page it is a text.
#[test]
fn hostile_queries_stay_texts() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = segzero_datasets::synth::compose(1, 1);
    segzero_datasets::synth::write(folder.path(), &scenes, Default::default()).unwrap();
    let image = format!("images/mscoco/images/train2014/{}", scenes[0].file_name());
    let mask = &scenes[0].annotations[0].mask;
    let hostile = "</script><script>alert('x')</script><img src=x onerror=alert(1)>";
    let row = serde_json::json!({
        "image": image,
        "text": hostile,
        "rle": { "size": [mask.size().height, mask.size().width], "counts": mask.to_coco_string() },
    });
    let table = folder.path().join("table.jsonl");
    std::fs::write(&table, row.to_string()).unwrap();
    let out = folder.path().join("page.html");
    let [table, file] = [&table, &out].map(|path| path.to_str().unwrap());
    let output = segzero(&["preview", "--root", table, "--out", file]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(page(&out)["cards"][0]["said"][0]["text"], hostile);
    let html = std::fs::read_to_string(&out).unwrap();
    assert_eq!(html.matches("<script").count(), 2);
    assert!(!html.contains("<img src=x"));
}

#[test]
fn a_sheet_must_be_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = segzero_datasets::synth::compose(1, 1);
    segzero_datasets::synth::write(folder.path(), &scenes, Default::default()).unwrap();
    let root = folder.path().to_str().unwrap();
    let sheet = |name: &str| {
        let path = folder.path().join(name);
        segzero(&["preview", "--root", root, "--sheet", path.to_str().unwrap()])
    };
    let refused = sheet("sheet.txt");
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("`.png` or `.jpg`"));
    assert!(!folder.path().join("sheet.txt").exists());
    assert!(sheet("sheet.jpg").status.success());
    assert_eq!(std::fs::read(folder.path().join("sheet.jpg")).unwrap()[..2], [0xff, 0xd8]);
    let nothing = segzero(&["preview", "--root", root]);
    assert_eq!(nothing.status.code(), Some(2), "neither page nor sheet");
}
