use half::{bf16, f16};

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

#[test]
fn products_are_those_of_f64() {
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
                }
            }
        }
    }
}
