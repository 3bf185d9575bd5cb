//! Run lengths that cannot be what they say: each is refused with its record named, or counted. On
//! these, pycocotools 2.0.11 returns other people's memory, hangs or crashes.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

mod common;

use std::fs;

use common::{by, options, sample};
use segzero_datasets::{Geometry, Mask, Size};
use segzero_eval::{OnBadRecord, Options, Predictions, Scores, Status, Unit, score};

const SIZE: Size = Size::new(10, 10);

/// What is wrong, and `counts` (and size) of a 10x10 mask as JSON.
const CASES: [(&str, &str); 9] = [
    ("counts short of the mask", r#""size": [10, 10], "counts": "33""#),
    ("counts past the mask", r#""size": [10, 10], "counts": "0h3h3""#),
    ("the string ends inside a value", r#""size": [10, 10], "counts": "0h""#),
    ("bytes outside the alphabet", r#""size": [10, 10], "counts": "0~~""#),
    ("a character below the alphabet", r#""size": [10, 10], "counts": "0 T3""#),
    ("an empty string", r#""size": [10, 10], "counts": """#),
    ("a negative run", r#""size": [10, 10], "counts": "0Ol3""#),
    ("runs that are short", r#""size": [10, 10], "counts": [50, 20]"#),
    ("runs past the mask", r#""size": [10, 10], "counts": [50, 51]"#),
];

/// A file of one prediction for sample 7, scored.
fn scored(name: &str, text: &str, on_bad: OnBadRecord) -> Result<Scores, segzero_datasets::Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let predictions = Predictions::open(&path, on_bad)?;
    let samples = [Ok(sample("7", &[], Geometry::Mask(Mask::full(SIZE))))];
    score(samples, &predictions, &Options { on_bad, ..options(by(Unit::Query)) }, |_| {})
}

/// The same record as a line of ours, and as an element of COCO results.
fn files(mask: &str) -> [(&'static str, String, &'static str); 2] {
    [
        ("lines.jsonl", format!("{{\"key\": \"7\", {mask}}}\n"), "line 1"),
        (
            "results.json",
            format!("[\n{{\"sample_id\": 7, \"score\": 1, \"segmentation\": {{{mask}}}}}\n]"),
            "record 1",
        ),
    ]
}

#[test]
fn malformed_run_lengths_are_refused_by_name() {
    for (what, mask) in CASES {
        for (name, text, record) in files(mask) {
            let error = scored(name, &text, OnBadRecord::Stop).unwrap_err().to_string();
            for part in [name, record, "field `counts`"] {
                assert!(error.contains(part), "{what}, {name}: {error}");
            }
        }
    }
}

#[test]
fn or_they_are_counted() {
    for (what, mask) in CASES {
        for (name, text, _) in files(mask) {
            let scores = scored(name, &text, OnBadRecord::Skip).unwrap();
            let problems = &scores.totals.problems;
            let counted = problems.unreadable.count + problems.bad_predictions.count;
            assert_eq!(counted, 1, "{what}, {name}: {problems:?}");
            assert!(!problems.is_complete(), "{what}, {name}");
            let row = &scores.rows[0];
            assert!(matches!(row.status, Status::Unreadable | Status::Missing), "{what}, {name}");
            assert_eq!((row.iou, row.intersection, row.union), (0.0, 0, 100), "{what}, {name}");
        }
    }
}

#[test]
fn another_size_is_a_status_and_not_a_resize() {
    for (name, text, record) in files(r#""size": [5, 20], "counts": [0, 100]"#) {
        let scores = scored(name, &text, OnBadRecord::Stop).unwrap();
        assert_eq!(scores.rows[0].status, Status::SizeMismatch, "{name}, {record}");
        assert!(scores.totals.problems.size_mismatch.first[0].contains("20x5"), "{name}");
    }
}

#[test]
fn what_other_readers_refuse_is_fine_where_it_is_right() {
    for (name, text, _) in files(r#""size": [10, 10], "counts": [0, 100]"#) {
        assert_eq!(scored(name, &text, OnBadRecord::Stop).unwrap().rows[0].iou, 1.0);
    }
}
