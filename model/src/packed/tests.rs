use half::f16;

use super::*;

/// Numbers of -1..1 that look random (splitmix64).
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Any format, from the same weights.
fn pack(rows: usize, columns: usize, format: Format, weights: &[f32]) -> Packed {
    let bytes =
        |to: fn(f32) -> Vec<u8>| -> Vec<u8> { weights.iter().copied().flat_map(to).collect() };
    match format {
        Format::F32 => Packed::f32(rows, columns, bytes(|w| w.to_le_bytes().to_vec())),
        Format::Bf16 => {
            Packed::bf16(rows, columns, bytes(|w| bf16::from_f32(w).to_le_bytes().to_vec()))
        }
        Format::F16 => {
            Packed::f16(rows, columns, bytes(|w| f16::from_f32(w).to_le_bytes().to_vec()))
        }
        Format::Int8 | Format::Int4 => Packed::quantize(rows, columns, format, |row, out| {
            out.copy_from_slice(&weights[row * columns..][..columns]);
        }),
    }
    .unwrap()
}

const FORMATS: [Format; 5] = [Format::F32, Format::Bf16, Format::F16, Format::Int8, Format::Int4];

/// Each output against f64 with the weights that the matrix holds. f32 sums of `columns` products
/// err by a few units in the last place of the sum of sizes; the 16-bit inputs of int8 and int4 by
/// 2^-16 of the group's greatest input for each weight.
fn check(packed: &Packed, input: &[f32], bias: Option<&[f32]>, out: &[f32]) {
    let (rows, columns) = (packed.rows(), packed.columns());
    let mut weights = vec![0.0; columns];
    for row in 0..rows {
        packed.row(row, &mut weights);
        for n in 0..out.len() / rows {
            let input = &input[n * columns..][..columns];
            let start = bias.map_or(0.0, |bias| f64::from(bias[row]));
            let products = weights.iter().zip(input).map(|(w, x)| f64::from(*w) * f64::from(*x));
            let exact = start + products.clone().sum::<f64>();
            let sizes = start.abs() + products.map(f64::abs).sum::<f64>();
            let weight_sizes: f64 = weights.iter().map(|w| f64::from(w.abs())).sum();
            let step = match packed.format() {
                Format::F32 | Format::Bf16 | Format::F16 => 0.0,
                Format::Int8 | Format::Int4 => weight_sizes / 65_534.0,
            };
            let error = (f64::from(out[n * rows + row]) - exact).abs();
            assert!(error <= 4e-7 * sizes + step, "{packed:?} row {row} input {n}: {error:e}");
        }
    }
}

fn floats_alone(packed: &Packed, input: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    few::in_parallel(packed, &few::Inputs::floats(input), bias, out, portable::multiply);
}

#[test]
fn products_are_those_of_f64_on_every_path() {
    for (rows, columns) in [(1, 1), (1, 64), (3, 7), (5, 33), (17, 100), (40, 264), (513, 31)] {
        let weights = noise(1, rows * columns);
        let bias = noise(2, rows);
        for format in FORMATS {
            let packed = pack(rows, columns, format, &weights);
            for n in [0, 1, 2, 3, 4, 5, 8, 9, 65] {
                let input = noise(3, n * columns);
                for bias in [None, Some(bias.as_slice())] {
                    let mut out = vec![f32::NAN; n * rows];
                    packed.multiply(&input, bias, &mut out);
                    check(&packed, &input, bias, &out);
                    if n > 0 {
                        out.fill(f32::NAN);
                        floats_alone(&packed, &input, bias, &mut out);
                        check(&packed, &input, bias, &out);
                    }
                }
            }
        }
    }
}

#[test]
fn an_input_gives_in_a_batch_exactly_what_it_gives_alone() {
    let (rows, columns) = (37, 203);
    let input = noise(5, 8 * columns);
    for format in FORMATS {
        let packed = pack(rows, columns, format, &noise(4, rows * columns));
        let mut alone = vec![0.0; 8 * rows];
        for (input, out) in input.chunks(columns).zip(alone.chunks_mut(rows)) {
            packed.multiply(input, None, out);
        }
        for n in 1..=8 {
            let mut out = vec![0.0; n * rows];
            packed.multiply(&input[..n * columns], None, &mut out);
            assert_eq!(out, alone[..n * rows], "{format}, {n} inputs");
        }
    }
}

/// Bytes that begin at an odd address.
struct Shifted(Vec<u8>);

impl AsRef<[u8]> for Shifted {
    fn as_ref(&self) -> &[u8] {
        &self.0[1..]
    }
}

/// IEEE 754 half precision by its definition.
fn half_by_definition(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * f64::from(-24).exp2(),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * f64::from(exponent - 25).exp2(),
    };
    (sign * size) as f32
}

#[test]
fn every_16_bit_float_is_exact_in_rows_and_in_products() {
    for columns in [1_usize, 8] {
        // Weight i stands in column i mod `columns` of row i, between zeros.
        let mut bytes = vec![0_u8; 1 + 65_536 * columns * 2];
        for bits in 0..=u16::MAX {
            let at = 1 + (usize::from(bits) * columns + usize::from(bits) % columns) * 2;
            bytes[at..at + 2].copy_from_slice(&bits.to_le_bytes());
        }
        let bf16 = Packed::bf16(65_536, columns, Shifted(bytes.clone())).unwrap();
        let f16 = Packed::f16(65_536, columns, Shifted(bytes)).unwrap();
        let mut out = vec![0.0; 65_536];
        let mut row = vec![0.0; columns];
        let same = |a: f32, b: f32| a == b || a.is_nan() && b.is_nan();
        for (packed, expected) in [
            (bf16, &(|bits| f32::from_bits(u32::from(bits) << 16)) as &dyn Fn(u16) -> f32),
            (f16, &half_by_definition),
        ] {
            packed.multiply(&vec![1.0; columns], None, &mut out);
            for bits in 0..=u16::MAX {
                let index = usize::from(bits);
                packed.row(index, &mut row);
                assert!(same(row[index % columns], expected(bits)), "{packed:?} {bits:#06x}");
                assert!(same(out[index], expected(bits)), "{packed:?} {bits:#06x}");
            }
        }
    }
}

/// Weights whose sum of twelve uniform numbers is nearly normal.
fn normal(seed: u64, count: usize) -> Vec<f32> {
    noise(seed, count * 12).chunks(12).map(|twelve| twelve.iter().sum::<f32>() / 2.0).collect()
}

fn unpack(packed: &Packed) -> Vec<f32> {
    let mut all = vec![0.0; packed.rows() * packed.columns()];
    for (row, out) in all.chunks_mut(packed.columns()).enumerate() {
        packed.row(row, out);
    }
    all
}

#[test]
fn int8_is_within_half_a_scale_and_every_code_is_the_nearest() {
    for size in [1e-30_f32, 1e-3, 1.0, 1e30] {
        let (rows, columns) = (50, 75);
        let weights: Vec<f32> = normal(6, rows * columns).iter().map(|w| w * size).collect();
        let packed = pack(rows, columns, Format::Int8, &weights);
        let kept = unpack(&packed);
        for (index, (weight, kept)) in weights.iter().zip(&kept).enumerate() {
            let group = index / columns * 3 + index % columns / GROUP;
            let scale = packed.scales[group].to_f32();
            // Two roundings of f32 come with the division and the comparison.
            assert!((weight - kept).abs() <= scale * 0.500_02, "{weight} {kept} {scale}");
        }
    }
}

#[test]
fn int4_keeps_the_nearest_level_of_its_scale() {
    for size in [1e-30_f32, 1e-3, 1.0, 1e30] {
        let (rows, columns) = (50, 64);
        let weights: Vec<f32> = normal(7, rows * columns).iter().map(|w| w * size).collect();
        let packed = pack(rows, columns, Format::Int4, &weights);
        let kept = unpack(&packed);
        for (group, (weights, kept)) in weights.chunks(32).zip(kept.chunks(32)).enumerate() {
            let scale = f64::from(packed.scales[group].to_f32());
            let error = |kept: &[f64]| -> f64 {
                let pairs = weights.iter().zip(kept);
                pairs.map(|(w, k)| ((f64::from(*w) - k) / f64::from(size)).powi(2)).sum()
            };
            let kept: Vec<f64> = kept.iter().map(|&k| f64::from(k)).collect();
            // The plainest choice: the weight of greatest size on the top level, no search.
            let top = weights.iter().fold(0.0_f32, |t, &w| if w.abs() > t.abs() { w } else { t });
            let plain = f64::from(top) / 127.0;
            let nearest = |scale: f64| -> Vec<f64> {
                let nearest = |&w: &f32| {
                    let levels = quantize::LEVELS.iter().map(|&l| f64::from(l) * scale);
                    let far = |level: &f64| (level - f64::from(w)).abs();
                    levels.min_by(|a, b| far(a).total_cmp(&far(b))).unwrap()
                };
                weights.iter().map(nearest).collect()
            };
            // The scale moved by least squares after levels were chosen, by a few per cent.
            assert!(error(&kept) <= 1.1 * error(&nearest(scale)) + 1e-12);
            assert!(error(&kept) <= 1.01 * error(&nearest(plain)) + 1e-12);
        }
    }
}

#[test]
fn normal_weights_lose_what_the_formats_state() {
    let (rows, columns) = (64, 1024);
    let weights = normal(8, rows * columns);
    let power: f32 = weights.iter().map(|w| w * w).sum();
    for (format, most) in [(Format::Int8, 0.0055), (Format::Int4, 0.0765)] {
        let kept = unpack(&pack(rows, columns, format, &weights));
        let lost: f32 = weights.iter().zip(kept).map(|(w, k)| (w - k) * (w - k)).sum();
        let relative = (lost / power).sqrt();
        assert!(relative <= most && relative > most * 0.7, "{format}: {relative}");
    }
}

#[test]
fn encoders_of_every_path_agree_bit_for_bit() {
    let weights = normal(9, 4096);
    let run = |encode: quantize::Encoder, bytes: usize| {
        let (mut codes, mut scales) = (vec![0; bytes], vec![bf16::ZERO; 128]);
        encode(&weights, &mut codes, &mut scales);
        (codes, scales)
    };
    let int8 = quantize::encoder(Format::Int8).unwrap();
    assert_eq!(run(int8, 4096), run(quantize::encode_int8, 4096));
    let int4 = quantize::encoder(Format::Int4).unwrap();
    assert_eq!(run(int4, 2048), run(quantize::encode_int4, 2048));
}

#[test]
fn zeros_stay_zero_and_nothing_is_multiplied_to_the_bias() {
    for format in FORMATS {
        let packed = pack(3, 40, format, &[0.0; 120]);
        assert_eq!(unpack(&packed), [0.0; 120]);
        let mut out = [f32::NAN; 6];
        packed.multiply(&noise(1, 80), None, &mut out);
        assert_eq!(out, [0.0; 6]);

        let narrow = pack(3, 0, format, &[]);
        for n in [1, 9] {
            let mut out = vec![f32::NAN; n * 3];
            narrow.multiply(&[], Some(&[1.0, 2.0, 3.0]), &mut out);
            assert_eq!(out, [1.0, 2.0, 3.0].repeat(n));
        }
        pack(0, 5, format, &[]).multiply(&[0.0; 5], None, &mut []);
    }
}

#[test]
fn bytes_count_weights_and_scales() {
    let sizes = FORMATS.map(|format| pack(2, 65, format, &[1.0; 130]).bytes());
    assert_eq!(sizes, [520, 260, 260, 2 * (96 + 6), 2 * (48 + 6)]);
}

#[test]
fn inputs_that_are_not_finite_show_in_every_output() {
    for format in FORMATS {
        let packed = pack(5, 70, format, &noise(1, 350));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut input = noise(2, 140);
            input[70 + 69] = bad;
            let mut out = [0.0; 10];
            packed.multiply(&input, None, &mut out);
            assert!(out[..5].iter().all(|x| x.is_finite()), "{format}: the other input");
            assert!(out[5..].iter().all(|x| !x.is_finite()), "{format} {bad}: {out:?}");
        }
    }
}

#[test]
fn wrong_lengths_and_weights_are_named() {
    let error = Packed::bf16(3, 4, vec![0_u8; 23]).unwrap_err();
    assert_eq!(error.to_string(), "3 x 4 weights in bf16 are 24 bytes, but there are 23");
    for (format, bad) in [(Format::Int8, f32::NAN), (Format::Int4, f32::INFINITY)] {
        let error = Packed::quantize(4, 40, format, |row, out| {
            out.fill(1.0);
            if row == 2 {
                out[35] = bad;
            }
        });
        let message = error.unwrap_err().to_string();
        assert!(message.contains(&format!("row 2, column 35 is {bad}")), "{message}");
        assert!(message.contains(&format.to_string()), "{message}");
    }
    let error = Packed::quantize(1, 1, Format::F16, |_, out| out.fill(1.0)).unwrap_err();
    assert_eq!(error, PackedError::NotQuantized(Format::F16));
}
