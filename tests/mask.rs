//! `segzero mask` and `segzero prep --filter-sam` on a tiny SAM 2 of random weights.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::fs;
use std::path::Path;

use common::folder::{Folder, picture};
use common::{Data, assert_refused, models, segzero, text};
use segzero_datasets::{Mask, Size};
use segzero_prep::image::decode;
use serde_json::{Value, json};

/// A model's folder as transformers writes it, and a place for images.
struct Model {
    folder: Folder,
}

impl Model {
    fn new() -> Self {
        let folder = Folder::new();
        models::sam2(folder.root());
        Self { folder }
    }

    /// Standard output, where the command succeeds.
    fn mask(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    fn output(&self, arguments: &[&str]) -> std::process::Output {
        let folder = self.root().to_str().unwrap();
        segzero(["mask", "--model", folder].iter().chain(arguments))
    }

    /// The lines of JSON that it prints.
    fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let lines = self.mask(&[arguments, &["--json"]].concat());
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl std::ops::Deref for Model {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

/// The mask of a line.
fn mask_of(line: &Value) -> Mask {
    let side = |i: usize| line["size"][i].as_u64().unwrap() as u32;
    let counts = line["counts"].as_str().unwrap();
    Mask::from_coco_string(Size::new(side(1), side(0)), counts.as_bytes()).unwrap()
}

#[test]
fn a_mask_is_written_drawn_and_described() {
    let model = Model::new();
    let image = model.image("a.png", 120, 80);
    let (out, drawn, logits) = (model.path("m.png"), model.path("o.png"), model.path("l.npy"));
    let asked = ["--image", &image, "--box", "10,10,100,70", "--point", "40,30.5"];
    let files = ["--out", &out, "--overlay", &drawn, "--logits", &logits];
    let table = model.mask(&[&asked[..], &files].concat());
    assert!(table.contains("predicted IoU") && table.contains("object score"), "{table}");
    assert_eq!(model.mask(&[&asked[..], &files].concat()), table, "the same again");

    let lines = model.lines(&asked);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let mask = mask_of(line);
    assert_eq!(Mask::read_png(&fs::read(&out).unwrap()).unwrap(), mask);
    assert_eq!((mask.size(), line["area"].as_u64()), (Size::new(120, 80), Some(mask.area())));
    assert!(!mask.is_empty() && mask != Mask::full(mask.size()));
    assert!(table.contains(&format!(", {} pixels, box ", mask.area())), "{table}");
    let ious = line["ious"].as_array().unwrap();
    let chosen = line["chosen"].as_u64().unwrap() as usize;
    assert_eq!((ious.len(), &line["iou"]), (3, &ious[chosen]));
    assert!(ious.iter().all(|iou| iou.as_f64() <= line["iou"].as_f64()));
    assert!(line["object_score"].is_f64());

    let overlay = decode(&fs::read(&drawn).unwrap()).unwrap();
    assert_eq!(overlay.size, mask.size());
    assert_ne!(overlay, picture(120, 80));
    assert!(!model.at("m.png.part").exists());

    // The logits are the mask of a next prompt; alone they are a prompt too.
    let rough = ["--mask-input", &logits];
    let better = model.lines(&[&asked[..], &rough].concat());
    assert_ne!(better[0]["ious"], line["ious"]);
    assert_eq!(model.lines(&[&["--image", &image][..], &rough].concat()).len(), 1);
}

#[test]
fn prompts_are_understood() {
    let model = Model::new();
    let image = model.image("a.png", 120, 80);
    let ious = |arguments: &[&str]| {
        let lines = model.lines(&[&["--image", &image][..], arguments].concat());
        lines.iter().map(|line| line["ious"].clone()).collect::<Vec<_>>()
    };
    let boxed = ious(&["--box", "10,10,100,70"]);
    let other = ious(&["--box=-5,20,60,200"]);
    assert_ne!(boxed, other);
    let pointed = ious(&["--point", "40,30"]);
    assert_ne!(pointed, ious(&["--background", "40,30"]));
    assert_ne!(pointed, ious(&["--point", "40,30", "--point", "90,60"]));
    // Several boxes are several objects.
    let both = ious(&["--box", "10,10,100,70", "--box=-5,20,60,200"]);
    assert_eq!(both.len(), 2);
    assert_eq!(ious(&["--point", "40,30", "--single"])[0].as_array().unwrap().len(), 1);

    let seg_zero = ["--box", "10,10,100,70", "--point", "40,30", "--point", "90,60"];
    let preset = [&seg_zero[..], &["--preset", "seg-zero"]].concat();
    assert_eq!(ious(&preset), ious(&seg_zero));
    let boxes = ["--box", "10,10,100,70", "--box", "20,30,50,60"];
    let points = ["--point", "40,30", "--point", "33,44"];
    let preset = ["--preset", "vision-reasoner"];
    let objects = ious(&[&boxes[..], &points, &preset].concat());
    assert_eq!(objects.len(), 2);
    let close = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-5;
    let alone = ious(&["--box", "20,30,50,60", "--point", "33,44"]);
    let pairs = objects[1].as_array().unwrap().iter().zip(alone[0].as_array().unwrap());
    assert!(pairs.into_iter().all(|(a, b)| close(a, b)), "{objects:?} {alone:?}");
}

#[test]
fn images_of_any_size_and_orientation_have_masks_of_their_size() {
    let model = Model::new();
    let sizes = |image: &str, more: &[&str]| {
        let asked = ["--image", image, "--box", "0,0,1,1", "--preprocessing", "transformers"];
        let line = &model.lines(&[&asked[..], more].concat())[0];
        mask_of(line).size()
    };
    assert_eq!(sizes(&model.image("dot.png", 1, 1), &[]), Size::new(1, 1));
    assert_eq!(sizes(&model.image("line.png", 3000, 1), &[]), Size::new(3000, 1));
    // A JPEG whose EXIF record says that it lies on its side.
    let jpeg = model.image("turned.jpg", 30, 20);
    let mut bytes = fs::read(&jpeg).unwrap();
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = (exif.len() as u16 + 2).to_be_bytes();
    bytes.splice(2..2, [&[0xff, 0xe1][..], &length, exif].concat());
    fs::write(&jpeg, bytes).unwrap();
    assert_eq!(sizes(&jpeg, &[]), Size::new(30, 20));
    assert_eq!(sizes(&jpeg, &["--orientation", "upright"]), Size::new(20, 30));
}

#[test]
fn a_file_of_prompts_becomes_predictions() {
    let model = Model::new();
    let (a, b) = (model.image("a.png", 120, 80), model.image("b.jpg", 60, 90));
    let lines = [
        json!({"image": "a.png", "id": "7:1", "box": [10, 10, 100, 70], "points": [[40, 30]]}),
        json!({"image": "b.jpg", "id": 12, "points": [[20, 30], [50, 80]], "labels": [1, 0]}),
        json!({"image": "a.png", "boxes": [[10, 10, 100, 70], [20, 30, 50, 60]]}),
    ];
    let prompts = model.write("p.jsonl", lines.each_ref().map(|line| format!("{line}\n")).concat());
    let out = model.path("out/predictions.jsonl");
    model.mask(&["--prompts", &prompts, "--out", &out]);
    let written = fs::read_to_string(&out).unwrap();
    assert_eq!(model.mask(&["--prompts", &prompts]), written);
    let written: Vec<Value> =
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys: Vec<&str> = written.iter().map(|line| line["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["7:1", "a.png", "12"], "image by image");
    assert_eq!(written[1]["objects"].as_array().unwrap().len(), 2);

    let first = ["--image", &a, "--box", "10,10,100,70", "--point", "40,30"];
    assert_eq!(mask_of(&model.lines(&first)[0]).size(), mask_of(&written[0]).size());
    let second = ["--image", &b, "--point", "20,30", "--background", "50,80"];
    assert_eq!(mask_of(&model.lines(&second)[0]), mask_of(&written[2]));
    assert_eq!(written[2]["points"], json!([[20.0, 30.0]]));

    // An image that cannot be read is left out where that is asked for.
    let more = format!("{}{}", json!({"image": "none.png", "box": [1, 1, 2, 2]}), "\n");
    let more = model.write("q.jsonl", &(more + &lines[1].to_string()));
    let refused = model.output(&["--prompts", &more, "--out", &out]);
    assert!(text(&refused.stderr).contains("none.png"), "{}", text(&refused.stderr));
    assert_eq!(refused.status.code(), Some(2));
    let skipped = model.output(&["--prompts", &more, "--skip-bad"]);
    assert!(skipped.status.success() && text(&skipped.stderr).contains("none.png"));
    assert_eq!(text(&skipped.stdout).lines().count(), 1);
}

#[test]
fn an_interrupted_run_goes_on() {
    let model = Model::new();
    let names = ["a.png", "b.png", "c.png"];
    let lines = names.map(|name| {
        model.image(name, 60, 40);
        let line = |x: u32| json!({"image": name, "id": format!("{name}:{x}"), "points": [[x, 9]]});
        format!("{}\n{}\n", line(5), line(33))
    });
    let prompts = model.write("p.jsonl", lines.concat());
    let (whole, out) = (model.path("whole.jsonl"), model.path("out.jsonl"));
    model.mask(&["--prompts", &prompts, "--out", &whole]);
    let whole = fs::read_to_string(whole).unwrap();
    assert_eq!(whole.lines().count(), 6);

    let hidden = model.at("hidden");
    fs::rename(model.at("c.png"), &hidden).unwrap();
    let asked = ["--prompts", &prompts, "--out", &out];
    assert_eq!(model.output(&asked).status.code(), Some(2));
    assert!(!Path::new(&out).exists());
    fs::rename(&hidden, model.at("c.png")).unwrap();
    // As if it had been killed while it wrote the second image's lines.
    let part = fs::read_to_string(model.at("out.jsonl.part")).unwrap();
    let three: Vec<&str> = part.lines().take(3).collect();
    fs::write(model.at("out.jsonl.part"), three.join("\n") + "\n{\"key\": \"b.p").unwrap();
    let run = model.output(&asked);
    assert!(text(&run.stderr).contains("2 prompts were answered"), "{}", text(&run.stderr));
    assert_eq!(fs::read_to_string(&out).unwrap(), whole);
    assert!(!model.at("out.jsonl.part").exists() && !model.at("out.jsonl.part.json").exists());

    // Lines that were made otherwise are not taken over.
    fs::write(model.at("other.jsonl.part"), &part).unwrap();
    fs::write(model.at("other.jsonl.part.json"), "{}").unwrap();
    let other = model.path("other.jsonl");
    let run = model.output(&["--prompts", &prompts, "--out", &other, "--single"]);
    assert!(!text(&run.stderr).contains("answered by an earlier run"));
    assert_eq!(fs::read_to_string(&other).unwrap().lines().count(), 6);
}

#[test]
fn predictions_are_scored() {
    let (model, data) = (Model::new(), Data::new(2));
    let scene = &data.scenes[0];
    let index = scene.annotations.iter().position(|a| a.reference.is_some()).unwrap();
    let key = scene.annotations[index].reference.as_ref().unwrap().ref_id.to_string();
    let image = data.image(0);
    let line = json!({"image": image, "id": key, "box": [10, 10, 100, 70]});
    let prompts = model.write("p.jsonl", line.to_string());
    let out = model.path("predictions.jsonl");
    model.mask(&["--prompts", &prompts, "--out", &out]);
    let (root, scores) = (data.root(), model.path("scores.json"));
    let root = root.to_str().unwrap();
    let output = segzero(["eval", "--root", root, "--pred", &out, "--out", &scores]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let scores: Value = serde_json::from_slice(&fs::read(scores).unwrap()).unwrap();
    let rows = scores["rows"].as_array().unwrap();
    let scored: Vec<&Value> = rows.iter().filter(|row| row["status"] == "scored").collect();
    assert!(
        !scored.is_empty() && scored.iter().all(|row| row["key"] == key.as_str()),
        "{scored:?}"
    );
}

#[test]
fn what_cannot_be_asked_is_refused_with_its_name() {
    let model = Model::new();
    let image = model.image("a.png", 120, 80);
    let not = model.write("not.png", "no image");
    let refused = |arguments: &[&str], expected: &[&str]| {
        let output = model.output(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        for part in expected {
            assert!(error.contains(part), "{arguments:?}: no `{part}` in {error}");
        }
    };
    let asked = |more: &[&str], expected: &[&str]| {
        refused(&[&["--image", &image][..], more].concat(), expected);
    };
    asked(&[], &["nothing is asked", "hint: "]);
    asked(&["--box", "1,2,3"], &["--box", "x1,y1,x2,y2"]);
    asked(&["--box", "1,2,3,nan"], &["finite"]);
    asked(&["--point", "inf,2"], &["finite"]);
    asked(&["--box", "100,10,10,70"], &["reversed", "100,10,10,70"]);
    let two = ["--box", "1,1,2,2", "--box", "3,3,4,4"];
    asked(&[&two[..], &["--point", "1,1"]].concat(), &["vision-reasoner"]);
    asked(&[&two[..], &["--preset", "seg-zero"]].concat(), &["2 boxes and 0 points"]);
    asked(&["--point", "1,1", "--preset", "vision-reasoner"], &["0 boxes and 1 points"]);
    asked(&["--point", "1,1", "--mask-input", &not], &["not.png", "--logits"]);
    asked(&["--point", "1,1", "--prompts", "p.jsonl"], &["--prompts"]);
    asked(&["--point", "1,1", "--out", "/proc/none/m.png"], &["/proc/none/m.png"]);
    refused(&["--image", &not, "--point", "1,1"], &["not.png", "not an image"]);
    refused(&["--image", "none.png", "--point", "1,1"], &["none.png"]);
    refused(&["--point", "1,1"], &["--image"]);

    for (line, expected) in [
        (r#"{"image": "a.png"}"#, "nothing is asked"),
        (r#"{"image": "a.png", "box": [1, 2, 3]}"#, "field `box`: 3 numbers"),
        (r#"{"image": "a.png", "box": [9, 2, 3, 4]}"#, "field `box`: the corners"),
        (r#"{"image": "a.png", "points": [[1e99, 2]]}"#, "out of range"),
        (r#"{"image": "a.png", "points": [[1, 2]], "labels": [2]}"#, "field `labels`"),
        (r#"{"image": "a.png", "points": [[1, 2]], "labels": []}"#, "0 labels for 1 points"),
        (r#"{"box": [1, 2, 3, 4]}"#, "image"),
        (r#"{"image": "a.png", "bbox": [1, 2, 3, 4]}"#, "bbox"),
        ("no json", "line 2"),
    ] {
        let good = r#"{"image": "a.png", "box": [1, 1, 2, 2]}"#;
        let prompts = model.write("p.jsonl", format!("{good}\n{line}\n"));
        refused(&["--prompts", &prompts], &["p.jsonl", "line 2", expected, "docs/mask.md"]);
    }
    let good = model.write("p.jsonl", r#"{"image": "a.png", "box": [1, 1, 2, 2]}"#);
    refused(&["--prompts", &good, "--out", "/dev/null"], &["/dev/null", "no regular file"]);
    let empty = model.write("empty.jsonl", "\n");
    refused(&["--prompts", &empty], &["empty.jsonl"]);
}

#[test]
fn training_objects_are_filtered_by_the_models_masks() {
    let (model, data) = (Model::new(), Data::new(4));
    let folder = model.root().to_str().unwrap();
    let all = data.refs_in_all();
    // Random weights find nothing well: at 0 all objects stay, at 1 none does.
    for (bound, written) in [("0", all), ("1", 0)] {
        let out = data.at(&format!("out{bound}"));
        let flags = ["--filter-sam", folder, "--min-iou", bound];
        let output = common::prep(&data.root(), &out, &flags);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let manifest: Value =
            serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap();
        assert_eq!(manifest["counts"]["written"], written, "{manifest:#}");
        assert_eq!(common::rows(&out), written);
        let filter = &manifest["making"]["filter"];
        assert_eq!(filter["segmenter"]["choice"], "single");
        assert!(filter["segmenter"]["weights-bytes"].as_u64() > Some(1000));
        if written == 0 {
            assert_eq!(manifest["counts"]["skipped"]["mask-iou"], all);
            let skipped = fs::read_to_string(out.join("skipped.jsonl")).unwrap();
            let ious = skipped
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["iou"].as_f64().unwrap());
            assert!(ious.clone().all(|iou| (0.0..1.0).contains(&iou)));
            assert_eq!(ious.count() as u64, all);
            assert!(text(&output.stdout).contains("left out: IoU of the model's mask"));
            // The same command finds the set finished.
            let again = common::prep(&data.root(), &out, &flags);
            assert!(again.status.success(), "{}", text(&again.stderr));
            let other = ["--filter-sam", folder, "--min-iou", "0.5"];
            assert_refused(&common::prep(&data.root(), &out, &other), &["filter.min-iou"]);
        }
    }
    let alone = common::prep(&data.root(), &data.at("none"), &["--min-iou", "0.5"]);
    assert!(text(&alone.stderr).contains("--filter-sam"), "{}", text(&alone.stderr));
}
