//! The decoder: embeddings of tokens and of images to hidden states, and to logits.

mod attention;
mod cache;
mod layer;

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

use super::config::Config;
use super::rope::Rotation;
use crate::checkpoint::Error;
use crate::layers::{Matrix, RmsNorm};
use crate::load::Loader;
use cache::LayerCache;
pub use cache::{Cache, Span};
use layer::Layer;

/// A Qwen2 language model.
#[derive(Module, Debug)]
pub struct Decoder {
    embed_tokens: Matrix,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// None where the embeddings serve as output layer too.
    lm_head: Option<Matrix>,
}

impl Decoder {
    /// Loads `model.*` and, unless tied, `lm_head.weight`.
    ///
    /// # Errors
    /// Where a parameter is missing or of another shape.
    pub fn load(loader: &mut Loader, config: &Config) -> Result<Self, Error> {
        let text = &config.text;
        let table = [text.vocab_size, text.hidden_size];
        let embed_tokens = loader.matrix("model.embed_tokens.weight", table)?;
        let layers = (0..text.num_hidden_layers)
            .map(|i| Layer::load(loader, &format!("model.layers.{i}"), text))
            .collect::<Result<_, _>>()?;
        let norm = RmsNorm::load(loader, "model.norm", text.hidden_size, text.rms_norm_eps)?;
        let lm_head = match config.tie_word_embeddings {
            true => {
                // Trainers save the shared weights under both names.
                loader.ignore("lm_head.weight");
                None
            }
            false => Some(loader.matrix("lm_head.weight", table)?),
        };
        Ok(Self { embed_tokens, layers, norm, lm_head })
    }

    /// The embeddings `[ids, hidden]` of tokens.
    pub fn embed(&self, ids: &[u32], device: &Device) -> Tensor<2> {
        self.embed_tokens.rows(ids, device)
    }

    /// Hidden states `[batch, tokens, hidden]` of embeddings of the same shape, before the last norm.
    /// Keys and values of the tokens are added to the cache.
    pub fn forward(
        &self,
        embeddings: Tensor<3>,
        rotation: &Rotation,
        cache: &mut Cache,
    ) -> Tensor<3> {
        self.forward_with(embeddings, rotation, cache, |_, _| {})
    }

    /// As [`Decoder::forward`], showing each layer's output with its index.
    pub fn forward_with(
        &self,
        embeddings: Tensor<3>,
        rotation: &Rotation,
        cache: &mut Cache,
        mut show: impl FnMut(usize, &Tensor<3>),
    ) -> Tensor<3> {
        let span = cache.begin(embeddings.dims()[1]);
        let mut x = embeddings;
        for (index, (layer, cache)) in self.layers.iter().zip(cache.layers()).enumerate() {
            x = layer.forward(x, rotation, cache, &span);
            show(index, &x);
        }
        x
    }

    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// One layer, on prompts `[prompts, tokens, hidden]` and on what follows them, `[prompts x replies,
    /// tokens, hidden]`, each with its rotation: the way of gradients, by which a prompt is computed
    /// once for all of its replies. Where `hidden`, `[prompts x replies, 1, 1, tokens of both]`, is true,
    /// replies see nothing.
    pub fn branch(
        &self,
        layer: usize,
        [prompts, replies]: [Tensor<3>; 2],
        rotations: &[Rotation; 2],
        hidden: Option<&Tensor<4, Bool>>,
    ) -> [Tensor<3>; 2] {
        let mut cache = LayerCache::growing();
        let layer = &self.layers[layer];
        let start = prompts.dims()[1];
        let span = Span { start: 0, hidden: None };
        let prompts = layer.forward(prompts, &rotations[0], &mut cache, &span);
        let span = Span { start, hidden: hidden.cloned() };
        let replies = layer.forward(replies, &rotations[1], &mut cache, &span);
        [prompts, replies]
    }

    /// Logits `[batch, tokens, vocabulary]` of hidden states.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        let head = self.lm_head.as_ref().unwrap_or(&self.embed_tokens);
        head.multiply(self.norm.forward(hidden), None)
    }
}
