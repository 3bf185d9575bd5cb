//! `segzero predict`: whole benchmarks to folders that `segzero eval` reads, interrupted and in shards.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{Data, assert_refused, models, segzero, text};
use segzero_datasets::synth::Annotation;
use serde_json::{Value, json};

const FILES: [&str; 3] = ["predictions.jsonl", "failures.jsonl", "run.json"];

/// A synthetic RefCOCOg, and replies to its queries.
struct Place {
    data: Data,
    replies: String,
}

impl Place {
    /// Replies with the objects' own boxes, of images of 840 pixels; every seventh is no answer, and the
    /// fifth is not there.
    fn new() -> Self {
        let data = Data::new(6);
        let mut lines = Vec::new();
        for scene in &data.scenes {
            for annotation in &scene.annotations {
                let Some(reference) = &annotation.reference else { continue };
                for sentence in &reference.sentences {
                    let key = format!("{}:{}", reference.ref_id, sentence.id);
                    let number = lines.len();
                    let text = if number % 7 == 6 {
                        "No.".to_owned()
                    } else {
                        reply(annotation, scene.size)
                    };
                    lines.push(json!({"key": key, "text": text}).to_string());
                }
            }
        }
        lines.remove(4);
        let replies = data.at("replies.jsonl");
        fs::write(&replies, lines.join("\n")).unwrap();
        Self { replies: replies.to_str().unwrap().to_owned(), data }
    }

    fn run(&self, out: &str, arguments: &[&str]) -> Output {
        let (root, out) = (self.data.root(), self.data.at(out));
        let fixed = ["predict", "--root", root.to_str().unwrap(), "--out", out.to_str().unwrap()];
        let replies = ["--reply", &self.replies];
        segzero(fixed.iter().chain(&replies).chain(arguments))
    }

    /// A run that must succeed: what lies in its folder.
    fn ran(&self, out: &str, arguments: &[&str]) -> [String; 3] {
        let output = self.run(out, arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        self.files(out)
    }

    fn files(&self, out: &str) -> [String; 3] {
        FILES.map(|name| fs::read_to_string(self.data.at(out).join(name)).unwrap())
    }

    fn summary(&self, out: &str) -> Value {
        serde_json::from_slice(&fs::read(self.data.at(out).join("summary.json")).unwrap()).unwrap()
    }
}

fn reply(annotation: &Annotation, size: segzero_datasets::Size) -> String {
    let b = annotation.mask.bbox().unwrap();
    let x = |x: i32| x * 840 / size.width as i32;
    let y = |y: i32| y * 840 / size.height as i32;
    let answer = json!({
        "bbox": [x(b.x0), y(b.y0), x(b.x1 + 1), y(b.y1 + 1)],
        "points_1": [x((b.x0 + b.x1) / 2), y((b.y0 + b.y1) / 2)],
        "points_2": [x(b.x0), y(b.y0)],
    });
    format!("<think>There.</think><answer>{answer}</answer>")
}

#[test]
fn a_run_is_scored_and_names_what_has_no_mask() {
    let place = Place::new();
    let [predictions, failures, options] = place.ran("run", &[]);
    let lines: Vec<Value> =
        predictions.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["thinking"] == "There." && line["counts"].is_string()));
    let summary = place.summary("run");
    let missed = summary["failures"].as_object().unwrap();
    assert_eq!(missed["no-reply"], 1);
    assert_eq!(missed["no-answer"].as_u64().unwrap() + 1, failures.lines().count() as u64);
    assert_eq!(summary["units"], lines.len() + failures.lines().count());
    let options: Value = serde_json::from_str(&options).unwrap();
    assert_eq!(options["resolved"]["side"], 840);
    assert_eq!(options["units"], summary["units"]);

    // The folder knows its data set.
    let run = |out: &str| {
        let out = place.data.at(out);
        let scores = segzero(["eval", "--json", "--pred", out.to_str().unwrap()]);
        serde_json::from_slice::<Value>(&scores.stdout).unwrap()
    };
    let scores = run("run");
    assert_eq!(scores["heard"]["failures"], summary["failures"]);
    assert_eq!(scores["problems"]["missing"]["count"], failures.lines().count());
    // The boxes are the objects' own.
    let share = lines.len() as f64 / summary["units"].as_f64().unwrap();
    assert_eq!(scores["summary"]["box_accuracy"], share);
    assert_eq!(place.run("run", &["--queries", "first"]).status.code(), Some(2));
    assert!(place.ran("first", &["--queries", "first"])[0].lines().count() < lines.len());
    assert_eq!(run("first")["protocol"]["unit"], "first-query");
    fs::remove_file(place.data.at("run/summary.json")).unwrap();
    let out = place.data.at("run");
    let unfinished = segzero(["eval", "--pred", out.to_str().unwrap()]);
    assert_refused(&unfinished, &["run", "has not come to its end"]);
}

/// Wherever a run is killed, it goes on to the same bytes.
#[test]
fn a_run_that_was_killed_goes_on() {
    let place = Place::new();
    let whole = place.ran("whole", &["--batch", "3"]);
    let journal = fs::read(place.data.at("whole/journal.jsonl")).unwrap();
    for part in 0..10 {
        let out = place.data.at("cut");
        let _ = fs::remove_dir_all(&out);
        fs::create_dir(&out).unwrap();
        fs::copy(place.data.at("whole/run.json"), out.join("run.json")).unwrap();
        // Ends in the middle of lines, most often.
        fs::write(out.join("journal.jsonl"), &journal[..journal.len() * part / 10]).unwrap();
        assert_eq!(place.ran("cut", &["--batch", "3"]), whole, "{part} tenths");
    }
    let again = place.run("whole", &["--batch", "3"]);
    let units = &place.summary("whole")["units"];
    let said = format!("{units} of {units} were answered by an earlier run");
    assert!(text(&again.stderr).contains(&said), "{}", text(&again.stderr));
    assert_eq!(place.files("whole"), whole);
    // What is damaged elsewhere than at the end is not cut off with all that follows.
    let sound = String::from_utf8(journal).unwrap();
    let damaged = sound.replacen("{\"at\":2", "{\"at\":x", 1);
    assert_ne!(damaged, sound);
    let path = place.data.at("whole/journal.jsonl");
    fs::write(&path, &damaged).unwrap();
    assert_refused(&place.run("whole", &["--batch", "3"]), &["journal.jsonl", "line 3"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    fs::write(&path, &sound).unwrap();
    assert_refused(
        &place.run("whole", &["--batch", "3", "--parser", "reference"]),
        &["whole", "asking.parser was \"robust\" and is \"reference\""],
    );
}

#[test]
fn shards_are_joined_to_the_run_of_the_whole() {
    let place = Place::new();
    let whole = place.ran("whole", &["--batch", "3"]);
    let shards = ["3/4", "1/4", "4/4", "2/4"].map(|shard| {
        let out = shard.replace('/', "of");
        place.ran(&out, &["--batch", "3", "--shard", shard]);
        place.data.at(&out).to_str().unwrap().to_owned()
    });
    let out = place.data.at("joined").to_str().unwrap().to_owned();
    let merge = |shards: &[String]| {
        let words = ["merge".to_owned(), "--out".to_owned(), out.clone()];
        segzero(words.iter().chain(shards))
    };
    assert_refused(&merge(&shards[..3]), &["shards [1, 3, 4] are there, of 4"]);
    let merged = merge(&shards);
    assert!(merged.status.success(), "{}", text(&merged.stderr));
    assert_eq!(place.files("joined"), whole);
    place.ran("other", &["--batch", "3", "--shard", "2/4", "--hints", "box"]);
    let mut mixed = shards.clone();
    mixed[3] = place.data.at("other").to_str().unwrap().to_owned();
    assert_refused(&merge(&mixed), &["other", "asking.hints was \"all\" and is \"box\""]);
    fs::remove_file(Path::new(&shards[0]).join("summary.json")).unwrap();
    assert_refused(&merge(&shards), &["3of4", "has not come to its end"]);
}

/// Random weights write no answers; what is drawn must be the same after an interruption all the same.
#[test]
fn a_model_is_asked_in_batches_and_again_where_it_failed() {
    let place = Place::new();
    let folder = place.data.at("qwen");
    fs::create_dir(&folder).unwrap();
    models::qwen_vl(&folder);
    let root = place.data.root();
    let run = |out: &str, more: &[&str]| {
        let out = place.data.at(out);
        let fixed = ["predict", "--root", root.to_str().unwrap(), "--out", out.to_str().unwrap()];
        let model = ["--reasoner", folder.to_str().unwrap(), "--max-new-tokens", "5"];
        let few = ["--side", "56", "--limit", "7", "--batch", "3"];
        segzero(fixed.iter().chain(&model).chain(&few).chain(more))
    };
    assert_refused(&run("same", &["--samples", "2"]), &["temperature 0 are all the same"]);
    let drawn = ["--samples", "2", "--temperature", "1"];
    assert!(run("whole", &drawn).status.success());
    let failures = place.files("whole")[1].clone();
    let texts: Vec<Value> =
        failures.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(texts.len(), 7);
    assert!(texts.iter().all(|line| line["texts"].as_array().unwrap().len() == 2));
    assert_ne!(texts[0]["texts"], texts[3]["texts"], "each batch draws for itself");
    let journal = place.data.at("whole/journal.jsonl");
    let lines = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, &lines[..lines.len() / 2]).unwrap();
    assert!(run("whole", &drawn).status.success());
    assert_eq!(place.files("whole")[1], failures);
    let again = run("whole", &[&drawn[..], &["--retry-failed"]].concat());
    assert!(text(&again.stderr).contains("7 asked"), "{}", text(&again.stderr));
    assert_eq!(place.files("whole")[1], failures);
}
