//! Masks against a copy of their bytes: the 297 polygon annotations of `coco-eval` that cover at
//! least 1 % of their image. `peers/masks.py` times pycocotools on the same masks.
#![allow(clippy::unwrap_used)] // a bench whose data is damaged may stop

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use segzero_datasets::{Mask, Size};
use segzero_test_support::shared_data;
use serde_json::Value;

/// One annotation in every form.
struct Case {
    size: Size,
    polygons: Vec<Vec<f64>>,
    mask: Mask,
    string: String,
    bitmap: Vec<u8>,
    png: Vec<u8>,
    /// The same polygons a little smaller and moved, as a prediction might be.
    prediction: Mask,
    prediction_string: String,
}

fn cases() -> Option<Vec<Case>> {
    let path = shared_data()?.join("coco-eval/instances_val2014_100.json");
    let content: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let side = |image: &Value, name: &str| image[name].as_u64().unwrap() as u32;
    let sizes: HashMap<u64, Size> = content["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (i["id"].as_u64().unwrap(), Size::new(side(i, "width"), side(i, "height"))))
        .collect();
    let annotations = content["annotations"].as_array().unwrap().iter();
    let cases = annotations.filter_map(|annotation| {
        let size = sizes[&annotation["image_id"].as_u64().unwrap()];
        let polygons = serde_json::from_value(annotation["segmentation"].clone()).ok()?;
        Case::new(size, polygons)
    });
    Some(cases.collect())
}

impl Case {
    fn new(size: Size, polygons: Vec<Vec<f64>>) -> Option<Self> {
        let mask = Mask::from_polygons(size, &polygons).unwrap();
        if mask.area() * 100 < size.pixels() {
            return None;
        }
        let moved = |polygon: &Vec<f64>| polygon.iter().map(|c| c * 0.97 + 8.0).collect();
        let moved: Vec<Vec<f64>> = polygons.iter().map(moved).collect();
        let prediction = Mask::from_polygons(size, &moved).unwrap();
        let (string, prediction_string) = (mask.to_coco_string(), prediction.to_coco_string());
        let (bitmap, mut png) = (mask.to_bitmap(), Vec::new());
        mask.write_png(&mut png).unwrap();
        Some(Self { size, polygons, mask, string, bitmap, png, prediction, prediction_string })
    }
}

fn masks(criterion: &mut Criterion) {
    let Some(cases) = cases() else { return };
    let mut group = criterion.benchmark_group(format!("{} masks", cases.len()));
    group.sample_size(20).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
    let mut buffer = vec![0u8; cases.iter().map(|case| case.bitmap.len()).max().unwrap_or(0)];
    let parse = |size, string: &String| Mask::from_coco_string(size, string.as_bytes()).unwrap();

    let mut each = |name: &str, work: &mut dyn FnMut(&Case)| {
        group.bench_function(name, |bencher| bencher.iter(|| cases.iter().for_each(&mut *work)));
    };
    each("copy of the bytes", &mut |case| {
        buffer[..case.bitmap.len()].copy_from_slice(black_box(&case.bitmap));
        black_box(&mut buffer);
    });
    each("from_polygons", &mut |case| {
        black_box(Mask::from_polygons(case.size, &case.polygons).unwrap());
    });
    each("from_coco_string", &mut |case| {
        black_box(parse(case.size, &case.string));
    });
    each("to_coco_string", &mut |case| {
        black_box(case.mask.to_coco_string());
    });
    each("bbox", &mut |case| {
        black_box(case.mask.bbox());
    });
    each("intersection_area", &mut |case| {
        black_box(case.mask.intersection_area(&case.prediction).unwrap());
    });
    each("two strings to intersection and union", &mut |case| {
        let target = parse(case.size, &case.string);
        let prediction = parse(case.size, &case.prediction_string);
        let both = target.intersection_area(&prediction).unwrap();
        black_box((both, target.area() + prediction.area() - both));
    });
    each("union", &mut |case| {
        black_box(case.mask.union(&case.prediction).unwrap());
    });
    each("boundary", &mut |case| {
        let (width, height) = (case.size.width, case.size.height);
        let diagonal = f64::from(width).hypot(f64::from(height));
        black_box(case.mask.boundary((0.02 * diagonal).round_ties_even() as u32));
    });
    each("from_bitmap", &mut |case| {
        black_box(Mask::from_bitmap(case.size, &case.bitmap).unwrap());
    });
    each("to_bitmap", &mut |case| {
        black_box(case.mask.to_bitmap());
    });
    each("read_png", &mut |case| {
        black_box(Mask::read_png(&case.png).unwrap());
    });
    each("write_png", &mut |case| {
        let mut png = Vec::with_capacity(case.png.len());
        case.mask.write_png(&mut png).unwrap();
        black_box(png);
    });
    group.finish();
}

criterion_group!(benches, masks);
criterion_main!(benches);
