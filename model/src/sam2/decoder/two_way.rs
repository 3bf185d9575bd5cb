//! The two-way transformer: prompts ask the image, and the image asks the prompts.

use burn::module::Module;
use burn::tensor::{Tensor, activation::relu};

use super::Mlp;
use crate::checkpoint::Error;
use crate::layers::{Kernel, LayerNorm, Linear};
use crate::load::Loader;
use crate::sam2::config::Config;

/// ε of its norms: torch's default.
const NORM_EPSILON: f64 = 1e-5;

/// Prompts `[objects, tokens, width]` and image `[objects, cells, width]`, each of the other.
#[derive(Module, Debug)]
pub(super) struct TwoWay {
    blocks: Vec<Block>,
    last: Attention,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Block {
    self_attn: Attention,
    token_to_image: Attention,
    mlp: Mlp,
    image_to_token: Attention,
    norms: [LayerNorm; 4],
}

/// Attention on vectors that may be narrowed for it.
#[derive(Module, Debug)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    heads: usize,
    #[module(skip)]
    kernel: Kernel,
}

impl TwoWay {
    pub fn load(loader: &mut Loader, name: &str, config: &Config) -> Result<Self, Error> {
        let block = |i: usize| Block::load(loader, &format!("{name}.layers.{i}"), config);
        let blocks = (0..config.decoder.blocks).map(block).collect::<Result<_, _>>()?;
        let last = format!("{name}.final_attn_token_to_image");
        let last = Attention::load(loader, &last, config, config.decoder.attention_downsample)?;
        let norm = format!("{name}.norm_final_attn");
        let norm = LayerNorm::load(loader, &norm, config.neck.width, NORM_EPSILON)?;
        Ok(Self { blocks, last, norm })
    }

    /// What the first block asks of an image, whatever the prompts.
    pub fn prepare(&self, image: &Tensor<3>, places: &Tensor<3>) -> Option<Projected> {
        self.blocks.first().map(|block| block.project(image, places))
    }

    /// Tokens and image after all blocks. `places` are those of the image's cells, `[1, cells, width]`;
    /// the tokens that come in are their own places; `prepared` is of this image.
    pub fn forward(
        &self,
        tokens: Tensor<3>,
        image: Tensor<3>,
        places: &Tensor<3>,
        mut prepared: Option<Projected>,
    ) -> (Tensor<3>, Tensor<3>) {
        let (own, mut image) = (tokens.clone(), image);
        let mut tokens = tokens;
        for (number, block) in self.blocks.iter().enumerate() {
            tokens = match number {
                0 => block.self_attn.forward(tokens.clone(), tokens.clone(), tokens),
                _ => {
                    let placed = tokens.clone() + own.clone();
                    tokens.clone() + block.self_attn.forward(placed.clone(), placed, tokens)
                }
            };
            let projected = prepared.take().unwrap_or_else(|| block.project(&image, places));
            (tokens, image) = block.forward(tokens, image, &own, projected);
        }
        let placed = image.clone() + places.clone();
        let seen = self.last.forward(tokens.clone() + own, placed, image.clone());
        (self.norm.forward(tokens + seen), image)
    }
}

/// An image as a block's prompts see it, and as it asks them: `[objects, cells, ..]`.
#[derive(Clone, Debug)]
pub(in crate::sam2) struct Projected {
    key: Tensor<3>,
    value: Tensor<3>,
    query: Tensor<3>,
}

impl Projected {
    /// What a function makes of each.
    pub fn map(self, f: impl Fn(Tensor<3>) -> Tensor<3>) -> Self {
        Self { key: f(self.key), value: f(self.value), query: f(self.query) }
    }
}

impl Block {
    fn load(loader: &mut Loader, name: &str, config: &Config) -> Result<Self, Error> {
        let (width, inner) = (config.neck.width, config.decoder.mlp_width);
        let mut attention = |part: &str, downsample: usize| {
            Attention::load(loader, &format!("{name}.{part}"), config, downsample)
        };
        let downsample = config.decoder.attention_downsample;
        let self_attn = attention("self_attn", 1)?;
        let token_to_image = attention("cross_attn_token_to_image", downsample)?;
        let image_to_token = attention("cross_attn_image_to_token", downsample)?;
        let mlp = Mlp::load(loader, &format!("{name}.mlp"), &[width, inner, width])?;
        let mut norm =
            |i: usize| LayerNorm::load(loader, &format!("{name}.norm{i}"), width, NORM_EPSILON);
        let norms = [norm(1)?, norm(2)?, norm(3)?, norm(4)?];
        Ok(Self { self_attn, token_to_image, mlp, image_to_token, norms })
    }

    fn project(&self, image: &Tensor<3>, places: &Tensor<3>) -> Projected {
        let placed = image.clone() + places.clone();
        Projected {
            key: self.token_to_image.k_proj.forward(placed.clone()),
            value: self.token_to_image.v_proj.forward(image.clone()),
            query: self.image_to_token.q_proj.forward(placed),
        }
    }

    /// What follows the tokens' attention to themselves.
    fn forward(
        &self,
        tokens: Tensor<3>,
        image: Tensor<3>,
        own: &Tensor<3>,
        Projected { key, value, query }: Projected,
    ) -> (Tensor<3>, Tensor<3>) {
        let tokens = self.norms[0].forward(tokens);
        let asked = self.token_to_image.q_proj.forward(tokens.clone() + own.clone());
        let seen = self.token_to_image.attend(asked, key, value);
        let tokens = self.norms[1].forward(tokens + seen);
        let tokens = self.norms[2].forward(tokens.clone() + self.mlp.forward(tokens));
        let key = self.image_to_token.k_proj.forward(tokens.clone() + own.clone());
        let value = self.image_to_token.v_proj.forward(tokens.clone());
        let seen = self.image_to_token.attend(query, key, value);
        (tokens, self.norms[3].forward(image + seen))
    }
}

impl Attention {
    fn load(
        loader: &mut Loader,
        name: &str,
        config: &Config,
        downsample: usize,
    ) -> Result<Self, Error> {
        let width = config.neck.width;
        let inner = width / downsample;
        let mut linear = |part: &str, shape: [usize; 2]| {
            Linear::load(loader, &format!("{name}.{part}_proj"), shape)
        };
        Ok(Self {
            q_proj: linear("q", [inner, width])?,
            k_proj: linear("k", [inner, width])?,
            v_proj: linear("v", [inner, width])?,
            out_proj: linear("out", [width, inner])?,
            heads: config.decoder.heads,
            kernel: loader.placement().kernel(),
        })
    }

    fn forward(&self, query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
        let (key, value) = (self.k_proj.forward(key), self.v_proj.forward(value));
        self.attend(self.q_proj.forward(query), key, value)
    }

    /// Of what was projected.
    fn attend(&self, query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
        let split = |x: Tensor<3>| {
            let [count, tokens, width] = x.dims();
            x.reshape([count, tokens, self.heads, width / self.heads])
        };
        self.out_proj.forward(self.kernel.across([query, key, value].map(split)))
    }
}

impl Mlp {
    /// Loads `{name}.layers.{i}`, from each width to the next.
    pub fn load(loader: &mut Loader, name: &str, widths: &[usize]) -> Result<Self, Error> {
        let layer = |(i, pair): (usize, &[usize])| {
            Linear::load(loader, &format!("{name}.layers.{i}"), [pair[1], pair[0]])
        };
        let layers = widths.windows(2).enumerate().map(layer).collect::<Result<_, _>>()?;
        Ok(Self { layers })
    }

    /// max(0, x) between layers.
    pub fn forward(&self, mut x: Tensor<3>) -> Tensor<3> {
        for (number, layer) in self.layers.iter().enumerate() {
            x = layer.forward(if number == 0 { x } else { relu(x) });
        }
        x
    }
}
