//! `PIL.Image.resize` with an antialiasing kernel: two passes, horizontal first, each rounded to 8
//! bits, in fixed point. The arithmetic is that of Pillow's `Resample.c` (behaviour only).

use super::Rgb;
use segzero_datasets::Size;
use std::borrow::Cow;
use std::f64::consts::PI;

/// Fraction bits of a weight: 32 less 8 for the sample and 2 for sign and overshoot.
const FRACTION_BITS: u32 = 32 - 8 - 2;

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
}

fn windows(source: u32, target: u32, kernel: Kernel) -> Vec<Window> {
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
        let weights = exact.iter().map(|&w| fixed(if sum == 0.0 { w } else { w / sum })).collect();
        Window { first: first as usize, weights }
    };
    (0..target).map(window).collect()
}

fn fixed(weight: f64) -> i32 {
    (weight * f64::from(1 << FRACTION_BITS) + 0.5f64.copysign(weight)) as i32
}

/// Resizes to `size`; an axis that keeps its length is not touched.
pub(super) fn resize(image: &Rgb, size: Size, kernel: Kernel) -> Rgb {
    let rows_first = rows_shrink_more(image.size, size);
    let between = if rows_first {
        Size::new(image.size.width, size.height)
    } else {
        Size::new(size.width, image.size.height)
    };
    let once = pass(&image.pixels, image.size, between, kernel);
    let pixels = pass(&once, between, size, kernel);
    Rgb { size, pixels: pixels.into_owned() }
}

/// Since version 13 Pillow begins with the rows where their number falls by more than twice what
/// the number of columns falls by; earlier versions always began with the columns. The order
/// changes the rounding, by a level or so.
fn rows_shrink_more(source: Size, target: Size) -> bool {
    let fall = |source: u32, target: u32| i64::from(source) - i64::from(target);
    fall(source.height, target.height) > 2 * fall(source.width, target.width).max(0)
}

/// One pass, along the axis in which the sizes differ, if any.
fn pass<'a>(pixels: &'a [u8], source: Size, target: Size, kernel: Kernel) -> Cow<'a, [u8]> {
    if source.width != target.width {
        Cow::Owned(horizontal(pixels, source, target.width, kernel))
    } else if source.height != target.height {
        Cow::Owned(vertical(pixels, source.height, target, kernel))
    } else {
        Cow::Borrowed(pixels)
    }
}

fn horizontal(pixels: &[u8], size: Size, width: u32, kernel: Kernel) -> Vec<u8> {
    let windows = windows(size.width, width, kernel);
    let mut out = Vec::with_capacity(width as usize * size.height as usize * 3);
    for row in pixels.chunks_exact(size.width as usize * 3) {
        for window in &windows {
            let mut sums = [1 << (FRACTION_BITS - 1); 3];
            for (pixel, &weight) in row[window.first * 3..].chunks_exact(3).zip(&window.weights) {
                for (sum, &sample) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(sample) * weight;
                }
            }
            out.extend(sums.map(to_sample));
        }
    }
    out
}

fn vertical(pixels: &[u8], height: u32, size: Size, kernel: Kernel) -> Vec<u8> {
    let stride = size.width as usize * 3;
    let mut out = Vec::with_capacity(stride * size.height as usize);
    let mut sums = vec![0i32; stride];
    for window in windows(height, size.height, kernel) {
        sums.fill(1 << (FRACTION_BITS - 1));
        let rows = pixels[window.first * stride..].chunks_exact(stride);
        for (row, &weight) in rows.zip(&window.weights) {
            for (sum, &sample) in sums.iter_mut().zip(row) {
                *sum += i32::from(sample) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| to_sample(sum)));
    }
    out
}

fn to_sample(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}
