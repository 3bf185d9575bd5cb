//! `segzero ask` from a model's folder to a reply, on a tiny network of random weights.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::fs;

use common::folder::Folder;
use common::{models, segzero, text};
use serde_json::{Value, json};

/// A model's folder as published: weights in two shards, the tokenizer of the model crate's tests.
struct Model {
    folder: Folder,
}

impl Model {
    fn new() -> Self {
        let folder = Folder::new();
        models::qwen_vl(folder.root());
        Self { folder }
    }

    /// Standard output, where the command succeeds.
    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Standard error, where it does not.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
        text(&output.stderr)
    }

    fn output(&self, arguments: &[&str]) -> std::process::Output {
        let folder = self.root().to_str().unwrap();
        let fixed = ["ask", "--model", folder, "--max-new-tokens", "12"];
        segzero(fixed.iter().chain(arguments))
    }
}

impl std::ops::Deref for Model {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

#[test]
fn a_reply_is_streamed_and_the_same_again() {
    let model = Model::new();
    let image = model.image("a.png", 120, 80);
    let asked = ["--image", &image, "What is it?"];
    let reply = model.ask(&asked);
    assert!(!reply.trim().is_empty() && reply.ends_with('\n'));
    assert_eq!(model.ask(&asked), reply);
    // The image is looked at: another one, or none, is answered otherwise.
    let other = model.image("b.png", 90, 140);
    assert_ne!(model.ask(&["--image", &other, "What is it?"]), reply);
    assert_ne!(model.ask(&["What is it?"]), reply);
    assert_ne!(model.ask(&["--image", &image, "--image", &other, "What is it?"]), reply);
    assert_ne!(model.ask(&["--image", &image, "--system", "Be brief.", "What is it?"]), reply);
}

#[test]
fn every_format_of_weights_answers() {
    let model = Model::new();
    let image = model.image("a.png", 120, 80);
    // The weights are published in bf16, so f32 holds the same numbers.
    let bf16 = model.ask(&["--image", &image, "What is it?"]);
    assert_eq!(model.ask(&["--image", &image, "--format", "f32", "What is it?"]), bf16);
    for format in ["int8", "int4"] {
        model.ask(&["--image", &image, "--format", format, "What is it?"]);
    }
}

#[test]
fn samples_differ_and_are_drawn_by_the_seed() {
    let model = Model::new();
    let image = model.image("a.png", 56, 56);
    let draw = |seed: &str| {
        let options = ["--samples", "3", "--temperature", "1", "--json", "--seed", seed];
        model.ask(&[&["--image", &image][..], &options, &["What is it?"]].concat())
    };
    let lines = draw("1");
    assert_eq!(draw("1"), lines);
    assert_ne!(draw("2"), lines);
    let replies: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(replies.len(), 3);
    assert_ne!(replies[0]["tokens"], replies[1]["tokens"]);
    for reply in &replies {
        let tokens = reply["tokens"].as_array().unwrap();
        let log_probs = reply["log_probs"].as_array().unwrap();
        assert_eq!(tokens.len(), log_probs.len());
        assert!(log_probs.iter().all(|p| p.as_f64().unwrap() <= 0.0));
        assert!(reply["finish"] == "stop" || tokens.len() == 12, "{reply}");
    }
}

#[test]
fn what_cannot_be_asked_is_refused_with_its_name() {
    let model = Model::new();
    let image = model.image("a.png", 56, 56);
    let thin = model.image("thin.png", 4000, 10);
    fs::write(model.at("not.png"), "no image").unwrap();
    let not = model.at("not.png");
    let refused = |arguments: &[&str], expected: &[&str]| {
        let error = model.refused(arguments);
        for part in expected {
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
    };
    refused(&["--image", not.to_str().unwrap(), "?"], &["not.png", "not an image"]);
    refused(&["--image", "none.png", "?"], &["none.png"]);
    refused(&["--image", &thin, "?"], &["thin.png"]);
    refused(&["--temperature=-1", "?"], &["--temperature is -1"]);
    refused(&["--top-p", "2", "?"], &["--top-p is 2"]);
    refused(&["--device", "gpu", "?"], &["gpu", "cuda"]);
    refused(&["--image", &image, "--min-pixels", "9", "--max-pixels", "3", "?"], &["9", "3"]);
    refused(&["a <|image_pad|> of my own"], &["image"]);
}

#[test]
fn a_damaged_model_is_refused_with_its_name() {
    let model = Model::new();
    let shard = fs::read_dir(model.root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .unwrap();
    let name = shard.file_name().unwrap().to_str().unwrap().to_owned();
    let whole = fs::read(&shard).unwrap();
    fs::write(&shard, &whole[..whole.len() - 5]).unwrap();
    let error = model.refused(&["?"]);
    assert!(error.contains(&name) && error.contains("cut off"), "{error}");
    fs::write(&shard, whole).unwrap();
    let config = fs::read_to_string(model.at("config.json")).unwrap();
    let mut wider: Value = serde_json::from_str(&config).unwrap();
    wider["intermediate_size"] = json!(136);
    model.write("config.json", wider.to_string());
    let error = model.refused(&["?"]);
    assert!(error.contains("gate_proj") && error.contains("136"), "{error}");
    let mut smaller: Value = serde_json::from_str(&config).unwrap();
    smaller["vocab_size"] = json!(318);
    model.write("config.json", smaller.to_string());
    assert!(model.refused(&["?"]).contains("vocab_size"));
    fs::remove_file(model.at("config.json")).unwrap();
    assert!(model.refused(&["?"]).contains("config.json"));
}
