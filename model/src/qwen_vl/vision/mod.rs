//! The vision tower: patches of an image to tokens of the decoder.

mod block;
mod rotary;
mod window;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::config::{Attention, VisionConfig};
use super::rope::Rotation;
use crate::checkpoint::Error;
use crate::layers::{Kernel, Linear, Norm, gelu};
use crate::load::Loader;
use block::Block;
pub use window::{Grid, Order};

/// The tower. One image is seen at a time.
#[derive(Module, Debug)]
pub struct VisionTower {
    patch_embed: Linear,
    blocks: Vec<Block>,
    merger_norm: Norm,
    merger: Vec<Linear>,
    #[module(skip)]
    config: VisionConfig,
    #[module(skip)]
    kernel: Kernel,
}

/// What the blocks need to know of the frames.
#[derive(Clone, Debug)]
pub struct Course {
    patches: Vec<usize>,
    inverse: Vec<usize>,
    windows: Vec<(usize, usize)>,
    whole: (usize, usize),
    unit: usize,
    rotation: Rotation,
}

impl Course {
    /// Patches in the processor's order.
    fn ordered(&self, x: Tensor<2>) -> Tensor<2> {
        let device = x.device();
        permute(x, &self.inverse, self.unit, &device)
    }
}

impl VisionTower {
    /// Loads `visual.*`.
    ///
    /// # Errors
    /// Where a parameter is missing or of another shape.
    pub fn load(loader: &mut Loader, config: &VisionConfig) -> Result<Self, Error> {
        let width = config.hidden_size;
        let merged = width * config.merge_len();
        let side = config.patch_size;
        let kernel = [width, config.in_channels, config.temporal_patch_size, side, side];
        let blocks = (0..config.depth)
            .map(|i| Block::load(loader, &format!("visual.blocks.{i}"), config))
            .collect::<Result<_, _>>()?;
        let norm = block::load_norm(loader, "visual.merger.ln_q", width, &config.attention)?;
        Ok(Self {
            patch_embed: Linear::load_kernel(loader, "visual.patch_embed.proj", &kernel)?,
            blocks,
            merger_norm: norm,
            merger: vec![
                Linear::load(loader, "visual.merger.mlp.0", [merged, merged])?,
                Linear::load(loader, "visual.merger.mlp.2", [config.out_hidden_size, merged])?,
            ],
            config: config.clone(),
            kernel: loader.placement().kernel(),
        })
    }

    /// The tokens `[patches / merge², out hidden]` of one image or video, from its patches
    /// `[patches, channels x frames x side x side]` in the processor's order. Frames do not see each
    /// other.
    pub fn forward(&self, patches: Tensor<2>, grid: Grid) -> Tensor<2> {
        let [frames, height, width] = grid;
        let tokens = patches.chunk(frames.max(1), 0).into_iter();
        let tokens = tokens.map(|frame| self.frame(frame, [height, width], |_, _| {}));
        Tensor::cat(tokens.collect(), 0)
    }

    /// Of one frame of `[height, width]` patches; each block's output `[patches, hidden]`, in the
    /// processor's order, is shown with the block's index.
    pub fn frame(
        &self,
        patches: Tensor<2>,
        frame: [usize; 2],
        mut show: impl FnMut(usize, &dyn Fn() -> Tensor<2>),
    ) -> Tensor<2> {
        let (mut x, course) = self.begin(patches, frame);
        for index in 0..self.blocks.len() {
            x = self.block(index, x, &course);
            show(index, &|| course.ordered(x.clone()));
        }
        self.merge(x, &course)
    }

    /// Number of blocks.
    pub fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// What comes before the blocks: the embedded patches `[patches, hidden]`, window by window, and
    /// what the blocks need to know of the frame.
    fn begin(&self, patches: Tensor<2>, frame: [usize; 2]) -> (Tensor<2>, Course) {
        let course = self.lay(Order::new(frame, &self.config), frame, 1, &patches.device());
        (self.embed(patches, &course), course)
    }

    /// The way of `frames` frames of `[height, width]` patches through the tower at once; none where
    /// they are so large that they fall into windows of several sizes, and several would not pay.
    pub fn course(&self, frame: [usize; 2], frames: usize, device: &Device) -> Option<Course> {
        let order = Order::new(frame, &self.config).of_frames(frames)?;
        Some(self.lay(order, frame, frames, device))
    }

    fn lay(&self, order: Order, frame: [usize; 2], frames: usize, device: &Device) -> Course {
        let unit = self.config.merge_len();
        Course {
            windows: order.windows.iter().map(|&(n, len)| (n, len * unit)).collect(),
            whole: (frames, frame[0] * frame[1]),
            unit,
            rotation: rotary::rotation(frame, &order, &self.config, device),
            inverse: order.inverse(),
            patches: order.patches,
        }
    }

    /// Patches `[patches, numbers]` in the processor's order, frame by frame, to `[patches, hidden]`,
    /// window by window.
    pub fn embed(&self, patches: Tensor<2>, course: &Course) -> Tensor<2> {
        let device = patches.device();
        permute(self.patch_embed.forward(patches), &course.patches, course.unit, &device)
    }

    /// One block.
    pub fn block(&self, index: usize, x: Tensor<2>, course: &Course) -> Tensor<2> {
        let whole = std::slice::from_ref(&course.whole);
        let seen = if self.sees_all(index) { whole } else { &course.windows };
        self.blocks[index].forward(x, &course.rotation, seen)
    }

    /// What comes after the blocks: tokens `[patches / merge², out hidden]` in the processor's order.
    pub fn merge(&self, x: Tensor<2>, course: &Course) -> Tensor<2> {
        let device = x.device();
        let [count, width] = x.dims();
        let unit = course.unit;
        let x = self.merger_norm.forward(x).reshape([count / unit, width * unit]);
        let x = self.merger[1].forward(gelu(self.kernel, self.merger[0].forward(x)));
        permute(x, &course.inverse, 1, &device)
    }

    fn sees_all(&self, block: usize) -> bool {
        match &self.config.attention {
            Attention::Full => true,
            Attention::Windowed { fullatt_block_indexes, .. } => {
                fullatt_block_indexes.contains(&block)
            }
        }
    }
}

/// Rows in groups of `unit`, in the order given.
fn permute(x: Tensor<2>, order: &[usize], unit: usize, device: &Device) -> Tensor<2> {
    let [count, width] = x.dims();
    let indices: Vec<i32> = order.iter().map(|&i| i as i32).collect();
    let indices = TensorData::new(indices, [order.len()]);
    let indices = Tensor::<1, Int>::from_data(indices, device);
    x.reshape([count / unit, unit * width]).select(0, indices).reshape([count, width])
}
