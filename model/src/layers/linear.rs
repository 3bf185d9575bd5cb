//! x · Wᵀ + b.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Matrix;
use crate::checkpoint::Error;
use crate::load::Loader;
use crate::packed::Packed;

/// A linear layer; weights `[outputs, inputs]` as published.
#[derive(Module, Debug)]
pub struct Linear {
    weight: Matrix,
    bias: Option<Param<Tensor<1>>>,
    /// Outputs that share a number of the bias: the four pixels of a transposed convolution.
    shared: usize,
    adapter: Option<Adapter>,
}

/// A low-rank addition to a linear layer (LoRA, arXiv 2106.09685): scale · (x · Aᵀ) · Bᵀ.
#[derive(Module, Debug)]
pub struct Adapter {
    /// A, `[rank, inputs]`.
    pub(crate) down: Param<Tensor<2>>,
    /// B, `[outputs, rank]`.
    pub(crate) up: Param<Tensor<2>>,
    pub(crate) scale: f64,
}

impl Adapter {
    fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let times = |x: Tensor<D>, matrix: &Param<Tensor<2>>| {
            Matrix::Dense(matrix.clone()).multiply(x, None)
        };
        times(times(x, &self.down), &self.up).mul_scalar(self.scale)
    }
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
        let adapter = loader.adapter(name, [outputs, inputs])?;
        Ok(Self { weight, bias, shared: 1, adapter })
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
        let weight = loader.matrix(&format!("{name}.weight"), shape)?;
        Ok(Self { weight, bias: None, shared: 1, adapter: loader.adapter(name, shape)? })
    }

    /// Loads the kernel `{name}.weight` `[outputs, ..]` of a convolution without bias: a linear layer
    /// on patches.
    ///
    /// # Errors
    /// Where it is missing or of another shape.
    pub fn load_kernel(loader: &mut Loader, name: &str, shape: &[usize]) -> Result<Self, Error> {
        Ok(Self {
            weight: loader.kernel(&format!("{name}.weight"), shape)?,
            bias: None,
            shared: 1,
            adapter: None,
        })
    }

    /// Loads the kernel `{name}.weight` `[outputs, ..]` and `{name}.bias` of a convolution: a linear
    /// layer on patches.
    ///
    /// # Errors
    /// Where one is missing or of another shape.
    pub fn load_convolution(
        loader: &mut Loader,
        name: &str,
        shape: &[usize],
    ) -> Result<Self, Error> {
        let bias = Some(loader.vector(&format!("{name}.bias"), shape[0])?);
        let weight = loader.kernel(&format!("{name}.weight"), shape)?;
        Ok(Self { weight, bias, shared: 1, adapter: None })
    }

    /// Loads the kernel `{name}.weight` `[inputs, outputs, 2, 2]` and `{name}.bias` of a transposed
    /// convolution of stride 2: a linear layer from a pixel to `[2, 2, outputs]`.
    ///
    /// # Errors
    /// Where one is missing or of another shape.
    pub fn load_spread(
        loader: &mut Loader,
        name: &str,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Self, Error> {
        let weight = loader.spread_kernel(&format!("{name}.weight"), [inputs, outputs])?;
        let bias = Some(loader.vector(&format!("{name}.bias"), outputs)?);
        Ok(Self { weight, bias, shared: 4, adapter: None })
    }

    /// The packed weights, and the bias beside them, where the CPU multiplies.
    pub(crate) fn packed(&self) -> Option<(&Packed, Option<Vec<f32>>)> {
        let Matrix::Packed(matrix) = &self.weight else { return None };
        let bias = self.bias().and_then(|bias| bias.into_data().try_into_vec().ok());
        Some((&matrix.weights, bias))
    }

    /// The weights `[outputs, inputs]` and the bias as Burn keeps them, in f32.
    pub(crate) fn dense(&self) -> Option<[Vec<f32>; 2]> {
        let Matrix::Dense(weight) = &self.weight else { return None };
        let weight = weight.val().into_data().try_into_vec().ok()?;
        let bias = self.bias()?.into_data().try_into_vec().ok()?;
        Some([weight, bias])
    }

    fn bias(&self) -> Option<Tensor<1>> {
        let bias = self.bias.as_ref()?.val();
        Some(if self.shared == 1 { bias } else { bias.repeat_dim(0, self.shared) })
    }

    /// `[.., inputs]` to `[.., outputs]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match &self.adapter {
            Some(adapter) => self.weight.multiply(x.clone(), self.bias()) + adapter.forward(x),
            None => self.weight.multiply(x, self.bias()),
        }
    }
}
