//! Products with a few inputs: one pass over the weights.

use rayon::prelude::*;

use super::Packed;

/// Most inputs that are multiplied so.
pub(super) const MOST: usize = 8;

/// Rows that a thread takes at a time, at least.
const ROWS: usize = 16;

/// Where threads write what is theirs of the outputs.
struct Out(*mut f32, usize);

// SAFETY: every index is written by one thread.
unsafe impl Sync for Out {}

impl Out {
    /// # Safety
    /// No other thread may write this index.
    unsafe fn write(&self, index: usize, value: f32) {
        debug_assert!(index < self.1);
        // SAFETY: the index is inside, and nobody else writes there.
        unsafe { *self.0.add(index) = value };
    }
}

pub(super) fn multiply(packed: &Packed, input: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    let rows = packed.rows;
    let shared = Out(out.as_mut_ptr(), out.len());
    (0..rows).into_par_iter().with_min_len(ROWS).for_each_init(
        || vec![0.0; packed.columns],
        |weights, row| {
            packed.row(row, weights);
            let bias = bias.map_or(0.0, |bias| bias[row]);
            for (n, input) in input.chunks_exact(packed.columns.max(1)).enumerate() {
                // SAFETY: this thread alone has this row.
                unsafe { shared.write(n * rows + row, dot(weights, input) + bias) };
            }
        },
    );
}

/// Sixteen sums, so that the compiler may add in vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<16>();
    let (b, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
