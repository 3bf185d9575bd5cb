//! The feature pyramid: every stage at one width, and the coarse ones added to the next finer.

use burn::module::Module;
use burn::tensor::Tensor;

use super::config::{Hiera, Neck as Config};
use crate::checkpoint::Error;
use crate::layers::Linear;
use crate::load::Loader;

/// The neck of the image encoder.
#[derive(Module, Debug)]
pub struct Neck {
    /// From the finest level to the coarsest.
    levels: [Linear; 4],
    top_down: Vec<usize>,
}

impl Neck {
    /// Loads what begins with `{name}.`. There the coarsest level comes first.
    ///
    /// # Errors
    /// Where a parameter is missing or of another shape.
    pub fn load(
        loader: &mut Loader,
        name: &str,
        config: &Config,
        trunk: &Hiera,
    ) -> Result<Self, Error> {
        let mut level = |i: usize| {
            let name = format!("{name}.convs.{}.conv", trunk.stages.len() - 1 - i);
            let shape = [config.width, trunk.stages[i].width, 1, 1];
            Linear::load_convolution(loader, &name, &shape)
        };
        let levels = [level(0)?, level(1)?, level(2)?, level(3)?];
        Ok(Self { levels, top_down: config.top_down.clone() })
    }

    /// From the trunk's stages `[images, grid, grid, width]` to the levels that are used, the finest
    /// first.
    pub fn forward(&self, stages: [Tensor<4>; 4]) -> [Tensor<4>; 3] {
        let [finest, fine, coarse, coarsest] = stages;
        let coarsest = self.levels[3].forward(coarsest);
        let coarse = self.level(2, coarse, &coarsest);
        let fine = self.level(1, fine, &coarse);
        [self.level(0, finest, &fine), fine, coarse]
    }

    /// A stage at the common width, with what lies above it where it is given that.
    fn level(&self, number: usize, stage: Tensor<4>, above: &Tensor<4>) -> Tensor<4> {
        let own = self.levels[number].forward(stage);
        if self.top_down.contains(&number) { own + doubled(above.clone()) } else { own }
    }
}

/// Each cell as two by two.
fn doubled(x: Tensor<4>) -> Tensor<4> {
    let [images, rows, columns, width] = x.dims();
    let x = x.reshape([images * rows, 1, columns, 1, width]).expand([
        images * rows,
        2,
        columns,
        2,
        width,
    ]);
    x.reshape([images, 2 * rows, 2 * columns, width])
}
