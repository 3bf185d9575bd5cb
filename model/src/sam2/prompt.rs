//! Prompts as tokens and as a map: where points are by sines of random projections, what they say by
//! an embedding each, and a mask through three convolutions.

use std::f64::consts::TAU;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::config::Config;
use crate::checkpoint::Error;
use crate::layers::{Kernel, LayerNorm, Linear, gelu};
use crate::load::Loader;

/// ε of the norms between the convolutions.
const NORM_EPSILON: f64 = 1e-6;
/// The vector of what is no point, behind those of points.
const NOT_A_POINT: i32 = 4;

/// What is asked of the network for one object. Coordinates are (x, y) in pixels of the image as the
/// network sees it, whose pixels have whole numbers as their corners of least x and y.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// Points and what they say.
    pub points: Vec<([f32; 2], PointLabel)>,
    /// x and y of two corners.
    pub bbox: Option<[f32; 4]>,
    /// Logits of a mask of [`Config::mask_side`] squared numbers, row by row, as a former answer gave
    /// them.
    pub mask: Option<Vec<f32>>,
}

impl Prompt {
    /// How many tokens it becomes.
    pub(super) fn tokens(&self) -> usize {
        let places = self.points.len() + 2 * usize::from(self.bbox.is_some());
        if places == 0 { 0 } else { places + 1 }
    }
}

/// What a point says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointLabel {
    /// The object is not here.
    Background,
    /// The object is here.
    Foreground,
}

/// The prompt encoder's weights: few numbers, which are used where they are.
#[derive(Module, Debug)]
pub struct PromptEncoder {
    mask: MaskEncoder,
    /// Background, foreground, a box's first and second corner: `[1, width]` each.
    points: [Param<Tensor<2>>; 4],
    not_a_point: Param<Tensor<2>>,
    no_mask: Param<Tensor<2>>,
    /// What places are projected by, `[2, width / 2]`; it was drawn and stays.
    gaussian: Param<Tensor<2>>,
    #[module(skip)]
    projection: Projection,
    side: usize,
    grid: usize,
}

/// From places to vectors of `width` numbers.
#[derive(Clone, Debug, Default)]
struct Projection {
    width: usize,
    /// `[2, width / 2]`.
    gaussian: Vec<f32>,
}

#[derive(Module, Debug)]
struct MaskEncoder {
    convolutions: [Linear; 3],
    norms: [LayerNorm; 2],
    #[module(skip)]
    kernel: Kernel,
}

impl PromptEncoder {
    /// Loads what begins with `{name}.`.
    ///
    /// # Errors
    /// Where a parameter is missing or of another shape.
    pub fn load(loader: &mut Loader, name: &str, config: &Config) -> Result<Self, Error> {
        let width = config.neck.width;
        let mut exact =
            |part: &str, shape: [usize; 2]| loader.exact(&format!("{name}.{part}"), shape);
        let mut point = |i: usize| exact(&format!("point_embeddings.{i}.weight"), [1, width]);
        let points = [point(0)?, point(1)?, point(2)?, point(3)?];
        let gaussian = exact("pe_layer.positional_encoding_gaussian_matrix", [2, width / 2])?;
        let numbers = gaussian.val().into_data().try_into_vec().unwrap_or_default();
        let (side, grid) = (config.image_size, config.grid());
        Ok(Self {
            points,
            not_a_point: exact("not_a_point_embed.weight", [1, width])?,
            no_mask: exact("no_mask_embed.weight", [1, width])?,
            gaussian,
            projection: Projection { width, gaussian: numbers },
            mask: MaskEncoder::load(loader, &format!("{name}.mask_downscaling"), config)?,
            side,
            grid,
        })
    }

    /// Tokens of prompts of one length, `[prompts, tokens, width]`: the corners of the box, the points,
    /// and one that says that there are no more; none where nothing is asked.
    pub(super) fn tokens(
        &self,
        prompts: &[&Prompt],
        (device, dtype): (&Device, DType),
    ) -> Option<Tensor<3>> {
        let length = prompts.first().map_or(0, |prompt| prompt.tokens());
        if length == 0 {
            return None;
        }
        let side = self.side as f64;
        let (mut places, mut kinds) = (Vec::new(), Vec::new());
        for prompt in prompts {
            let corners =
                prompt.bbox.iter().flat_map(|&[x1, y1, x2, y2]| [([x1, y1], 2), ([x2, y2], 3)]);
            let points = prompt.points.iter().map(|&(at, label)| (at, label as i32));
            for (at, kind) in corners.chain(points) {
                let place = at.map(|at| (f64::from(at) + 0.5) / side);
                places.extend(self.projection.place(place));
                kinds.push(kind);
            }
            places.resize(places.len() + self.projection.width, 0.0);
            kinds.push(NOT_A_POINT);
        }
        let shape = [prompts.len(), length, self.projection.width];
        let count = kinds.len();
        let kinds = Tensor::<1, Int>::from_data(TensorData::new(kinds, [count]), device);
        let vectors = self.points.iter().chain([&self.not_a_point]).map(Param::val);
        let vectors = Tensor::cat(vectors.collect(), 0).select(0, kinds).reshape(shape);
        let places = Tensor::from_data(TensorData::new(places, shape), (device, DType::F32));
        let tokens = vectors + places;
        Some(if dtype == DType::F32 { tokens } else { tokens.cast(dtype) })
    }

    /// Where the cells of the image embedding are: `[1, cells, width]`.
    pub(super) fn places(&self, options: (&Device, DType)) -> Tensor<3> {
        let cell = |i: usize| (i as f64 + 0.5) / self.grid as f64;
        let cells = (0..self.grid * self.grid).map(|i| [cell(i % self.grid), cell(i / self.grid)]);
        let places: Vec<f32> = cells.flat_map(|at| self.projection.place(at)).collect();
        let shape = [1, self.grid * self.grid, self.projection.width];
        Tensor::from_data(TensorData::new(places, shape), options)
    }

    /// What is added to the image embedding: `[1, 1, width]` where no prompt has a mask, else
    /// `[prompts, cells, width]`.
    pub(super) fn dense(&self, prompts: &[&Prompt], options: (&Device, DType)) -> Tensor<3> {
        let (width, cells) = (self.projection.width, self.grid * self.grid);
        let none: Tensor<3> = self.no_mask.val().unsqueeze();
        let none = if options.1 == DType::F32 { none } else { none.cast(options.1) };
        if prompts.iter().all(|prompt| prompt.mask.is_none()) {
            return none;
        }
        let dense = |prompt: &&Prompt| match &prompt.mask {
            None => none.clone().expand([1, cells, width]),
            Some(mask) => {
                let side = 4 * self.grid;
                let mask = TensorData::new(mask.clone(), [1, side, side, 1]);
                self.mask.forward(Tensor::from_data(mask, options)).reshape([1, cells, width])
            }
        };
        Tensor::cat(prompts.iter().map(dense).collect(), 0)
    }
}

impl Projection {
    /// Sines and cosines of a place (x, y) in the unit square, as f64 rounds them.
    fn place(&self, [x, y]: [f64; 2]) -> Vec<f32> {
        let half = self.width / 2;
        let angle = |i: usize| {
            let along =
                |j: usize, at: f64| (2.0 * at - 1.0) * f64::from(self.gaussian[j * half + i]);
            TAU * (along(0, x) + along(1, y))
        };
        let sines = (0..half).map(|i| angle(i).sin() as f32);
        sines.chain((0..half).map(|i| angle(i).cos() as f32)).collect()
    }
}

impl MaskEncoder {
    fn load(loader: &mut Loader, name: &str, config: &Config) -> Result<Self, Error> {
        let (channels, width) = (config.prompt.mask_channels, config.neck.width);
        let mut convolution = |i: usize, shape: [usize; 4]| {
            Linear::load_convolution(loader, &format!("{name}.{i}"), &shape)
        };
        let convolutions = [
            convolution(0, [channels / 4, 1, 2, 2])?,
            convolution(3, [channels, channels / 4, 2, 2])?,
            convolution(6, [width, channels, 1, 1])?,
        ];
        let mut norm = |i: usize, width: usize| {
            LayerNorm::load(loader, &format!("{name}.{i}"), width, NORM_EPSILON)
        };
        let norms = [norm(1, channels / 4)?, norm(4, channels)?];
        Ok(Self { convolutions, norms, kernel: loader.placement().kernel() })
    }

    /// `[masks, side, side, 1]` to `[masks, side / 4, side / 4, width]`.
    fn forward(&self, mask: Tensor<4>) -> Tensor<4> {
        let [first, second, last] = &self.convolutions;
        let x = gelu(self.kernel, self.norms[0].forward(first.forward(by_fours(mask))));
        let x = gelu(self.kernel, self.norms[1].forward(second.forward(by_fours(x))));
        last.forward(x)
    }
}

/// What kernels of two by two see, channel by channel: half the rows and columns, four times the width.
fn by_fours(x: Tensor<4>) -> Tensor<4> {
    let [count, rows, columns, width] = x.dims();
    let x = x.reshape([count * rows / 2, 2, columns / 2, 2, width]).permute([0, 2, 4, 1, 3]);
    x.reshape([count, rows / 2, columns / 2, 4 * width])
}
