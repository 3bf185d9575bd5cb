//! Attention on the CPU, on plain slices: blocks of queries against all of their keys, so that the
//! scores stay in cache and both products run at the speed of `gemm`.

use rayon::prelude::*;

use super::super::cpu::wide;

/// Queries of a task. Their scores against some thousand keys fit the cache that a core has to
/// itself.
const BLOCK: usize = 64;

/// Vectors of heads: element i of the vector of a head at a token is
/// `data[token * token_stride + head * head_stride + i]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads<'a> {
    pub data: &'a [f32],
    pub token_stride: usize,
    pub head_stride: usize,
}

/// Who attends to whom.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Query heads.
    pub heads: usize,
    /// Query heads that share a key head.
    pub group: usize,
    /// Length of a vector.
    pub width: usize,
    /// Tokens that see each other and no others, as (first, number), one behind the other.
    pub windows: Vec<(usize, usize)>,
    /// Whether a token sees only itself and those before it. Queries are then the last of the keys,
    /// of which there are so many.
    pub causal: Option<usize>,
}

/// A block of queries of one head.
struct Task<'o> {
    head: usize,
    first: usize,
    keys: (usize, usize),
    out: &'o mut [f32],
}

/// softmax(q · kᵀ / sqrt(width)) · v, as `[heads, queries, width]`.
pub(super) fn attend(query: Heads, keys: Heads, values: Heads, shape: &Shape) -> Vec<f32> {
    let queries: usize = shape.windows.iter().map(|&(_, length)| length).sum();
    let mut out = vec![0.0; shape.heads * queries * shape.width];
    let tasks = tasks(&mut out, queries, shape);
    tasks.into_par_iter().for_each_init(Vec::new, |scores, task| {
        run(task, query, keys, values, shape, scores);
    });
    out
}

fn tasks<'o>(out: &'o mut [f32], queries: usize, shape: &Shape) -> Vec<Task<'o>> {
    let mut tasks = Vec::new();
    for (head, mut rest) in out.chunks_exact_mut((queries * shape.width).max(1)).enumerate() {
        for &(start, length) in &shape.windows {
            for first in (start..start + length).step_by(BLOCK) {
                let count = BLOCK.min(start + length - first);
                let (out, after) = rest.split_at_mut(count * shape.width);
                rest = after;
                let keys = match shape.causal {
                    Some(keys) => (0, keys - queries + first + count),
                    None => (start, length),
                };
                tasks.push(Task { head, first, keys, out });
            }
        }
    }
    tasks
}

fn run(task: Task, query: Heads, keys: Heads, values: Heads, shape: &Shape, scores: &mut Vec<f32>) {
    let width = shape.width;
    let count = task.out.len() / width;
    let (start, seen) = task.keys;
    scores.resize(count * seen, 0.0);
    let at = |heads: Heads, head: usize, token: usize| {
        head * heads.head_stride + token * heads.token_stride
    };
    let query_at = at(query, task.head, task.first);
    let key_at = at(keys, task.head / shape.group, start);
    let value_at = at(values, task.head / shape.group, start);
    let left = Matrix { data: &query.data[query_at..], row: query.token_stride, column: 1 };
    let right = Matrix { data: &keys.data[key_at..], row: 1, column: keys.token_stride };
    let scale = 1.0 / (width as f32).sqrt();
    product([count, width, seen], left, right, scale, scores);
    wide(|| {
        for (row, scores) in scores.chunks_exact_mut(seen).enumerate() {
            // The last query of the block sees all keys, each one before it one key less.
            let visible = if shape.causal.is_some() { seen - (count - 1 - row) } else { seen };
            let (scores, hidden) = scores.split_at_mut(visible);
            hidden.fill(0.0);
            softmax(scores);
        }
    });
    let left = Matrix { data: scores, row: seen, column: 1 };
    let right = Matrix { data: &values.data[value_at..], row: values.token_stride, column: 1 };
    product([count, seen, width], left, right, 1.0, task.out);
}

/// Element (i, j) is `data[i * row + j * column]`.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    data: &'a [f32],
    row: usize,
    column: usize,
}

impl Matrix<'_> {
    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row + (columns - 1) * self.column < self.data.len()
    }
}

/// `out[rows, columns] = scale · left[rows, inner] · right[inner, columns]`, by one thread.
fn product(
    [rows, inner, columns]: [usize; 3],
    left: Matrix,
    right: Matrix,
    scale: f32,
    out: &mut [f32],
) {
    if rows * inner * columns == 0 {
        return;
    }
    assert!(left.holds(rows, inner) && right.holds(inner, columns));
    assert!(out.len() >= rows * columns);
    // SAFETY: the last element of each of the three matrices was found to be inside its slice.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            columns as isize,
            false,
            left.data.as_ptr(),
            left.column as isize,
            left.row as isize,
            right.data.as_ptr(),
            right.column as isize,
            right.row as isize,
            0.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Lanes that sum apart, so that the loops become vector instructions.
const LANES: usize = 16;

/// Scores to shares that sum to 1.
#[inline(always)]
fn softmax(scores: &mut [f32]) {
    let mut highest = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = scores.as_chunks::<LANES>();
    for chunk in chunks {
        for (highest, &score) in highest.iter_mut().zip(chunk) {
            *highest = if score > *highest { score } else { *highest };
        }
    }
    let highest = highest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0f32; LANES];
    let (chunks, rest) = scores.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (sum, score) in sums.iter_mut().zip(chunk) {
            *score = exp(*score - highest);
            *sum += *score;
        }
    }
    for (sum, score) in sums.iter_mut().zip(rest) {
        *score = exp(*score - highest);
        *sum += *score;
    }
    let whole = 1.0 / sums.iter().sum::<f32>();
    scores.iter_mut().for_each(|score| *score *= whole);
}

/// eˣ for x <= 0, within 2 units in the last place; 0 below -87. By 2ⁿ · p(r) with r the rest of x
/// modulo ln 2, and p the Taylor series, whose seventh term is below half a unit for |r| <= ln 2 / 2.
#[inline(always)]
pub(in super::super) fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    /// Adding and subtracting it rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x < -87.0 { -87.0 } else { x };
    let n = clamped * std::f32::consts::LOG2_E + ROUND;
    let power = f32::from_bits((n.to_bits() << 23).wrapping_add(0x3F80_0000));
    let n = n - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let series = 1.0 / 5040.0;
    let series = series * r + 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = series * r + 1.0;
    let value = (series * r + 1.0) * power;
    if x < -87.0 { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_within_two_units() {
        for i in 0..1_000_000u32 {
            let x = -f64::from(i) * 8.7e-5;
            let (found, exact) = (exp(x as f32), f64::from(x as f32).exp());
            let error = (f64::from(found) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "exp({x}) = {found}, not {exact}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-100.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    }

    /// The definition, in f64.
    fn plain(query: Heads, keys: Heads, values: Heads, shape: &Shape) -> Vec<f32> {
        let queries: usize = shape.windows.iter().map(|&(_, length)| length).sum();
        let mut out = Vec::new();
        for head in 0..shape.heads {
            for &(start, length) in &shape.windows {
                for token in start..start + length {
                    let seen = match shape.causal {
                        Some(keys) => 0..keys - queries + token + 1,
                        None => start..start + length,
                    };
                    let at = |heads: Heads, head: usize, token: usize, i: usize| {
                        f64::from(
                            heads.data[token * heads.token_stride + head * heads.head_stride + i],
                        )
                    };
                    let shared = head / shape.group;
                    let score = |key: usize| {
                        let dot: f64 = (0..shape.width)
                            .map(|i| at(query, head, token, i) * at(keys, shared, key, i))
                            .sum();
                        (dot / (shape.width as f64).sqrt()).exp()
                    };
                    let weights: Vec<f64> = seen.clone().map(score).collect();
                    let whole: f64 = weights.iter().sum();
                    out.extend((0..shape.width).map(|i| {
                        let sum =
                            |(key, weight): (usize, &f64)| weight * at(values, shared, key, i);
                        (seen.clone().zip(&weights).map(sum).sum::<f64>() / whole) as f32
                    }));
                }
            }
        }
        out
    }

    #[test]
    fn blocks_windows_groups_and_the_past_are_those_of_the_definition() {
        let numbers = |name: &str, count: usize| {
            crate::checkpoint::random::Formula::scaled(name, 2.0).values(count)
        };
        let cases = [
            (4, 2, 16, vec![(0, 150)], Some(150)),
            (4, 2, 16, vec![(0, 3)], Some(70)),
            (2, 1, 20, vec![(0, 64), (64, 64), (128, 65), (193, 1)], None),
            (3, 3, 8, vec![(0, 129)], None),
        ];
        for (heads, group, width, windows, causal) in cases {
            let queries: usize = windows.iter().map(|&(_, length)| length).sum();
            let (seen, kv_heads) = (causal.unwrap_or(queries), heads / group);
            let query = numbers("query", queries * heads * width);
            let keys = numbers("keys", seen * kv_heads * width);
            let values = numbers("values", seen * kv_heads * width);
            // Queries lie token by token, keys and values head by head.
            let query = Heads { data: &query, token_stride: heads * width, head_stride: width };
            let [keys, values] = [&keys, &values].map(|data| Heads {
                data,
                token_stride: width,
                head_stride: seen * width,
            });
            let shape = Shape { heads, group, width, windows, causal };
            let found = attend(query, keys, values, &shape);
            let expected = plain(query, keys, values, &shape);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                // Sums of up to 150 products of numbers up to 2 in f32.
                assert!((found - expected).abs() < 2e-6, "{found} {expected} {shape:?}");
            }
        }
    }
}
