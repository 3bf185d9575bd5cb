//! [`Field`]: for every pixel of the box its squared distance to the background of its own column.

use std::ops::Range;

use super::columns::{Columns, Interval};
use super::lanes::Lanes;

/// Blocks of one column each, ordered by rows of blocks: neighbouring columns lie side by side, as the
/// search reads them.
#[derive(Debug)]
pub(super) struct Field<B> {
    blocks: Vec<B>,
    /// Columns.
    pub width: usize,
    /// Rows of blocks.
    pub height: usize,
}

impl<B> Default for Field<B> {
    fn default() -> Self {
        Self { blocks: Vec::new(), width: 0, height: 0 }
    }
}

impl<B: Copy> Field<B> {
    /// Takes the size of the box. The values are those of an earlier mask until filled.
    #[inline(always)]
    pub fn resize<L: Lanes<Block = B>>(&mut self, columns: &Columns) {
        self.width = columns.width as usize;
        self.height = (columns.height as usize).div_ceil(L::ROWS);
        let nothing = L::store(L::splat(0));
        let length = self.width * self.height;
        if self.blocks.len() < length {
            self.blocks.resize(length, nothing);
        }
    }

    /// One row of blocks, by column.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[B] {
        &self.blocks[row * self.width..(row + 1) * self.width]
    }

    /// Computes the columns `stale` from their intervals.
    #[inline(always)]
    pub fn fill<L: Lanes<Block = B>>(&mut self, columns: &Columns, stale: Range<usize>) {
        let top = i64::from(columns.top);
        let rows = columns.height as i32;
        let reach = i64::from(L::LONGEST) + 1;
        let clamp = |interval: &Interval| {
            let start = (interval.start - top).max(-reach) as i32;
            (start, (interval.end - top).min(i64::from(rows) + reach) as i32)
        };
        let nothing = L::splat(0);
        for x in stale {
            let mut intervals = columns.column(x as u32).iter().map(clamp).peekable();
            for row in 0..self.height {
                let first = (row * L::ROWS) as i32;
                let next = first + L::ROWS as i32;
                let mut depth = nothing;
                while let Some(&(start, end)) = intervals.peek() {
                    if start >= next {
                        break;
                    }
                    depth = L::max(depth, L::depth(first, start, end));
                    if end > next {
                        break;
                    }
                    intervals.next();
                }
                let mut squares = L::square(depth);
                if next > rows {
                    // Intervals past an open border must not leave the image.
                    let inside = L::raise_where(nothing, L::depth(first, 0, rows));
                    squares = L::min(squares, inside);
                }
                self.blocks[row * self.width + x] = L::store(squares);
            }
        }
    }
}
