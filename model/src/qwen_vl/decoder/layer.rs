//! One layer of the decoder: attention with grouped queries, then a gated MLP.

use burn::module::Module;
use burn::tensor::Tensor;

use super::super::config::TextConfig;
use super::super::rope::Rotation;
use super::attention::SelfAttention;
use super::cache::{LayerCache, Span};
use crate::checkpoint::Error;
use crate::layers::{Kernel, Linear, RmsNorm, gated};
use crate::load::Loader;

/// A layer on tokens `[batch, tokens, hidden]`.
#[derive(Module, Debug)]
pub struct Layer {
    input_layernorm: RmsNorm,
    self_attn: SelfAttention,
    post_attention_layernorm: RmsNorm,
    mlp: Mlp,
}

/// silu(gate) · up, down again.
#[derive(Module, Debug)]
struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    #[module(skip)]
    kernel: Kernel,
}

impl Mlp {
    fn load(loader: &mut Loader, name: &str, config: &TextConfig) -> Result<Self, Error> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let kernel = loader.placement().kernel();
        let mut load =
            |part: &str, shape| Linear::load_without_bias(loader, &format!("{name}.{part}"), shape);
        Ok(Self {
            gate_proj: load("gate_proj", [inner, width])?,
            up_proj: load("up_proj", [inner, width])?,
            down_proj: load("down_proj", [width, inner])?,
            kernel,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gate = self.gate_proj.forward(x.clone());
        self.down_proj.forward(gated(self.kernel, gate, self.up_proj.forward(x)))
    }
}

impl Layer {
    /// Loads `{name}.*`.
    ///
    /// # Errors
    /// Where a parameter is missing or of another shape.
    pub fn load(loader: &mut Loader, name: &str, config: &TextConfig) -> Result<Self, Error> {
        let mut norm = |part: &str| {
            let name = format!("{name}.{part}");
            RmsNorm::load(loader, &name, config.hidden_size, config.rms_norm_eps)
        };
        Ok(Self {
            input_layernorm: norm("input_layernorm")?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            self_attn: SelfAttention::load(loader, &format!("{name}.self_attn"), config)?,
            mlp: Mlp::load(loader, &format!("{name}.mlp"), config)?,
        })
    }

    /// Of tokens `[batch, tokens, hidden]`, the same shape. Their keys and values are kept in `cache`.
    pub fn forward(
        &self,
        x: Tensor<3>,
        rotation: &Rotation,
        cache: &mut LayerCache,
        span: &Span,
    ) -> Tensor<3> {
        let seen =
            self.self_attn.forward(self.input_layernorm.forward(x.clone()), rotation, cache, span);
        let x = x + seen;
        x.clone() + self.mlp.forward(self.post_attention_layernorm.forward(x))
    }
}
