//! `PIL.Image.resize` with an antialiasing kernel: two passes, horizontal first, each rounded to 8
//! bits, in fixed point. The arithmetic is that of Pillow's `Resample.c` (behaviour only), or of
//! torch's for bytes, which differs in the fraction bits of weights.

use super::Rgb;
use super::simd::for_best_processor;
use rayon::prelude::*;
use segzero_datasets::Size;
use std::borrow::Cow;
use std::f64::consts::PI;

/// Most fraction bits of a weight: 32 less 8 for the sample and 2 for sign and overshoot.
const FRACTION_BITS: u32 = 32 - 8 - 2;

/// Whose fixed point, and whose order of passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    /// Weights of 22 fraction bits.
    Pillow,
    /// Weights of 16 bits with as many fraction bits as the largest allows, as torch has them for
    /// processors with AVX2 (`upsample_avx_bilinear_bicubic_uint8`).
    Torch,
}

/// Rows that are resized side by side.
const BAND: usize = 16;
/// Samples in a column of a band: enough to fill wide registers, few enough to stay in them.
const LANES: usize = BAND * 3;

/// An interpolation kernel, widened when shrinking.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    /// The triangle of width 2.
    Bilinear,
    /// Keys' cubic with a = -0.5, of width 4.
    Bicubic,
    /// The sinc windowed by a sinc, of width 6.
    Lanczos,
}

impl Kernel {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn value(self, x: f64) -> f64 {
        let distance = x.abs();
        match self {
            Self::Bilinear => (1.0 - distance).max(0.0),
            Self::Bicubic => cubic(distance),
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

/// The source samples and weights of one target sample.
struct Window {
    first: usize,
    weights: Vec<i32>,
    /// Fraction bits of the weights.
    bits: u32,
}

fn windows(source: u32, target: u32, kernel: Kernel, arithmetic: Arithmetic) -> Vec<Window> {
    let scale = f64::from(source) / f64::from(target);
    let widening = scale.max(1.0);
    let support = kernel.support() * widening;
    let inverse = 1.0 / widening;
    let window = |index: u32| {
        let center = (f64::from(index) + 0.5) * scale;
        let first = ((center - support + 0.5) as i64).max(0);
        let last = ((center + support + 0.5) as i64).min(i64::from(source));
        let exact: Vec<f64> =
            (first..last).map(|x| kernel.value((x as f64 - center + 0.5) * inverse)).collect();
        let sum: f64 = exact.iter().fold(0.0, |sum, weight| sum + weight);
        let shares = exact.iter().map(|&w| if sum == 0.0 { w } else { w / sum }).collect();
        (first as usize, shares)
    };
    let exact: Vec<(usize, Vec<f64>)> = (0..target).map(window).collect();
    let bits = match arithmetic {
        Arithmetic::Pillow => FRACTION_BITS,
        Arithmetic::Torch => bits_of_16(exact.iter().flat_map(|(_, weights)| weights)),
    };
    let fixed = |w: f64| (w * f64::from(1 << bits) + 0.5f64.copysign(w)) as i32;
    let window = |(first, weights): (usize, Vec<f64>)| Window {
        first,
        weights: weights.into_iter().map(fixed).collect(),
        bits,
    };
    exact.into_iter().map(window).collect()
}

/// The most fraction bits with which the largest weight is still a signed number of 16 bits.
fn bits_of_16<'a>(weights: impl Iterator<Item = &'a f64>) -> u32 {
    let largest = weights.fold(0.0, |most: f64, &weight| most.max(weight));
    let overflows = |bits: &u32| largest * f64::from(1 << (bits + 1)) + 0.5 >= f64::from(1 << 15);
    (0..FRACTION_BITS).find(overflows).unwrap_or(FRACTION_BITS)
}

/// Resizes to `size`; an axis that keeps its length is not touched.
pub(super) fn resize(image: &Rgb, size: Size, kernel: Kernel, arithmetic: Arithmetic) -> Rgb {
    let rows_first = arithmetic == Arithmetic::Pillow && rows_shrink_more(image.size, size);
    let between = if rows_first {
        Size::new(image.size.width, size.height)
    } else {
        Size::new(size.width, image.size.height)
    };
    let once = pass(&image.pixels, image.size, between, (kernel, arithmetic));
    let pixels = pass(&once, between, size, (kernel, arithmetic));
    Rgb { size, pixels: pixels.into_owned() }
}

/// Since version 13 Pillow begins with the rows where their number falls by more than twice what
/// the number of columns falls by; earlier versions always began with the columns. The order
/// changes the rounding, by a level or so.
fn rows_shrink_more(source: Size, target: Size) -> bool {
    let fall = |source: u32, target: u32| i64::from(source) - i64::from(target);
    fall(source.height, target.height) > 2 * fall(source.width, target.width).max(0)
}

/// What weights are made by.
type Weighing = (Kernel, Arithmetic);

/// One pass, along the axis in which the sizes differ, if any.
fn pass<'a>(pixels: &'a [u8], source: Size, target: Size, by: Weighing) -> Cow<'a, [u8]> {
    if source.width != target.width {
        Cow::Owned(horizontal(pixels, source, target.width, by))
    } else if source.height != target.height {
        Cow::Owned(vertical(pixels, source.height, target, by))
    } else {
        Cow::Borrowed(pixels)
    }
}

fn horizontal(pixels: &[u8], size: Size, width: u32, by: Weighing) -> Vec<u8> {
    let windows = windows(size.width, width, by.0, by.1);
    let (source, target) = (size.width as usize * 3, width as usize * 3);
    let mut out = vec![0; target * size.height as usize];
    let bands = pixels.par_chunks(BAND * source).zip(out.par_chunks_mut(BAND * target));
    bands.for_each_init(Vec::new, |columns, (rows, out)| {
        resize_rows(rows, source, &windows, columns, out);
    });
    out
}

fn vertical(pixels: &[u8], height: u32, size: Size, by: Weighing) -> Vec<u8> {
    let windows = windows(height, size.height, by.0, by.1);
    let stride = size.width as usize * 3;
    let mut out = vec![0; stride * size.height as usize];
    let rows = out.par_chunks_mut(stride).zip(&windows);
    rows.for_each(|(out, window)| mix_rows(&pixels[window.first * stride..], window, out));
    out
}

for_best_processor! {
    /// Resizes up to [`BAND`] rows of `stride` bytes. They are laid side by side in `columns`, so
    /// that one weight is for many neighbouring samples.
    fn resize_rows(
        rows: &[u8],
        stride: usize,
        windows: &[Window],
        columns: &mut Vec<[u8; LANES]>,
        out: &mut [u8],
    ) = resize_rows_portable;
}

for_best_processor! {
    /// One row of the result from the rows of its window, which `rows` begin with.
    fn mix_rows(rows: &[u8], window: &Window, out: &mut [u8]) = mix_rows_portable;
}

#[inline(always)]
fn resize_rows_portable(
    rows: &[u8],
    stride: usize,
    windows: &[Window],
    columns: &mut Vec<[u8; LANES]>,
    out: &mut [u8],
) {
    columns.resize(stride / 3, [0; LANES]);
    for (row, samples) in rows.chunks_exact(stride).enumerate() {
        for (column, pixel) in columns.iter_mut().zip(samples.chunks_exact(3)) {
            column[row * 3..row * 3 + 3].copy_from_slice(pixel);
        }
    }
    for (x, window) in windows.iter().enumerate() {
        let mixed = mix(columns[window.first..].iter(), window);
        let rows = out.chunks_exact_mut(windows.len() * 3);
        for (row, pixel) in rows.zip(mixed.chunks_exact(3)) {
            row[x * 3..x * 3 + 3].copy_from_slice(pixel);
        }
    }
}

#[inline(always)]
fn mix_rows_portable(rows: &[u8], window: &Window, out: &mut [u8]) {
    let stride = out.len();
    let whole = stride - stride % LANES;
    let (tiles, rest) = out.split_at_mut(whole);
    for (tile, out) in tiles.chunks_exact_mut(LANES).enumerate() {
        let rows = rows.chunks_exact(stride);
        let lanes = rows.filter_map(|row| row[tile * LANES..].first_chunk::<LANES>());
        out.copy_from_slice(&mix(lanes, window));
    }
    for (at, out) in rest.iter_mut().enumerate() {
        let rows = rows.chunks_exact(stride);
        [*out] = mix(rows.filter_map(|row| row[whole + at..].first_chunk()), window);
    }
}

/// Weighted sums of neighbouring samples, one for each lane.
#[inline(always)]
fn mix<'a, const N: usize>(samples: impl Iterator<Item = &'a [u8; N]>, window: &Window) -> [u8; N] {
    let mut sums = [1 << (window.bits - 1); N];
    for (&weight, samples) in window.weights.iter().zip(samples) {
        for (sum, &sample) in sums.iter_mut().zip(samples) {
            *sum += i32::from(sample) * weight;
        }
    }
    sums.map(|sum| (sum >> window.bits).clamp(0, 255) as u8)
}
