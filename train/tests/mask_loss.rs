//! The loss of masks and its gradients against torch and transformers' SAM 2, and what is drawn of scenes.
//!
//! Expected numbers were computed in 64 bits (`fixtures/mask/generate.py`). `GRADIENT` is the bound that
//! training asks for; transformers' own gradients in 32 bits are up to `float32_error` away.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests; errors are worth seeing

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use common::{GRADIENT, gradient_error, norm};
use segzero_datasets::{Mask, Size};
use segzero_model::checkpoint::random::Formula;
use segzero_model::load::Named;
use segzero_model::sam2::{Config, PointLabel, Prompt, Sam2, parameters};
use segzero_test_support::fixture;
use segzero_train::Accumulated;
use segzero_train::mask::{
    Asked, Draws, Found, MaskLossOptions, PromptMix, Taught, View, averaged, mask_gradients,
    mask_loss,
};
use serde::Deserialize;

/// Of what has no gradient, as a part of the largest norm of all.
const NOTHING: f64 = 1e-6;
/// Of the parts of the loss, which are up to some units.
const FIGURE: f64 = 1e-5;

#[derive(Deserialize)]
struct Expected {
    objects: Vec<Object>,
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Object {
    image: usize,
    points: Vec<[f32; 3]>,
    r#box: Option<[f32; 4]>,
    mask: Option<String>,
}

#[derive(Deserialize)]
struct Case {
    options: MaskLossOptions,
    figures: BTreeMap<String, f64>,
    without: BTreeSet<String>,
    /// Norm, and dot products with four vectors.
    gradients: BTreeMap<String, [f64; 5]>,
}

fn expected() -> Expected {
    let path = fixture(env!("CARGO_MANIFEST_DIR"), "mask/expected.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn network() -> (Sam2, Vec<Named>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/sam2/tiny");
    let config = Config::open(&folder).unwrap();
    common::network(&parameters(&config), |checkpoint, placement| {
        Sam2::load_named(checkpoint, config, placement).unwrap()
    })
}

/// The images with what is asked of them. The objects of the images come one image after the other.
fn views(expected: &Expected, config: &Config) -> Vec<View> {
    let (side, mask_side) = (config.image_size, config.mask_side());
    let all = Formula::scaled("pixel_values/tiny", 2.0).values(2 * 3 * side * side);
    let view = |(image, planes): (usize, &[f32])| {
        // The formula's images have their channels first.
        let pixel = |i: usize| (0..3).map(move |channel| planes[channel * side * side + i]);
        let asked = expected.objects.iter().enumerate().filter(|(_, object)| object.image == image);
        let objects = asked.map(|(number, object)| {
            let label = |label: f32| match label {
                0.0 => PointLabel::Background,
                _ => PointLabel::Foreground,
            };
            let formula =
                |name: &str, scale: f64| Formula::scaled(name, scale).values(mask_side * mask_side);
            let prompt = Prompt {
                points: object.points.iter().map(|&[x, y, l]| ([x, y], label(l))).collect(),
                bbox: object.r#box,
                mask: object.mask.as_ref().map(|name| formula(name, 8.0)),
            };
            let target = formula(&format!("mask/target/{number}"), 1.0);
            Asked { prompt, target: target.into_iter().map(|u| (u + 1.0) / 2.0).collect() }
        });
        View { pixels: (0..side * side).flat_map(pixel).collect(), objects: objects.collect() }
    };
    all.chunks_exact(3 * side * side).enumerate().map(view).collect()
}

/// As files have them: the network keeps two kernels in another order.
fn by_name(named: &[Named], gradients: &Accumulated) -> BTreeMap<String, Vec<f64>> {
    let numbers = |named: &Named| -> Option<(String, Vec<f64>)> {
        let gradient = gradients.get(named.id)?.clone();
        let numbers: Vec<f64> = gradient.into_data().iter::<f64>().collect();
        let numbers = match (named.form, &named.shape[..]) {
            (segzero_model::load::Form::Spread, &[inputs, outputs, ..]) => {
                let at = |i: usize| {
                    let (input, output, pixel) = (i / 4 / outputs, i / 4 % outputs, i % 4);
                    numbers[(pixel * outputs + output) * inputs + input]
                };
                (0..numbers.len()).map(at).collect()
            }
            _ => numbers,
        };
        Some((named.name.clone(), numbers))
    };
    named.iter().filter_map(numbers).collect()
}

#[test]
fn loss_and_gradients_are_those_of_transformers() {
    let expected = expected();
    let (network, named) = network();
    let views = views(&expected, network.config());
    let weight = 1.0 / expected.objects.len() as f64;
    let gaussian = "positional_encoding_gaussian_matrix";
    let frozen = named.iter().filter(|n| n.name.ends_with(gaussian)).map(|n| n.id).collect();
    for (what, case) in &expected.cases {
        for at_once in [2, 1] {
            let mut gradients = Accumulated::default();
            let mut figures = segzero_train::mask::MaskLossFigures::default();
            for views in views.chunks(at_once) {
                let found =
                    mask_gradients(&network, &frozen, views, weight, &case.options, &mut gradients);
                figures.add(&found, 1.0);
            }
            let serde_json::Value::Object(figures) = serde_json::to_value(figures).unwrap() else {
                panic!("figures are an object")
            };
            for (key, expected) in &case.figures {
                let found = figures[key].as_f64().unwrap();
                println!("{what}: {key} {found} {expected}");
                assert!((found - expected).abs() <= FIGURE * expected.abs().max(1.0), "{key}");
            }
            let found = by_name(&named, &gradients);
            let names: BTreeSet<&String> = case.gradients.keys().chain(&case.without).collect();
            assert_eq!(found.keys().collect::<BTreeSet<_>>(), names, "parameters with gradients");
            let largest = case.gradients.values().map(|values| values[0]).fold(0.0, f64::max);
            for name in &case.without {
                assert!(norm(&found[name]) <= NOTHING * largest, "{name}: {}", norm(&found[name]));
            }
            let errors = case
                .gradients
                .iter()
                .map(|(name, expected)| (gradient_error(name, &found[name], expected), name));
            let (worst, name) = errors.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            println!("{what}, {at_once} at once: gradients {worst:.1e} at {name}");
            assert!(worst <= GRADIENT, "{what}: {worst} at {name}");
        }
    }
}

/// Derivatives are those of the loss: central differences, in the 32 bits of its inputs.
#[test]
fn derivatives_are_differences() {
    check_derivatives(Taught::Best, 2);
    check_derivatives(Taught::All, 0);
}

/// Of a loss that teaches all but so many masks of four.
fn check_derivatives(taught: Taught, untaught: usize) {
    let numbers = |name: &str, scale, count| Formula::scaled(name, scale).values(count);
    let (logits, ious) = (numbers("logits", 3.0, 36), vec![0.2f32, 0.9, 0.4, 0.6]);
    let target: Vec<f32> = numbers("target", 1.0, 9).into_iter().map(|u| u.max(0.0)).collect();
    let options = MaskLossOptions { taught, ..MaskLossOptions::default() };
    let loss = |logits: &[f32], ious: &[f32], object_score: f32| {
        mask_loss(&Found { logits, ious, object_score }, &target, &options)
    };
    let (_, pull) = loss(&logits, &ious, 0.3);
    let step = 1e-2;
    let check = |slope: f32, [above, below]: [f64; 2]| {
        let difference = (above - below) / (2.0 * f64::from(step));
        assert!((f64::from(slope) - difference).abs() < 1e-3, "{slope} {difference}");
    };
    let moved = |values: &[f32], i: usize, by: f32| {
        let mut values = values.to_vec();
        values[i] += by;
        values
    };
    for (i, &slope) in pull.logits.iter().enumerate() {
        let at = |by: f32| loss(&moved(&logits, i, by), &ious, 0.3).0.loss;
        check(slope, [at(step), at(-step)]);
    }
    for (i, &slope) in pull.ious.iter().enumerate() {
        let at = |by: f32| loss(&logits, &moved(&ious, i, by), 0.3).0.loss;
        check(slope, [at(step), at(-step)]);
    }
    let at = |by: f32| loss(&logits, &ious, 0.3 + by).0.loss;
    check(pull.object_score, [at(step), at(-step)]);
    let nothing = pull.logits.chunks(9).filter(|mask| mask.iter().all(|&by| by == 0.0)).count();
    assert_eq!(nothing, untaught);
}

/// A disc, in an image of a size that the mask's does not divide.
fn disc() -> Mask {
    let size = Size::new(50, 35);
    let fill = |y: u32, row: &mut [u8]| {
        for (x, pixel) in row.iter_mut().enumerate() {
            let (x, y) = (x as f64 - 30.0, f64::from(y) - 15.0);
            *pixel = u8::from(x * x + y * y < 100.0);
        }
    };
    Mask::from_rows(size, fill).unwrap()
}

#[test]
fn targets_keep_the_area_and_are_the_mask_at_its_own_size() {
    let mask = disc();
    for side in [4, 16, 50, 64] {
        let target = averaged(&mask, side);
        let share = target.iter().map(|&t| f64::from(t)).sum::<f64>() / (side * side) as f64;
        let expected = mask.area() as f64 / (50.0 * 35.0);
        assert!((share - expected).abs() < 1e-6, "{side}: {share} for {expected}");
        assert!(target.iter().all(|t| (0.0..=1.0).contains(t)));
    }
    let square = Mask::full(Size::new(8, 8));
    assert!(averaged(&square, 8).iter().all(|&t| t == 1.0));
}

#[test]
fn prompts_follow_from_step_and_place_and_lie_where_they_should() {
    let mask = disc();
    let mix = PromptMix::default();
    let draw = |step, place| Draws::new(7, step, place).prompt(&mask, &mix).unwrap();
    assert_eq!(draw(3, 1), draw(3, 1));
    let all: Vec<_> = (0..200).map(|place| draw(1, place)).collect();
    let kinds: BTreeSet<(bool, usize)> =
        all.iter().map(|prompt| (prompt.bbox.is_some(), prompt.points.len())).collect();
    assert_eq!(kinds, BTreeSet::from([(false, 1), (false, 2), (true, 0), (true, 2)]));
    let moves = all.iter().filter_map(|prompt| Some(prompt.bbox?[0] - 21.0));
    let moves: Vec<f32> = moves.collect();
    let mean_square = moves.iter().map(|x| x * x).sum::<f32>() / moves.len() as f32;
    // A tenth of 19 columns, give or take what 150 draws leave open.
    assert!((mean_square.sqrt() - 1.9).abs() < 0.4, "{mean_square}");
    for prompt in &all {
        for ([x, y], _) in &prompt.points {
            assert!(mask.contains(*x as u32, *y as u32), "{x} {y}");
        }
    }
    assert!(Draws::new(7, 1, 1).prompt(&Mask::empty(Size::new(5, 5)), &mix).is_none());
}
