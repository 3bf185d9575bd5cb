//! What Burn's CPU backend takes several passes for, in one, on rows of f32.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::attention::exp;

/// Elements of a task: enough to outweigh it.
const TASK: usize = 1 << 14;

/// silu(gate) · up, in place of `gate`.
pub(super) fn gated<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    let device = gate.device();
    let up = up.into_data();
    let up = up.as_slice::<f32>().unwrap_or(&[]);
    let mut gate = gate.into_data();
    if let Ok(gate) = gate.as_mut_slice::<f32>() {
        gate.par_chunks_mut(TASK).zip(up.par_chunks(TASK)).for_each(|(gate, up)| {
            wide(|| {
                for (gate, up) in gate.iter_mut().zip(up) {
                    *gate = *gate * sigmoid(*gate) * up;
                }
            });
        });
    }
    Tensor::from_data(gate, &device)
}

/// 1 / (1 + e⁻ˣ), without a power that overflows.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let small = exp(-x.abs());
    let share = 1.0 / (1.0 + small);
    if x < 0.0 { small * share } else { share }
}

/// x / sqrt(mean(x²) + ε) · weight, by rows as long as `weight`.
pub(super) fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let device = x.device();
    let width = x.dims()[D - 1];
    let weight = weight.into_data();
    let weight = weight.as_slice::<f32>().unwrap_or(&[]);
    let mut x = x.into_data();
    if let Ok(x) = x.as_mut_slice::<f32>() {
        let rows = TASK.div_ceil(width.max(1)) * width.max(1);
        x.par_chunks_mut(rows).for_each(|rows| {
            wide(|| rows.chunks_exact_mut(width).for_each(|row| normalise(row, weight, epsilon)));
        });
    }
    Tensor::from_data(x, &device)
}

/// Number i of each head of a token pairs with number i + half, and the pair is turned: `[.., tokens,
/// heads, 2 half]` by cosines and sines of `[.., tokens, 1, half]`.
pub(crate) fn turn(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let device = x.device();
    let [_, _, heads, width] = x.dims();
    let [cos, sin] = [cos, sin].map(Tensor::into_data);
    let [cos, sin] = [&cos, &sin].map(|data| data.as_slice::<f32>().unwrap_or(&[]));
    let mut x = x.into_data();
    let half = width / 2;
    if let Ok(x) = x.as_mut_slice::<f32>() {
        let angles = cos.par_chunks_exact(half).zip(sin.par_chunks_exact(half));
        x.par_chunks_exact_mut(heads * width).zip(angles).for_each(|(token, (cos, sin))| {
            wide(|| {
                for head in token.chunks_exact_mut(width) {
                    let (first, second) = head.split_at_mut(half);
                    let angles = cos.iter().zip(sin);
                    for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(angles) {
                        (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                    }
                }
            });
        });
    }
    Tensor::from_data(x, &device)
}

/// Lanes that sum apart, so that the loop becomes vector instructions.
const LANES: usize = 16;

#[inline(always)]
fn normalise(row: &mut [f32], weight: &[f32], epsilon: f64) {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x * x;
        }
    }
    let squares: f32 = sums.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>();
    let mean = f64::from(squares) / row.len() as f64;
    let scale = (1.0 / (mean + epsilon).sqrt()) as f32;
    for (x, weight) in row.iter_mut().zip(weight) {
        *x = *x * scale * weight;
    }
}

/// Runs loops compiled for the wider registers where the machine has them.
#[inline(always)]
pub(super) fn wide(loops: impl FnOnce()) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        // SAFETY: both features were just found.
        unsafe { wide_avx2(loops) };
        return;
    }
    loops();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn wide_avx2(loops: impl FnOnce()) {
    loops();
}
