//! Where tokens are: a coarse map of the whole image, enlarged, and a map of one window, repeated.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::Hiera;
use crate::checkpoint::Error;
use crate::load::Loader;

/// The steepness of the bicubic kernel, as torch's `interpolate` has it.
const A: f64 = -0.75;

/// `[1, grid x grid, width]`: what is added to tokens, computed once.
pub(super) fn load(
    loader: &mut Loader,
    name: &str,
    config: &Hiera,
    grid: usize,
) -> Result<Tensor<3>, Error> {
    let (width, window) = (config.stages[0].width, config.stages[0].window);
    let [rows, columns] = config.background;
    let coarse = loader.numbers(&format!("{name}.pos_embed"), &[1, width, rows, columns])?;
    let name = format!("{name}.pos_embed_window");
    let near = loader.numbers(&name, &[1, width, window, window])?;
    let placement = loader.placement();
    let options = (&placement.device, placement.dtype());
    let (Some(coarse), Some(near)) = (coarse, near) else {
        return Ok(Tensor::zeros([1, 1, 1], options));
    };
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
    Ok(Tensor::from_data(TensorData::new(out, [1, grid * grid, width]), options))
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
