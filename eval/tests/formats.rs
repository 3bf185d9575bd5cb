//! Every form of predictions, as Python writes it (`fixtures/formats/generate.py`): each is read
//! into the counts that numpy found.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

mod common;

use std::fs;
use std::path::PathBuf;

use common::{by, options};
use segzero_datasets::{ReadOptions, Sample, Source, discover};
use segzero_eval::{
    Instances, Names, OnBadRecord, PredictionFormat, Predictions, Reading, Scores, Unit, score,
};
use segzero_test_support::{fixture, shared_data};

fn path(name: &str) -> PathBuf {
    fixture(env!("CARGO_MANIFEST_DIR"), "formats").join(name)
}

fn source(root: &str) -> Source {
    discover(&path(root)).unwrap().remove(0)
}

fn samples(source: &Source) -> Vec<Result<Sample, segzero_datasets::Error>> {
    source.samples(&ReadOptions::default()).unwrap().collect()
}

/// The predictions of a file, scored against the toy RefCOCOg.
fn scored(name: &str, reading: &Reading) -> Scores {
    let mut predictions = Predictions::read(&path(name), reading).unwrap();
    let source = source("refcocog");
    predictions.settle(samples(&source));
    score(samples(&source), &predictions, &options(by(Unit::Query)), |_| {}).unwrap()
}

/// Ref, sentence, intersection, union of every row, as numpy has them; of predictions for every
/// sentence, or for every ref.
fn expected(kind: &str) -> Vec<[u64; 4]> {
    let all: serde_json::Value =
        serde_json::from_slice(&fs::read(path("expected.json")).unwrap()).unwrap();
    serde_json::from_value(all[kind].clone()).unwrap()
}

fn counts(scores: &Scores) -> Vec<[u64; 4]> {
    let row = |row: &segzero_eval::Row| {
        let key = row.key.parse().unwrap();
        [key, row.query.unwrap() as u64, row.intersection, row.union]
    };
    scores.rows.iter().map(row).collect()
}

fn patterned(pattern: &str) -> Reading {
    Reading { key_pattern: Some(pattern.parse().unwrap()), ..Reading::default() }
}

#[test]
fn every_form_has_numpys_counts() {
    let plain = Reading::default();
    for (name, reading, kind, format) in [
        ("ours.jsonl", &plain, "query", PredictionFormat::Jsonl),
        ("coco_sentences.json", &plain, "query", PredictionFormat::Coco),
        ("coco_annotations.json", &plain, "sample", PredictionFormat::Coco),
        ("x_sam.json", &plain, "sample", PredictionFormat::XSam),
        ("map.json", &plain, "sample", PredictionFormat::Map),
        ("grounding_suite.jsonl", &plain, "sample", PredictionFormat::GroundingSuite),
        ("by_name.npz", &plain, "sample", PredictionFormat::Npz),
        ("masks.parquet", &plain, "sample", PredictionFormat::Parquet),
        ("sized.parquet", &plain, "sample", PredictionFormat::Parquet),
        ("plain", &plain, "query", PredictionFormat::Folder),
        ("cris", &plain, "query", PredictionFormat::Folder),
        ("cris", &patterned("{ref_id}-iou=*-{text}"), "query", PredictionFormat::Folder),
        ("nested", &patterned("*/{ref_id}/pred_{sent_id}"), "query", PredictionFormat::Folder),
    ] {
        assert_eq!(PredictionFormat::detect(&path(name)).unwrap(), format, "{name}");
        let scores = scored(name, reading);
        assert_eq!(counts(&scores), expected(kind), "{name}");
        let problems = &scores.totals.problems;
        assert!(problems.is_complete(), "{name}: {problems:?}");
        assert_eq!(problems.unmatched.count, 0, "{name}: {problems:?}");
        // Forcing the form changes nothing.
        let forced = Reading { format, ..reading.clone() };
        assert_eq!(scored(name, &forced).rows, scores.rows, "{name}");
    }
}

#[test]
fn of_several_records_the_best_counts_or_all() {
    let scores = scored("coco_annotations.json", &Reading::default());
    assert_eq!(scores.totals.problems.several.count, 6);
    assert_eq!(scores.totals.problems.several.first[0], "ann:101 (record 2)");
    // All of them cover more; a threshold between the two scores leaves the better one.
    let all = Reading { instances: Instances::Union, ..Reading::default() };
    let union = scored("coco_annotations.json", &all);
    for (all, best) in union.rows.iter().zip(&scores.rows) {
        assert!(all.prediction_area >= best.prediction_area, "{all:?} {best:?}");
        assert!(all.intersection >= best.intersection, "{all:?} {best:?}");
    }
    assert_ne!(union.rows, scores.rows);
    let sure = Reading { min_score: Some(0.6), ..all };
    let sure = scored("coco_annotations.json", &sure);
    assert_eq!(counts(&sure), expected("sample"));
    // Above both there is nothing left of any: answered, by nothing.
    let none = Reading { min_score: Some(0.8), ..Reading::default() };
    let none = scored("coco_annotations.json", &none);
    assert!(none.rows.iter().all(|row| row.prediction_area == Some(0)));
    assert_eq!(none.totals.problems.missing.count, 0);
}

#[test]
fn an_images_prediction_is_used_where_one_sample_can_claim_it() {
    let scores = scored("coco_images.json", &Reading::default());
    let expected = expected("sample");
    for (row, expected) in counts(&scores).into_iter().zip(expected) {
        // Two cups are in image 8.
        let is_claimed = ![6, 9].contains(&expected[0]);
        assert_eq!(row == expected, is_claimed, "{row:?}");
    }
    let problems = &scores.totals.problems;
    let ambiguous = Names { count: 1, first: vec!["image:8/3 (2 samples)".to_owned()] };
    assert_eq!((&problems.ambiguous, problems.missing.count), (&ambiguous, 3));
}

#[test]
fn files_that_the_pattern_does_not_fit_are_named() {
    let scores = scored("plain", &patterned("{ref_id}_{sent_id}0"));
    let problems = &scores.totals.problems;
    // 4_41, 5_51, 9_91, 13_131 end in another digit; the others lose theirs.
    assert_eq!(problems.bad_predictions.count, 4);
    assert!(problems.bad_predictions.first[0].contains("13_131"), "{problems:?}");
}

#[test]
fn real_coco_results_match_real_annotations() {
    let Some(data) = shared_data() else { return };
    let root = data.join("coco-eval/instances_val2014_100.json");
    let source = discover(&root).unwrap().remove(0);
    let results = data.join("coco-eval/instances_val2014_fakesegm100_results.json");
    let mut predictions = Predictions::open(&results, OnBadRecord::Stop).unwrap();
    predictions.settle(samples(&source));
    let scores = score(samples(&source), &predictions, &options(by(Unit::Query)), |_| {}).unwrap();
    let problems = &scores.totals.problems;
    let images: serde_json::Value = serde_json::from_slice(&fs::read(&root).unwrap()).unwrap();
    let mut of_pair = std::collections::HashMap::new();
    for annotation in images["annotations"].as_array().unwrap() {
        *of_pair.entry((&annotation["image_id"], &annotation["category_id"])).or_insert(0) += 1;
    }
    let single = of_pair.values().filter(|&&count| count == 1).count();
    let used = scores.rows.iter().filter(|row| row.status.is_usable()).count();
    assert!(used > 100 && used <= single, "{used} of {single}");
    assert!(problems.ambiguous.count > 0 && problems.unmatched.count < 100, "{problems:?}");
}

#[test]
fn a_damaged_archive_or_table_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, message) in [("by_name.npz", "archive"), ("masks.parquet", "masks.parquet")] {
        let bytes = fs::read(path(name)).unwrap();
        let cut = folder.path().join(name);
        fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        let error = Predictions::open(&cut, OnBadRecord::Stop).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(message), "{error}");
    }
    // A stack of masks is no mask, and its keys are none either.
    let error = Predictions::open(&path("stack.npz"), OnBadRecord::Stop).unwrap_err().to_string();
    assert!(error.contains("stack.npz") && error.contains("array `pred`"), "{error}");
    let skipped = Predictions::open(&path("stack.npz"), OnBadRecord::Skip).unwrap();
    assert!(skipped.is_empty());
}

#[test]
fn sesames_results_bring_their_targets() {
    let index = segzero_eval::sesame_index(&path("sesame")).unwrap();
    assert!(segzero_eval::sesame_index(&path("plain")).is_none(), "a folder without an index");
    let (samples, predictions) = segzero_eval::sesame_results(&index).unwrap();
    let samples = samples.into_iter().map(Ok).collect::<Vec<_>>();
    let scores = score(samples, &predictions, &options(by(Unit::Query)), |_| {}).unwrap();
    let text = fs::read(path("expected_sesame.json")).unwrap();
    let mut expected: Vec<[u64; 4]> = serde_json::from_slice(&text).unwrap();
    let mut found = counts(&scores);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(scores.totals.problems.is_complete());
    // An archive that does not fit its index is named.
    let folder = tempfile::tempdir().unwrap();
    let index = fs::read_to_string(&index).unwrap().replace("8.npz", "none.npz");
    fs::write(folder.path().join("results.json"), index).unwrap();
    let error = segzero_eval::sesame_results(&folder.path().join("results.json")).unwrap_err();
    assert!(error.to_string().contains(".npz") && error.to_string().contains("image `"), "{error}");
}
