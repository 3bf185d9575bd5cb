//! Products with many inputs: by the `gemm` crate, for which tiles of the matrix are widened to f32.

use std::ops::Range;

use gemm::Parallelism;
use rayon::prelude::*;

use super::{Format, Packed};
use crate::product::{Matrix, product};

/// Elements of a tile: few enough to stay in a cache that cores share, enough to outweigh that `gemm`
/// arranges all inputs anew for every tile.
const TILE: usize = 1 << 22;
/// Rows of a tile at least.
const ROWS: usize = 512;
/// Numbers of a task that adds the bias.
const TASK: usize = 1 << 14;

pub(super) fn multiply(packed: &Packed, input: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    let (rows, columns) = (packed.rows, packed.columns);
    if columns == 0 {
        out.fill(0.0);
    } else if let Some(matrix) = packed.as_f32() {
        put_product(matrix, columns, input, out, 0..rows);
    } else {
        by_tiles(packed, input, out);
    }
    if let Some(bias) = bias {
        let several = (TASK / rows).max(1) * rows;
        out.par_chunks_mut(several).for_each(|out| {
            for out in out.chunks_exact_mut(rows) {
                out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
            }
        });
    }
}

fn by_tiles(packed: &Packed, input: &[f32], out: &mut [f32]) {
    let (rows, columns) = (packed.rows, packed.columns);
    let height = (TILE / columns).max(ROWS).min(rows);
    let mut tile = vec![0.0; height * columns];
    for first in (0..rows).step_by(height) {
        let count = height.min(rows - first);
        let tile = &mut tile[..count * columns];
        tile.par_chunks_exact_mut(columns)
            .enumerate()
            .for_each(|(row, out)| packed.row(first + row, out));
        put_product(tile, columns, input, out, first..first + count);
    }
}

/// Writes the products of inputs with some rows of the matrix, `tile`, to the outputs of these rows.
fn put_product(
    tile: &[f32],
    columns: usize,
    input: &[f32],
    out: &mut [f32],
    outputs: Range<usize>,
) {
    let inputs = input.len() / columns;
    let rows = out.len() / inputs.max(1);
    assert!(tile.len() == outputs.len() * columns && outputs.end <= rows);
    let sizes = [inputs, columns, outputs.len()];
    let (left, right) = (Matrix::rows(input, columns), Matrix::rows(tile, columns).transposed());
    // SAFETY: as was just asserted, these outputs are columns of the output's `inputs` rows of `rows`.
    unsafe {
        let to = (out.as_mut_ptr().add(outputs.start), rows);
        product(sizes, left, right, 1.0, to, Parallelism::Rayon(0));
    }
}

impl Packed {
    /// The matrix, where it is f32 and lies so that it can be read as such.
    fn as_f32(&self) -> Option<&[f32]> {
        if self.format != Format::F32 || cfg!(target_endian = "big") {
            return None;
        }
        bytemuck::try_cast_slice((*self.codes).as_ref()).ok()
    }
}
