//! Images to pixels and logits to masks for SAM 2, against torchvision and transformers on a
//! processor with AVX2. All comparisons are exact: the arithmetic is the same, rounding by rounding.
#![allow(clippy::unwrap_used)] // a broken fixture should fail the test

mod common;

use std::path::PathBuf;

use common::picture;
use safetensors::SafeTensors;
use segzero_datasets::{Mask, Size};
use segzero_model::checkpoint::random::Formula;
use segzero_model::sam2::{Preprocessing, pixels, upscale};
use segzero_prep::image::{Filter, Rgb, resize};
use serde::Deserialize;
use sha2::{Digest, Sha256};

fn fixture(file: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sam2_image");
    std::fs::read(folder.join(file)).unwrap()
}

#[derive(Deserialize)]
struct Picture {
    name: String,
    pattern: String,
    height: u32,
    width: u32,
    side: u32,
    step: usize,
}

/// Every `step`-th of `[side, side, 3]` in the order `[3, side, side]`.
fn channels_first<T: Copy>(values: &[T], step: usize) -> Vec<T> {
    let plane = values.len() / 3;
    (0..values.len()).step_by(step).map(|at| values[at % plane * 3 + at / plane]).collect()
}

#[test]
fn pixels_are_those_of_torch() {
    let pictures: Vec<Picture> = serde_json::from_slice(&fixture("pixels.json")).unwrap();
    let bytes = fixture("pixels.safetensors");
    let arrays = SafeTensors::deserialize(&bytes).unwrap();
    for Picture { name, pattern, height, width, side, step } in &pictures {
        let image = picture(pattern, *height, *width);
        let array = |kind: &str| arrays.tensor(&format!("{name}/{kind}")).unwrap();
        let resized = resize(&image, Size::new(*side, *side), Filter::TorchBilinear);
        assert!(channels_first(&resized.pixels, *step) == array("resized").data(), "{name}");
        for (kind, preprocessing) in
            [("meta", Preprocessing::Meta), ("hf", Preprocessing::Transformers)]
        {
            let values = pixels(&image, *side as usize, preprocessing);
            let found = channels_first(&values, *step);
            let expected = array(kind);
            let expected =
                expected.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
            assert!(found.into_iter().eq(expected), "{name}: {kind}");
        }
    }
}

#[test]
fn an_image_without_pixels_is_black() {
    let black = picture("gradient", 1, 1);
    for preprocessing in [Preprocessing::Meta, Preprocessing::Transformers] {
        let found = pixels(&Rgb::default(), 16, preprocessing);
        assert_eq!(found.len(), 16 * 16 * 3);
        assert_eq!(found, pixels(&black, 16, Preprocessing::Transformers));
    }
}

#[derive(Deserialize)]
struct Case {
    pattern: String,
    side: usize,
    height: u32,
    width: u32,
    positive: u64,
    #[serde(default)]
    runs: Vec<usize>,
    mask_sha256: Option<String>,
}

fn logits(pattern: &str, side: usize) -> Vec<f32> {
    if pattern == "noise" {
        return Formula::scaled(&format!("low_res/{side}"), 8.0).values(side * side);
    }
    let square = |a: usize, b: usize| (a as f64 - b as f64).powi(2);
    let logit = |at: usize| {
        let distance = square(at % side, 3 * side / 8) + square(at / side, side / 2 + 1);
        ((square(side / 3, 0) - distance) / 16.0) as f32
    };
    (0..side * side).map(logit).collect()
}

#[test]
fn masks_are_those_of_torch() {
    let cases: Vec<Case> = serde_json::from_slice(&fixture("masks.json")).unwrap();
    for case in &cases {
        let name = format!("{} {} to {}x{}", case.pattern, case.side, case.height, case.width);
        let size = Size::new(case.width, case.height);
        let logits = logits(&case.pattern, case.side);
        let mask = upscale(&logits, case.side, size).unwrap();
        assert_eq!(mask.area(), case.positive, "{name}");
        let pixels = mask.to_bitmap();
        let runs: Vec<u8> = (0..).zip(&case.runs).flat_map(|(i, &n)| vec![i % 2; n]).collect();
        match &case.mask_sha256 {
            Some(hash) => assert_eq!(&format!("{:x}", Sha256::digest(&pixels)), hash, "{name}"),
            None => assert!(runs == pixels, "{name}"),
        }
    }
}

#[test]
fn no_logits_and_no_pixels_are_an_empty_mask() {
    assert!(upscale(&[], 0, Size::new(3, 2)).unwrap().is_empty());
    assert_eq!(upscale(&[1.0], 1, Size::new(0, 2)).unwrap(), Mask::empty(Size::new(0, 2)));
    assert_eq!(upscale(&[1.0], 1, Size::new(3, 2)).unwrap(), Mask::full(Size::new(3, 2)));
    assert!(upscale(&[f32::NAN; 4], 2, Size::new(3, 2)).unwrap().is_empty());
    assert!(upscale(&[1.0], 1, Size::new(1 << 17, 1 << 17)).is_err());
}
