//! `segzero segment`: replies of a model, and replies that were recorded, to masks.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::fs;

use common::folder::Folder;
use common::{assert_refused, models, segzero, text};
use segzero_datasets::{Mask, Size};
use serde_json::Value;

struct Place {
    folder: Folder,
}

impl Place {
    /// With a picture of 420x210 pixels, half of what Seg-Zero asks about, and a quarter.
    fn new() -> Self {
        let folder = Folder::new();
        folder.image("a.png", 420, 210);
        fs::create_dir(folder.at("sam2")).unwrap();
        models::sam2(&folder.at("sam2"));
        Self { folder }
    }

    fn output(&self, reply: &str, arguments: &[&str]) -> std::process::Output {
        let (image, reply) = (self.path("a.png"), self.write("reply.txt", reply));
        let fixed = ["segment", "the dog", "--image", &image, "--reply", &reply];
        segzero(fixed.iter().chain(arguments))
    }

    /// The line of JSON that a reply comes to.
    fn line(&self, reply: &str, arguments: &[&str]) -> Value {
        let output = self.output(reply, &[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn mask(&self, line: &Value) -> Mask {
        Mask::from_coco_string(Size::new(420, 210), line["counts"].as_str().unwrap().as_bytes())
            .unwrap()
    }
}

impl std::ops::Deref for Place {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

const REPLY: &str = "<think>It lies on the left.</think>\n<answer>{\"bbox\": [100,80,501,680], \
                     \"points_1\": [201,400], \"points_2\": [300,440]}</answer>";

#[test]
fn an_answer_becomes_the_mask_that_its_box_and_points_ask_for() {
    let place = Place::new();
    let (model, out) = (place.path("sam2"), place.path("m.png"));
    let drawn = place.path("o.png");
    let files = ["--segmenter", &model, "--out", &out, "--overlay", &drawn];
    let line = place.line(REPLY, &[&files[..], &["--parser", "reference"]].concat());
    // Half and a quarter of what was answered; Python rounds 250.5 and 100.5 to the even neighbour.
    assert_eq!(line["boxes"], serde_json::json!([[50.0, 20.0, 250.0, 170.0]]));
    assert_eq!(line["points"], serde_json::json!([[100.0, 100.0], [150.0, 110.0]]));
    assert_eq!(line["thinking"], "It lies on the left.");
    assert_eq!(line["key"], "a");
    let mask = place.mask(&line);
    assert_eq!(Mask::read_png(&fs::read(&out).unwrap()).unwrap(), mask);
    assert!(place.at("o.png").exists());
    let image = place.path("a.png");
    let asked = ["mask", "--model", &model, "--image", &image, "--preset", "seg-zero", "--json"];
    let asked = asked.iter().chain(&["--box", "50,20,250,170", "--point", "100,100"]);
    let asked = segzero(asked.chain(&["--point", "150,110"]));
    let asked: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(line["counts"], asked["counts"]);
    assert_eq!(line["ious"][0], asked["iou"]);
    for hints in ["box", "points"] {
        let other = place.line(REPLY, &["--segmenter", &model, "--hints", hints]);
        assert_ne!(other["counts"], line["counts"], "{hints}");
    }
}

#[test]
fn without_a_segmenter_the_box_is_filled() {
    let place = Place::new();
    let line = place.line(REPLY, &[]);
    assert_eq!(line["boxes"], serde_json::json!([[50.0, 20.0, 250.5, 170.0]]));
    // COCO's rule rounds the right edge outwards.
    assert_eq!(place.mask(&line).area(), 201 * 150);
    let pixels = place.line(REPLY, &["--side", "0"]);
    // As it is, the image is smaller than the answer.
    assert_eq!(pixels["repairs"], serde_json::json!(["out-of-frame"]));
    let thousandths = place.line(REPLY, &["--coordinates", "thousandths"]);
    assert_eq!(thousandths["boxes"][0][0], 42.0);
    let shown = place.output(REPLY, &[]);
    let shown = text(&shown.stdout);
    assert!(shown.contains("object 1: box 50,20 to 250,170, point 100,100"), "{shown}");
}

#[test]
fn what_is_wrong_with_a_reply_is_said() {
    let place = Place::new();
    let broken = REPLY.replace('"', "'").replace("</answer>", "");
    let repaired = place.output(&broken, &[]);
    assert!(repaired.status.success());
    let said = text(&repaired.stderr);
    assert!(said.contains("the reply was repaired: unclosed-tag, not-json"), "{said}");
    let strict = ["--parser", "reference"];
    assert_refused(&place.output(&broken, &strict), &["a.png", "the answer is not JSON"]);
    assert_refused(&place.output("I see a dog.", &[]), &["holds no answer", "I see a dog."]);
    // Of several images the others go on.
    let some = place.output(REPLY, &["--image", "none.png"]);
    assert_eq!(some.status.code(), Some(2));
    assert!(text(&some.stdout).contains("object 1: box 50,20"));
    let said = text(&some.stderr);
    assert!(said.contains("`none.png`") && said.contains("1 of 2 images have no mask"), "{said}");
}

#[test]
fn folders_and_patterns_name_images() {
    let place = Place::new();
    fs::create_dir(place.at("photos")).unwrap();
    for name in ["photos/b.jpg", "photos/a.png"] {
        place.image(name, 84, 42);
    }
    place.write("photos/notes.txt", "none");
    let asked = |image: &str, more: &[&str]| {
        let (image, reply) = (place.path(image), place.write("reply.txt", REPLY));
        segzero(["segment", "the dog", "--image", &image, "--reply", &reply].iter().chain(more))
    };
    let out = place.path("masks");
    let lines = text(&asked("photos", &["--json", "--out", &out]).stdout);
    let keys = |lines: &str| {
        let keys = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        keys.map(|line| line["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&lines), ["a", "b"]);
    assert!(place.at("masks/a.png").exists() && place.at("masks/b.png").exists());
    assert_eq!(keys(&text(&asked("photos/*.jpg", &["--json"]).stdout)), ["b"]);
    assert_refused(&asked("photos/*.bmp", &[]), &["photos/*.bmp", "there is no image"]);
    assert_refused(&asked("sam2", &[]), &["sam2", "there is no image"]);
}

/// Random weights write no answer; that they were asked and heard is what can be seen.
#[test]
fn a_model_is_asked_and_its_reply_is_named_where_it_is_no_answer() {
    let place = Place::new();
    fs::create_dir(place.at("qwen")).unwrap();
    models::qwen_vl(&place.at("qwen"));
    let (image, model) = (place.path("a.png"), place.path("qwen"));
    let asked = ["segment", "--image", &image, "the dog", "--reasoner", &model];
    let few = ["--max-new-tokens", "6"];
    let reply = text(&segzero(asked.iter().chain(&few)).stdout);
    assert!(!reply.trim().is_empty());
    let output = segzero(asked.iter().chain(&few).chain(&["--json"]));
    assert_refused(&output, &["a.png", "the reply holds no answer", reply.trim()]);
    let template = place.write("t.txt", "find it");
    let output = segzero(asked.iter().chain(&["--template", &template]));
    assert_refused(&output, &["t.txt", "{question}"]);
}
