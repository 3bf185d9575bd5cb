//! One block of the vision tower: attention and MLP, each after a norm, each added to its input.

use burn::module::Module;
use burn::tensor::Tensor;

use super::super::config::{Attention, VisionConfig};
use super::super::rope::Rotation;
use crate::checkpoint::Error;
use crate::layers::{Kernel, LayerNorm, Linear, Norm, RmsNorm, gated, quick_gelu};
use crate::load::Loader;

/// Added to the variance by either norm; no published config says otherwise.
const EPSILON: f64 = 1e-6;

/// A block on patches `[patches, hidden]`.
#[derive(Module, Debug)]
pub struct Block {
    norm1: Norm,
    norm2: Norm,
    qkv: Linear,
    proj: Linear,
    mlp: Mlp,
    heads: usize,
    #[module(skip)]
    kernel: Kernel,
}

/// The MLP of either tower.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant)] // one a block, and all blocks have the same
enum Mlp {
    /// Qwen2-VL.
    Plain(PlainMlp),
    /// Qwen2.5-VL.
    Gated(GatedMlp),
}

#[derive(Module, Debug)]
struct PlainMlp {
    fc1: Linear,
    fc2: Linear,
}

#[derive(Module, Debug)]
struct GatedMlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Mlp {
    fn load(loader: &mut Loader, name: &str, config: &VisionConfig) -> Result<Self, Error> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        Ok(match config.attention {
            Attention::Full => Self::Plain(PlainMlp {
                fc1: Linear::load(loader, &format!("{name}.fc1"), [inner, width])?,
                fc2: Linear::load(loader, &format!("{name}.fc2"), [width, inner])?,
            }),
            Attention::Windowed { .. } => Self::Gated(GatedMlp {
                gate_proj: Linear::load(loader, &format!("{name}.gate_proj"), [inner, width])?,
                up_proj: Linear::load(loader, &format!("{name}.up_proj"), [inner, width])?,
                down_proj: Linear::load(loader, &format!("{name}.down_proj"), [width, inner])?,
            }),
        })
    }

    fn forward(&self, kernel: Kernel, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Plain(mlp) => mlp.fc2.forward(quick_gelu(mlp.fc1.forward(x))),
            Self::Gated(mlp) => {
                let gate = mlp.gate_proj.forward(x.clone());
                mlp.down_proj.forward(gated(kernel, gate, mlp.up_proj.forward(x)))
            }
        }
    }
}

/// The norm of either tower, over `width` numbers.
pub(super) fn load_norm(
    loader: &mut Loader,
    name: &str,
    width: usize,
    attention: &Attention,
) -> Result<Norm, Error> {
    Ok(match attention {
        Attention::Full => Norm::Layer(LayerNorm::load(loader, name, width, EPSILON)?),
        Attention::Windowed { .. } => Norm::Rms(RmsNorm::load(loader, name, width, EPSILON)?),
    })
}

impl Block {
    /// Loads `{name}.norm1`, `.attn`, `.norm2`, `.mlp`.
    ///
    /// # Errors
    /// Where a parameter is missing or of another shape.
    pub fn load(loader: &mut Loader, name: &str, config: &VisionConfig) -> Result<Self, Error> {
        let width = config.hidden_size;
        Ok(Self {
            norm1: load_norm(loader, &format!("{name}.norm1"), width, &config.attention)?,
            norm2: load_norm(loader, &format!("{name}.norm2"), width, &config.attention)?,
            qkv: Linear::load(loader, &format!("{name}.attn.qkv"), [3 * width, width])?,
            proj: Linear::load(loader, &format!("{name}.attn.proj"), [width, width])?,
            mlp: Mlp::load(loader, &format!("{name}.mlp"), config)?,
            heads: config.num_heads,
            kernel: loader.placement().kernel(),
        })
    }

    /// Of patches `[patches, hidden]`, the same shape. `windows` are runs of (how many, how many
    /// patches each) that lie one behind the other.
    pub fn forward(
        &self,
        x: Tensor<2>,
        rotation: &Rotation,
        windows: &[(usize, usize)],
    ) -> Tensor<2> {
        let x = x.clone() + self.attend(self.norm1.forward(x), rotation, windows);
        x.clone() + self.mlp.forward(self.kernel, self.norm2.forward(x))
    }

    fn attend(&self, x: Tensor<2>, rotation: &Rotation, windows: &[(usize, usize)]) -> Tensor<2> {
        let [count, width] = x.dims();
        let head = width / self.heads;
        let qkv = self.qkv.forward(x).reshape([1, count, 3 * self.heads, head]);
        let [query, key, value] =
            [0, 1, 2].map(|part| qkv.clone().narrow(2, part * self.heads, self.heads));
        let (query, key) = (rotation.apply(self.kernel, query), rotation.apply(self.kernel, key));
        self.proj.forward(self.kernel.windows([query, key, value], windows))
    }
}
