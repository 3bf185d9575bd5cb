//! What every processor can do: rows are widened to f32, and the compiler finds the vectors.

use half::{bf16, f16};

use super::few::{Inputs, Rows};
use super::{Format, quantize};

/// Widens the first `out.len()` columns of a row.
pub(super) fn widen(format: Format, codes: &[u8], scales: &[bf16], out: &mut [f32]) {
    match format {
        Format::F32 => {
            for (out, &bytes) in out.iter_mut().zip(codes.as_chunks().0) {
                *out = f32::from_le_bytes(bytes);
            }
        }
        Format::Bf16 => {
            for (out, &bytes) in out.iter_mut().zip(codes.as_chunks().0) {
                *out = f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16);
            }
        }
        Format::F16 => {
            for (out, &bytes) in out.iter_mut().zip(codes.as_chunks().0) {
                *out = f16::from_le_bytes(bytes).to_f32();
            }
        }
        Format::Int8 => quantize::decode_int8(codes, scales, out),
        Format::Int4 => quantize::decode_int4(codes, scales, out),
    }
}

/// See [`super::few`]'s `Kernel`.
pub(super) fn multiply(rows: Rows, inputs: &Inputs, out: &mut [&mut [f32]]) {
    let Rows { format, columns, codes, scales } = rows;
    let (row_bytes, row_scales) = (format.row_bytes(columns), format.row_scales(columns));
    let mut weights = vec![0.0; columns];
    let count = out.first().map_or(0, |out| out.len());
    for row in 0..count {
        let codes = &codes[row * row_bytes..][..row_bytes];
        let scales = &scales[row * row_scales..][..row_scales];
        widen(format, codes, scales, &mut weights);
        for (n, out) in out.iter_mut().enumerate() {
            out[row] = dot(&weights, &inputs.exact[n * columns..][..columns]);
        }
    }
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
