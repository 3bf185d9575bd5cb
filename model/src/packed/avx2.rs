//! Kernels for processors with AVX2, FMA and F16C: x86-64 since 2013 (Intel) and 2015 (AMD).
//!
//! A tile of up to four rows and four inputs is summed in registers. Every output is summed in the
//! same order in every tile, so that it does not depend on how many inputs or rows came with it.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{Format, quantize};
use half::bf16;

use super::few::{Inputs, Rows};
use super::quantize::{GROUP, LEVELS};

/// Whether this processor runs the kernels.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

/// See [`super::few`]'s `Kernel`. The processor must be [`available`].
pub(super) fn multiply(rows: Rows, inputs: &Inputs, out: &mut [&mut [f32]]) {
    assert!(available());
    // SAFETY: the processor has what the kernels are compiled for.
    unsafe {
        match rows.format {
            Format::F32 => by_inputs::<Floats<F32>>(rows, inputs, out),
            Format::Bf16 => by_inputs::<Floats<Bf16>>(rows, inputs, out),
            Format::F16 => by_inputs::<Floats<F16>>(rows, inputs, out),
            Format::Int8 => by_inputs::<Integers<Int8>>(rows, inputs, out),
            Format::Int4 => by_inputs::<Integers<Int4>>(rows, inputs, out),
        }
    }
}

/// Defines an encoder that is compiled for these processors: only speed differs.
macro_rules! encoder {
    ($name:ident) => {
        pub(super) fn $name(weights: &[f32], codes: &mut [u8], scales: &mut [bf16]) {
            #[target_feature(enable = "avx2,fma,f16c")]
            fn wide(weights: &[f32], codes: &mut [u8], scales: &mut [bf16]) {
                quantize::$name(weights, codes, scales);
            }
            assert!(available());
            // SAFETY: the processor has what `wide` is compiled for.
            unsafe { wide(weights, codes, scales) };
        }
    };
}
encoder!(encode_int8);
encoder!(encode_int4);

/// How a tile is summed.
trait Tile {
    /// `out[n][row..row + R] = rows[row..row + R] · input[n]` for inputs `first..first + N`.
    ///
    /// # Safety
    /// The processor must be [`available`].
    unsafe fn tile<const R: usize, const N: usize>(
        rows: Rows,
        inputs: &Inputs,
        row: usize,
        first: usize,
    ) -> [[f32; N]; R];
}

/// Inputs go in fours, and the rest together.
#[target_feature(enable = "avx2,fma,f16c")]
fn by_inputs<T: Tile>(rows: Rows, inputs: &Inputs, out: &mut [&mut [f32]]) {
    for (index, out) in out.chunks_mut(4).enumerate() {
        let first = index * 4;
        match out.len() {
            1 => by_rows::<T, 4, 1>(rows, inputs, first, out),
            2 => by_rows::<T, 4, 2>(rows, inputs, first, out),
            3 => by_rows::<T, 2, 3>(rows, inputs, first, out),
            _ => by_rows::<T, 2, 4>(rows, inputs, first, out),
        }
    }
}

/// Rows go by `R`, and the rest one by one.
#[target_feature(enable = "avx2,fma,f16c")]
fn by_rows<T: Tile, const R: usize, const N: usize>(
    rows: Rows,
    inputs: &Inputs,
    first: usize,
    out: &mut [&mut [f32]],
) {
    let count = out[0].len();
    let whole = count - count % R;
    for row in (0..whole).step_by(R) {
        // SAFETY: this function is compiled for what tiles need.
        store(unsafe { T::tile::<R, N>(rows, inputs, row, first) }, row, out);
    }
    for row in whole..count {
        // SAFETY: this function is compiled for what tiles need.
        store(unsafe { T::tile::<1, N>(rows, inputs, row, first) }, row, out);
    }
}

#[inline(always)]
fn store<const R: usize, const N: usize>(tile: [[f32; N]; R], row: usize, out: &mut [&mut [f32]]) {
    for (n, out) in out.iter_mut().enumerate() {
        for (r, sums) in tile.iter().enumerate() {
            out[row + r] = sums[n];
        }
    }
}

/// Sum of the eight lanes.
#[target_feature(enable = "avx2,fma,f16c")]
fn total(sums: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// Weights that are floats.
trait Float {
    /// Bytes of a weight.
    const SIZE: usize;

    /// Eight weights, widened.
    ///
    /// # Safety
    /// The processor must be [`available`], and `from` have eight weights.
    unsafe fn eight(from: *const u8) -> __m256;
}

struct F32;
struct Bf16;
struct F16;

impl Float for F32 {
    const SIZE: usize = 4;

    #[inline(always)]
    unsafe fn eight(from: *const u8) -> __m256 {
        // SAFETY: as the caller promises.
        unsafe { _mm256_loadu_ps(from.cast()) }
    }
}

impl Float for Bf16 {
    const SIZE: usize = 2;

    #[inline(always)]
    unsafe fn eight(from: *const u8) -> __m256 {
        // SAFETY: as the caller promises.
        unsafe {
            let halves = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves))
        }
    }
}

impl Float for F16 {
    const SIZE: usize = 2;

    #[inline(always)]
    unsafe fn eight(from: *const u8) -> __m256 {
        // SAFETY: as the caller promises.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }
}

struct Floats<F>(F);

impl<F: Float> Tile for Floats<F> {
    #[inline(always)]
    unsafe fn tile<const R: usize, const N: usize>(
        rows: Rows,
        inputs: &Inputs,
        row: usize,
        first: usize,
    ) -> [[f32; N]; R] {
        let columns = rows.columns;
        let row_bytes = columns * F::SIZE;
        let codes = &rows.codes[row * row_bytes..][..R * row_bytes];
        let inputs = &inputs.exact[first * columns..][..N * columns];
        let whole = columns - columns % 8;
        // SAFETY: the processor is as the caller promises; reads of eight weights and inputs end at
        // `whole`, and the last reads are of zero-filled arrays of eight.
        unsafe {
            let mut sums = [[_mm256_setzero_ps(); N]; R];
            for column in (0..whole).step_by(8) {
                for (r, sums) in sums.iter_mut().enumerate() {
                    let weights = F::eight(codes.as_ptr().add(r * row_bytes + column * F::SIZE));
                    for (n, sum) in sums.iter_mut().enumerate() {
                        let input = _mm256_loadu_ps(inputs.as_ptr().add(n * columns + column));
                        *sum = _mm256_fmadd_ps(weights, input, *sum);
                    }
                }
            }
            if whole < columns {
                for (r, sums) in sums.iter_mut().enumerate() {
                    let mut last = [0_u8; 32];
                    let rest = &codes[r * row_bytes + whole * F::SIZE..(r + 1) * row_bytes];
                    last[..rest.len()].copy_from_slice(rest);
                    let weights = F::eight(last.as_ptr());
                    for (n, sum) in sums.iter_mut().enumerate() {
                        let mut last = [0.0_f32; 8];
                        let rest = &inputs[n * columns + whole..(n + 1) * columns];
                        last[..rest.len()].copy_from_slice(rest);
                        *sum = _mm256_fmadd_ps(weights, _mm256_loadu_ps(last.as_ptr()), *sum);
                    }
                }
            }
            sums.map(|sums| sums.map(|sum| total(sum)))
        }
    }
}

/// Weights that are whole numbers in groups.
trait Integer {
    /// Bytes of a group.
    const SIZE: usize;

    /// A group, widened to 16 bits.
    ///
    /// # Safety
    /// The processor must be [`available`], and `from` have a group.
    unsafe fn group(from: *const u8) -> [__m256i; 2];
}

struct Int8;
struct Int4;

impl Integer for Int8 {
    const SIZE: usize = GROUP;

    #[inline(always)]
    unsafe fn group(from: *const u8) -> [__m256i; 2] {
        // SAFETY: as the caller promises.
        unsafe {
            [
                _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(16).cast())),
            ]
        }
    }
}

/// [`LEVELS`] from the lowest, which is so 0: then the byte shuffle that looks them up leaves the
/// upper half of a 16-bit lane, whose index is 0, at 0.
const FROM_LOWEST: [u8; 16] = {
    let mut levels = [0; 16];
    let mut index = 0;
    while index < 16 {
        levels[index] = (LEVELS[index] as i16 - LEVELS[0] as i16) as u8;
        index += 1;
    }
    levels
};

impl Integer for Int4 {
    const SIZE: usize = GROUP / 2;

    #[inline(always)]
    unsafe fn group(from: *const u8) -> [__m256i; 2] {
        // SAFETY: as the caller promises.
        unsafe {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(FROM_LOWEST.as_ptr().cast()));
            let lowest = _mm256_set1_epi16(i16::from(LEVELS[0]));
            let codes = _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast()));
            let low = _mm256_and_si256(codes, _mm256_set1_epi16(15));
            let high = _mm256_srli_epi16::<4>(codes);
            [low, high].map(|index| _mm256_add_epi16(_mm256_shuffle_epi8(table, index), lowest))
        }
    }
}

struct Integers<I>(I);

/// Groups whose scales are made together.
const EIGHT: usize = 8;

/// What the whole numbers of groups are to be multiplied with.
#[inline(always)]
fn scales_of_eight<const R: usize, const N: usize>(
    scales: &[bf16],
    steps: &[f32],
    groups: usize,
    these: Range<usize>,
) -> [[[f32; EIGHT]; N]; R] {
    let mut out = [[[0.0; EIGHT]; N]; R];
    for (r, out) in out.iter_mut().enumerate() {
        let scales = &scales[r * groups..][these.clone()];
        for (n, out) in out.iter_mut().enumerate() {
            let steps = &steps[n * groups..][these.clone()];
            // With a known number of groups this is a few vector instructions.
            match (<&[bf16; EIGHT]>::try_from(scales), <&[f32; EIGHT]>::try_from(steps)) {
                (Ok(scales), Ok(steps)) => products(scales, steps, out),
                _ => products(scales, steps, out),
            }
        }
    }
    out
}

#[inline(always)]
fn products(scales: &[bf16], steps: &[f32], out: &mut [f32; EIGHT]) {
    for ((out, scale), step) in out.iter_mut().zip(scales).zip(steps) {
        *out = f32::from_bits(u32::from(scale.to_bits()) << 16) * step;
    }
}

impl<I: Integer> Tile for Integers<I> {
    #[inline(always)]
    unsafe fn tile<const R: usize, const N: usize>(
        rows: Rows,
        inputs: &Inputs,
        row: usize,
        first: usize,
    ) -> [[f32; N]; R] {
        let groups = rows.columns.div_ceil(GROUP);
        let codes = &rows.codes[row * groups * I::SIZE..][..R * groups * I::SIZE];
        let scales = &rows.scales[row * groups..][..R * groups];
        let rounded = &inputs.rounded[first * groups * GROUP..][..N * groups * GROUP];
        let steps = &inputs.steps[first * groups..][..N * groups];
        // SAFETY: the processor is as the caller promises, and all groups are inside the slices.
        unsafe {
            let mut sums = [[_mm256_setzero_ps(); N]; R];
            for start in (0..groups).step_by(EIGHT) {
                let end = groups.min(start + EIGHT);
                let scales = scales_of_eight::<R, N>(scales, steps, groups, start..end);
                for group in start..end {
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let [low, high] =
                            I::group(codes.as_ptr().add((r * groups + group) * I::SIZE));
                        for (n, sum) in sums.iter_mut().enumerate() {
                            let at = (n * groups + group) * GROUP;
                            let input: *const __m256i = rounded.as_ptr().add(at).cast();
                            let products = _mm256_add_epi32(
                                _mm256_madd_epi16(low, _mm256_loadu_si256(input)),
                                _mm256_madd_epi16(high, _mm256_loadu_si256(input.add(1))),
                            );
                            let scale =
                                _mm256_broadcast_ss(scales[r][n].get_unchecked(group - start));
                            *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), scale, *sum);
                        }
                    }
                }
            }
            sums.map(|sums| sums.map(|sum| total(sum)))
        }
    }
}
