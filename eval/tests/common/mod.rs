//! Small samples and masks for the tests.
#![allow(dead_code)] // every test binary uses some of it

use std::ops::Range;
use std::sync::Arc;

use segzero_datasets::{Geometry, ImageRef, ImageSource, Mask, Query, Sample, Size};
use segzero_eval::{Counts, Options, Predictions, Protocol, Row, Scores, Unit, judge, score};

/// A mask of the pixels with these column-major indices.
pub fn first(size: Size, pixels: Range<u32>) -> Mask {
    let pixels = pixels.start..pixels.end.max(pixels.start);
    let all = size.pixels() as u32;
    Mask::from_runs(size, &[pixels.start, pixels.len() as u32, all - pixels.end]).unwrap()
}

/// No pixels.
pub fn blank(size: Size) -> Mask {
    Mask::empty(size)
}

/// A half-open rectangle; empty where a corner passes the other.
pub fn rectangle(size: Size, [x0, y0, x1, y1]: [u32; 4]) -> Mask {
    let inside = |i: u32| {
        let (x, y) = (i % size.width, i / size.width);
        (x0..x1).contains(&x) && (y0..y1).contains(&y)
    };
    let pixels: Vec<u8> = (0..size.pixels() as u32).map(|i| u8::from(inside(i))).collect();
    Mask::from_bitmap(size, &pixels).unwrap()
}

/// A sample with queries of these ids; one query without id where there are none.
pub fn sample(key: &str, queries: &[i64], geometry: Geometry) -> Sample {
    let query = |id| Query { id, raw: "the thing".to_owned(), text: "the thing".to_owned() };
    let mut all: Vec<Query> = queries.iter().map(|&id| query(Some(id))).collect();
    if all.is_empty() {
        all.push(query(None));
    }
    Sample {
        dataset: Arc::from("toy"),
        split: Arc::from("val"),
        key: key.to_owned(),
        image: ImageRef {
            id: format!("image {key}"),
            file_name: format!("{key}.jpg"),
            source: ImageSource::Absent,
            size: None,
        },
        queries: all,
        ref_id: None,
        ann_ids: Vec::new(),
        categories: Vec::new(),
        category_ids: Vec::new(),
        is_crowd: false,
        distractors: None,
        is_sentence: None,
        geometry,
    }
}

pub fn predictions<const N: usize>(masks: [(&str, Mask); N]) -> Predictions {
    let mut predictions = Predictions::default();
    for (key, mask) in masks {
        predictions.insert(key, Geometry::Mask(mask));
    }
    predictions
}

pub fn options(protocol: Protocol) -> Options {
    Options { protocols: vec![protocol], ..Options::default() }
}

/// Our own rules, with another unit.
pub fn by(unit: Unit) -> Protocol {
    Protocol { unit, ..Protocol::default() }
}

pub fn score_all(samples: &[Sample], predictions: &Predictions, protocol: Protocol) -> Scores {
    let samples: Vec<_> = samples.iter().cloned().map(Ok).collect();
    score(samples, predictions, &options(protocol), |_| {}).unwrap()
}

/// A row of these counts, by our own rules.
pub fn row_of(key: &str, counts: Counts) -> Row {
    let outcome = judge(counts, None, &Protocol::default());
    Row {
        dataset: "toy".to_owned(),
        split: "val".to_owned(),
        key: key.to_owned(),
        query: None,
        text: String::new(),
        image: String::new(),
        status: outcome.status,
        intersection: outcome.intersection,
        union: outcome.union,
        target_area: Some(counts.target),
        prediction_area: Some(counts.prediction),
        iou: outcome.iou.value(),
        said_nothing: outcome.said_nothing,
        image_area: None,
        category: None,
        distractors: None,
        is_sentence: None,
        box_iou: None,
        points: None,
        boundary: None,
    }
}
