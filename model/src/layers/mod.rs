//! Layers that the networks share.

mod activation;
mod attention;
pub(crate) mod cpu;
mod linear;
mod matrix;
mod norm;

pub use activation::{gated, gelu, quick_gelu};
pub use attention::Kernel;
pub(crate) use attention::{Heads, Shape, Window, attend};
pub use linear::{Adapter, Linear};
pub use matrix::{Matrix, PackedMatrix};
pub use norm::{LayerNorm, Norm, RmsNorm};
