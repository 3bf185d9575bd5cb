//! Attention on the CPU, on plain slices: blocks of queries against all of their keys, so that the
//! scores stay in cache and both products run at the speed of `gemm`.

use std::ops::Range;

use gemm::Parallelism;
use rayon::prelude::*;

use super::super::cpu::wide;
use crate::product::{Matrix, product};

/// Queries of a task. Their scores against some thousand keys fit the cache that a core has to
/// itself.
const BLOCK: usize = 64;

/// Vectors of heads: element i of the vector of a head at a token is
/// `data[token * token_stride + head * head_stride + i]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads<'a> {
    pub data: &'a [f32],
    pub token_stride: usize,
    pub head_stride: usize,
}

/// Queries that see the same keys, by number.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub queries: Range<usize>,
    pub keys: Range<usize>,
}

impl Window {
    /// Tokens that see each other and no others.
    pub(crate) fn of(tokens: Range<usize>) -> Self {
        Self { queries: tokens.clone(), keys: tokens }
    }
}

/// Who attends to whom.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Query heads.
    pub heads: usize,
    /// Query heads that share a key head.
    pub group: usize,
    /// Length of a vector.
    pub width: usize,
    /// No query is in two of them.
    pub windows: Vec<Window>,
    /// Whether a query, which are the last of the keys, sees only itself and those before it.
    pub causal: bool,
}

/// A block of queries of one head and the keys that its last one sees.
struct Task {
    head: usize,
    queries: Range<usize>,
    keys: Range<usize>,
}

/// softmax(q · kᵀ / sqrt(width)) · v, as `[queries, heads, width]`. Queries that are in no window stay
/// as they are in `out`.
///
/// # Panics
/// If `out` is too short for the queries of a window, or they overlap; if keys are not there.
pub(crate) fn attend(query: Heads, keys: Heads, values: Heads, shape: &Shape, out: &mut [f32]) {
    let rows = out.len() / (shape.heads * shape.width).max(1);
    let mut next = 0;
    for window in &shape.windows {
        assert!(window.queries.start >= next, "windows are in order and apart");
        next = window.queries.end;
    }
    assert!(next <= rows, "{next} queries into {rows}");
    let out = Out { data: out.as_mut_ptr(), row: shape.heads * shape.width };
    tasks(shape).into_par_iter().for_each_init(Vec::new, |scores, task| {
        run(&task, [query, keys, values], shape, scores, &out);
    });
}

fn tasks(shape: &Shape) -> Vec<Task> {
    let mut tasks = Vec::new();
    for Window { queries, keys } in &shape.windows {
        for first in queries.clone().step_by(BLOCK) {
            let last = queries.end.min(first + BLOCK);
            let unseen = if shape.causal { queries.end - last } else { 0 };
            let keys = keys.start..keys.end - unseen;
            tasks.extend((0..shape.heads).map(|head| Task {
                head,
                queries: first..last,
                keys: keys.clone(),
            }));
        }
    }
    tasks
}

/// Rows of all heads' results, of which each task writes the columns of its head.
struct Out {
    data: *mut f32,
    row: usize,
}

// SAFETY: tasks write apart from each other: no two have both a query and the head in common.
unsafe impl Sync for Out {}

fn run(
    task: &Task,
    [query, keys, values]: [Heads; 3],
    shape: &Shape,
    scores: &mut Vec<f32>,
    out: &Out,
) {
    let width = shape.width;
    let (count, seen) = (task.queries.len(), task.keys.len());
    scores.resize(count * seen, 0.0);
    let at = |heads: Heads, head: usize, token: usize| {
        head * heads.head_stride + token * heads.token_stride
    };
    let query_at = at(query, task.head, task.queries.start);
    let key_at = at(keys, task.head / shape.group, task.keys.start);
    let value_at = at(values, task.head / shape.group, task.keys.start);
    let left = Matrix { data: &query.data[query_at..], row: query.token_stride, column: 1 };
    let right = Matrix { data: &keys.data[key_at..], row: 1, column: keys.token_stride };
    let scale = 1.0 / (width as f32).sqrt();
    assert!(scores.len() >= count * seen);
    let to = (scores.as_mut_ptr(), seen);
    // SAFETY: the scores were just found to be so many.
    unsafe { product([count, width, seen], left, right, scale, to, Parallelism::None) };
    wide(|| {
        for (row, scores) in scores.chunks_exact_mut(seen).enumerate() {
            // The last query of the block sees all keys, each one before it one key less.
            let visible = if shape.causal { seen - (count - 1 - row) } else { seen };
            let (scores, hidden) = scores.split_at_mut(visible);
            hidden.fill(0.0);
            softmax(scores);
        }
    });
    let left = Matrix { data: scores, row: seen, column: 1 };
    let right = Matrix { data: &values.data[value_at..], row: values.token_stride, column: 1 };
    let first = task.queries.start * out.row + task.head * width;
    // SAFETY: `attend` found that all queries have rows in `out`, and no other task writes to the
    // columns of this head in these rows.
    unsafe {
        let to = (out.data.add(first), out.row);
        product([count, seen, width], left, right, 1.0, to, Parallelism::None);
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
        let mut out = Vec::new();
        let at = |heads: Heads, head: usize, token: usize, i: usize| {
            f64::from(heads.data[token * heads.token_stride + head * heads.head_stride + i])
        };
        for Window { queries, keys: all } in &shape.windows {
            for (token, head) in
                queries.clone().flat_map(|token| (0..shape.heads).map(move |head| (token, head)))
            {
                let unseen = if shape.causal { queries.end - 1 - token } else { 0 };
                let seen = all.start..all.end - unseen;
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
                    let sum = |(key, weight): (usize, &f64)| weight * at(values, shared, key, i);
                    (seen.clone().zip(&weights).map(sum).sum::<f64>() / whole) as f32
                }));
            }
        }
        out
    }

    #[test]
    fn blocks_windows_groups_and_the_past_are_those_of_the_definition() {
        let numbers = |name: &str, count: usize| {
            crate::checkpoint::random::Formula::scaled(name, 2.0).values(count)
        };
        let window = |queries, keys| Window { queries, keys };
        let cases = [
            (4, 2, 16, vec![window(0..150, 0..150)], true),
            (4, 2, 16, vec![window(0..3, 0..70)], true),
            (2, 1, 20, [0..64, 64..128, 128..193, 193..194].map(Window::of).to_vec(), false),
            (3, 3, 8, vec![Window::of(0..129)], false),
            // Few queries of many keys, and the other way around.
            (2, 1, 12, vec![window(0..5, 0..100), window(5..70, 100..103)], false),
        ];
        for (heads, group, width, windows, causal) in cases {
            let queries = windows.iter().map(|window| window.queries.end).max().unwrap();
            let seen = windows.iter().map(|window| window.keys.end).max().unwrap();
            let kv_heads = heads / group;
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
            let mut found = vec![f32::NAN; queries * heads * width];
            attend(query, keys, values, &shape, &mut found);
            let expected = plain(query, keys, values, &shape);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                // Sums of up to 150 products of numbers up to 2 in f32.
                assert!((found - expected).abs() < 2e-6, "{found} {expected} {shape:?}");
            }
        }
    }
}
