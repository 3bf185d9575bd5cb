//! Causal self-attention whose query heads share key and value heads in groups.

use burn::module::Module;
use burn::tensor::{Tensor, activation::softmax};

use super::super::config::TextConfig;
use super::super::rope::Rotation;
use super::cache::{LayerCache, Span};
use crate::checkpoint::Error;
use crate::layers::{Kernel, Linear};
use crate::load::Loader;

/// Attention of tokens to those before them.
#[derive(Module, Debug)]
pub struct SelfAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    heads: usize,
    kv_heads: usize,
    #[module(skip)]
    kernel: Kernel,
}

impl SelfAttention {
    /// Loads `{name}.q_proj`, `k_proj`, `v_proj` (with biases) and `o_proj` (without).
    ///
    /// # Errors
    /// Where a parameter is missing or of another shape.
    pub fn load(loader: &mut Loader, name: &str, config: &TextConfig) -> Result<Self, Error> {
        let (width, heads) = (config.hidden_size, config.num_attention_heads);
        let kv_width = config.num_key_value_heads * config.head_dim();
        Ok(Self {
            q_proj: Linear::load(loader, &format!("{name}.q_proj"), [width, width])?,
            k_proj: Linear::load(loader, &format!("{name}.k_proj"), [kv_width, width])?,
            v_proj: Linear::load(loader, &format!("{name}.v_proj"), [kv_width, width])?,
            o_proj: Linear::load_without_bias(loader, &format!("{name}.o_proj"), [width, width])?,
            heads,
            kv_heads: config.num_key_value_heads,
            kernel: loader.placement().kernel(),
        })
    }

    /// Of tokens `[batch, tokens, hidden]`, the same shape.
    pub fn forward(
        &self,
        x: Tensor<3>,
        rotation: &Rotation,
        cache: &mut LayerCache,
        span: &Span,
    ) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let head = width / self.heads;
        let split = |x: Tensor<3>, heads: usize| x.reshape([batch, tokens, heads, head]);
        let query = rotation.apply(self.kernel, split(self.q_proj.forward(x.clone()), self.heads));
        let keys =
            rotation.apply(self.kernel, split(self.k_proj.forward(x.clone()), self.kv_heads));
        let values = split(self.v_proj.forward(x), self.kv_heads).swap_dims(1, 2);
        let [keys, values] = cache.extend(span.start, keys.swap_dims(1, 2), values);
        let seen = if tokens == 1 {
            self.attend_once(query, keys, values, span)
        } else {
            self.kernel.causal(query, keys, values, span.hidden.clone())
        };
        self.o_proj.forward(seen.reshape([batch, tokens, width]))
    }

    /// One token of each sequence: its heads of a group stand as rows of one product, so nothing is
    /// repeated. `[batch, 1, heads, head]`, in and out.
    fn attend_once(
        &self,
        query: Tensor<4>,
        keys: Tensor<4>,
        values: Tensor<4>,
        span: &Span,
    ) -> Tensor<4> {
        let [batch, _, _, head] = query.dims();
        let group = self.heads / self.kv_heads;
        let query = query.reshape([batch, self.kv_heads, group, head]);
        let scores = query.matmul(keys.swap_dims(2, 3)).mul_scalar((head as f64).powf(-0.5));
        let scores = match &span.hidden {
            Some(hidden) => {
                let shape = scores.dims();
                scores.mask_fill(hidden.clone().expand(shape), f32::NEG_INFINITY)
            }
            None => scores,
        };
        softmax(scores, 3).matmul(values).reshape([batch, 1, self.heads, head])
    }
}
