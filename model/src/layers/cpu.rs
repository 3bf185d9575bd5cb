//! What Burn's CPU backend takes several passes for, in one, on rows of f32.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::attention::exp;

/// Elements of a task: enough to outweigh it.
const TASK: usize = 1 << 14;

/// What a function makes of the elements.
pub(super) fn in_place<const D: usize>(x: Tensor<D>, run: impl Fn(&mut [f32])) -> Tensor<D> {
    let device = x.device();
    let mut x = x.into_data();
    // The CPU's activations are f32, whose loader sees to it.
    if let Ok(x) = x.as_mut_slice::<f32>() {
        run(x);
    }
    Tensor::from_data(x, &device)
}

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

/// (x - mean) / sqrt(variance + ε) · weight + bias, by rows as long as `weight`, in place.
pub(crate) fn layer_norm(x: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f64) {
    let width = weight.len().max(1);
    let rows = TASK.div_ceil(width) * width;
    x.par_chunks_mut(rows).for_each(|rows| {
        wide(|| rows.chunks_exact_mut(width).for_each(|row| centre(row, weight, bias, epsilon)));
    });
}

/// x · Φ(x), in place.
pub(crate) fn gelu(x: &mut [f32]) {
    x.par_chunks_mut(TASK).for_each(|x| wide(|| x.iter_mut().for_each(|x| *x *= normal_cdf(*x))));
}

/// Φ(x) = erfc(-x / sqrt(2)) / 2, within 2.5e-7.
///
/// For z >= 0, erfc(z) = exp(-z²) · t · p(t) with t = 1 / (1 + 0.3 z), the form of Abramowitz and Stegun
/// 7.1.26; p is the polynomial of degree 8 that Chebyshev's points give for z up to 9.4, beyond which
/// f32 has no numbers, and 2.4e-8 is its largest relative error.
#[inline(always)]
fn normal_cdf(x: f32) -> f32 {
    const P: [f32; 9] = [
        -0.130_419_33,
        0.490_205_14,
        -0.522_536,
        0.560_327_4,
        -0.104_055_15,
        0.219_276_23,
        0.147_123_14,
        0.170_902_72,
        0.169_175_8,
    ];
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.3 * z);
    let mut p = P[0];
    for coefficient in &P[1..] {
        p = p * t + coefficient;
    }
    let half = 0.5 * x * x;
    let tail = 0.5 * t * p * exp(-half);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// Lanes that sum apart, so that the loop becomes vector instructions.
const LANES: usize = 16;

#[inline(always)]
fn normalise(row: &mut [f32], weight: &[f32], epsilon: f64) {
    let mean = f64::from(sum(row, |x| x * x)) / row.len() as f64;
    let scale = (1.0 / (mean + epsilon).sqrt()) as f32;
    for (x, weight) in row.iter_mut().zip(weight) {
        *x = *x * scale * weight;
    }
}

#[inline(always)]
fn centre(row: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f64) {
    let count = row.len() as f64;
    let mean = (f64::from(sum(row, |x| x)) / count) as f32;
    let variance = f64::from(sum(row, |x| (x - mean) * (x - mean))) / count;
    let scale = (1.0 / (variance + epsilon).sqrt()) as f32;
    for ((x, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
        *x = (*x - mean) * scale * weight + bias;
    }
}

#[inline(always)]
fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += of(x);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&x| of(x)).sum::<f32>()
}

/// Runs loops compiled for wider registers and fused multiplication where the machine has them.
/// What they call must be inlined; `mul_add` gives the same bits either way.
#[inline(always)]
pub(crate) fn wide(loops: impl FnOnce()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Φ by its series about 0, whose terms are summed until they no longer count.
    fn exact_cdf(x: f64) -> f64 {
        let (mut term, mut sum, mut n) = (x, x, 1.0);
        while term.abs() > 1e-18 * sum.abs() {
            term *= x * x / (2.0 * n + 1.0);
            sum += term;
            n += 1.0;
        }
        0.5 + sum * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }

    #[test]
    fn gelu_is_within_a_unit_of_the_definition() {
        let mut x: Vec<f32> = (-60_000..60_000).map(|i| i as f32 * 1e-4).collect();
        x.extend([0.0, -0.0, 40.0, -40.0, 1e30, -1e30, 1e-30]);
        let mut found = x.clone();
        gelu(&mut found);
        for (x, found) in x.into_iter().zip(found) {
            let exact = match x {
                x if x > 7.0 => f64::from(x),
                x if x < -7.0 => 0.0,
                x => f64::from(x) * exact_cdf(f64::from(x)),
            };
            let error = (f64::from(found) - exact).abs();
            assert!(error <= 2.5e-7 * f64::from(x.abs()), "gelu({x}) = {found}, not {exact}");
        }
    }

    #[test]
    fn rows_are_centred_and_scaled_as_defined() {
        for width in [1, 7, 16, 144, 1153] {
            let numbers = |name: &str, count: usize| {
                crate::checkpoint::random::Formula::scaled(name, 3.0).values(count)
            };
            let (weight, bias) = (numbers("weight", width), numbers("bias", width));
            let x: Vec<f32> = numbers("x", 5 * width).iter().map(|x| x + 100.0).collect();
            let mut found = x.clone();
            layer_norm(&mut found, &weight, &bias, 1e-6);
            for (x, found) in x.chunks(width).zip(found.chunks(width)) {
                let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
                let square = |&x: &f32| (f64::from(x) - mean).powi(2);
                let variance = x.iter().map(square).sum::<f64>() / width as f64;
                for i in 0..width {
                    let normal = (f64::from(x[i]) - mean) / (variance + 1e-6).sqrt();
                    let exact = normal * f64::from(weight[i]) + f64::from(bias[i]);
                    // Numbers near 100 have steps of 8e-6; the weights are up to 3.
                    assert!((f64::from(found[i]) - exact).abs() < 4e-5, "{width}, {i}");
                }
            }
        }
    }
}
