//! torch's resize of floats, bilinear and antialiased (`_upsample_bilinear2d_aa`), bit for bit, with
//! the scaling before it and the normalisation after it.
//!
//! The columns are resized first, then the rows. A target sample is a weighted sum of the source
//! samples within one target pixel of its centre. Its terms are added one by one; how each is
//! rounded was found by experiment on torch 2.15 with AVX2: the first product by itself; then, four
//! at a time while there are four, products are rounded before they are added; those that are left
//! are fused with their addition.

use rayon::prelude::*;
use segzero_prep::image::Rgb;

use super::image::{MEAN, STD};
use crate::layers::cpu::wide;

/// Target rows that are made together, of an image that keeps its height. The source rows that two
/// bands share are resized twice.
const BAND: usize = 64;
/// Numbers of a row that are summed together: enough to fill wide registers, few enough to stay in
/// them, and whole pixels.
const LANES: usize = 48;

/// The source samples and weights of one target sample.
struct Window {
    first: usize,
    weights: Vec<f32>,
}

/// Weights in f32, with those steps in f64 that torch's C++ takes in double.
fn windows(source: usize, target: usize) -> Vec<Window> {
    let scale = source as f32 / target as f32;
    let support = scale.max(1.0);
    let inverse = 1.0 / support;
    let window = |index: usize| {
        let center = (f64::from(scale) * (index as f64 + 0.5)) as f32;
        let end = |at: f32| ((f64::from(at) + 0.5) as usize).min(source);
        let (first, last) = (end(center - support), end(center + support));
        let weight = |at: usize| {
            let distance = (f64::from(at as f32 - center) + 0.5) * f64::from(inverse);
            (1.0 - (distance as f32).abs()).max(0.0)
        };
        let mut weights: Vec<f32> = (first..last).map(weight).collect();
        let sum = weights.iter().fold(0.0, |sum, weight| sum + weight);
        if sum != 0.0 {
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
        Window { first, weights }
    };
    (0..target).map(window).collect()
}

/// `[side, side, 3]` of an image that has pixels: samples / 255, resized, normalised.
pub(super) fn resize(image: &Rgb, side: usize) -> Vec<f32> {
    let [width, height] = [image.size.width, image.size.height].map(|side| side as usize);
    let (columns, rows) = (windows(width, side), windows(height, side));
    // A tall image has many source rows to a target row.
    let band = (BAND * side / height).clamp(8, BAND);
    let stride = side * 3;
    let mut out = vec![0.0; side * stride];
    let bands = out.par_chunks_mut(band * stride).zip(rows.par_chunks(band));
    bands.for_each_init(Vec::new, |between, (out, rows)| {
        wide(|| resize_band(&image.pixels, width * 3, &columns, rows, between, out));
    });
    out
}

/// The rows of `out` from those of the image, which have `stride` bytes each.
#[inline(always)]
fn resize_band(
    pixels: &[u8],
    stride: usize,
    columns: &[Window],
    rows: &[Window],
    between: &mut Vec<f32>,
    out: &mut [f32],
) {
    let (Some(top), Some(bottom)) = (rows.first(), rows.last()) else { return };
    let (top, bottom) = (top.first, bottom.first + bottom.weights.len());
    let shares: [f32; 256] = std::array::from_fn(|sample| sample as f32 / 255.0);
    let width = columns.len() * 3;
    between.resize((bottom - top) * width, 0.0);
    // Four numbers a pixel fill a register; the fourth is not used.
    let mut wide = vec![[0.0; 4]; stride / 3];
    let source = pixels[top * stride..bottom * stride].chunks_exact(stride);
    for (row, out) in source.zip(between.chunks_exact_mut(width)) {
        for (wide, pixel) in wide.iter_mut().zip(row.as_chunks::<3>().0) {
            let [r, g, b] = pixel.map(|sample| shares[usize::from(sample)]);
            *wide = [r, g, b, 0.0];
        }
        for (window, out) in columns.iter().zip(out.as_chunks_mut::<3>().0) {
            let [r, g, b, _] = mix(wide[window.first..].iter(), &window.weights);
            *out = [r, g, b];
        }
    }
    for (window, out) in rows.iter().zip(out.chunks_exact_mut(width)) {
        mix_rows(&between[(window.first - top) * width..], window, out);
    }
}

/// One row of the result from the rows of its window, which `rows` begin with.
#[inline(always)]
fn mix_rows(rows: &[f32], window: &Window, out: &mut [f32]) {
    let width = out.len();
    let whole = width - width % LANES;
    let (tiles, rest) = out.split_at_mut(whole);
    for (tile, out) in tiles.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let rows = rows.chunks_exact(width);
        *out = mix(rows.filter_map(|row| row[tile * LANES..].first_chunk()), &window.weights);
        normalise(out);
    }
    for (pixel, out) in rest.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let rows = rows.chunks_exact(width);
        *out = mix(rows.filter_map(|row| row[whole + pixel * 3..].first_chunk()), &window.weights);
        normalise(out);
    }
}

/// Weighted sums of neighbouring samples, one for each lane.
#[inline(always)]
fn mix<'a, const N: usize>(
    mut samples: impl Iterator<Item = &'a [f32; N]>,
    weights: &[f32],
) -> [f32; N] {
    let rounded = weights.len().min(1 + weights.len().saturating_sub(1) / 4 * 4);
    let (rounded, fused) = weights.split_at(rounded);
    let mut sums = [0.0; N];
    for (&weight, samples) in rounded.iter().zip(samples.by_ref()) {
        for (sum, &sample) in sums.iter_mut().zip(samples) {
            *sum += sample * weight;
        }
    }
    for (&weight, samples) in fused.iter().zip(samples) {
        for (sum, &sample) in sums.iter_mut().zip(samples) {
            *sum = sample.mul_add(weight, *sum);
        }
    }
    sums
}

/// From samples of 0 to 1, whole pixels.
#[inline(always)]
fn normalise(samples: &mut [f32]) {
    for pixel in samples.as_chunks_mut::<3>().0 {
        for (sample, (mean, std)) in pixel.iter_mut().zip(MEAN.iter().zip(STD)) {
            *sample = (*sample - mean) / std;
        }
    }
}
