//! One block: attention in windows or over the whole grid, then an MLP, each added to its input.

use burn::module::Module;
use burn::tensor::Tensor;

use super::super::config::Hiera;
use crate::checkpoint::Error;
use crate::layers::{Kernel, LayerNorm, Linear, gelu};
use crate::load::Loader;

/// What a block is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Width of what comes in and goes out.
    pub widths: [usize; 2],
    pub heads: usize,
    /// Side of a window on the grid that comes in; none where all tokens see each other.
    pub window: Option<usize>,
    /// Whether queries are pooled two by two, which halves the grid.
    pub pooled: bool,
    /// Width of the MLP's hidden layer.
    pub inner: usize,
    epsilon: f64,
}

impl Form {
    /// The forms of all blocks. The first block of a stage still has the window of the one before.
    pub fn all(config: &Hiera) -> Vec<Self> {
        let mut forms = Vec::new();
        for (number, stage) in config.stages.iter().enumerate() {
            let before = config.stages[number.saturating_sub(1)];
            for i in 0..stage.blocks {
                let enters = i == 0;
                let from = if enters { before } else { *stage };
                let global = config.global_blocks.contains(&forms.len());
                forms.push(Self {
                    widths: [from.width, stage.width],
                    heads: stage.heads,
                    window: (!global).then_some(from.window),
                    pooled: enters && (1..=config.pooled_stages).contains(&number),
                    inner: (stage.width as f64 * config.mlp_ratio) as usize,
                    epsilon: config.norm_epsilon,
                });
            }
        }
        forms
    }
}

/// A block on tokens `[images, grid, grid, width]`.
#[derive(Module, Debug)]
pub(super) struct Block {
    pub norm1: LayerNorm,
    pub qkv: Linear,
    pub proj: Linear,
    /// Brings what attention is added to to its width.
    pub shortcut: Option<Linear>,
    pub norm2: LayerNorm,
    pub mlp: [Linear; 2],
    #[module(skip)]
    pub form: Form,
    #[module(skip)]
    kernel: Kernel,
}

impl Block {
    pub fn load(loader: &mut Loader, name: &str, form: &Form) -> Result<Self, Error> {
        let [from, to] = form.widths;
        let shortcut =
            (from != to).then(|| Linear::load(loader, &format!("{name}.proj"), [to, from]));
        let fc = |i: usize| format!("{name}.mlp.layers.{i}");
        Ok(Self {
            norm1: LayerNorm::load(loader, &format!("{name}.norm1"), from, form.epsilon)?,
            qkv: Linear::load(loader, &format!("{name}.attn.qkv"), [3 * to, from])?,
            proj: Linear::load(loader, &format!("{name}.attn.proj"), [to, to])?,
            shortcut: shortcut.transpose()?,
            norm2: LayerNorm::load(loader, &format!("{name}.norm2"), to, form.epsilon)?,
            mlp: [
                Linear::load(loader, &fc(0), [form.inner, to])?,
                Linear::load(loader, &fc(1), [to, form.inner])?,
            ],
            form: *form,
            kernel: loader.placement().kernel(),
        })
    }

    /// `[images, grid, grid, width]` to the same, or to half the grid and twice the width.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let normal = self.norm1.forward(x.clone());
        let shortcut = match &self.shortcut {
            Some(shortcut) => pool_if(self.form.pooled, shortcut.forward(normal.clone())),
            None => pool_if(self.form.pooled, x),
        };
        let [_, rows, columns, _] = shortcut.dims();
        let x = shortcut + self.attend(normal, [rows, columns]);
        let hidden = self.mlp[0].forward(self.norm2.forward(x.clone()));
        x + self.mlp[1].forward(gelu(self.kernel, hidden))
    }

    /// Attention inside windows; what comes out has a grid of `rows` and `columns`.
    fn attend(&self, x: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
        let [images, height, width, _] = x.dims();
        let heads = self.form.heads;
        let side = self.form.window.unwrap_or(height.max(width));
        let [down, across] = [height.div_ceil(side), width.div_ceil(side)];
        let x = pad(x, [down * side, across * side]);
        let x = windows_of(x, [down, across], side);
        let qkv = self.qkv.forward(x);
        let channels = qkv.dims()[3] / 3;
        let windows = images * down * across;
        let part = |i: usize| qkv.clone().narrow(3, i * channels, channels);
        let query = pool_if(self.form.pooled, part(0));
        let pooled = query.dims()[1];
        let split = |x: Tensor<4>| {
            let tokens = x.dims()[1] * x.dims()[2];
            x.reshape([windows, tokens, heads, channels / heads])
        };
        let seen = self.kernel.across([split(query), split(part(1)), split(part(2))]);
        let seen = self.proj.forward(seen).reshape([windows * pooled, pooled, channels]);
        // Back from windows to rows, and without what was padded.
        let seen = seen.reshape([images * down, across, pooled, pooled * channels]).swap_dims(1, 2);
        let seen = seen.reshape([images, down * pooled, across * pooled, channels]);
        seen.narrow(1, 0, rows).narrow(2, 0, columns)
    }
}

/// Zeros below and to the right.
fn pad(x: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [_, height, width, _] = x.dims();
    if [height, width] == [rows, columns] {
        return x;
    }
    x.pad([(0, rows - height), (0, columns - width), (0, 0)], 0.0)
}

/// `[images, down x side, across x side, width]` to windows `[images x down x across, side, side,
/// width]`.
fn windows_of(x: Tensor<4>, [down, across]: [usize; 2], side: usize) -> Tensor<4> {
    let [images, _, _, channels] = x.dims();
    let x = x.reshape([images * down, side, across, side * channels]).swap_dims(1, 2);
    x.reshape([images * down * across, side, side, channels])
}

/// The greatest of each two by two.
fn pool_if(pooled: bool, x: Tensor<4>) -> Tensor<4> {
    if !pooled {
        return x;
    }
    let [count, rows, columns, width] = x.dims();
    let x = x.reshape([count * rows / 2, 2, columns * width]).max_dim(1);
    let x = x.reshape([count * rows / 2 * columns / 2, 2, width]).max_dim(1);
    x.reshape([count, rows / 2, columns / 2, width])
}
