//! Low-rank adapters (LoRA, arXiv 2106.09685): small matrices that are trained in place of large ones.
//!
//! A layer x · Wᵀ becomes x · Wᵀ + (α / r) · (x · Aᵀ) · Bᵀ. A is drawn, B is 0, so nothing changes at
//! first; the model without its adapters is the reference policy, which so costs no memory.
//! Files are those of PEFT: `adapter_model.safetensors` and `adapter_config.json`.

use std::fs;
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use segzero_model::checkpoint::{self, Checkpoint};
use segzero_model::load::{AdapterSource, Named};
use segzero_model::qwen_vl::QwenVl;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::begin::uniform_of;
use crate::error::TrainError;

/// Weights of adapters in a folder.
pub const ADAPTER: &str = "adapter_model.safetensors";
/// What they are, beside them.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// What PEFT puts before the names of a model's parameters.
const PREFIX: &str = "base_model.model.";

/// Which layers get adapters, and of what size; PEFT's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    /// Rank of the matrices.
    pub r: usize,
    /// What is added is multiplied by this over the rank.
    pub lora_alpha: f64,
    /// Last parts of the names of the layers, all of them of the decoder.
    pub target_modules: Vec<String>,
    /// Seed of the draws.
    #[serde(skip)]
    pub seed: u64,
}

impl Lora {
    /// Reads `adapter_config.json`.
    ///
    /// # Errors
    /// A file that is not there or damaged.
    pub fn open(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(ADAPTER_CONFIG);
        let failed = |reason: String| TrainError::Read { path: path.clone(), reason };
        let text = fs::read(&path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))
    }

    /// Writes `adapter_config.json` for a model of that name.
    ///
    /// # Errors
    /// A disk that is full.
    pub fn save(&self, folder: &Path, base: &str) -> Result<(), TrainError> {
        let config = json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base,
            "r": self.r, "lora_alpha": self.lora_alpha, "target_modules": self.target_modules,
            "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": false, "inference_mode": true,
            // As PEFT reads a text that is not a list: only the decoder's layers have these names.
            "exclude_modules": "visual.*",
        });
        let path = folder.join(ADAPTER_CONFIG);
        fs::write(&path, format!("{config:#}\n"))
            .map_err(|error| TrainError::Write { path, reason: error.to_string() })
    }

    /// What the addition is multiplied by.
    pub fn scale(&self) -> f64 {
        self.lora_alpha / self.r.max(1) as f64
    }
}

/// The name of an adapter's matrix as PEFT has it, from that of its layer: `model.layers.0.mlp.up_proj`.
fn on_disk(layer: &str, matrix: &str) -> String {
    let layer = layer.replacen("model.layers.", "model.language_model.layers.", 1);
    format!("{PREFIX}{layer}.{matrix}.weight")
}

/// Whether a parameter is an adapter's.
pub fn is_adapter(name: &str) -> bool {
    name.contains(".lora_A.") || name.contains(".lora_B.")
}

/// Where adapters come from: drawn, or read.
pub struct Adapters<'a> {
    /// Which layers.
    pub lora: &'a Lora,
    /// The file to read; none to draw.
    pub saved: Option<&'a Checkpoint>,
}

impl AdapterSource for Adapters<'_> {
    fn rank(&self, layer: &str) -> Option<usize> {
        let last = layer.rsplit('.').next().unwrap_or(layer);
        let is_target = layer.starts_with("model.layers.")
            && self.lora.target_modules.iter().any(|target| target == last);
        is_target.then_some(self.lora.r)
    }

    fn scale(&self) -> f64 {
        self.lora.scale()
    }

    fn name(&self, layer: &str, matrix: &str) -> String {
        on_disk(layer, matrix)
    }

    fn numbers(
        &self,
        layer: &str,
        matrix: &str,
        shape: [usize; 2],
    ) -> Result<Vec<f32>, checkpoint::Error> {
        let name = on_disk(layer, matrix);
        let count = shape[0] * shape[1];
        match self.saved {
            Some(saved) => {
                let view = saved.require(&name)?;
                if view.shape() != shape {
                    let (expected, found) = (shape.to_vec(), view.shape().to_vec());
                    return Err(view.fault(checkpoint::ErrorKind::Shape { expected, found }));
                }
                view.to_f32()
            }
            None if matrix == "lora_B" => Ok(vec![0.0; count]),
            // As torch draws a linear layer's weights, which PEFT leaves A at.
            None => Ok(uniform_of(&name, self.lora.seed, count, 1.0 / (shape[1] as f64).sqrt())),
        }
    }
}

/// The model without what adapters add: the same tensors but for B, which is 0.
pub fn without_adapters(model: &QwenVl, named: &[Named]) -> QwenVl {
    struct Off<'a>(&'a [Named]);
    impl ModuleMapper for Off<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let is_up = |named: &Named| named.id == param.id && named.name.contains(".lora_B.");
            match self.0.iter().any(is_up) {
                true => param.map(|tensor| tensor.zeros_like()),
                false => param,
            }
        }
    }
    model.clone().map(&mut Off(named))
}

/// Weights of a layer with its adapter in them, where it has one: W + (α / r) B A.
///
/// # Errors
/// Adapters that are damaged.
pub fn merged(
    weights: Vec<f32>,
    [outputs, inputs]: [usize; 2],
    layer: &str,
    lora: &Lora,
    adapters: &Checkpoint,
) -> Result<Vec<f32>, TrainError> {
    let source = Adapters { lora, saved: Some(adapters) };
    let Some(rank) = source.rank(layer) else { return Ok(weights) };
    let device = burn::tensor::Device::flex();
    let tensor = |numbers: Vec<f32>, shape: [usize; 2]| -> Tensor<2> {
        Tensor::from_data(TensorData::new(numbers, shape), &device)
    };
    let down = tensor(source.numbers(layer, "lora_A", [rank, inputs])?, [rank, inputs]);
    let up = tensor(source.numbers(layer, "lora_B", [outputs, rank])?, [outputs, rank]);
    let whole = tensor(weights, [outputs, inputs]) + up.matmul(down) * lora.scale();
    Ok(whole.into_data().iter::<f32>().collect())
}
