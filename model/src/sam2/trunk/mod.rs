//! Hiera: the image as tokens of four pixels' side, in stages that halve the grid and double the width.

mod block;
mod cpu;
mod patches;
mod position;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::config::Hiera;
use crate::checkpoint::Error;
use crate::layers::{Kernel, Linear};
use crate::load::Loader;
use block::{Block, Form};
use cpu::Run;
use patches::Patches;
use position::Position;

/// The trunk of the image encoder.
#[derive(Module, Debug)]
pub struct Trunk {
    patch_embed: Linear,
    position: Position,
    blocks: Vec<Block>,
    /// How many blocks each stage has.
    #[module(skip)]
    stages: [usize; 4],
    #[module(skip)]
    patches: Patches,
    #[module(skip)]
    kernel: Kernel,
}

impl Trunk {
    /// Loads what begins with `{name}.`, for images of that side.
    ///
    /// # Errors
    /// Where a parameter is missing or of another shape.
    pub fn load(
        loader: &mut Loader,
        name: &str,
        config: &Hiera,
        image_size: usize,
    ) -> Result<Self, Error> {
        let patches = Patches {
            kernel: config.patch_kernel,
            stride: config.patch_stride,
            padding: config.patch_padding,
        };
        let width = config.stages[0].width;
        let kernel = [width, 3, config.patch_kernel, config.patch_kernel];
        let patch_embed =
            Linear::load_convolution(loader, &format!("{name}.patch_embed.proj"), &kernel)?;
        let grid = patches.grid(image_size);
        let position = Position::load(loader, name, config, grid)?;
        let block =
            |(i, form): (usize, &Form)| Block::load(loader, &format!("{name}.blocks.{i}"), form);
        let blocks = Form::all(config).iter().enumerate().map(block).collect::<Result<_, _>>()?;
        let stages = config.stages.map(|stage| stage.blocks);
        let kernel = loader.placement().kernel();
        Ok(Self { patch_embed, position, blocks, stages, patches, kernel })
    }

    /// The tokens of each stage's last block, `[images, grid, grid, width]`, of pixels `[images, side,
    /// side, 3]`.
    pub fn forward(&self, pixels: Tensor<4>) -> [Tensor<4>; 4] {
        let [images, side, _, _] = pixels.dims();
        let grid = self.patches.grid(side);
        let patches = self.patches.of(self.kernel, pixels);
        let tokens = self.patch_embed.forward(patches) + self.position.forward();
        let width = tokens.dims()[2];
        let mut x = tokens.reshape([images, grid, grid, width]);
        let on_cpu: Option<Vec<Run>> = self.blocks.iter().map(Run::new).collect();
        if let Some(blocks) = on_cpu {
            return self.forward_on_cpu(x, &blocks);
        }
        let mut blocks = self.blocks.iter();
        self.stages.map(|count| {
            x = blocks.by_ref().take(count).fold(x.clone(), |x, block| block.forward(x));
            x.clone()
        })
    }

    /// One image after another, each in one buffer.
    fn forward_on_cpu(&self, x: Tensor<4>, blocks: &[Run]) -> [Tensor<4>; 4] {
        let device = x.device();
        let [images, grid, _, _] = x.dims();
        let data = x.into_data();
        let tokens = data.as_slice::<f32>().unwrap_or(&[]);
        let mut stages = [(); 4].map(|()| (Vec::new(), 0));
        for tokens in tokens.chunks_exact((tokens.len() / images.max(1)).max(1)) {
            let mut x = (tokens.to_vec(), grid);
            let mut blocks = blocks.iter();
            for ((all, grid), count) in stages.iter_mut().zip(self.stages) {
                x = blocks.by_ref().take(count).fold(x, |x, block| block.forward(x));
                all.extend_from_slice(&x.0);
                *grid = x.1;
            }
        }
        stages.map(|(data, grid)| {
            let width = data.len() / (images * grid * grid).max(1);
            Tensor::from_data(TensorData::new(data, [images, grid, grid, width]), &device)
        })
    }
}
