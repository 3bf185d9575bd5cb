//! The whole of Seg-Zero's evaluation against a statement of it in Python (`fixtures/pipeline`):
//! replies, boxes and points, masks, counted pixels and scores are the same, to the last bit.
//!
//! Two small networks were trained on the images of this test, so that there are answers which
//! differ from image to image, and replies that the published readers refuse.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use common::{segzero, text};
use segzero_datasets::synth::{self, PickleProtocol};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What `reference.py` writes.
#[derive(Deserialize)]
struct Statement {
    side: u32,
    max_new_tokens: u32,
    prompts: BTreeMap<String, Evaluation>,
}

#[derive(Deserialize)]
struct Evaluation {
    giou: f64,
    ciou: f64,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    key: String,
    image: String,
    sha256: String,
    text: String,
    /// None of a reply that cannot be read.
    objects: Option<Vec<Object>>,
    counts: Option<String>,
    intersection: u64,
    union: u64,
}

/// Box and points, in pixels of the image.
type Object = ([f64; 4], Vec<[f64; 2]>);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pipeline").join(name)
}

fn statement() -> Statement {
    serde_json::from_slice(&fs::read(fixture("expected.json")).unwrap()).unwrap()
}

/// Scenes of which one object each is asked for, every other in words that do not say which it is.
fn write_data(root: &Path) {
    let mut scenes = synth::compose(56, 20);
    for (index, scene) in scenes.iter_mut().enumerate() {
        let references = scene.annotations.iter_mut().filter_map(|a| a.reference.as_mut());
        let mut references: Vec<_> = references.collect();
        let chosen = index % references.len();
        for (place, reference) in references.iter_mut().enumerate() {
            reference.split = if place == chosen { "test" } else { "train" };
            reference.sentences.truncate(1);
            let sentence = &mut reference.sentences[0];
            if index % 2 == 1 {
                sentence.raw = "The unusual object in the image.".to_owned();
            }
            sentence.sent = sentence.raw.clone();
        }
    }
    synth::write(root, &scenes, PickleProtocol::Two).unwrap();
}

fn lines<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn succeeds(arguments: &[&str]) {
    let output = segzero(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
}

/// A set, and what runs on it leave.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_data(&folder.path().join("data"));
        Self { folder }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A run; its lines by key, and its folder.
    fn predict(
        &self,
        statement: &Statement,
        prompt: &str,
        more: &[&str],
    ) -> HashMap<String, Value> {
        let (root, run) = (self.at("data"), self.at(prompt));
        let (reasoner, segmenter) = (fixture("qwen"), fixture("sam2"));
        let (side, longest) = (statement.side.to_string(), statement.max_new_tokens.to_string());
        let data = ["predict", "--root", &root, "--dataset", "refcocog", "--split", "test"];
        let models = ["--reasoner", reasoner.to_str().unwrap(), "--format", "f32"];
        let segmenter = ["--segmenter", segmenter.to_str().unwrap()];
        let asked = ["--prompt", prompt, "--parser", "reference", "--side", &side];
        let rest = ["--max-new-tokens", &longest, "--out", &run, "--quiet"];
        succeeds(&[&data[..], &models, &segmenter, &asked, &rest, more].concat());
        let files = ["predictions.jsonl", "failures.jsonl"];
        let all = files.iter().flat_map(|file| lines::<Value>(&Path::new(&run).join(file)));
        all.map(|line| (line["key"].as_str().unwrap().to_owned(), line)).collect()
    }

    /// What `eval` makes of a run.
    fn scores(&self, prompt: &str) -> Value {
        let (root, run) = (self.at("data"), self.at(&format!("{prompt}/predictions.jsonl")));
        let scores = self.at(&format!("{prompt}.json"));
        let data = ["eval", "--root", &root, "--dataset", "refcocog", "--split", "test"];
        let rest = ["--pred", &run, "--protocol", prompt, "--out", &scores];
        succeeds(&[&data[..], &rest].concat());
        serde_json::from_slice(&fs::read(scores).unwrap()).unwrap()
    }
}

fn sha256(path: &Path) -> String {
    Sha256::digest(fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reply, answer and mask of a row.
fn assert_same(row: &Row, line: &Value) {
    let key = &row.key;
    let Some(objects) = &row.objects else {
        assert_eq!(line["texts"], json!([row.text]), "{key}");
        assert!(line["failure"].is_string(), "{key}: {line}");
        return;
    };
    assert_eq!(line["text"], json!(row.text), "{key}");
    let boxes: Vec<_> = objects.iter().map(|(bbox, _)| bbox).collect();
    let points: Vec<_> = objects.iter().flat_map(|(_, points)| points).collect();
    assert_eq!((&line["boxes"], &line["points"]), (&json!(boxes), &json!(points)), "{key}");
    assert_eq!(line["counts"], json!(row.counts), "{key}: another mask");
}

/// Pixels of every sample, and the two figures to their last bit.
fn assert_same_scores(expected: &Evaluation, scores: &Value) {
    let rows = scores["rows"].as_array().unwrap();
    assert_eq!(rows.len(), expected.rows.len());
    for (row, found) in expected.rows.iter().zip(rows) {
        let key = format!("{}:{}", found["key"].as_str().unwrap(), found["query"]);
        assert_eq!(key, row.key);
        let pixels = (&found["intersection"], &found["union"]);
        assert_eq!(pixels, (&json!(row.intersection), &json!(row.union)), "{key}");
    }
    let figures = (&scores["summary"]["giou"], &scores["summary"]["ciou"]);
    assert_eq!(figures, (&json!(expected.giou), &json!(expected.ciou)));
}

#[test]
fn replies_answers_masks_and_scores_are_those_of_the_python_statement() {
    let (place, statement) = (Place::new(), statement());
    let images = Path::new(&place.at("data")).join("images/mscoco/images/train2014");
    for (prompt, expected) in &statement.prompts {
        let found = place.predict(&statement, prompt, &[]);
        assert_eq!(found.len(), expected.rows.len());
        for row in &expected.rows {
            let image = images.join(&row.image);
            assert_eq!(sha256(&image), row.sha256, "the images changed: make the fixture anew");
            assert_same(row, &found[&row.key]);
        }
        assert_same_scores(expected, &place.scores(prompt));
    }
}

/// Writes the images that the fixture is made of into the folder `$PIPELINE_DATA`.
#[test]
#[ignore = "a step of making the fixture"]
fn write_the_data() {
    write_data(Path::new(&std::env::var_os("PIPELINE_DATA").unwrap()));
}
