//! From images and prompts to masks, against Meta's `SAM2ImagePredictor` around a network in 64 bits.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests; errors are worth seeing

mod common;

use common::sam2::Fixture;
use common::{cpu, picture};
use segzero_datasets::{Mask, Size};
use segzero_model::packed::Format;
use segzero_model::sam2::{Choice, ImagePrompt, PointLabel, Predictor, Preprocessing, Segmented};
use serde::Deserialize;

/// Of IoU and of the mean logit; as in `sam2.rs`, with the rounding of pixels in 32 bits.
const TOLERANCE: f32 = 2e-5;

#[derive(Deserialize)]
struct Case {
    network: String,
    pattern: String,
    height: u32,
    width: u32,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    points: Vec<[f32; 3]>,
    r#box: Option<[f32; 4]>,
    #[serde(default)]
    single: bool,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    ious: Vec<f32>,
    chosen: usize,
    object_score: f32,
    near: u64,
    sum: f64,
    runs: Vec<u32>,
}

fn fixture() -> Vec<Case> {
    let path = segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), "sam2/predictions.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

impl Object {
    fn prompt(&self) -> ImagePrompt {
        let label = |label| match label {
            0.0 => PointLabel::Background,
            _ => PointLabel::Foreground,
        };
        let points = self.points.iter().map(|&[x, y, l]| ([x, y], label(l))).collect();
        ImagePrompt { points, bbox: self.r#box, mask: None }
    }

    fn choice(&self) -> Choice {
        if self.single { Choice::Single } else { Choice::BestIou }
    }
}

fn check(what: &str, found: &Segmented, answer: &Answer, size: Size) {
    let error = found.ious.iter().zip(&answer.ious).map(|(f, e)| (f - e).abs());
    let error = error.fold((found.object_score - answer.object_score).abs(), f32::max);
    assert_eq!(found.ious.len(), answer.ious.len());
    assert_eq!(found.chosen, answer.chosen, "{what}");
    let sum: f64 = found.logits.iter().map(|&logit| f64::from(logit)).sum();
    let mean = (sum - answer.sum) / found.logits.len() as f64;
    let error = error.max(mean.abs() as f32);
    // The runs of the fixture are row-major, a mask's column-major.
    let mut rows = Vec::new();
    for (i, &run) in answer.runs.iter().enumerate() {
        rows.resize(rows.len() + run as usize, (i % 2) as u8);
    }
    let expected = Mask::from_bitmap(size, &rows).unwrap();
    let both = found.mask.intersection_area(&expected).unwrap();
    let differ = found.mask.area() + expected.area() - 2 * both;
    println!("{what}: error {error:.1e}, {differ} pixels differ, {} are near", answer.near);
    assert!(error <= TOLERANCE, "{what}: {error:.1e}");
    assert!(differ <= answer.near, "{what}: {differ} pixels");
}

#[test]
fn answers_are_those_of_metas_predictor() {
    for name in ["tiny", "hiera_t", "hiera_l"] {
        let network = Fixture::of(name).network(cpu(Format::F32));
        let predictor = Predictor::new(network, Preprocessing::Meta);
        for case in fixture().iter().filter(|case| case.network == name) {
            let image = picture(&case.pattern, case.height, case.width);
            let embedded = predictor.embed(&image);
            for (i, object) in case.objects.iter().enumerate() {
                let mut prompt = object.prompt();
                for (turn, answer) in object.answers.iter().enumerate() {
                    let what = format!("{name} {} {i}, turn {turn}", case.pattern);
                    let asked = std::slice::from_ref(&prompt);
                    let found = predictor.predict(&embedded, asked, object.choice()).unwrap();
                    check(&what, &found[0], answer, image.size);
                    prompt.mask = Some(found[0].logits.clone());
                }
            }
        }
    }
}
