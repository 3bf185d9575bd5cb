//! What the tests of gradients share: networks whose weights are formulas, and gradients of which a
//! fixture keeps the norm and four dot products.
#![allow(clippy::unwrap_used)] // helpers of tests

use burn::tensor::Device;
use safetensors::Dtype;
use segzero_model::checkpoint::random::{Form, Formula};
use segzero_model::checkpoint::{Checkpoint, random};
use segzero_model::load::Placement;
use segzero_model::packed::Format;

/// Of a parameter's gradient, as a part of its norm: the bound that training asks for.
pub const GRADIENT: f64 = 1e-3;

/// Loads a network whose parameters, by name and shape, follow from their names.
pub fn network<T>(
    parameters: &[(String, Vec<usize>)],
    load: impl FnOnce(&Checkpoint, Placement) -> T,
) -> T {
    let folder = tempfile::tempdir().unwrap();
    let form = Form { dtype: Dtype::F32, ..Form::default() };
    random::write(folder.path(), parameters, &form, &[]).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    load(&checkpoint, Placement { device: Device::flex(), packs: false, format: Format::F32 })
}

pub fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// How far a gradient is from one of which norm and dot products are known, as a part of the norm.
/// The vectors' numbers have variance 1/3.
pub fn gradient_error(name: &str, found: &[f64], expected: &[f64; 5]) -> f64 {
    let mut worst = (norm(found) - expected[0]).abs();
    for (k, expected) in expected[1..].iter().enumerate() {
        let formula = Formula::scaled(&format!("gradient/{name}/{k}"), 1.0);
        let dot = found.iter().enumerate().map(|(i, x)| x * f64::from(formula.value(i)));
        let difference = 3f64.sqrt() * (dot.sum::<f64>() - expected).abs();
        worst = if difference.is_nan() { f64::INFINITY } else { worst.max(difference) };
    }
    worst / expected[0]
}
