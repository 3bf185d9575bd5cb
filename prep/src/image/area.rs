//! `cv2.resize(..., INTER_AREA)`, bit for bit.
//!
//! OpenCV averages areas only where neither axis grows; otherwise it interpolates between two
//! neighbours with weights of its own (`linear`). Areas of a whole number of pixels are summed in
//! integers, others in single precision.

use super::Rgb;
use super::simd::{self, for_best_processor};
use segzero_datasets::Size;

/// Fraction bits of OpenCV's 8-bit interpolation weights.
const WEIGHT_ONE: f32 = 2048.0;

/// Resizes; `image` and `size` differ and neither is empty.
pub(super) fn resize(image: &Rgb, size: Size, out: &mut Rgb) {
    let x = Axis::new(image.size.width, size.width);
    let y = Axis::new(image.size.height, size.height);
    out.size = size;
    out.pixels.resize(size.pixels() as usize * 3, 0);
    if x.scale < 1.0 || y.scale < 1.0 {
        linear(image, out, x, y);
    } else if let (Some(columns), Some(rows)) = (x.whole(), y.whole()) {
        boxes(image, out, columns, rows);
    } else {
        areas(image, out, x, y);
    }
}

/// One axis of the mapping, with the ratios in the order in which OpenCV rounds them.
#[derive(Clone, Copy)]
struct Axis {
    source: u32,
    target: u32,
    inverse: f64,
    scale: f64,
}

impl Axis {
    fn new(source: u32, target: u32) -> Self {
        let inverse = f64::from(target) / f64::from(source);
        Self { source, target, inverse, scale: 1.0 / inverse }
    }

    /// The number of source samples per target sample, where that is a whole number.
    fn whole(self) -> Option<usize> {
        let nearest = self.scale.round_ties_even();
        ((self.scale - nearest).abs() < f64::EPSILON).then_some(nearest as usize)
    }
}

/// First neighbour of a target sample, and the weights of it and the next, which add up to 2048.
type Tap = (usize, [i16; 2]);

fn taps(axis: Axis) -> Vec<Tap> {
    let tap = |index: u32| {
        let index = f64::from(index);
        let first = (index * axis.scale).floor();
        let overshoot = ((index + 1.0) - (first + 1.0) * axis.inverse) as f32;
        let second = if overshoot <= 0.0 { 0.0 } else { overshoot - overshoot.floor() };
        let weights = [1.0 - second, second].map(|w| (w * WEIGHT_ONE).round_ties_even() as i16);
        (first as usize, weights)
    };
    (0..axis.target).map(tap).collect()
}

fn linear(image: &Rgb, out: &mut Rgb, x: Axis, y: Axis) {
    let stride = image.size.width as usize * 3;
    let mut columns = taps(x);
    for (first, weights) in &mut columns {
        // Right of the last pair there is one neighbour only; OpenCV gives it all the weight.
        if *first + 1 >= x.source as usize {
            (*first, *weights) = (x.source as usize - 1, [WEIGHT_ONE as i16, 0]);
        }
        *first *= 3;
    }
    let width = out.size.width as usize * 3;
    let mut rows = [(usize::MAX, vec![0i16; width + 1]), (usize::MAX, vec![0i16; width + 1])];
    let lines = out.pixels.chunks_exact_mut(width);
    for ((first, weights), out) in taps(y).into_iter().zip(lines) {
        let last = y.source as usize - 1;
        let wanted = [first.min(last), (first + 1).min(last)];
        if rows[1].0 == wanted[0] {
            rows.swap(0, 1);
        }
        for (row, wanted) in rows.iter_mut().zip(wanted) {
            if row.0 != wanted {
                let pixels = &image.pixels[wanted * stride..][..stride];
                simd::interpolate_rgb(pixels, &columns, &mut row.1);
                row.0 = wanted;
            }
        }
        interpolate_rows(&rows[0].1, &rows[1].1, weights, out);
    }
}

for_best_processor! {
    /// Interpolates between two rows of [`simd::interpolate_rgb`]; OpenCV truncates each product.
    pub(super) fn interpolate_rows(
        upper: &[i16],
        lower: &[i16],
        weights: [i16; 2],
        out: &mut [u8],
    ) = interpolate_rows_portable;
}

#[inline(always)]
pub(super) fn interpolate_rows_portable(
    upper: &[i16],
    lower: &[i16],
    weights: [i16; 2],
    out: &mut [u8],
) {
    let high = |value: i16, weight: i16| ((i32::from(value) * i32::from(weight)) >> 16) as i16;
    for ((out, &upper), &lower) in out.iter_mut().zip(upper).zip(lower) {
        *out = ((high(upper, weights[0]) + high(lower, weights[1]) + 2) >> 2) as u8;
    }
}

/// Averages of boxes of `columns` x `rows` whole pixels.
fn boxes(image: &Rgb, out: &mut Rgb, columns: usize, rows: usize) {
    let stride = image.size.width as usize * 3;
    let width = out.size.width as usize * 3;
    let mut sums = vec![0u32; width];
    let inverse = 1.0 / (columns * rows) as f32;
    let bands = image.pixels.chunks_exact(stride * rows);
    for (band, out) in bands.zip(out.pixels.chunks_exact_mut(width)) {
        sums.fill(0);
        for row in band.chunks_exact(stride) {
            for (sums, pixels) in sums.chunks_exact_mut(3).zip(row.chunks_exact(columns * 3)) {
                for pixel in pixels.chunks_exact(3) {
                    for (sum, &sample) in sums.iter_mut().zip(pixel) {
                        *sum += u32::from(sample);
                    }
                }
            }
        }
        if (columns, rows) == (2, 2) {
            // The one case that OpenCV rounds half up rather than to even.
            out.iter_mut().zip(&sums).for_each(|(out, &sum)| *out = ((sum + 2) >> 2) as u8);
        } else {
            let mean = |sum: u32| to_sample(sum as f32 * inverse);
            out.iter_mut().zip(&sums).for_each(|(out, &sum)| *out = mean(sum));
        }
    }
}

/// A source sample's share in a target sample.
struct Share {
    source: usize,
    target: usize,
    weight: f32,
}

fn shares(axis: Axis) -> Vec<Share> {
    let mut shares = Vec::with_capacity(axis.source as usize * 2);
    for target in 0..axis.target as usize {
        let start = target as f64 * axis.scale;
        let end = start + axis.scale;
        let width = axis.scale.min(f64::from(axis.source) - start);
        let last = (end.floor() as usize).min(axis.source as usize - 1);
        let first = (start.ceil() as usize).min(last);
        let mut push = |source, share: f64| {
            shares.push(Share { source, target, weight: share as f32 });
        };
        if first as f64 - start > 1e-3 {
            push(first - 1, (first as f64 - start) / width);
        }
        for source in first..last {
            push(source, 1.0 / width);
        }
        if end - last as f64 > 1e-3 {
            push(last, (end - last as f64).min(1.0).min(width) / width);
        }
    }
    shares
}

fn areas(image: &Rgb, out: &mut Rgb, x: Axis, y: Axis) {
    let stride = image.size.width as usize * 3;
    let width = out.size.width as usize * 3;
    let columns = shares(x);
    let mut write = |target: usize, sums: &[f32]| {
        let line = &mut out.pixels[target * width..][..width];
        line.iter_mut().zip(sums).for_each(|(out, &sum)| *out = to_sample(sum));
    };
    let (mut row, mut sums) = (vec![0f32; width], vec![0f32; width]);
    let mut target = 0;
    for share in shares(y) {
        row.fill(0.0);
        let pixels = &image.pixels[share.source * stride..][..stride];
        for column in &columns {
            let pixel = &pixels[column.source * 3..][..3];
            for (sum, &sample) in row[column.target * 3..][..3].iter_mut().zip(pixel) {
                *sum += f32::from(sample) * column.weight;
            }
        }
        if share.target != target {
            write(target, &sums);
            sums.fill(0.0);
            target = share.target;
        }
        for (sum, &value) in sums.iter_mut().zip(&row) {
            *sum += share.weight * value;
        }
    }
    write(target, &sums);
}

fn to_sample(value: f32) -> u8 {
    value.round_ties_even() as u8
}
