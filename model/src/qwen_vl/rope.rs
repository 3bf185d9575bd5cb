//! Rotary position embedding: pairs of a head's numbers are turned by an angle that grows with the
//! position (Su et al., arXiv 2104.09864), in the half-split arrangement of transformers.

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

use crate::layers::{Kernel, cpu};

/// Cosines and sines of the angles, `[batch, tokens, 1, head / 2]`, in f32.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Cosines.
    pub cos: Tensor<4>,
    /// Sines.
    pub sin: Tensor<4>,
}

impl Rotation {
    /// Turns `[batch, tokens, heads, head]`: number i pairs with number i + head / 2. Computed in f32.
    pub fn apply(&self, kernel: Kernel, x: Tensor<4>) -> Tensor<4> {
        if kernel == Kernel::Cpu {
            return cpu::turn(x, self.cos.clone(), self.sin.clone());
        }
        let dtype = x.dtype();
        let x = if dtype == DType::F32 { x } else { x.cast(FloatDType::F32) };
        let half = x.dims()[3] / 2;
        let first = x.clone().narrow(3, 0, half);
        let second = x.narrow(3, half, half);
        let (cos, sin) = (self.cos.clone(), self.sin.clone());
        let left = first.clone() * cos.clone() - second.clone() * sin.clone();
        let right = second * cos + first * sin;
        let turned = Tensor::cat(vec![left, right], 3);
        if dtype == DType::F32 { turned } else { turned.cast(dtype) }
    }

    /// The rotation at positions `(time, height, width)` of the tokens of each sequence: the first
    /// `sections[0]` frequencies turn with time, the next with height, the last with width.
    pub fn multimodal(
        positions: &[Vec<[i64; 3]>],
        theta: f64,
        sections: [usize; 3],
        device: &Device,
    ) -> Self {
        let half = sections.iter().sum::<usize>();
        let frequencies = frequencies(theta, half * 2);
        let axes: Vec<usize> =
            sections.iter().enumerate().flat_map(|(axis, &n)| vec![axis; n]).collect();
        let tokens = positions.first().map_or(0, Vec::len);
        let mut angles = Vec::with_capacity(positions.len() * tokens * half);
        for position in positions.iter().flatten() {
            let turned = axes.iter().zip(&frequencies).map(|(&axis, f)| position[axis] as f32 * f);
            angles.extend(turned);
        }
        let table = |f: fn(f64) -> f64| -> Tensor<4> {
            let values: Vec<f32> = angles.iter().map(|&angle| f(f64::from(angle)) as f32).collect();
            let shape = [positions.len(), tokens, 1, half];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Self { cos: table(f64::cos), sin: table(f64::sin) }
    }
}

/// theta^(-2i / width) for i below width / 2, in f32 as torch computes them.
pub fn frequencies(theta: f64, width: usize) -> Vec<f32> {
    let exponent = |i: usize| (2 * i) as f32 / width as f32;
    (0..width / 2).map(|i| 1.0 / (theta as f32).powf(exponent(i))).collect()
}
