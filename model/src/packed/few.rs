//! Products with a few inputs: one pass over the weights, which the memory's bandwidth bounds.

use half::bf16;
use rayon::prelude::*;

use super::quantize::{GROUP, rounded};
use super::{Format, Packed, portable};

#[cfg(target_arch = "x86_64")]
use super::avx2;

/// Most inputs that are multiplied so: beyond, widening the weights costs less than it saves.
pub(super) const MOST: usize = 8;

/// Bytes of weights that a thread takes at a time: enough to hide the hand-over, which takes a
/// microsecond or so.
const PIECE: usize = 1 << 19;

/// Rows and inputs of which a product is made.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub format: Format,
    pub columns: usize,
    /// Rows of [`Format::row_bytes`] each.
    pub codes: &'a [u8],
    /// Rows of [`Format::row_scales`] each.
    pub scales: &'a [bf16],
}

/// One pass over some rows: `out[n][r] = rows[r] · input[n]`.
type Kernel = fn(Rows, &Inputs, &mut [&mut [f32]]);

/// The inputs in the forms that kernels read.
pub(super) struct Inputs<'a> {
    /// `[n, columns]`, as they were given.
    pub exact: &'a [f32],
    /// `[n, groups * GROUP]`, if the weights are whole numbers and the kernel wants such.
    pub rounded: Vec<i16>,
    /// `[n, groups]`: what a rounded input is to be multiplied with.
    pub steps: Vec<f32>,
}

impl<'a> Inputs<'a> {
    pub(super) fn floats(exact: &'a [f32]) -> Self {
        Self { exact, rounded: Vec::new(), steps: Vec::new() }
    }

    /// Rounds each group to 16 bits relative to its greatest size. A step is NaN where an input is
    /// not finite.
    pub(super) fn rounded(exact: &'a [f32], columns: usize) -> Self {
        let groups = columns.div_ceil(GROUP);
        let inputs = exact.len() / columns;
        let mut all = Self {
            exact,
            rounded: vec![0; inputs * groups * GROUP],
            steps: vec![0.0; inputs * groups],
        };
        let of_input = all.rounded.chunks_exact_mut(groups * GROUP);
        let steps_of_input = all.steps.chunks_exact_mut(groups);
        for ((input, out), steps) in exact.chunks_exact(columns).zip(of_input).zip(steps_of_input) {
            let of_group = input.chunks(GROUP).zip(out.chunks_exact_mut(GROUP));
            for ((input, out), step) in of_group.zip(steps) {
                *step = round_group(input, out);
            }
        }
        all
    }
}

fn round_group(input: &[f32], out: &mut [i16]) -> f32 {
    const LARGEST: f32 = 32_767.0;
    let greatest = input.iter().fold(0.0_f32, |greatest, x| greatest.max(x.abs()));
    // `max` passes over NaN; a sum of zeros does not.
    let zero: f32 = input.iter().map(|x| x * 0.0).sum();
    let step = greatest / LARGEST + zero;
    if step > 0.0 {
        for (out, x) in out.iter_mut().zip(input) {
            *out = rounded(x / step) as i16;
        }
    }
    step
}

pub(super) fn multiply(packed: &Packed, input: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if avx2::available() {
        let inputs = match packed.format {
            Format::Int8 | Format::Int4 if packed.columns > 0 => {
                Inputs::rounded(input, packed.columns)
            }
            _ => Inputs::floats(input),
        };
        return in_parallel(packed, &inputs, bias, out, avx2::multiply);
    }
    in_parallel(packed, &Inputs::floats(input), bias, out, portable::multiply);
}

/// Shares the rows out among the threads.
pub(super) fn in_parallel(
    packed: &Packed,
    inputs: &Inputs,
    bias: Option<&[f32]>,
    out: &mut [f32],
    kernel: Kernel,
) {
    let &Packed { rows, columns, format, .. } = packed;
    let row_bytes = format.row_bytes(columns);
    let row_scales = format.row_scales(columns);
    let codes = (*packed.codes).as_ref();
    let fair = rows.div_ceil(4 * rayon::current_num_threads());
    let piece = (PIECE / row_bytes.max(1)).min(fair).next_multiple_of(4);

    let mut outs: Vec<_> = out.chunks_exact_mut(rows).map(|out| out.chunks_mut(piece)).collect();
    let pieces: Vec<Vec<&mut [f32]>> = (0..rows.div_ceil(piece))
        .map(|_| outs.iter_mut().filter_map(Iterator::next).collect())
        .collect();
    pieces.into_par_iter().enumerate().for_each(|(index, mut outs)| {
        let first = index * piece;
        let count = outs.first().map_or(0, |out| out.len());
        let rows = Rows {
            format,
            columns,
            codes: &codes[first * row_bytes..][..count * row_bytes],
            scales: &packed.scales[first * row_scales..][..count * row_scales],
        };
        kernel(rows, inputs, &mut outs);
        if let Some(bias) = bias {
            for out in outs {
                for (out, bias) in out.iter_mut().zip(&bias[first..]) {
                    *out += bias;
                }
            }
        }
    });
}
