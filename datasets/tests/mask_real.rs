//! Every mask of the shared data, against what pycocotools makes of it.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::path::Path;

use segzero_datasets::{Bbox, Mask, Size};
use segzero_test_support::{fixture, shared_data};
use serde_json::Value;

/// File, number of masks, sum of areas, FNV-1a of the `string area x y w h` lines.
type Summary = (String, usize, u64, String);

#[test]
fn every_mask_equals_pycocotools() {
    let Some(data) = shared_data() else { return };
    let json = std::fs::read(fixture(env!("CARGO_MANIFEST_DIR"), "masks/real.json")).unwrap();
    let summaries: Vec<Summary> = serde_json::from_slice(&json).unwrap();
    for (file, count, areas, digest) in summaries {
        let masks = masks(&data.join(&file));
        let text: String = masks.iter().map(line).collect();
        assert_eq!(masks.len(), count, "{file}");
        assert_eq!(masks.iter().map(Mask::area).sum::<u64>(), areas, "{file}");
        assert_eq!(fnv(text.as_bytes()), digest, "{file}");
    }
}

fn masks(path: &Path) -> Vec<Mask> {
    let content: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    if let Some(results) = content.as_array() {
        return results.iter().map(|result| run_length(&result["segmentation"])).collect();
    }
    if let Some(frames) = content["masklet"].as_array() {
        return frames.iter().flat_map(list).map(|mask| run_length(&mask)).collect();
    }
    let images = list(&content["images"]);
    let annotations = list(&content["annotations"]);
    annotations
        .iter()
        .map(|annotation| {
            let image = images.iter().find(|image| image["id"] == annotation["image_id"]).unwrap();
            let side = |name: &str| image[name].as_u64().unwrap() as u32;
            let shape = &annotation["segmentation"];
            if shape.is_object() {
                return run_length(shape);
            }
            let polygons: Vec<Vec<f64>> = serde_json::from_value(shape.clone()).unwrap();
            Mask::from_polygons(Size::new(side("width"), side("height")), &polygons).unwrap()
        })
        .collect()
}

/// Compressed or not.
fn run_length(mask: &Value) -> Mask {
    let [height, width]: [u32; 2] = serde_json::from_value(mask["size"].clone()).unwrap();
    let size = Size::new(width, height);
    match mask["counts"].as_str() {
        Some(string) => Mask::from_coco_string(size, string.as_bytes()).unwrap(),
        None => {
            let counts: Vec<u32> = serde_json::from_value(mask["counts"].clone()).unwrap();
            Mask::from_runs(size, &counts).unwrap()
        }
    }
}

fn line(mask: &Mask) -> String {
    let [x, y, w, h] = mask.bbox().map_or([0.0; 4], Bbox::to_coco_xywh);
    format!("{} {} {x} {y} {w} {h}\n", mask.to_coco_string(), mask.area())
}

fn fnv(bytes: &[u8]) -> String {
    let step = |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}
