//! Normalisation over the last axis.

use burn::module::{Module, Param};
use burn::tensor::{FloatDType, Tensor, module::layer_norm};

use super::{Kernel, cpu};
use crate::checkpoint::Error;
use crate::load::Loader;

/// x / sqrt(mean(x²) + ε) · weight, in f32 whatever the dtype of x.
#[derive(Module, Debug)]
pub struct RmsNorm {
    weight: Param<Tensor<1>>,
    epsilon: f64,
    #[module(skip)]
    kernel: Kernel,
}

impl RmsNorm {
    /// Loads `{name}.weight` of `width` numbers.
    ///
    /// # Errors
    /// Where it is missing or of another shape.
    pub fn load(
        loader: &mut Loader,
        name: &str,
        width: usize,
        epsilon: f64,
    ) -> Result<Self, Error> {
        let kernel = loader.placement().kernel();
        Ok(Self { weight: loader.vector(&format!("{name}.weight"), width)?, epsilon, kernel })
    }

    /// Of `[.., width]`, the same shape and dtype. The product with the weight is taken after
    /// rounding to the dtype, as in transformers.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if self.kernel == Kernel::Cpu {
            return cpu::rms_norm(x, self.weight.val(), self.epsilon);
        }
        let dtype = x.dtype();
        let wide = if dtype == burn::tensor::DType::F32 { x } else { x.cast(FloatDType::F32) };
        let mean = wide.clone().square().mean_dim(D - 1);
        let normal = wide / mean.add_scalar(self.epsilon).sqrt();
        let normal = if dtype == burn::tensor::DType::F32 { normal } else { normal.cast(dtype) };
        normal * self.weight.val().unsqueeze()
    }
}

/// (x - mean) / sqrt(variance + ε) · weight + bias.
#[derive(Module, Debug)]
pub struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    epsilon: f64,
    #[module(skip)]
    kernel: Kernel,
}

impl LayerNorm {
    /// Loads `{name}.weight` and `{name}.bias` of `width` numbers.
    ///
    /// # Errors
    /// Where one is missing or of another shape.
    pub fn load(
        loader: &mut Loader,
        name: &str,
        width: usize,
        epsilon: f64,
    ) -> Result<Self, Error> {
        let weight = loader.vector(&format!("{name}.weight"), width)?;
        let bias = loader.vector(&format!("{name}.bias"), width)?;
        Ok(Self { weight, bias, epsilon, kernel: loader.placement().kernel() })
    }

    /// The norm of rows in the CPU's memory, in place.
    pub(crate) fn on_rows(&self) -> impl Fn(&mut [f32]) + use<> {
        let numbers = |x: &Param<Tensor<1>>| x.val().into_data().try_into_vec().unwrap_or_default();
        let (weight, bias, epsilon) = (numbers(&self.weight), numbers(&self.bias), self.epsilon);
        move |x| cpu::layer_norm(x, &weight, &bias, epsilon)
    }

    /// Of `[.., width]`, the same shape.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if self.kernel == Kernel::Cpu {
            return cpu::in_place(x, self.on_rows());
        }
        layer_norm(x, self.weight.val(), Some(self.bias.val()), self.epsilon)
    }
}

/// Either normalisation.
#[derive(Module, Debug)]
pub enum Norm {
    /// Without mean and bias.
    Rms(RmsNorm),
    /// With both.
    Layer(LayerNorm),
}

impl Norm {
    /// Of `[.., width]`, the same shape.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Rms(norm) => norm.forward(x),
            Self::Layer(norm) => norm.forward(x),
        }
    }
}
