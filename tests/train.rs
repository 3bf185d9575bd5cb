//! `segzero train`: what it writes, that it goes on as if it had not stopped, and that it learns.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{Data, assert_refused, segzero, text};
use segzero_model::checkpoint::Checkpoint;
use segzero_model::device::DeviceName;
use segzero_model::load::{AdapterSource, Placement};
use segzero_model::packed::Format;
use segzero_model::qwen_vl::{Config, Prompt, QwenVl};
use segzero_train::{Adapters, Batch, Lora, PolicyOptions};
use serde_json::Value;

const MODEL: &str = "tests/fixtures/pipeline/qwen";
const SEGMENTER: &str = "tests/fixtures/pipeline/sam2";

/// A synthetic RefCOCOg, and a training set of it.
struct Place(Data);

impl Place {
    fn new() -> Self {
        let place = Self(Data::new(8));
        let (root, set) = (place.path("data"), place.path("set"));
        let flags = ["--split", "train", "--size", "84", "--leaks", "allow"];
        let output = segzero(["prep", "--root", &root, "--out", &set].iter().chain(&flags));
        assert!(output.status.success(), "{}", text(&output.stderr));
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.at(name).to_str().unwrap().to_owned()
    }

    fn train(&self, kind: &str, out: &str, flags: &[&str]) -> Output {
        let (set, out) = (self.path("set"), self.path(out));
        let fixed = ["train", kind, "--model", MODEL, "--set", &set, "--out", &out, "--quiet"];
        let size: &[&str] = match flags.contains(&"--rollout-batch-size") {
            true => &[],
            false => &["--rollout-batch-size", "4"],
        };
        segzero(fixed.iter().chain(size).chain(flags))
    }

    fn trained(&self, kind: &str, out: &str, flags: &[&str]) {
        let output = self.train(kind, out, flags);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// The log, without what depends on the clock.
    fn log(&self, out: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.0.at(out).join("log.jsonl")).unwrap();
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let fields = line.as_object_mut().unwrap();
            fields
                .retain(|name, _| !name.starts_with("timing_s") && !name.starts_with("tokens_per"));
            line
        };
        text.lines().map(line).collect()
    }

    fn weights(&self, out: &str, step: u32) -> Vec<u8> {
        let folder = self.0.at(out).join(format!("checkpoints/step-{step:06}"));
        fs::read(folder.join("model.safetensors")).unwrap()
    }
}

/// A loss of the log.
fn loss(line: &Value) -> f64 {
    line["loss"].as_f64().unwrap()
}

#[test]
fn supervised_training_learns_and_goes_on_to_the_bit() {
    let place = Place::new();
    let flags = ["--max-steps", "6", "--save-steps", "3", "--learning-rate", "3e-3"];
    place.trained("sft", "whole", &flags);
    let log = place.log("whole");
    assert_eq!(log.len(), 6);
    assert!(loss(&log[5]) < 0.8 * loss(&log[0]), "{} to {}", loss(&log[0]), loss(&log[5]));

    place.trained("sft", "parts", &flags);
    // As if it had been killed behind the fifth step.
    fs::remove_dir_all(place.0.at("parts/checkpoints/step-000006")).unwrap();
    place.trained("sft", "parts", &flags);
    assert_eq!(place.log("parts"), log);
    assert_eq!(place.weights("parts", 6), place.weights("whole", 6));
}

#[test]
fn prompts_at_once_change_nothing_but_rounding() {
    let place = Place::new();
    for (out, at_once, checkpointing) in [("one", "1", "off"), ("all", "4", "blocks")] {
        let flags = ["--max-steps", "2", "--prompts-at-once", at_once];
        place.trained("sft", out, &[&flags[..], &["--checkpointing", checkpointing]].concat());
    }
    let norms = ["one", "all"].map(|out| place.log(out)[1]["actor/grad_norm"].as_f64().unwrap());
    // f32 sums in another order.
    assert!((norms[0] - norms[1]).abs() < 1e-4 * norms[0], "{norms:?}");
}

#[test]
fn grpo_goes_on_to_the_bit_and_logs_what_the_reference_logs() {
    let place = Place::new();
    let flags = [
        "--max-steps",
        "2",
        "--save-steps",
        "1",
        "--num-generations",
        "3",
        "--max-completion-length",
        "24",
        "--learning-rate",
        "1e-4",
    ];
    place.trained("grpo", "whole", &flags);
    let log = place.log("whole");
    for name in [
        "critic/score/mean",
        "critic/advantages/max",
        "reward/think/mean",
        "reward/point_l1/mean",
        "response_length/clip_ratio",
        "prompt_length/min",
        "actor/pg_loss",
        "actor/kl_loss",
        "actor/entropy_loss",
        "actor/pg_clipfrac",
        "actor/ppo_kl",
        "actor/grad_norm",
        "actor/lr",
    ] {
        assert!(log[1][name].is_f64(), "{name} of {}", log[1]);
    }
    // The policy that samples is the one that is trained: one step, one ratio.
    assert_eq!(log[0]["actor/ppo_kl"], 0.0);
    // The reference has the same weights, but its attention is computed without a graph.
    assert!(log[0]["actor/kl_loss"].as_f64().unwrap() < 1e-9, "{}", log[0]);
    let samples = fs::read_to_string(place.0.at("whole/samples.jsonl")).unwrap();
    let sample: Value = serde_json::from_str(samples.lines().next().unwrap()).unwrap();
    assert!(sample["reply"].is_string() && sample["rewards"]["think"].is_f64(), "{sample}");

    place.trained("grpo", "parts", &flags);
    fs::remove_dir_all(place.0.at("parts/checkpoints/step-000002")).unwrap();
    place.trained("grpo", "parts", &flags);
    assert_eq!(place.log("parts"), log);
    assert_eq!(place.weights("parts", 2), place.weights("whole", 2));
}

#[test]
fn iterations_learn_from_one_rollout_and_are_one_step() {
    let place = Place::new();
    let flags = [
        "--max-steps",
        "3",
        "--save-steps",
        "2",
        "--num-generations",
        "3",
        "--num-iterations",
        "3",
        "--max-completion-length",
        "24",
        "--learning-rate",
        "1e-3",
    ];
    place.trained("grpo", "whole", &flags);
    let log = place.log("whole");
    let steps: Vec<u64> = log.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 2, 3]);
    // The third iteration's policy is no more the one that sampled.
    assert!(log.iter().all(|line| line["actor/ppo_kl"].as_f64().unwrap() != 0.0));
    let epochs: Vec<f64> = log.iter().map(|line| line["epoch"].as_f64().unwrap()).collect();
    assert!((epochs[2] - 3.0 * epochs[0]).abs() < 1e-12, "{epochs:?}");

    place.trained("grpo", "parts", &flags);
    fs::remove_dir_all(place.0.at("parts/checkpoints/step-000003")).unwrap();
    place.trained("grpo", "parts", &flags);
    assert_eq!(place.log("parts"), log);
    assert_eq!(place.weights("parts", 3), place.weights("whole", 3));
}

#[test]
fn frozen_parts_stay_and_checkpoints_are_models() {
    let place = Place::new();
    let root = place.path("data");
    let validation = ["--val", &root, "--val-limit", "3", "--segmenter", SEGMENTER];
    let flags = ["--max-steps", "1", "--freeze", "vision,merger,embeddings", "--val-side", "84"];
    place.trained("sft", "run", &[&flags[..], &validation].concat());
    let log = place.log("run");
    assert_eq!((log[0]["step"].as_u64(), log[0]["val/samples"].as_f64()), (Some(0), Some(3.0)));
    let steps: Vec<u64> = log.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [0, 1, 1]);
    assert!(loss(&log[1]) > 0.0 && log[2]["val/giou"].is_f64());

    // As if it had been killed while it validated.
    let lines = fs::read_to_string(place.0.at("run/log.jsonl")).unwrap();
    let cut = lines.trim_end().rfind('\n').unwrap();
    fs::write(place.0.at("run/log.jsonl"), &lines[..cut + 9]).unwrap();
    fs::remove_file(place.0.at("run/best.json")).unwrap();
    place.trained("sft", "run", &[&flags[..], &validation].concat());
    assert_eq!(place.log("run"), log);
    // The checkpoint, though the model that it began with is worth as much.
    let best = fs::read(place.0.at("run/best.json")).unwrap();
    let best: Value = serde_json::from_slice(&best).unwrap();
    assert_eq!((&best["step"], &best["checkpoint"]), (&1.into(), &"step-000001".into()));
    assert!(log[0]["val/giou"].as_f64().unwrap() >= log[2]["val/giou"].as_f64().unwrap());

    let exported = place.path("model");
    let output = segzero([
        "train",
        "export",
        "--checkpoint",
        &place.path("run"),
        "--out",
        &exported,
        "--dtype",
        "f32",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = segzero(["model", "verify", &exported, "--values"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let before = tensors(&Path::new(MODEL).join("model.safetensors"));
    let after = tensors(&Path::new(&exported).join("model.safetensors"));
    assert_eq!(before.len(), after.len());
    let mut moved = 0;
    for (name, values) in &before {
        let is_same = *values == after.iter().find(|(other, _)| other == name).unwrap().1;
        let is_trained = name.starts_with("model.layers.") || name == "model.norm.weight";
        assert!(is_same || is_trained, "{name}");
        moved += usize::from(!is_same);
    }
    assert!(moved > 10, "{moved} tensors moved");
}

/// Names and values, as f32.
fn tensors(path: &Path) -> Vec<(String, Vec<f32>)> {
    let checkpoint = Checkpoint::open(path).unwrap();
    checkpoint.views().map(|view| (view.name.to_owned(), view.to_f32().unwrap())).collect()
}

#[test]
fn replies_are_taught_by_template_and_scored_on_a_set_that_is_held_out() {
    let place = Place::new();
    let held_out = place.path("held-out");
    let (root, flags) = (place.path("data"), ["--split", "test", "--size", "84", "--count", "5"]);
    let prep = ["prep", "--root", &root, "--out", &held_out, "--leaks", "allow"];
    assert!(segzero(prep.iter().chain(&flags)).status.success());

    let replies = ["--reply", "<think>{others}.</think>{list}", "--reply", "{question} {place}"];
    let flags = ["--max-steps", "2", "--save-steps", "1", "--val-set", &held_out, "--frame", "84"];
    place.trained("sft", "run", &[&replies[..], &flags].concat());
    let log = place.log("run");
    let validated: Vec<&Value> =
        log.iter().filter(|line| line["val/score/mean"].is_f64()).collect();
    assert_eq!(validated.iter().map(|line| line["step"].as_u64()).max(), Some(Some(2)));
    assert_eq!(validated.len(), 3, "before the first step, and each checkpoint");
    for line in validated {
        let step = line["step"].as_u64().unwrap();
        let name = format!("run/validation/step-{step:06}-replies.jsonl");
        let replies = fs::read_to_string(place.0.at(&name)).unwrap();
        let replies: Vec<Value> =
            replies.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(replies.len(), 5);
        // The log's means are those of the replies that are kept.
        for reward in ["think", "seg_format", "bbox_iou"] {
            let sum: f64 = replies.iter().map(|r| r["rewards"][reward].as_f64().unwrap()).sum();
            let mean = line[&format!("val/reward/{reward}/mean")].as_f64().unwrap();
            assert!((mean - sum / 5.0).abs() < 1e-12, "{reward}: {line}");
        }
    }
    let unknown = place.train("sft", "other", &["--reply", "{quesiton}"]);
    assert!(text(&unknown.stderr).contains("`{quesiton}` means nothing in a reply"));
    assert!(!place.0.at("other").exists());
}

#[test]
fn a_beginning_is_the_same_for_the_same_seed() {
    let place = Place::new();
    let begin = |out: &str, seed: &str| {
        let out = place.path(out);
        let flags = ["train", "init", "--config", MODEL, "--out", &out, "--seed", seed];
        let output = segzero(flags);
        assert!(output.status.success(), "{}", text(&output.stderr));
        fs::read(Path::new(&out).join("model.safetensors")).unwrap()
    };
    let one = begin("one", "1");
    assert_eq!(one, begin("again", "1"));
    assert_ne!(one, begin("other", "2"));
    // Whoever may read files of this user may read models.
    fs::write(place.0.at("any"), "").unwrap();
    let mode = |name: &str| fs::metadata(place.0.at(name)).unwrap().permissions();
    assert_eq!(mode("one/model.safetensors"), mode("any"));
}

#[test]
fn what_cannot_be_trained_is_refused_before_anything_is_written() {
    let place = Place::new();
    let few = place.train("sft", "few", &["--rollout-batch-size", "1000"]);
    assert_refused(&few, &["a step takes 1000 samples", "hint: choose a smaller"]);

    let root = place.path("data");
    let out = place.path("raw");
    let raw = segzero(["train", "sft", "--model", MODEL, "--set", &root, "--out", &out]);
    assert_refused(
        &raw,
        &["is no prepared training set", "hint: make one of it by `segzero prep`"],
    );

    let alone = place.train("sft", "alone", &["--val", &root]);
    assert_refused(&alone, &["`--val` asks for masks", "hint: give a SAM 2"]);
    assert!(!place.0.at("alone").exists());

    place.trained("sft", "run", &["--max-steps", "1"]);
    let other = place.train("sft", "run", &["--max-steps", "1", "--learning-rate", "1e-3"]);
    assert_refused(&other, &["was begun with other settings", "hint: go on with the same flags"]);
}

#[test]
fn adapters_are_trained_alone_and_exported_into_the_weights() {
    let place = Place::new();
    let flags =
        ["--max-steps", "4", "--save-steps", "2", "--lora-r", "4", "--learning-rate", "1e-2"];
    place.trained("sft", "whole", &flags);
    let log = place.log("whole");
    assert!(loss(&log[3]) < loss(&log[0]), "{} to {}", loss(&log[0]), loss(&log[3]));
    place.trained("sft", "parts", &flags);
    fs::remove_dir_all(place.0.at("parts/checkpoints/step-000004")).unwrap();
    place.trained("sft", "parts", &flags);
    assert_eq!(place.log("parts"), log);

    let checkpoint = place.0.at("whole/checkpoints/step-000004");
    let (exported, run) = (place.path("model"), place.path("whole"));
    let flags = ["--checkpoint", &run, "--out", &exported, "--dtype", "f32"];
    let output = segzero(["train", "export"].iter().chain(&flags));
    assert!(output.status.success(), "{}", text(&output.stderr));

    let lora = Lora::open(&checkpoint).unwrap();
    let saved = Checkpoint::open(checkpoint.join(segzero_train::ADAPTER)).unwrap();
    // PEFT's names: what its own loader looks for.
    let name = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight";
    assert_eq!(saved.get(name).unwrap().shape()[0], 4);
    let load = |folder: &Path, adapters: Option<&dyn AdapterSource>| {
        let placement = Placement { packs: false, ..DeviceName::Cpu.place(Format::F32).unwrap() };
        let (config, weights) = (Config::open(folder).unwrap(), Checkpoint::open(folder).unwrap());
        QwenVl::load_named(&weights, config, placement, adapters).unwrap()
    };
    let adapters = Adapters { lora: &lora, saved: Some(&saved) };
    let base = load(Path::new(MODEL), None).0;
    let (adapted, named) = load(Path::new(MODEL), Some(&adapters));
    let merged = load(Path::new(&exported), None).0;

    let prompt = Prompt { ids: (5..25).collect(), images: Vec::new() };
    let replies: [&[u32]; 1] = [&[7, 8, 9, 10, 11, 12]];
    let batch = Batch { prompts: vec![&prompt], replies: replies.to_vec() };
    let of = |model: &QwenVl| {
        let options = PolicyOptions::default();
        segzero_train::likelihoods(model, &batch, &options).unwrap().remove(0).log_probs
    };
    let largest =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(largest(&of(&adapted), &of(&base)) > 1e-2);
    // W + (α / r) B A is rounded once where the layer rounds three times.
    assert!(largest(&of(&adapted), &of(&merged)) < 1e-4);
    assert_eq!(of(&segzero_train::without_adapters(&adapted, &named)), of(&base));
}
