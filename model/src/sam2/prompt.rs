//! Prompts as tokens and as a map: where points are by sines of random projections, what they say by
//! an embedding each, and a mask through three convolutions.

use std::f64::consts::TAU;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::config::Config;
use crate::checkpoint::Error;
use crate::layers::{Kernel, LayerNorm, Linear, gelu};
use crate::load::Loader;

/// ε of the norms between the convolutions.
const NORM_EPSILON: f64 = 1e-6;

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
    #[module(skip)]
    embeddings: Embeddings,
    side: usize,
    grid: usize,
}

/// Vectors of `width` numbers.
#[derive(Clone, Debug, Default)]
struct Embeddings {
    width: usize,
    /// `[2, width / 2]`.
    gaussian: Vec<f32>,
    /// Background, foreground, a box's first and second corner.
    points: [Vec<f32>; 4],
    not_a_point: Vec<f32>,
    no_mask: Vec<f32>,
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
        let mut numbers = |part: &str, shape: [usize; 2]| {
            Ok(loader.numbers(&format!("{name}.{part}"), &shape)?.unwrap_or_default())
        };
        let mut point = |i: usize| numbers(&format!("point_embeddings.{i}.weight"), [1, width]);
        let points = [point(0)?, point(1)?, point(2)?, point(3)?];
        let gaussian = "pe_layer.positional_encoding_gaussian_matrix";
        let embeddings = Embeddings {
            width,
            points,
            gaussian: numbers(gaussian, [2, width / 2])?,
            not_a_point: numbers("not_a_point_embed.weight", [1, width])?,
            no_mask: numbers("no_mask_embed.weight", [1, width])?,
        };
        let name = format!("{name}.mask_downscaling");
        let mask = MaskEncoder::load(loader, &name, config)?;
        Ok(Self { mask, embeddings, side: config.image_size, grid: config.grid() })
    }

    /// Tokens of a prompt, one after another: the corners of the box, the points, and one that says
    /// that there are no more; none where nothing is asked.
    pub(super) fn tokens(&self, prompt: &Prompt) -> Vec<f32> {
        let corners =
            prompt.bbox.iter().flat_map(|&[x1, y1, x2, y2]| [([x1, y1], 2), ([x2, y2], 3)]);
        let points = prompt.points.iter().map(|&(at, label)| (at, label as usize));
        let mut tokens = Vec::new();
        for (at, kind) in corners.chain(points) {
            let side = self.side as f64;
            let place = self.embeddings.place(at.map(|at| (f64::from(at) + 0.5) / side));
            tokens.extend(place.iter().zip(&self.embeddings.points[kind]).map(|(a, b)| a + b));
        }
        if !tokens.is_empty() {
            tokens.extend(&self.embeddings.not_a_point);
        }
        tokens
    }

    /// Where the cells of the image embedding are: `[1, cells, width]`.
    pub(super) fn places(&self, options: (&Device, DType)) -> Tensor<3> {
        let cell = |i: usize| (i as f64 + 0.5) / self.grid as f64;
        let cells = (0..self.grid * self.grid).map(|i| [cell(i % self.grid), cell(i / self.grid)]);
        let places: Vec<f32> = cells.flat_map(|at| self.embeddings.place(at)).collect();
        let shape = [1, self.grid * self.grid, self.embeddings.width];
        Tensor::from_data(TensorData::new(places, shape), options)
    }

    /// What is added to the image embedding: `[1, 1, width]` where no prompt has a mask, else
    /// `[prompts, cells, width]`.
    pub(super) fn dense(&self, prompts: &[&Prompt], options: (&Device, DType)) -> Tensor<3> {
        let (width, cells) = (self.embeddings.width, self.grid * self.grid);
        let none = TensorData::new(self.embeddings.no_mask.clone(), [1, 1, width]);
        let none: Tensor<3> = Tensor::from_data(none, options);
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

impl Embeddings {
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
