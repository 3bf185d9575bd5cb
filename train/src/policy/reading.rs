//! From hidden states to likelihoods, and from what a loss asks of these back.

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, FloatDType, Gradients, Int, Tensor, TensorData};
use segzero_model::qwen_vl::QwenVl;

use super::{Likelihood, PolicyOptions};
use crate::tape::pull;

/// Likelihoods as tensors.
pub(super) struct Reading {
    /// `[1, tokens, 1]`.
    log_probs: Tensor<3>,
    /// Of every token that could have been, `[1, tokens, vocabulary]`.
    all: Tensor<3>,
}

impl Reading {
    /// Of hidden states `[1, tokens, hidden]`, and the tokens that they foretell.
    pub(super) fn new(
        model: &QwenVl,
        rows: Tensor<3>,
        targets: &[i32],
        options: &PolicyOptions,
    ) -> Self {
        let logits = model.decoder.logits(rows);
        let logits = match logits.dtype() {
            DType::F32 => logits,
            _ => logits.cast(FloatDType::F32),
        };
        let logits = match options.temperature {
            1.0 => logits,
            temperature => logits.div_scalar(temperature),
        };
        let data = TensorData::new(targets.to_vec(), [1, targets.len(), 1]);
        let targets = Tensor::<3, Int>::from_data(data, &logits.device());
        let all = log_softmax(logits, 2);
        Self { log_probs: all.clone().gather(2, targets), all }
    }

    pub(super) fn numbers(&self) -> Likelihood {
        let all = self.all.clone().inner();
        let entropies = (all.clone().exp() * all).sum_dim(2).neg();
        let floats = |x: Tensor<3>| x.into_data().iter::<f64>().collect();
        Likelihood {
            log_probs: floats(self.log_probs.clone().inner()),
            entropies: floats(entropies),
        }
    }

    pub(super) fn pull(self, by_log_probs: &[f32], by_entropies: &[f32]) -> Gradients {
        let device = self.all.device().without_autodiff();
        let tensor = |by: &[f32]| -> Tensor<3> {
            Tensor::from_data(TensorData::new(by.to_vec(), [1, by.len(), 1]), &device)
        };
        if by_entropies.iter().all(|&by| by == 0.0) {
            return pull(&[self.log_probs], &[tensor(by_log_probs)]);
        }
        let entropies = (self.all.clone().exp() * self.all).sum_dim(2).neg();
        pull(&[self.log_probs, entropies], &[tensor(by_log_probs), tensor(by_entropies)])
    }
}
