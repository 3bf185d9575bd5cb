//! The windows of pixels that the first convolution multiplies.

use burn::tensor::ops::UnfoldOptions;
use burn::tensor::{Tensor, TensorData, module::unfold4d};
use rayon::prelude::*;

use crate::layers::Kernel;

/// Which windows: squares of `kernel` pixels, `stride` apart, on an image with `padding` zeros around.
#[derive(Clone, Copy, Debug)]
pub struct Patches {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Patches {
    /// Windows along a side of so many pixels.
    pub fn grid(&self, side: usize) -> usize {
        (side + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1
    }

    /// `[images, windows, 3 x kernel x kernel]`, channel by channel as kernels lie, of pixels
    /// `[images, side, side, 3]`.
    pub fn of(&self, kernel: Kernel, pixels: Tensor<4>) -> Tensor<3> {
        if kernel == Kernel::Burn {
            let options = UnfoldOptions::new(
                [self.stride, self.stride],
                [self.padding, self.padding],
                [1, 1],
            );
            let pixels = pixels.permute([0, 3, 1, 2]);
            return unfold4d(pixels, [self.kernel, self.kernel], options).swap_dims(1, 2);
        }
        let device = pixels.device();
        let [images, side, _, _] = pixels.dims();
        let data = pixels.into_data();
        let pixels = data.as_slice::<f32>().unwrap_or(&[]);
        let grid = self.grid(side);
        let length = 3 * self.kernel * self.kernel;
        let mut out = vec![0.0; images * grid * grid * length];
        out.par_chunks_exact_mut(grid * length).enumerate().for_each(|(row, out)| {
            let image = &pixels[row / grid * side * side * 3..][..side * side * 3];
            for (column, out) in out.chunks_exact_mut(length).enumerate() {
                self.window(image, side, [row % grid, column], out);
            }
        });
        let shape = [images, grid * grid, length];
        Tensor::from_data(TensorData::new(out, shape), &device)
    }

    /// One window of an image `[side, side, 3]` into zeros.
    fn window(&self, image: &[f32], side: usize, at: [usize; 2], out: &mut [f32]) {
        // The pixels of the window that are inside the image, along either axis.
        let [rows, columns] = at.map(|at| {
            let first = at * self.stride;
            let begin = self.padding.saturating_sub(first);
            let end = self.kernel.min((side + self.padding).saturating_sub(first));
            (begin..end, first)
        });
        for y in rows.0 {
            let row = &image[(rows.1 + y - self.padding) * side * 3..];
            for x in columns.0.clone() {
                let pixel = &row[(columns.1 + x - self.padding) * 3..][..3];
                for (channel, &value) in pixel.iter().enumerate() {
                    out[(channel * self.kernel + y) * self.kernel + x] = value;
                }
            }
        }
    }
}
