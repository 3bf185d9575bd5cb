//! The vision tower's rotary embedding: half of a head's frequencies turn with the row, half with
//! the column.

use burn::tensor::{Device, Tensor, TensorData};

use super::super::config::VisionConfig;
use super::super::rope::{Rotation, frequencies};
use super::window::Order;

/// Base of the frequencies.
const THETA: f64 = 10_000.0;

/// The rotation of every patch of frames of one size, in the given order.
pub(super) fn rotation(
    frame: [usize; 2],
    order: &Order,
    config: &VisionConfig,
    device: &Device,
) -> Rotation {
    let merge = config.spatial_merge_size;
    let width = frame[1] / merge;
    let whole = width * (frame[0] / merge);
    let half = config.head_dim() / 2;
    let frequencies = frequencies(THETA, half);
    let mut angles = Vec::with_capacity(order.patches.len() * config.merge_len() * half);
    for patch in order.patches.iter().map(|patch| patch % whole.max(1)) {
        let (top, left) = (patch / width * merge, patch % width * merge);
        for place in 0..config.merge_len() {
            let (row, column) = (top + place / merge, left + place % merge);
            angles.extend(frequencies.iter().map(|f| row as f32 * f));
            angles.extend(frequencies.iter().map(|f| column as f32 * f));
        }
    }
    let count = order.patches.len() * config.merge_len();
    let shape = [1, count, 1, half];
    let table = |f: fn(f64) -> f64| -> Tensor<4> {
        let values: Vec<f32> = angles.iter().map(|&angle| f(f64::from(angle)) as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    };
    Rotation { cos: table(f64::cos), sin: table(f64::sin) }
}
