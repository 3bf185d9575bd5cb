//! Units scored, against the counts of published splits.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use segzero_eval::{Coverage, Row, Unit};

fn row(split: &str, key: u32, query: i64) -> Row {
    let row = serde_json::json!({
        "dataset": "any", "split": split, "key": key.to_string(), "query": query, "text": "",
        "image": (key / 2).to_string(), "status": "missing", "intersection": 0, "union": 0,
        "iou": 0.0
    });
    serde_json::from_value(row).unwrap()
}

/// Two sentences a ref, two refs an image.
fn differences(data: &str, unit: Unit, split: &str, refs: u32) -> Vec<String> {
    let mut coverage = Coverage::new(data, unit);
    for key in 0..refs {
        (0..2).for_each(|query| coverage.add(&row(split, key, query)));
    }
    coverage.differences()
}

#[test]
fn whole_splits_are_not_partial() {
    assert_eq!(differences("reasonseg", Unit::Query, "val", 200), [""; 0]);
    assert_eq!(differences("ReasonSeg_test", Unit::Sample, "test", 779), [""; 0]);
    assert_eq!(differences("refcocog/umd", Unit::Query, "val", 4896 / 2), [""; 0]);
    assert_eq!(differences("refcoco+/unc", Unit::FirstQuery, "testA", 1975), [""; 0]);
    assert_eq!(differences("grefcoco/unc", Unit::Query, "testB", 1500), [""; 0]);
}

#[test]
fn parts_and_surpluses_are_told() {
    let found = differences("refcocog/umd", Unit::Query, "val", 20);
    assert_eq!(found, ["refcocog/umd val: 40 of 4,896 sentences"]);
    let found = differences("refcoco/unc", Unit::Sample, "testA", 1976);
    assert_eq!(found, ["refcoco/unc testA: 1,976 of 1,975 refs"]);
    let found = differences("grefcoco/unc", Unit::Query, "val", 3);
    assert_eq!(found, ["grefcoco/unc val: 2 of 1,500 images"]);
}

#[test]
fn what_is_not_published_is_never_partial() {
    assert_eq!(differences("mine", Unit::Query, "val", 3), [""; 0]);
    assert_eq!(differences("refcoco/mine", Unit::Query, "val", 3), [""; 0]);
    assert_eq!(differences("refcocog/umd", Unit::Query, "mine", 3), [""; 0]);
}
