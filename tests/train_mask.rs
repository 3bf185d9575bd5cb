//! `segzero train mask`: from a config to a SAM 2 that is published, and that it goes on to the bit.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use common::{Data, assert_refused, segzero, text};
use safetensors::SafeTensors;
use serde_json::Value;

const CONFIG: &str = "tests/fixtures/pipeline/sam2";

/// A synthetic RefCOCOg, and a SAM 2 that nobody has trained.
struct Place(Data);

impl Place {
    fn new() -> Self {
        let place = Self(Data::new(8));
        place.done(&["train", "init", "--config", CONFIG, "--out", &place.path("begin")]);
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.at(name).to_str().unwrap().to_owned()
    }

    fn done(&self, words: &[&str]) -> Output {
        let output = segzero(words);
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    }

    fn train(&self, out: &str, flags: &[&str]) -> Output {
        let [root, out, model] = ["data", out, "begin"].map(|name| self.path(name));
        let fixed = ["train", "mask", "--model", &model, "--root", &root, "--out", &out, "--quiet"];
        segzero(fixed.iter().chain(&["--split", "train", "--batch-size", "2"]).chain(flags))
    }

    /// The log, without what depends on the clock.
    fn log(&self, out: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.0.at(out).join("log.jsonl")).unwrap();
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().retain(|name, _| !name.starts_with("timing_s"));
            line
        };
        text.lines().map(line).collect()
    }

    fn weights(&self, out: &str, step: u32) -> Vec<u8> {
        let folder = self.0.at(out).join(format!("checkpoints/step-{step:06}"));
        fs::read(folder.join("model.safetensors")).unwrap()
    }

    /// Names of the weights that are others after a step than before the first.
    fn moved(&self, out: &str, step: u32) -> Vec<String> {
        let before = fs::read(self.0.at("begin/model.safetensors")).unwrap();
        let after = self.weights(out, step);
        let [before, after] =
            [&before, &after].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        let others =
            before.iter().filter(|(name, x)| x.data() != after.tensor(name).unwrap().data());
        others.map(|(name, _)| name.to_owned()).collect()
    }
}

/// Names and shapes of a file of weights.
fn shapes(folder: &Path) -> BTreeMap<String, Vec<usize>> {
    let bytes = fs::read(folder.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec())).collect()
}

#[test]
fn it_goes_on_to_the_bit_and_is_published_as_transformers_has_it() {
    let place = Place::new();
    let flags = [
        "--max-steps",
        "4",
        "--save-steps",
        "2",
        "--save-total-limit",
        "1",
        "--val-split",
        "val",
        "--val-limit",
        "1",
    ];
    let trained = |out: &str| {
        let output = place.train(out, &flags);
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    trained("whole");
    let log = place.log("whole");
    let (validations, steps): (Vec<_>, Vec<_>) =
        log.iter().partition(|line| line["val/giou"].is_f64());
    let at = |lines: &[&Value]| -> Vec<u64> {
        lines.iter().map(|line| line["step"].as_u64().unwrap()).collect()
    };
    assert_eq!((at(&validations), at(&steps)), (vec![0, 2, 4], vec![1, 2, 3, 4]));
    for name in ["loss", "loss/focal", "loss/dice", "loss/iou", "loss/object", "actor/grad_norm"] {
        assert!(steps.iter().all(|line| line[name].as_f64().unwrap() >= 0.0), "{name}");
    }

    // What a killed run left of a checkpoint is none: the best is kept, and one other.
    for step in [3, 5] {
        let left = format!("parts/checkpoints/step-{step:06}.incomplete");
        fs::create_dir_all(place.0.at(&left)).unwrap();
    }
    trained("parts");
    for step in [2, 4] {
        assert!(place.0.at(&format!("parts/checkpoints/step-{step:06}")).is_dir());
    }
    // As if it had been killed behind the third step.
    fs::remove_dir_all(place.0.at("parts/checkpoints/step-000004")).unwrap();
    trained("parts");
    assert_eq!(place.log("parts"), log);
    assert_eq!(place.weights("parts", 4), place.weights("whole", 4));
    assert_ne!(place.weights("whole", 2), place.weights("whole", 4));

    // As if it had been killed while it validated its last checkpoint.
    let path = place.0.at("parts/log.jsonl");
    let lines = fs::read_to_string(&path).unwrap();
    fs::write(&path, &lines[..=lines.trim_end().rfind('\n').unwrap()]).unwrap();
    assert_eq!(place.log("parts").len(), log.len() - 1);
    trained("parts");
    assert_eq!(place.log("parts"), log);

    let [run, model, mask] = ["whole", "model", "mask.png"].map(|name| place.path(name));
    place.done(&["train", "export", "--checkpoint", &run, "--out", &model, "--dtype", "f32"]);
    assert_eq!(shapes(Path::new(&model)), shapes(Path::new(CONFIG)));
    let image = "model/tests/fixtures/images/one.png";
    place.done(&["mask", "--model", &model, "--image", image, "--box", "0,0,4,4", "--out", &mask]);
}

#[test]
fn what_is_frozen_stays_and_other_settings_are_refused() {
    let place = Place::new();
    let flags = ["--max-steps", "1", "--freeze", "image,prompts", "--mirrored", "0"];
    let output = place.train("run", &flags);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let moved = place.moved("run", 1);
    assert!(moved.len() > 50, "{moved:?}");
    assert!(moved.iter().all(|name| name.starts_with("sam_mask_decoder.")), "{moved:?}");
    let other = ["--max-steps", "1", "--freeze", "image,prompts", "--mirrored", "1"];
    assert_refused(&place.train("run", &other), &["was begun with other settings", "draw"]);
    let other = ["--max-steps", "1", "--freeze", "image", "--mirrored", "0"];
    assert_refused(&place.train("run", &other), &["was begun with other settings", "freeze"]);
}

#[test]
fn the_image_encoder_has_its_own_rate() {
    let place = Place::new();
    for (out, rate) in [("stays", "0"), ("moves", "0.5")] {
        let output = place.train(out, &["--max-steps", "1", "--image-rate", rate]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let of_image = |name: &String| name.starts_with("image_encoder.");
    let moved = place.moved("stays", 1);
    assert!(moved.len() > 50 && !moved.iter().any(of_image), "{moved:?}");
    assert!(place.moved("moves", 1).iter().filter(|name| of_image(name)).count() > 50);
}
