//! Real predictions against real annotations: every count equals pycocotools' and numpy's
//! (`fixtures/coco_eval/generate.py`). Skipped where the shared data are absent.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use common::{by, options, sample};
use segzero_datasets::{CocoSegmentation, Geometry, Mask, Size};
use segzero_eval::{OnBadRecord, Predictions, Unit, score};
use segzero_test_support::{fixture, shared_data};
use serde_json::Value;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn geometry(segmentation: &Value, size: Size) -> Geometry {
    let part = match serde_json::from_value::<Vec<Vec<f64>>>(segmentation.clone()) {
        Ok(polygons) => CocoSegmentation::Polygons(polygons),
        Err(_) => {
            let runs: Vec<u32> = serde_json::from_value(segmentation["counts"].clone()).unwrap();
            CocoSegmentation::Rle(Mask::from_runs(size, &runs).unwrap())
        }
    };
    Geometry::Coco(vec![part])
}

#[test]
fn counts_are_those_of_pycocotools() {
    let Some(data) = shared_data() else { return };
    let data = data.join("coco-eval");
    let truth = json(&data.join("instances_val2014_100.json"));
    let answers = json(&data.join("instances_val2014_fakesegm100_results.json"));
    let expected = json(&fixture(env!("CARGO_MANIFEST_DIR"), "coco_eval/counts.json"));
    let rows: Vec<[u64; 6]> = serde_json::from_value(expected["rows"].clone()).unwrap();
    assert_eq!(rows.len(), 734);

    let sizes: HashMap<u64, Size> =
        truth["images"].as_array().unwrap().iter().map(size_of).collect();
    let annotations: HashMap<u64, &Value> = truth["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|annotation| (annotation["id"].as_u64().unwrap(), annotation))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions.jsonl");
    let mut lines = String::new();
    let mut samples = Vec::new();
    for &[position, id, ..] in &rows {
        let annotation = annotations[&id];
        let size = sizes[&annotation["image_id"].as_u64().unwrap()];
        let geometry = geometry(&annotation["segmentation"], size);
        let mut sample = sample(&position.to_string(), &[], geometry);
        sample.image.size = Some(size);
        samples.push(Ok(sample));
        let segmentation = &answers[position as usize]["segmentation"];
        lines += &format!("{{\"key\": {position}, \"segmentation\": {segmentation}}}\n");
    }
    fs::write(&path, lines).unwrap();
    let predictions = Predictions::open(&path, OnBadRecord::Stop).unwrap();
    let scores = score(samples, &predictions, &options(by(Unit::Query)), |_| {}).unwrap();
    for (row, expected) in scores.rows.iter().zip(&rows) {
        let found =
            [row.intersection, row.union, row.target_area.unwrap(), row.prediction_area.unwrap()];
        assert_eq!(found, expected[2..], "prediction {}", row.key);
    }
    assert!(scores.totals.problems.is_complete());
    // The oracle divides exact fractions once. Ours rounds each term at 2^-65, then the sum and the
    // quotient: within two units in the last place.
    let giou = expected["giou"].as_f64().unwrap();
    assert!((scores.totals.summary.giou.unwrap() - giou).abs() <= giou * 2.0 * f64::EPSILON);
    assert_eq!(scores.totals.summary.ciou, expected["ciou"].as_f64());
}

fn size_of(image: &Value) -> (u64, Size) {
    let number = |field: &str| image[field].as_u64().unwrap();
    (number("id"), Size::new(number("width") as u32, number("height") as u32))
}
