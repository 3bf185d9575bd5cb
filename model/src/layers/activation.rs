//! Activations.

use burn::tensor::{Tensor, activation};

/// x · sigmoid(x).
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// x · Φ(x), by the error function.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::gelu(x)
}

/// x · sigmoid(1.702 x), CLIP's approximation.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::sigmoid(x.clone() * 1.702) * x
}
