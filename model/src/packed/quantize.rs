//! Rows of f32 to codes and scales, and back.

use half::bf16;

use super::Format;
#[cfg(target_arch = "x86_64")]
use super::avx2;

/// Columns that share a scale. Rows are padded to whole groups.
pub(super) const GROUP: usize = 32;

/// Largest code of int8.
const LARGEST_CODE: f32 = 127.0;

/// The sixteen levels of int4, in 127ths of the group's scale: those that lose least (Lloyd 1982,
/// Max 1960) of normally distributed weights in groups of [`GROUP`] whose weight of greatest size,
/// with its sign, is near the top level.
pub(super) const LEVELS: [i8; 16] =
    [-111, -89, -71, -56, -42, -29, -17, -5, 6, 18, 31, 44, 59, 77, 98, 127];

/// Scales that are tried for a group of int4, relative to the one which puts the weight of greatest
/// size on the top level.
const TRIED: [f32; 9] = [0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15];

/// Writes the codes and scales of a row whose length is padded to whole groups.
pub(super) type Encoder = fn(&[f32], &mut [u8], &mut [bf16]);

/// The encoder for this processor, if weights are quantised to `format`.
pub(super) fn encoder(format: Format) -> Option<Encoder> {
    #[cfg(target_arch = "x86_64")]
    if avx2::available() {
        return match format {
            Format::Int8 => Some(avx2::encode_int8),
            Format::Int4 => Some(avx2::encode_int4),
            Format::F32 | Format::Bf16 | Format::F16 => None,
        };
    }
    match format {
        Format::Int8 => Some(encode_int8),
        Format::Int4 => Some(encode_int4),
        Format::F32 | Format::Bf16 | Format::F16 => None,
    }
}

/// Smallest bf16 that is not below `value`, which is finite and not negative.
fn rounded_up(value: f32) -> bf16 {
    bf16::from_bits((value.to_bits().saturating_add(0xffff) >> 16) as u16)
}

/// The nearest whole number, for numbers below 2^22: adding 1.5 * 2^23 leaves no room for a fraction.
/// Unlike `f32::round_ties_even` it is two additions on every processor.
#[inline(always)]
pub(super) fn rounded(value: f32) -> f32 {
    const NO_FRACTION: f32 = 12_582_912.0;
    (value + NO_FRACTION) - NO_FRACTION
}

fn greatest(weights: &[f32]) -> f32 {
    weights.iter().fold(0.0, |greatest, weight| greatest.max(weight.abs()))
}

/// The scale is rounded up, so that the code of no weight exceeds 127 and each weight is within half
/// the scale of what its code stands for.
#[inline(always)]
pub(super) fn encode_int8(weights: &[f32], codes: &mut [u8], scales: &mut [bf16]) {
    let groups = weights.chunks_exact(GROUP).zip(codes.chunks_exact_mut(GROUP));
    for ((weights, codes), scale) in groups.zip(scales) {
        *scale = rounded_up(greatest(weights) / LARGEST_CODE);
        let divisor = if *scale == bf16::ZERO { 1.0 } else { scale.to_f32() };
        for (code, weight) in codes.iter_mut().zip(weights) {
            *code = rounded(weight / divisor) as i8 as u8;
        }
    }
}

pub(super) fn decode_int8(codes: &[u8], scales: &[bf16], out: &mut [f32]) {
    let groups = out.chunks_mut(GROUP).zip(codes.chunks_exact(GROUP));
    for ((out, codes), scale) in groups.zip(scales) {
        let scale = scale.to_f32();
        for (out, &code) in out.iter_mut().zip(codes) {
            *out = f32::from(code as i8) * scale;
        }
    }
}

/// Steps from one level to the next, each with the border between the two.
const STEPS: [(f32, f32); 15] = {
    let mut steps = [(0.0, 0.0); 15];
    let mut index = 0;
    while index < 15 {
        let (below, above) = (LEVELS[index] as f32, LEVELS[index + 1] as f32);
        steps[index] = ((below + above) / 2.0, above - below);
        index += 1;
    }
    steps
};

/// Index of a level by its distance from the lowest.
const INDEX: [u8; 256] = {
    let mut indices = [0; 256];
    let mut index = 0;
    while index < 16 {
        indices[(LEVELS[index] as i16 - LEVELS[0] as i16) as usize] = index as u8;
        index += 1;
    }
    indices
};

/// The levels nearest to weights that are given in 127ths of their scale. It goes over all weights
/// with one border after another, which compilers turn into vectors.
#[inline(always)]
fn nearest_levels(weights: &[f32; GROUP]) -> [f32; GROUP] {
    let mut levels = [f32::from(LEVELS[0]); GROUP];
    for (border, step) in STEPS {
        for (level, &weight) in levels.iter_mut().zip(weights) {
            *level += if weight > border { step } else { 0.0 };
        }
    }
    levels
}

/// Sum of products, in eight sums that fit a vector.
#[inline(always)]
fn sum_of_products(a: &[f32; GROUP], b: &[f32; GROUP]) -> f32 {
    let mut sums = [0.0; 8];
    for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// Byte `j` of a group's sixteen holds the level of column `j` in its low half and of column
/// `16 + j` in its high half.
#[inline(always)]
pub(super) fn encode_int4(weights: &[f32], codes: &mut [u8], scales: &mut [bf16]) {
    let groups = weights.as_chunks::<GROUP>().0.iter().zip(codes.chunks_exact_mut(GROUP / 2));
    for ((weights, codes), scale) in groups.zip(scales) {
        let levels;
        (*scale, levels) = best_scale(weights);
        let index = |level: f32| INDEX[(level - f32::from(LEVELS[0])) as usize];
        let (low, high) = levels.split_at(GROUP / 2);
        for ((code, &low), &high) in codes.iter_mut().zip(low).zip(high) {
            *code = index(low) | index(high) << 4;
        }
    }
}

/// The scale with the least sum of squared errors, of [`TRIED`] and for each the least-squares scale
/// of the levels it led to; and these levels. It works on weights relative to the greatest, whose
/// squares are numbers.
#[inline(always)]
fn best_scale(weights: &[f32; GROUP]) -> (bf16, [f32; GROUP]) {
    let top = weights.iter().fold(0.0_f32, |top, &w| if w.abs() > top.abs() { w } else { top });
    if top == 0.0 {
        return (bf16::ZERO, [f32::from(LEVELS[0]); GROUP]);
    }
    let relative = weights.map(|weight| weight / top);
    let mut best = (f32::INFINITY, bf16::ZERO, [f32::from(LEVELS[0]); GROUP]);
    for tried in TRIED {
        let levels = nearest_levels(&relative.map(|weight| weight * (LARGEST_CODE / tried)));
        let product = sum_of_products(&levels, &relative);
        let square = sum_of_products(&levels, &levels);
        let scale = bf16::from_f32(product / square * top);
        // The sum of (weight - scale * level)^2, without that of weight^2.
        let relative_scale = scale.to_f32() / top;
        let error = relative_scale * (relative_scale * square - 2.0 * product);
        if error < best.0 {
            best = (error, scale, levels);
        }
    }
    (best.1, best.2)
}

pub(super) fn decode_int4(codes: &[u8], scales: &[bf16], out: &mut [f32]) {
    let groups = out.chunks_mut(GROUP).zip(codes.chunks_exact(GROUP / 2));
    for ((out, codes), scale) in groups.zip(scales) {
        let scale = scale.to_f32();
        let level = |index: u8| f32::from(LEVELS[usize::from(index)]) * scale;
        let halves = codes.iter().map(|code| code & 15).chain(codes.iter().map(|code| code >> 4));
        for (out, index) in out.iter_mut().zip(halves) {
            *out = level(index);
        }
    }
}
