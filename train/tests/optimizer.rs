//! AdamW against torch's, the schedule of its rate, and the order of data.
#![allow(clippy::unwrap_used)] // helpers of tests

use burn::tensor::{Device, Tensor, TensorData};
use segzero_train::{AdamW, FirstStep, Moments, Preset, Schedule, SchedulerType, order, rows_of};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    gradient: Vec<f32>,
    weights: Vec<f32>,
}

fn tensor(numbers: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]), &Device::flex())
}

#[test]
fn adamw_is_torchs() {
    let text = include_str!("fixtures/optimizer/expected.json");
    let expected: Expected = serde_json::from_str(text).unwrap();
    let optimizer = AdamW::default();
    let mut weights = tensor(&[0.5, -1.25, 3.0, 0.0]);
    let mut moments = Moments::of(&weights);
    for (step, expected) in (1..).zip(&expected.steps) {
        let gradient = tensor(&expected.gradient);
        weights = optimizer.step(weights, gradient, &mut moments, 1e-2, step, true);
        let found: Vec<f32> = weights.clone().into_data().try_into_vec().unwrap();
        for (found, expected) in found.iter().zip(&expected.weights) {
            // Both in f32; torch divides where we multiply.
            assert!((found - expected).abs() <= 4e-7 * expected.abs().max(1.0), "step {step}");
        }
    }
}

#[test]
fn rates_rise_and_fall_as_they_are_told() {
    let schedule = |lr_scheduler_type, warmup_steps, first_step| Schedule {
        learning_rate: 1.0,
        lr_scheduler_type,
        warmup_steps,
        first_step,
    };
    let rates = |schedule: Schedule| (1..=5).map(|step| schedule.rate(step, 5)).collect::<Vec<_>>();
    let constant = schedule(SchedulerType::Constant, 0, FirstStep::Counts);
    assert_eq!(rates(constant), [1.0; 5]);
    // Seg-Zero's code: min(1, step / max(1, 0)), from step 0.
    let quirk = schedule(SchedulerType::Constant, 0, FirstStep::AtZero);
    assert_eq!(rates(quirk), [0.0, 1.0, 1.0, 1.0, 1.0]);
    let linear = schedule(SchedulerType::Linear, 0, FirstStep::Counts);
    assert_eq!(rates(linear), [1.0, 0.8, 1.0 - 0.4, 1.0 - 0.6, 1.0 - 0.8]);
    let warm = rates(schedule(SchedulerType::Cosine, 2, FirstStep::Counts));
    assert!(warm[0] < warm[1] && warm[1] < warm[2] && warm[2] == 1.0, "{warm:?}");
    assert!((warm[3] - 0.75).abs() < 1e-12 && (warm[4] - 0.25).abs() < 1e-12, "{warm:?}");
}

#[test]
fn presets_are_the_published_settings() {
    let [paper, code, reasoner] =
        [Preset::SegZeroPaper, Preset::SegZeroCode, Preset::VisionReasoner]
            .map(Preset::hyperparameters);
    assert_eq!([paper.num_generations, code.num_generations, reasoner.num_generations], [16, 8, 8]);
    assert_eq!([paper.loss.beta, code.loss.beta, reasoner.loss.beta], [5e-3, 5e-3, 1e-2]);
    let entropy = [paper, code, reasoner].map(|settings| settings.loss.entropy_coef);
    assert_eq!(entropy, [0.0, 1e-3, 1e-3]);
    assert_eq!(reasoner.max_completion_length, 2000);
    assert!([paper, code].iter().all(|s| s.schedule.learning_rate == 1e-6));
}

#[test]
fn every_epoch_is_a_shuffle_of_all_rows() {
    for epoch in 0..3 {
        let mut shuffled = order(100, 42, epoch);
        assert_ne!(shuffled, order(100, 42, epoch + 1));
        assert_eq!(shuffled, order(100, 42, epoch));
        shuffled.sort_unstable();
        assert!(shuffled.into_iter().eq(0..100));
    }
    // 100 rows are six steps of 16; the last four rows of an epoch are left out.
    let first: Vec<usize> = (1..=6).flat_map(|step| rows_of(step, 16, 100, 42)).collect();
    assert_eq!(first, order(100, 42, 0)[..96]);
    assert_eq!(rows_of(7, 16, 100, 42), order(100, 42, 1)[..16]);
}
