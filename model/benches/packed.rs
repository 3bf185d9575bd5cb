//! Weights in fewer bits beside what bounds them: reading memory for a few inputs, `gemm` in f32 for
//! many: `cargo bench -p segzero-model --bench packed`.
//!
//! The table before criterion's figures holds the least of several interleaved times, so that a busy
//! machine disturbs it little.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use half::{bf16, f16};
use rayon::prelude::*;
use segzero_model::packed::{Format, Packed};

const FORMATS: [Format; 5] = [Format::F32, Format::Bf16, Format::F16, Format::Int8, Format::Int4];

/// Rounds of the table.
const ROUNDS: usize = 8;

/// Numbers of -1..1 without a pattern that matters.
fn fill(row: usize, out: &mut [f32]) {
    let mut state = row as u32 ^ 0x9e37_79b9;
    for value in out {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *value = (state >> 8) as f32 / 8_388_608.0 - 1.0;
    }
}

fn stored<const SIZE: usize>(
    rows: usize,
    columns: usize,
    to: impl Fn(f32) -> [u8; SIZE] + Sync,
) -> Vec<u8> {
    let mut bytes = vec![0; rows * columns * SIZE];
    bytes.par_chunks_mut(columns * SIZE).enumerate().for_each_init(
        || vec![0.0; columns],
        |weights, (row, bytes)| {
            fill(row, weights);
            for (bytes, weight) in bytes.chunks_exact_mut(SIZE).zip(weights) {
                bytes.copy_from_slice(&to(*weight));
            }
        },
    );
    bytes
}

fn pack(rows: usize, columns: usize, format: Format) -> Packed {
    match format {
        Format::F32 => Packed::f32(rows, columns, stored(rows, columns, f32::to_le_bytes)),
        Format::Bf16 => {
            let to = |weight| bf16::from_f32(weight).to_le_bytes();
            Packed::bf16(rows, columns, stored(rows, columns, to))
        }
        Format::F16 => {
            let to = |weight| f16::from_f32(weight).to_le_bytes();
            Packed::f16(rows, columns, stored(rows, columns, to))
        }
        Format::Int8 | Format::Int4 => Packed::quantize(rows, columns, format, fill),
    }
    .unwrap()
}

/// Reads everything once, on all threads: the bandwidth that bounds products with a few inputs.
fn read(words: &[u64]) -> u64 {
    let sum = |words: &[u64]| words.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word));
    words.par_chunks(1 << 16).map(sum).reduce(|| 0, u64::wrapping_add)
}

/// `out[n, rows] = input[n, columns] · weightsᵀ` by the crate alone.
fn gemm(shape: [usize; 3], weights: &[f32], input: &[f32], out: &mut [f32]) {
    let [rows, columns, n] = shape;
    assert!(weights.len() == rows * columns && input.len() == n * columns && out.len() == n * rows);
    let (height, width) = (rows as isize, columns as isize);
    let (out, weights, input) = (out.as_mut_ptr(), weights.as_ptr(), input.as_ptr());
    let threads = gemm::Parallelism::Rayon(0);
    // SAFETY: the lengths are those of the shape.
    unsafe {
        gemm::gemm(
            rows, n, columns, out, height, 1, false, weights, 1, width, input, width, 1, 0.0, 1.0,
            false, false, false, threads,
        );
    }
}

fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

/// Every format and the bounds, in turns.
fn table(rows: usize, columns: usize, matrices: &[Packed], n: usize) {
    let mut input = vec![0.0; n * columns];
    fill(1, &mut input);
    let mut out = vec![0.0; n * rows];
    let words = vec![1_u64; 1 << 27];
    // Many inputs only: the f32 matrix of a whole vocabulary has 1.2 GB.
    let mut weights = vec![0.0; if n > 8 { rows * columns } else { 0 }];
    weights.par_chunks_mut(columns).enumerate().for_each(|(row, out)| fill(row, out));
    let mut least = vec![f64::INFINITY; matrices.len()];
    let (mut least_read, mut least_gemm) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        least_read = least_read.min(seconds(|| {
            black_box(read(&words));
        }));
        for (packed, least) in matrices.iter().zip(&mut least) {
            *least = least.min(seconds(|| packed.multiply(&input, None, &mut out)));
        }
        if n > 8 {
            let shape = [rows, columns, n];
            least_gemm = least_gemm.min(seconds(|| gemm(shape, &weights, &input, &mut out)));
        }
    }
    let operations = 2e-9 * (rows * columns * n) as f64;
    println!("\n{rows} x {columns}, {n} inputs; reading: {:.1} GB/s", 1.073_741_824 / least_read);
    for (packed, least) in matrices.iter().zip(least) {
        let [rate, speed] = [packed.bytes() as f64 * 1e-9 / least, operations / least];
        println!(
            "{:5} {:8.2} ms {rate:6.1} GB/s {speed:6.1} Gflop/s",
            packed.format(),
            least * 1e3
        );
    }
    if n > 8 {
        println!("gemm  {:8.2} ms {:20.1} Gflop/s", least_gemm * 1e3, operations / least_gemm);
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    for (rows, columns) in [(2048, 11_008), (151_936, 2048)] {
        let matrices = FORMATS.map(|format| pack(rows, columns, format));
        for n in [1, 8, 512] {
            // 80 billion products a format and round would time nothing new.
            if n * rows * columns > 1 << 34 {
                continue;
            }
            table(rows, columns, &matrices, n);
            let mut input = vec![0.0; n * columns];
            fill(1, &mut input);
            let mut out = vec![0.0; n * rows];
            let mut group = criterion.benchmark_group(format!("{rows}x{columns}, n={n}"));
            for packed in &matrices {
                group.throughput(Throughput::Bytes(packed.bytes()));
                let name = packed.format().to_string();
                group.bench_function(name, |b| b.iter(|| packed.multiply(&input, None, &mut out)));
            }
            group.finish();
        }
    }
    criterion.final_summary();
}
