//! A weight matrix, as the backend keeps it or packed.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

use crate::packed::Packed;

/// A matrix of weights `[outputs, inputs]`, as published.
#[derive(Module, Debug)]
pub enum Matrix {
    /// In the backend's memory and the model's dtype.
    Dense(Param<Tensor<2>>),
    /// On the CPU, in fewer bits than 32.
    Packed(PackedMatrix),
}

/// Weights that Burn does not see.
#[derive(Module, Debug)]
pub struct PackedMatrix {
    #[module(skip)]
    pub(crate) weights: Packed,
}

impl Matrix {
    /// x · Wᵀ: `[.., inputs]` to `[.., outputs]`.
    pub fn multiply<const D: usize>(&self, x: Tensor<D>, bias: Option<Tensor<1>>) -> Tensor<D> {
        match self {
            Self::Dense(weight) => {
                // As one matrix: of a batch, Burn computes the weight's gradient for each row of the
                // batch, and adds them up afterwards.
                let mut shape = x.dims();
                let count: usize = shape[..D - 1].iter().product();
                let flat: Tensor<2> = x.reshape([count, shape[D - 1]]);
                let out = burn::tensor::module::linear(flat, weight.val().transpose(), bias);
                shape[D - 1] = out.dims()[1];
                out.reshape(shape)
            }
            Self::Packed(matrix) => matrix.multiply(x, bias),
        }
    }

    /// The rows at `ids`: `[ids, inputs]`. Ids must be below the number of rows.
    pub fn rows(&self, ids: &[u32], like: &burn::tensor::Device) -> Tensor<2> {
        match self {
            Self::Dense(weight) => {
                let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
                let count = ids.len();
                let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [count]), like);
                weight.val().select(0, ids)
            }
            Self::Packed(matrix) => {
                let width = matrix.weights.columns();
                let mut out = vec![0.0; ids.len() * width];
                for (&id, row) in ids.iter().zip(out.chunks_exact_mut(width)) {
                    matrix.weights.row(id as usize, row);
                }
                Tensor::from_data(TensorData::new(out, [ids.len(), width]), like)
            }
        }
    }
}

impl PackedMatrix {
    fn multiply<const D: usize>(&self, x: Tensor<D>, bias: Option<Tensor<1>>) -> Tensor<D> {
        let device = x.device();
        let mut shape = x.dims();
        let inputs = shape[D - 1];
        let count: usize = shape[..D - 1].iter().product();
        shape[D - 1] = self.weights.rows();
        let mut out = vec![0.0f32; count * self.weights.rows()];
        let data = x.into_data();
        // The CPU's activations are f32 beside packed weights, whose loader sees to it.
        if let Ok(input) = data.as_slice::<f32>()
            && input.len() == count * inputs
        {
            let bias = bias.map(Tensor::into_data);
            let bias = bias.as_ref().and_then(|bias| bias.as_slice::<f32>().ok());
            self.weights.multiply(input, bias, &mut out);
        }
        Tensor::from_data(TensorData::new(out, shape), &device)
    }
}
