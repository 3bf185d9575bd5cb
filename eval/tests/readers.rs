//! Prediction files, good and bad.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

mod common;

use std::fs;
use std::path::PathBuf;

use common::{by, first, options, sample};
use proptest::prelude::*;
use segzero_datasets::{CocoSegmentation, Geometry, ImageSource, Mask, Size};
use segzero_eval::{
    OnBadRecord, Options, Predictions, Scores, Status, Unit, prediction_line, score,
};
use tempfile::TempDir;

const SIZE: Size = Size::new(6, 4);

/// A file of these lines, in a folder of its own.
fn jsonl(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions.jsonl");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// The IoU of one line against a target of the first eight pixels.
fn iou_of(line: &str) -> f64 {
    let (_folder, path) = jsonl(line);
    let predictions = Predictions::open(&path, OnBadRecord::Stop).unwrap();
    let scores = against_eight(&predictions, "7", &Options::default()).unwrap();
    assert_eq!(scores.totals.problems.missing.count, 0, "{line}");
    scores.rows[0].iou
}

fn against_eight(
    predictions: &Predictions,
    key: &str,
    options: &Options,
) -> Result<Scores, segzero_datasets::Error> {
    let samples = [Ok(sample(key, &[], Geometry::Mask(first(SIZE, 0..8))))];
    score(samples, predictions, options, |_| {})
}

#[test]
fn every_form_of_a_mask_is_read() {
    // The first four pixels, down the first column: half of the target.
    for form in [
        r#"{"key": "7", "size": [4, 6], "counts": "04d0"}"#,
        r#"{"key": 7, "size": [4, 6], "counts": "04d0", "score": 0.5, "text": null}"#,
        r#"{"key": "7", "size": [4, 6], "counts": [0, 4, 20]}"#,
        r#"{"segmentation": {"size": [4, 6], "counts": "04d0"}, "key": "7"}"#,
        r#"{"key": "7", "segmentation": {"counts": [0, 4, 20], "size": [4, 6]}}"#,
        r#"{"key": "7", "segmentation": {"counts": [0, 4, 20]}, "size": [4, 6]}"#,
        r#"{"key": "7", "segmentation": [[0, 0, 1, 0, 1, 4, 0, 4]]}"#,
        r#"{"key": "7", "no_target": false, "size": [4, 6], "counts": "04d0"}"#,
        "\u{feff}{\"key\": \"\\u0037\", \"size\": [4, 6], \"counts\": \"0\\u0034d0\"}\r\n\r\n",
    ] {
        assert_eq!(iou_of(form), 0.5, "{form}");
    }
}

#[test]
fn no_target_is_an_empty_mask() {
    for form in [
        r#"{"key": "7", "no_target": true}"#,
        r#"{"key": "7", "segmentation": null}"#,
        r#"{"key": "7", "segmentation": []}"#,
        r#"{"key": "7", "size": [4, 6], "counts": null}"#,
        r#"{"key": "7", "mask": null}"#,
        r#"{"key": "7", "no_target": true, "size": [4, 6], "counts": "04d0"}"#,
    ] {
        assert_eq!(iou_of(form), 0.0, "{form}");
    }
}

#[test]
fn lines_that_we_write_are_read_back() {
    // Runs whose differences reach every character of the alphabet, the backslash too.
    let size = Size::new(64, 40);
    let mut text = String::new();
    let masks: Vec<Mask> = (0..60u32).map(|i| first(size, i..i * 40 + 7)).collect();
    for (i, mask) in masks.iter().enumerate() {
        text += &prediction_line(&format!("\"{i}\"\\"), mask);
        text.push('\n');
    }
    assert!(text.contains(r"\\"));
    let (_folder, path) = jsonl(&text);
    let predictions = Predictions::open(&path, OnBadRecord::Stop).unwrap();
    let samples = masks
        .into_iter()
        .enumerate()
        .map(|(i, mask)| Ok(sample(&format!("\"{i}\"\\"), &[], Geometry::Mask(mask))));
    let samples: Vec<_> = samples.collect();
    let scores = score(samples, &predictions, &options(by(Unit::Query)), |_| {}).unwrap();
    assert_eq!(scores.totals.summary.giou, Some(1.0));
}

#[test]
fn a_bad_line_is_named() {
    for (line, message) in [
        ("{", "line 2: expected a prediction in JSON, found EOF while parsing"),
        ("[]", "line 2: expected a prediction in JSON, found"),
        (r#"{"size": [4, 6], "counts": "04d0"}"#, "missing field `key`"),
        (
            r#"{"key": "7"}"#,
            "line 2: the mask (`counts`, `segmentation`, `mask`, `bbox` or `no_target`)",
        ),
        (r#"{"key": "7", "counts": "04d0"}"#, "line 2: field `size`: `size`, as [height, width]"),
        (r#"{"key": "7", "segmentation": {"counts": "04d0"}}"#, "field `segmentation.size`"),
        (r#"{"key": "7", "size": [4, 6], "counts": [0, 4, 19]}"#, "field `counts`: runs sum to 23"),
        (r#"{"key": "7", "size": [4, 6], "counts": [0, -4, 28]}"#, "line 2: expected"),
        (r#"{"key": "7", "size": [4, 6.5], "counts": "04d0"}"#, "line 2: expected"),
        (r#"{"key": "7", "size": [4294967295, 4294967295], "counts": "04d0"}"#, "too many pixels"),
        (r#"{"key": "7", "segmentation": "04d0"}"#, "an RLE object or a list of polygons"),
        (r#"{"key": 7.5, "size": [4, 6], "counts": "04d0"}"#, "a string or an integer as `key`"),
    ] {
        let (_folder, path) = jsonl(format!("{{\"key\": 1, \"no_target\": true}}\n{line}\n"));
        let error = Predictions::open(&path, OnBadRecord::Stop).unwrap_err().to_string();
        assert!(error.contains(message), "{line}: {error}");
        assert!(error.contains("predictions.jsonl"), "{error}");
        let skipped = Predictions::open(&path, OnBadRecord::Skip).unwrap();
        assert_eq!(skipped.len(), 1, "{line}");
    }
}

#[test]
fn a_bad_mask_is_found_when_its_sample_is_scored() {
    for (counts, message) in [
        ("04", "runs sum to 4"),
        ("04d", "ends inside a number"),
        ("04d0 ", "byte 32 at position 4"),
        ("04d00004d0", "runs sum to"),
    ] {
        let line = format!(r#"{{"key": "7", "size": [4, 6], "counts": "{counts}"}}"#);
        let (_folder, path) = jsonl(line);
        let predictions = Predictions::open(&path, OnBadRecord::Stop).unwrap();
        let error = against_eight(&predictions, "7", &Options::default()).unwrap_err().to_string();
        assert!(error.contains(message), "{counts}: {error}");
        assert!(error.contains("predictions.jsonl`: line 1: field `counts`"), "{error}");

        let skip = Options { on_bad: OnBadRecord::Skip, ..Options::default() };
        let scores = against_eight(&predictions, "7", &skip).unwrap();
        assert_eq!(scores.rows[0].status, Status::Unreadable);
        assert_eq!((scores.totals.summary.n, scores.totals.summary.union), (1, 8));
        assert_eq!(scores.totals.problems.unreadable.count, 1);
    }
}

#[test]
fn a_bad_sample_is_counted_or_stops() {
    let bad = || sample("7", &[], Geometry::Solution(String::new()));
    let mut sized = bad();
    sized.image.size = Some(SIZE);
    let predictions = common::predictions([("7", Mask::full(SIZE))]);
    let run = |sample, on_bad| {
        let options = Options { on_bad, ..Options::default() };
        score([Ok(sample)], &predictions, &options, |_| {})
    };
    let error = run(sized.clone(), OnBadRecord::Stop).unwrap_err().to_string();
    assert!(error.contains("7.jpg") && error.contains("sample `7`"), "{error}");
    let scores = run(sized, OnBadRecord::Skip).unwrap();
    assert_eq!((scores.rows.len(), scores.totals.problems.bad_samples.count), (0, 1));
    assert!(!scores.totals.problems.is_complete());
}

#[test]
fn the_size_is_read_where_it_is_not_stated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.png");
    write_png(&path, SIZE, &[0; 24]);
    let polygons = vec![vec![0.0, 0.0, 2.0, 0.0, 2.0, 4.0, 0.0, 4.0]];
    let polygons = Geometry::Coco(vec![CocoSegmentation::Polygons(polygons)]);
    let mut of_image = sample("7", &[], polygons);
    of_image.image.source = ImageSource::File(path.clone());
    let mut of_bytes = of_image.clone();
    of_bytes.image.source = ImageSource::Bytes(fs::read(&path).unwrap().into());
    let of_mask = sample("7", &[], Geometry::File(path.clone()));
    let full = common::predictions([("7", Mask::full(SIZE))]);
    for (sample, target) in [(of_image.clone(), 8), (of_bytes, 8), (of_mask, 0)] {
        let scores = score([Ok(sample)], &full, &Options::default(), |_| {}).unwrap();
        let row = &scores.rows[0];
        assert!(row.status.is_usable());
        assert_eq!((row.target_area, row.prediction_area), (Some(target), Some(24)));
    }
    fs::write(&path, "no image").unwrap();
    let error = score([Ok(of_image)], &full, &Options::default(), |_| {}).unwrap_err().to_string();
    assert!(error.contains("7.png") && error.contains("sample `7`"), "{error}");
}

#[test]
fn a_sample_of_unknown_size_is_an_error() {
    let sample = sample("7", &[], Geometry::Coco(Vec::new()));
    let none = Predictions::default();
    let error = score([Ok(sample)], &none, &Options::default(), |_| {}).unwrap_err();
    assert!(error.to_string().contains("the image's size"), "{error}");
}

/// Writes an 8-bit grey PNG.
fn write_png(path: &std::path::Path, size: Size, pixels: &[u8]) {
    let file = fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, size.width, size.height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
}

#[test]
fn a_folder_of_images_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mask = first(SIZE, 0..4);
    let of_value = |v: u8| mask.to_bitmap().iter().map(|&p| p * v).collect::<Vec<u8>>();
    write_png(&folder.path().join("7_1.png"), SIZE, &of_value(1));
    write_png(&folder.path().join("7-2.PNG"), SIZE, &of_value(255));
    write_png(&folder.path().join("8.png"), Size::new(4, 6), &[0; 24]);
    write_png(&folder.path().join("stranger.png"), SIZE, &of_value(0));
    fs::write(folder.path().join("notes.txt"), "not a mask").unwrap();
    let predictions = Predictions::open(folder.path(), OnBadRecord::Stop).unwrap();
    assert_eq!(predictions.len(), 4);
    let target = Geometry::Mask(first(SIZE, 0..8));
    let samples = [Ok(sample("7", &[1, 2], target.clone())), Ok(sample("8", &[], target))];
    let scores = score(samples, &predictions, &Options::default(), |_| {}).unwrap();
    let ious: Vec<f64> = scores.rows.iter().map(|row| row.iou).collect();
    assert_eq!(ious, [0.5, 0.5, 0.0]);
    assert_eq!(scores.rows[2].status, Status::SizeMismatch);
    assert_eq!(scores.totals.problems.unmatched.first, ["stranger"]);
}

#[test]
fn a_mask_file_lies_beside_the_lines() {
    let (folder, path) = jsonl(r#"{"key": "7", "mask": "masks/a.png"}"#);
    fs::create_dir(folder.path().join("masks")).unwrap();
    write_png(&folder.path().join("masks/a.png"), SIZE, &first(SIZE, 0..4).to_bitmap());
    let predictions = Predictions::open(&path, OnBadRecord::Stop).unwrap();
    let scores = against_eight(&predictions, "7", &Options::default()).unwrap();
    assert_eq!(scores.rows[0].iou, 0.5);

    fs::remove_file(folder.path().join("masks/a.png")).unwrap();
    let error = against_eight(&predictions, "7", &Options::default()).unwrap_err().to_string();
    assert!(error.contains("a.png") && error.contains("line 1"), "{error}");
}

#[test]
fn a_path_that_is_not_there_is_an_error() {
    let error = Predictions::open("no/such/file".as_ref(), OnBadRecord::Skip).unwrap_err();
    assert!(error.to_string().contains("no/such/file"));
}

/// Lines near the real ones, so that more than the first byte is looked at.
fn any_line() -> impl Strategy<Value = String> {
    let number = prop_oneof![Just("4".to_owned()), any::<i64>().prop_map(|n| n.to_string())];
    let size =
        prop::collection::vec(number.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(",")));
    let runs = prop::collection::vec(number, 0..6).prop_map(|v| format!("[{}]", v.join(",")));
    let string = "[0-o]{0,12}".prop_map(|s| serde_json::Value::from(s).to_string());
    let polygon = prop::collection::vec(-1e9..1e9f64, 0..9);
    let polygons = polygon.prop_map(|p| format!("[{p:?}]"));
    let counts = prop_oneof![runs, string, polygons, Just("null".to_owned())];
    let plain = (size.clone(), counts.clone())
        .prop_map(|(s, c)| format!(r#"{{"key": "7", "size": {s}, "counts": {c}}}"#));
    let nested = (size, counts).prop_map(|(s, c)| {
        format!(r#"{{"key": "7", "segmentation": {{"size": {s}, "counts": {c}}}}}"#)
    });
    let polygons = prop::collection::vec(prop::collection::vec(-20.0..20.0f64, 0..9), 0..3)
        .prop_map(|p| format!(r#"{{"key": "7", "segmentation": {p:?}}}"#));
    prop_oneof![plain, nested, polygons, ".{0,60}"]
}

proptest! {
    #[test]
    fn no_line_panics(lines in prop::collection::vec(any_line(), 0..4)) {
        let (_folder, path) = jsonl(lines.join("\n"));
        for on_bad in [OnBadRecord::Stop, OnBadRecord::Skip] {
            let Ok(predictions) = Predictions::open(&path, on_bad) else {
                prop_assert_eq!(on_bad, OnBadRecord::Stop);
                continue;
            };
            let options = Options { on_bad, ..Options::default() };
            let scores = against_eight(&predictions, "7", &options);
            prop_assert!(on_bad == OnBadRecord::Stop || scores.is_ok());
        }
    }

    /// Lines of the usual form are read in a short way, which a field that nobody knows rules out:
    /// both find the same, masks or faults.
    #[test]
    fn the_short_way_reads_what_the_general_one_does(
        key in prop_oneof![Just("7".to_owned()), r#"[7 \\"]{0,3}"#],
        size in prop_oneof![Just("[4, 6]".to_owned()), r"\[ ?[0-9]{1,11},[0-9.e]{1,2} ?\]"],
        counts in prop_oneof![
            Just("04d0".to_owned()), "[0-o]{0,6}", r"(\\\\|\\u0034|\\n|04d0|\x7f|é){0,4}"
        ],
        form in 0..4,
    ) {
        let mask = format!(r#""size": {size}, "counts": "{counts}""#);
        let fields = match form {
            0 => format!(r#""key": "{key}", {mask}"#),
            1 => format!(r#""segmentation": {{{mask}}} ,"key":"{key}""#),
            2 => format!(r#""key": "{key}", "segmentation": {{"size": {size}}}, "counts": "04d0""#),
            _ => format!(r#""key": "{key}", {mask}, "counts": "04d0""#),
        };
        let found = [format!("{{{fields}}}"), format!("{{{fields}, \"note\": 1}}")].map(|line| {
            let (_folder, path) = jsonl(line);
            let predictions = Predictions::open(&path, OnBadRecord::Skip).unwrap();
            let options = Options { on_bad: OnBadRecord::Skip, ..Options::default() };
            let scores = against_eight(&predictions, "7", &options).unwrap();
            let problems = scores.totals.problems;
            (scores.rows, problems.bad_predictions.count, problems.unmatched.first)
        });
        prop_assert_eq!(&found[0], &found[1], "{}", fields);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (_folder, path) = jsonl(bytes);
        prop_assert!(Predictions::open(&path, OnBadRecord::Skip).is_ok());
    }
}
