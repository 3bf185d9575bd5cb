//! From the image as the prompts see it to logits of masks, four times as fine.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use crate::checkpoint::Error;
use crate::layers::{Kernel, LayerNorm, Linear, cpu, gelu};
use crate::load::Loader;
use crate::product::{Matrix, multiply};
use crate::sam2::config::Config;

/// ε of the norm between the two transposed convolutions.
const NORM_EPSILON: f64 = 1e-6;

/// Two transposed convolutions of stride 2, to which the finer levels of the image are added.
#[derive(Module, Debug)]
pub(super) struct Upscale {
    layers: [Linear; 2],
    norm: LayerNorm,
    grid: usize,
    #[module(skip)]
    kernel: Kernel,
}

impl Upscale {
    pub fn load(loader: &mut Loader, name: &str, config: &Config) -> Result<Self, Error> {
        let width = config.neck.width;
        let mut layer = |i: usize, shape: [usize; 2]| {
            Linear::load_spread(loader, &format!("{name}.{i}"), shape)
        };
        let layers = [layer(0, [width, width / 4])?, layer(3, [width / 4, width / 8])?];
        let norm = LayerNorm::load(loader, &format!("{name}.1"), width / 4, NORM_EPSILON)?;
        Ok(Self { layers, norm, grid: config.grid(), kernel: loader.placement().kernel() })
    }

    /// Logits `[objects, masks, 16 cells]`, row by row, of an image `[objects, cells, width]` whose
    /// finest level is `[1, 4 grid, 4 grid, width / 8]` and whose next `[1, 2 grid, 2 grid, width / 4]`;
    /// `hyper`, `[objects, masks, width / 8]`, is what pixels are multiplied by.
    pub fn masks(&self, image: Tensor<3>, fine: [Tensor<4>; 2], hyper: Tensor<3>) -> Tensor<3> {
        if self.kernel == Kernel::Cpu
            && let [Some(first), Some(second)] = self.layers.each_ref().map(Linear::dense)
        {
            return self.on_cpu(image, fine, hyper, &first, &second);
        }
        let [objects, _, width] = image.dims();
        let [finest, fine] = fine;
        let image = image.reshape([objects, self.grid, self.grid, width]);
        let x = spread(self.layers[0].forward(image)) + fine;
        let x = gelu(self.kernel, self.norm.forward(x));
        let x = gelu(self.kernel, spread(self.layers[1].forward(x)) + finest);
        let pixels = x.reshape([objects, 16 * self.grid * self.grid, width / 8]);
        hyper.matmul(pixels.swap_dims(1, 2))
    }

    /// Row of cells by row of cells, so that what comes between stays in cache.
    fn on_cpu(
        &self,
        image: Tensor<3>,
        fine: [Tensor<4>; 2],
        hyper: Tensor<3>,
        first: &[Vec<f32>; 2],
        second: &[Vec<f32>; 2],
    ) -> Tensor<3> {
        let device = image.device();
        let [objects, cells, width] = image.dims();
        let masks = hyper.dims()[1];
        let (grid, side) = (self.grid, 4 * self.grid);
        let image = image.into_data();
        let [finest, fine] = fine.map(Tensor::into_data);
        let hyper = hyper.into_data();
        let [image, finest, fine, hyper] =
            [&image, &finest, &fine, &hyper].map(|data| data.as_slice::<f32>().unwrap_or(&[]));
        let norm = self.norm.on_rows();
        let rows = (0..objects * grid).into_par_iter().map(|row| {
            let (object, y) = (row / grid, row % grid);
            let cells = &image[(object * cells + y * grid) * width..][..grid * width];
            let mut x = vec![0.0; 2 * 2 * grid * width / 4];
            let fine = &fine[2 * y * 2 * grid * width / 4..][..x.len()];
            spread_rows(cells, first, fine, grid, &mut x);
            norm(&mut x);
            cpu::gelu(&mut x);
            let mut pixels = vec![0.0; 4 * side * width / 8];
            let half = x.len() / 2;
            for (i, pixels) in pixels.chunks_exact_mut(2 * side * width / 8).enumerate() {
                let finest = &finest[(4 * y + 2 * i) * side * width / 8..][..pixels.len()];
                spread_rows(&x[i * half..(i + 1) * half], second, finest, 2 * grid, pixels);
            }
            cpu::gelu(&mut pixels);
            let mut logits = vec![0.0; masks * 4 * side];
            let hyper = &hyper[object * masks * width / 8..][..masks * width / 8];
            let pixels = Matrix::rows(&pixels, width / 8).transposed();
            let sizes = [masks, width / 8, 4 * side];
            multiply(sizes, Matrix::rows(hyper, width / 8), pixels, &mut logits);
            logits
        });
        let rows: Vec<Vec<f32>> = rows.collect();
        let mut out = vec![0.0; objects * masks * side * side];
        for (row, logits) in rows.iter().enumerate() {
            let (object, y) = (row / grid, row % grid);
            for (mask, logits) in logits.chunks_exact(4 * side).enumerate() {
                let at = ((object * masks + mask) * side + 4 * y) * side;
                out[at..at + 4 * side].copy_from_slice(logits);
            }
        }
        Tensor::from_data(TensorData::new(out, [objects, masks, side * side]), &device)
    }
}

/// One row of `count` cells as two rows of twice as many, with `fine` added.
fn spread_rows(
    cells: &[f32],
    [weight, bias]: &[Vec<f32>; 2],
    fine: &[f32],
    count: usize,
    out: &mut [f32],
) {
    let width = bias.len() / 4;
    let inner = cells.len() / count;
    let mut four = vec![0.0; count * 4 * width];
    let weight = Matrix::rows(weight, inner).transposed();
    multiply([count, inner, 4 * width], Matrix::rows(cells, inner), weight, &mut four);
    for (x, four) in four.chunks_exact(4 * width).enumerate() {
        for (dy, two) in four.chunks_exact(2 * width).enumerate() {
            let at = (dy * 2 * count + 2 * x) * width;
            let added = two.iter().zip(&bias[..2 * width]).zip(&fine[at..at + 2 * width]);
            for (out, ((x, bias), fine)) in out[at..at + 2 * width].iter_mut().zip(added) {
                *out = x + bias + fine;
            }
        }
    }
}

/// Pixels of four times the width as two by two.
fn spread(x: Tensor<4>) -> Tensor<4> {
    let [count, rows, columns, width] = x.dims();
    let x = x.reshape([count * rows, columns, 2, width / 2]).swap_dims(1, 2);
    x.reshape([count, 2 * rows, 2 * columns, width / 4])
}
