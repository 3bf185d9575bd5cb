use burn::tensor::{Tensor, TensorData};

use super::config::{Config, Family, Stage};
use super::{Output, PointLabel, Prompt, Sam2, parameters};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::random::{Form, Formula, write};
use crate::device::DeviceName;
use crate::load::Placement;
use crate::packed::Format;

/// A network of few numbers that has windows which do not divide the grid, as the published ones.
pub(super) fn small() -> Config {
    let mut config = Family::Tiny.config();
    let blocks = [1, 2, 3, 1];
    let windows = [4, 4, 6, 4];
    let stage =
        |i: usize| Stage { width: 16 << i, heads: 1 << i, blocks: blocks[i], window: windows[i] };
    config.image_size = 128;
    config.trunk.stages = [stage(0), stage(1), stage(2), stage(3)];
    config.trunk.global_blocks = vec![4];
    config.trunk.background = [4, 4];
    config.neck.width = 32;
    config.decoder.heads = 4;
    config.decoder.mlp_width = 64;
    config.decoder.iou_width = 32;
    config
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap()
}

/// The largest difference, as a share of the largest number.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / largest
}

#[test]
fn the_kernels_of_the_cpu_compute_what_burn_computes() {
    let folder = tempfile::tempdir().unwrap();
    let config = small();
    let form = Form { dtype: safetensors::Dtype::F32, ..Form::default() };
    write(folder.path(), &parameters(&config), &form, &[]).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let packed = DeviceName::Cpu.place(Format::F32).unwrap();
    let dense = Placement { packs: false, ..packed.clone() };
    let [packed, dense] =
        [packed, dense].map(|place| Sam2::load(&checkpoint, config.clone(), place).unwrap());
    let side = config.image_size;
    let pixels = Formula::scaled("pixels", 2.0).values(2 * side * side * 3);
    let pixels: Tensor<4> =
        Tensor::from_data(TensorData::new(pixels, [2, side, side, 3]), packed.device());
    for (found, expected) in
        packed.stages(pixels.clone()).into_iter().zip(dense.stages(pixels.clone()))
    {
        assert_eq!(found.dims(), expected.dims());
        // Sums in another order, through up to seven blocks.
        assert!(difference(&numbers(found), &numbers(expected)) < 1e-5);
    }
    let mask = Formula::scaled("mask", 8.0).values(config.mask_side() * config.mask_side());
    let point = ([40.0, 31.5], PointLabel::Foreground);
    let prompts = [
        Prompt { points: vec![point], ..Prompt::default() },
        Prompt { points: vec![point], bbox: Some([8.0, 4.0, 90.0, 100.0]), mask: None },
        Prompt::default(),
        Prompt { mask: Some(mask), ..Prompt::default() },
    ];
    let (found, expected) = (packed.embed(pixels.clone()), dense.embed(pixels));
    for output in [Output::Multimask, Output::Single] {
        let found = packed.decode(&found, 1, &prompts, output);
        let expected = dense.decode(&expected, 1, &prompts, output);
        assert_eq!(found.masks, if output == Output::Single { 1 } else { 3 });
        assert!(difference(&found.logits, &expected.logits) < 2e-5);
        assert!(difference(&found.ious, &expected.ious) < 1e-5);
        assert!(difference(&found.object_scores, &expected.object_scores) < 1e-5);
    }
}
