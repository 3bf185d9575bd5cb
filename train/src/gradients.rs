//! Gradients by parameter, added up over the parts of a step.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, FloatDType, Gradients, Tensor};

/// A sum of gradients for each parameter, flat, in f32.
#[derive(Clone, Debug, Default)]
pub struct Accumulated {
    sums: BTreeMap<ParamId, Tensor<1>>,
}

impl Accumulated {
    /// Adds the gradients of a backward pass through `module`.
    pub fn add(&mut self, module: &impl Module, gradients: Gradients) {
        module.visit(&mut Adder { sums: &mut self.sums, gradients });
    }

    /// The sum of a parameter, if anything depended on it.
    pub fn get(&self, id: ParamId) -> Option<&Tensor<1>> {
        self.sums.get(&id)
    }

    /// The Euclidean norm of all sums together.
    pub fn norm(&self) -> f64 {
        let square =
            |sum: &Tensor<1>| -> f64 { sum.clone().square().sum().into_scalar::<f32>().into() };
        let mut squares: Vec<f64> = self.sums.values().map(square).collect();
        // Ids of parameters are drawn anew in every process: sorted, the sum is the same to the bit.
        squares.sort_by(f64::total_cmp);
        squares.iter().sum::<f64>().sqrt()
    }

    /// Multiplies all sums.
    pub fn scale(&mut self, factor: f64) {
        for sum in self.sums.values_mut() {
            *sum = sum.clone().mul_scalar(factor);
        }
    }
}

struct Adder<'a> {
    sums: &'a mut BTreeMap<ParamId, Tensor<1>>,
    gradients: Gradients,
}

impl ModuleVisitor for Adder<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = param.val().grad_remove(&mut self.gradients) else { return };
        let count = gradient.shape().num_elements();
        let flat: Tensor<1> = gradient.reshape([count]);
        let flat = if flat.dtype() == DType::F32 { flat } else { flat.cast(FloatDType::F32) };
        let sum = match self.sums.remove(&param.id) {
            Some(sum) => sum + flat,
            None => flat,
        };
        self.sums.insert(param.id, sum);
    }
}
