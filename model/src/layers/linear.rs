//! x · Wᵀ + b.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Matrix;
use crate::checkpoint::Error;
use crate::load::Loader;

/// A linear layer; weights `[outputs, inputs]` as published.
#[derive(Module, Debug)]
pub struct Linear {
    weight: Matrix,
    bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// Loads `{name}.weight` and `{name}.bias`.
    ///
    /// # Errors
    /// Where one is missing or of another shape.
    pub fn load(
        loader: &mut Loader,
        name: &str,
        [outputs, inputs]: [usize; 2],
    ) -> Result<Self, Error> {
        let weight = loader.matrix(&format!("{name}.weight"), [outputs, inputs])?;
        let bias = Some(loader.vector(&format!("{name}.bias"), outputs)?);
        Ok(Self { weight, bias })
    }

    /// Loads `{name}.weight`; there is no bias.
    ///
    /// # Errors
    /// Where it is missing or of another shape.
    pub fn load_without_bias(
        loader: &mut Loader,
        name: &str,
        shape: [usize; 2],
    ) -> Result<Self, Error> {
        Ok(Self { weight: loader.matrix(&format!("{name}.weight"), shape)?, bias: None })
    }

    /// Loads the kernel `{name}.weight` `[outputs, ..]` of a convolution without bias whose stride is
    /// its size: a linear layer on patches.
    ///
    /// # Errors
    /// Where it is missing or of another shape.
    pub fn load_kernel(loader: &mut Loader, name: &str, shape: [usize; 5]) -> Result<Self, Error> {
        Ok(Self { weight: loader.kernel(&format!("{name}.weight"), shape)?, bias: None })
    }

    /// `[.., inputs]` to `[.., outputs]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.weight.multiply(x, self.bias.as_ref().map(Param::val))
    }
}
