//! Where tokens are: a coarse map of the whole image, enlarged, and a map of one window, repeated.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;

use super::Hiera;
use crate::checkpoint::Error;
use crate::load::Loader;

/// The steepness of the bicubic kernel, as torch's `interpolate` has it.
const A: f64 = -0.75;

/// What is added to tokens.
#[derive(Module, Debug)]
pub(super) struct Position {
    /// `[1, width, rows, columns]`.
    coarse: Param<Tensor<4>>,
    /// `[1, width, window, window]`.
    near: Param<Tensor<4>>,
    grid: usize,
    #[module(skip)]
    way: Way,
}

/// How both become `[1, grid x grid, width]`.
#[derive(Clone, Debug)]
enum Way {
    /// They did, once: nobody trains them.
    Known(Tensor<3>),
    /// By the matrix that enlarges the coarse map, `[grid x grid, rows x columns]`; the result in a
    /// dtype.
    Enlarging(Tensor<2>, DType),
}

impl Position {
    /// Loads `{name}.pos_embed` and `{name}.pos_embed_window`.
    ///
    /// # Errors
    /// Where one is missing or of another shape.
    pub fn load(
        loader: &mut Loader,
        name: &str,
        config: &Hiera,
        grid: usize,
    ) -> Result<Self, Error> {
        let (width, window) = (config.stages[0].width, config.stages[0].window);
        let [rows, columns] = config.background;
        let coarse = loader.exact(&format!("{name}.pos_embed"), [1, width, rows, columns])?;
        let near = loader.exact(&format!("{name}.pos_embed_window"), [1, width, window, window])?;
        let placement = loader.placement();
        let device = &placement.device;
        let way = if coarse.val().dims()[1] != width {
            // Parameters are listed only.
            Way::Known(Tensor::zeros([1, 1, 1], device))
        } else if placement.packs {
            let known = enlarged(&coarse.val(), &near.val(), grid);
            let known = TensorData::new(known, [1, grid * grid, width]);
            Way::Known(Tensor::from_data(known, (device, placement.dtype())))
        } else {
            let shape = [grid * grid, rows * columns];
            let matrix = TensorData::new(matrix([rows, columns], grid), shape);
            Way::Enlarging(Tensor::from_data(matrix, (device, DType::F32)), placement.dtype())
        };
        Ok(Self { coarse, near, grid, way })
    }

    /// `[1, grid x grid, width]`.
    pub fn forward(&self) -> Tensor<3> {
        let (matrix, dtype) = match &self.way {
            Way::Known(position) => return position.clone(),
            Way::Enlarging(matrix, dtype) => (matrix.clone(), *dtype),
        };
        let [_, width, rows, columns] = self.coarse.val().dims();
        let coarse = self.coarse.val().reshape([width, rows * columns]).transpose();
        let window = self.near.val().dims()[2];
        let near = self.near.val().permute([0, 2, 3, 1]);
        let across = near.repeat_dim(2, self.grid / window).repeat_dim(1, self.grid / window);
        let position = matrix.matmul(coarse) + across.reshape([self.grid * self.grid, width]);
        let position = if dtype == DType::F32 { position } else { position.cast(dtype) };
        position.unsqueeze()
    }
}

/// The matrix that enlarges a map of that size.
fn matrix([rows, columns]: [usize; 2], grid: usize) -> Vec<f32> {
    let (down, across) = (taps(rows, grid), taps(columns, grid));
    let mut out = vec![0.0f64; grid * grid * rows * columns];
    for (place, out) in out.chunks_exact_mut(rows * columns).enumerate() {
        for (row, by_row) in down[place / grid] {
            for (column, by_column) in across[place % grid] {
                out[row * columns + column] += by_row * by_column;
            }
        }
    }
    out.into_iter().map(|share| share as f32).collect()
}

/// Both embeddings on the whole grid, summed in f64.
fn enlarged(coarse: &Tensor<4>, near: &Tensor<4>, grid: usize) -> Vec<f32> {
    let ([_, width, rows, columns], [_, _, window, _]) = (coarse.dims(), near.dims());
    let numbers =
        |x: &Tensor<4>| -> Vec<f32> { x.clone().into_data().try_into_vec().unwrap_or_default() };
    let (coarse, near) = (numbers(coarse), numbers(near));
    let (down, across) = (taps(rows, grid), taps(columns, grid));
    let mut out = vec![0.0f32; grid * grid * width];
    out.par_chunks_exact_mut((grid * width).max(1)).enumerate().for_each(|(y, out)| {
        for (x, out) in out.chunks_exact_mut(width).enumerate() {
            for (channel, out) in out.iter_mut().enumerate() {
                let map = &coarse[channel * rows * columns..][..rows * columns];
                let row = |&(row, weight): &(usize, f64)| {
                    let tap = |&(column, weight): &(usize, f64)| {
                        weight * f64::from(map[row * columns + column])
                    };
                    weight * across[x].iter().map(tap).sum::<f64>()
                };
                let far = down[y].iter().map(row).sum::<f64>() as f32;
                *out = far + near[(channel * window + y % window) * window + x % window];
            }
        }
    });
    out
}

/// For each of `to` places the four of `from` that it is made of and their weights, by Keys' cubic
/// convolution; what is beyond an edge is as the edge. Places are pixels' centres.
fn taps(from: usize, to: usize) -> Vec<[(usize, f64); 4]> {
    let near = |t: f64| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0;
    let far = |t: f64| A * (((t - 5.0) * t + 8.0) * t - 4.0);
    let place = |i: usize| {
        let at = (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let (first, t) = (at.floor(), at - at.floor());
        let index = |offset: f64| (first + offset).clamp(0.0, (from - 1) as f64) as usize;
        [
            (index(-1.0), far(t + 1.0)),
            (index(0.0), near(t)),
            (index(1.0), near(1.0 - t)),
            (index(2.0), far(2.0 - t)),
        ]
    };
    (0..to).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::taps;

    #[test]
    fn weights_sum_to_one_and_a_grid_of_the_same_size_is_itself() {
        for (from, to) in [(7, 256), (14, 64), (5, 5), (1, 8)] {
            for place in taps(from, to) {
                let sum: f64 = place.iter().map(|&(_, weight)| weight).sum();
                assert!((sum - 1.0).abs() < 1e-12, "{from} to {to}: {place:?}");
                assert!(place.iter().all(|&(index, _)| index < from));
            }
        }
        for (i, place) in taps(5, 5).iter().enumerate() {
            assert_eq!(place[1], (i, 1.0));
        }
    }
}
