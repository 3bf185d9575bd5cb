//! A block on the CPU: band after band of windows through all of its steps, so that what comes between
//! them stays in cache, and no buffer is larger than it must be.

use rayon::prelude::*;

use super::block::{Block, Form};
use crate::layers::cpu::gelu;
use crate::layers::{Heads, LayerNorm, Linear, Shape, Window, attend};

/// Numbers of the widest buffer, but that a band of windows goes through as one.
const CHUNK: usize = 1 << 22;

/// Buffers that bands use one after the other.
#[derive(Default)]
struct Scratch {
    rows: Vec<f32>,
    normal: Vec<f32>,
    qkv: Vec<f32>,
    query: Vec<f32>,
    seen: Vec<f32>,
    hidden: Vec<f32>,
}

/// Windows of a square grid.
#[derive(Clone, Copy)]
struct Layout {
    grid: usize,
    side: usize,
}

impl Layout {
    /// Windows along a side of the grid; the last may reach beyond it.
    fn across(self) -> usize {
        self.grid.div_ceil(self.side)
    }

    /// Tokens of a window.
    fn window(self) -> usize {
        self.side * self.side
    }

    /// Runs over the rows of bands of windows, split where they leave the grid, with the place of
    /// each on it.
    fn each_row(
        self,
        width: usize,
        first: usize,
        rows: &mut [f32],
        run: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
    ) {
        let windows = rows.par_chunks_exact_mut(self.window() * width).enumerate();
        windows.for_each(|(number, window)| {
            let (band, column) = (first + number / self.across(), number % self.across());
            let columns = self.side.min(self.grid - column * self.side);
            for (dy, row) in window.chunks_exact_mut(self.side * width).enumerate() {
                let y = band * self.side + dy;
                let columns = if y < self.grid { columns } else { 0 };
                let (inside, beyond) = row.split_at_mut(columns * width);
                run(y * self.grid + column * self.side, inside, beyond);
            }
        });
    }

    /// Copies bands of windows from the grid `x`; what is beyond it is zero.
    fn gather(self, x: &[f32], width: usize, first: usize, rows: &mut [f32]) {
        self.each_row(width, first, rows, |token, inside, beyond| {
            if !inside.is_empty() {
                inside.copy_from_slice(&x[token * width..][..inside.len()]);
            }
            beyond.fill(0.0);
        });
    }

    /// Copies bands of windows to the grid `x`.
    fn scatter(self, rows: &[f32], width: usize, first: usize, x: &mut [f32]) {
        let from = first * self.side;
        let bands = rows.len() / (self.across() * self.window() * width);
        let to = (from + bands * self.side).min(self.grid);
        let x = &mut x[from * self.grid * width..to * self.grid * width];
        x.par_chunks_exact_mut(self.grid * width).enumerate().for_each(|(y, x)| {
            for (column, out) in x.chunks_mut(self.side * width).enumerate() {
                let window = y / self.side * self.across() + column;
                let row = window * self.window() + y % self.side * self.side;
                out.copy_from_slice(&rows[row * width..row * width + out.len()]);
            }
        });
    }

    /// Whether windows reach beyond the grid.
    fn is_ragged(self) -> bool {
        !self.grid.is_multiple_of(self.side)
    }
}

/// A linear layer on rows.
struct OnRows<'a> {
    weights: &'a crate::packed::Packed,
    bias: Option<Vec<f32>>,
}

impl<'a> OnRows<'a> {
    fn new(linear: &'a Linear) -> Option<Self> {
        let (weights, bias) = linear.packed()?;
        Some(Self { weights, bias })
    }

    fn run(&self, x: &[f32], out: &mut Vec<f32>) {
        out.resize(x.len() / self.weights.columns() * self.weights.rows(), 0.0);
        self.weights.multiply(x, self.bias.as_deref(), out);
    }
}

/// A norm on rows, in place.
type NormOnRows = Box<dyn Fn(&mut [f32])>;

/// A block's weights as the CPU wants them.
pub(super) struct Run<'a> {
    form: Form,
    norms: [NormOnRows; 2],
    qkv: OnRows<'a>,
    proj: OnRows<'a>,
    shortcut: Option<OnRows<'a>>,
    mlp: [OnRows<'a>; 2],
}

impl<'a> Run<'a> {
    /// None where weights are not packed: then Burn runs the block.
    pub fn new(block: &'a Block) -> Option<Self> {
        let norm = |norm: &LayerNorm| -> NormOnRows { Box::new(norm.on_rows()) };
        let shortcut = match &block.shortcut {
            Some(shortcut) => Some(OnRows::new(shortcut)?),
            None => None,
        };
        Some(Self {
            form: block.form,
            norms: [norm(&block.norm1), norm(&block.norm2)],
            qkv: OnRows::new(&block.qkv)?,
            proj: OnRows::new(&block.proj)?,
            shortcut,
            mlp: [OnRows::new(&block.mlp[0])?, OnRows::new(&block.mlp[1])?],
        })
    }

    /// Tokens `[grid, grid, width]` and their grid, to the same after the block.
    pub fn forward(&self, (mut x, grid): (Vec<f32>, usize)) -> (Vec<f32>, usize) {
        let layout = Layout { grid, side: self.form.window.unwrap_or(grid) };
        let half = if self.form.pooled { 2 } else { 1 };
        let pooled = Layout { grid: grid / half, side: layout.side / half };
        let [from, to] = self.form.widths;
        let band = layout.across() * layout.window();
        let bands = (CHUNK / (band * self.form.inner.max(3 * to))).clamp(1, layout.across());
        // Otherwise each band goes back to where it came from.
        let elsewhere = (from, 1) != (to, half);
        let mut out = vec![0.0; if elsewhere { pooled.grid * pooled.grid * to } else { 0 }];
        let mut scratch = Scratch::default();
        for first in (0..layout.across()).step_by(bands) {
            let tokens = bands.min(layout.across() - first) * band;
            scratch.rows.resize(tokens * from, 0.0);
            layout.gather(&x, from, first, &mut scratch.rows);
            self.band(layout, first, &mut scratch);
            let out = if elsewhere { &mut out } else { &mut x };
            pooled.scatter(&scratch.rows, to, first, out);
        }
        (if elsewhere { out } else { x }, pooled.grid)
    }

    /// From tokens in windows, `scratch.rows`, to what the block makes of them there.
    fn band(&self, layout: Layout, first: usize, scratch: &mut Scratch) {
        let [from, to] = self.form.widths;
        let Scratch { rows, normal, qkv, query, seen, hidden } = scratch;
        normal.clone_from(rows);
        (self.norms[0])(normal);
        if layout.is_ragged() {
            // What the norm has made of the zeros becomes zero again.
            layout.each_row(from, first, normal, |_, _, beyond| beyond.fill(0.0));
        }
        self.qkv.run(normal, qkv);
        if let Some(shortcut) = &self.shortcut {
            shortcut.run(normal, rows);
        }
        if self.form.pooled {
            pool(rows, to, to, layout.side, seen);
            std::mem::swap(rows, seen);
            pool(qkv, to, 3 * to, layout.side, query);
        }
        self.attend(layout, qkv, query, seen);
        self.proj.run(seen, normal);
        add(rows, normal);
        normal.clone_from(rows);
        (self.norms[1])(normal);
        // The whole grid, where all see each other, is too much for one go.
        let several = (CHUNK / self.form.inner).max(1) * to;
        for (normal, rows) in normal.chunks(several).zip(rows.chunks_mut(several)) {
            self.mlp[0].run(normal, hidden);
            gelu(hidden);
            self.mlp[1].run(hidden, seen);
            add(rows, seen);
        }
    }

    /// Each window's queries on its keys: `[queries, heads x width]`.
    fn attend(&self, layout: Layout, qkv: &[f32], pooled: &[f32], seen: &mut Vec<f32>) {
        let to = self.form.widths[1];
        let tokens = layout.window();
        let windows = qkv.len() / (3 * to) / tokens;
        let queries = if self.form.pooled { tokens / 4 } else { tokens };
        let head_stride = to / self.form.heads;
        let part = |i: usize| Heads { data: &qkv[i * to..], token_stride: 3 * to, head_stride };
        let query = match self.form.pooled {
            true => Heads { data: pooled, token_stride: to, head_stride },
            false => part(0),
        };
        let window = |i: usize| Window {
            queries: i * queries..(i + 1) * queries,
            keys: i * tokens..(i + 1) * tokens,
        };
        let shape = Shape {
            heads: self.form.heads,
            group: 1,
            width: head_stride,
            windows: (0..windows).map(window).collect(),
            causal: false,
        };
        seen.resize(windows * queries * to, 0.0);
        attend(query, part(1), part(2), &shape, seen);
    }
}

/// The greatest of each two by two of windows of that side: the first `width` of each `stride` numbers.
fn pool(rows: &[f32], width: usize, stride: usize, side: usize, out: &mut Vec<f32>) {
    out.resize(rows.len() / stride / 4 * width, 0.0);
    let half = side / 2;
    out.par_chunks_exact_mut(half * width).enumerate().for_each(|(row, out)| {
        // Window and row of the pooled window, to the first of two rows of the window.
        let top = (row / half * side + row % half * 2) * side;
        for (x, out) in out.chunks_exact_mut(width).enumerate() {
            let token = |dy: usize, dx: usize| &rows[(top + dy * side + 2 * x + dx) * stride..];
            let four = [token(0, 0), token(0, 1), token(1, 0), token(1, 1)];
            for (i, out) in out.iter_mut().enumerate() {
                *out = four[0][i].max(four[1][i]).max(four[2][i]).max(four[3][i]);
            }
        }
    });
}

fn add(to: &mut [f32], what: &[f32]) {
    let task = 1 << 14;
    to.par_chunks_mut(task).zip(what.par_chunks(task)).for_each(|(to, what)| {
        for (to, what) in to.iter_mut().zip(what) {
            *to += what;
        }
    });
}
