//! Layers that the networks share.

mod activation;
mod attention;
mod linear;
mod matrix;
mod norm;

pub use activation::{gelu, quick_gelu, silu};
pub use attention::Kernel;
pub use linear::Linear;
pub use matrix::{Matrix, PackedMatrix};
pub use norm::{LayerNorm, Norm, RmsNorm};
