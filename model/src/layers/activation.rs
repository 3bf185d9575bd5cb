//! Activations.

use burn::tensor::{Tensor, activation};

use super::{Kernel, cpu};

/// silu(gate) · up, where silu(x) = x · sigmoid(x).
pub fn gated<const D: usize>(kernel: Kernel, gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    match kernel {
        Kernel::Burn => activation::silu(gate) * up,
        Kernel::Cpu => cpu::gated(gate, up),
    }
}

/// x · Φ(x), by the error function.
pub fn gelu<const D: usize>(kernel: Kernel, x: Tensor<D>) -> Tensor<D> {
    match kernel {
        Kernel::Burn => activation::gelu(x),
        Kernel::Cpu => cpu::in_place(x, cpu::gelu),
    }
}

/// x · sigmoid(1.702 x), CLIP's approximation.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::sigmoid(x.clone() * 1.702) * x
}
