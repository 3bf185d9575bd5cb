//! Products with many inputs: tiles of the matrix are widened to f32 for the `gemm` crate.

use rayon::prelude::*;

use super::Packed;

/// Elements of a tile: few enough to stay in a cache that cores share, enough to outweigh that `gemm`
/// arranges all inputs anew for every tile.
const TILE: usize = 1 << 22;
/// Rows of a tile at least.
const ROWS: usize = 512;

pub(super) fn multiply(packed: &Packed, input: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    let (rows, columns) = (packed.rows, packed.columns);
    let inputs = out.len() / rows;
    for out in out.chunks_exact_mut(rows) {
        match bias {
            Some(bias) => out.copy_from_slice(bias),
            None => out.fill(0.0),
        }
    }
    if columns == 0 {
        return;
    }
    let height = (TILE / columns).max(ROWS).min(rows);
    let mut tile = vec![0.0; height * columns];
    for first in (0..rows).step_by(height) {
        let count = height.min(rows - first);
        let tile = &mut tile[..count * columns];
        tile.par_chunks_exact_mut(columns)
            .enumerate()
            .for_each(|(row, out)| packed.row(first + row, out));
        // SAFETY: the tile has `count` rows of `columns`, the input `inputs` rows of `columns`, and
        // the columns `first..first + count` of the output's `inputs` rows of `rows` are inside it.
        unsafe {
            gemm::gemm(
                count,
                inputs,
                columns,
                out.as_mut_ptr().add(first),
                rows as isize,
                1,
                true,
                tile.as_ptr(),
                1,
                columns as isize,
                input.as_ptr(),
                columns as isize,
                1,
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::Rayon(0),
            );
        }
    }
}
