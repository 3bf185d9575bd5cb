//! Rows of f32 to codes and scales, and back.

use half::bf16;

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

/// Smallest bf16 that is not below `value`, which is finite and not negative.
fn rounded_up(value: f32) -> bf16 {
    bf16::from_bits((value.to_bits().saturating_add(0xffff) >> 16) as u16)
}

/// The nearest whole number, for numbers below 2^22: adding 1.5 * 2^23 leaves no room for a fraction.
/// Unlike `f32::round_ties_even` it is two additions on every processor.
pub(super) fn rounded(value: f32) -> f32 {
    const NO_FRACTION: f32 = 12_582_912.0;
    (value + NO_FRACTION) - NO_FRACTION
}

fn greatest(weights: &[f32]) -> f32 {
    weights.iter().fold(0.0, |greatest, weight| greatest.max(weight.abs()))
}

/// The scale is rounded up, so that the code of no weight exceeds 127 and each weight is within half
/// the scale of what its code stands for.
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

/// Index of the level nearest to `value`, a weight in 127ths of its scale.
fn nearest_level(value: f32) -> u8 {
    let borders = LEVELS.windows(2).map(|pair| f32::midpoint(pair[0].into(), pair[1].into()));
    borders.map(|border| u8::from(value > border)).sum()
}

/// Byte `j` of a group's sixteen holds the level of column `j` in its low half and of column
/// `16 + j` in its high half.
pub(super) fn encode_int4(weights: &[f32], codes: &mut [u8], scales: &mut [bf16]) {
    let groups = weights.chunks_exact(GROUP).zip(codes.chunks_exact_mut(GROUP / 2));
    for ((weights, codes), scale) in groups.zip(scales) {
        let mut levels = [0_u8; GROUP];
        *scale = best_scale(weights, &mut levels);
        let (low, high) = levels.split_at(GROUP / 2);
        for ((code, low), high) in codes.iter_mut().zip(low).zip(high) {
            *code = low | high << 4;
        }
    }
}

/// The scale with the least sum of squared errors, of [`TRIED`] and for each the least-squares scale
/// of the levels it led to. It works on weights relative to the greatest, whose squares are numbers.
fn best_scale(weights: &[f32], levels: &mut [u8; GROUP]) -> bf16 {
    let top = weights.iter().fold(0.0_f32, |top, &w| if w.abs() > top.abs() { w } else { top });
    if top == 0.0 {
        return bf16::ZERO;
    }
    let relative: [f32; GROUP] = std::array::from_fn(|column| weights[column] / top);
    let mut best = (f32::INFINITY, bf16::ZERO);
    for tried in TRIED {
        let mut candidate = [0_u8; GROUP];
        let (mut product, mut square) = (0.0, 0.0);
        for (index, weight) in candidate.iter_mut().zip(relative) {
            *index = nearest_level(weight * LARGEST_CODE / tried);
            let level = f32::from(LEVELS[usize::from(*index)]);
            product += level * weight;
            square += level * level;
        }
        let scale = bf16::from_f32(product / square * top);
        let error = |(&index, weight): (&u8, f32)| {
            let error = f32::from(LEVELS[usize::from(index)]) * (scale.to_f32() / top) - weight;
            error * error
        };
        let error: f32 = candidate.iter().zip(relative).map(error).sum();
        if error < best.0 {
            best = (error, scale);
            *levels = candidate;
        }
    }
    best.1
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
