//! [`Field`]: for every pixel of the box its distance to the background of its own column.

use super::Disc;
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
        let nothing = L::depth(L::ramps(0, 0, 0));
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

    /// Computes all columns from their intervals.
    #[inline(always)]
    pub fn fill<L: Lanes<Block = B>>(&mut self, columns: &Columns) {
        let top = i64::from(columns.top);
        let reach = i64::from(L::LONGEST) + 1;
        let most = i64::from(columns.height) + reach;
        let ends = |interval: &Interval| {
            ((interval.start - top).max(-reach) as i32, (interval.end - top).min(most) as i32)
        };
        let blocks = &mut self.blocks[..self.width * self.height];
        for x in 0..self.width {
            let mut intervals = columns.column(x as u32).iter().map(ends);
            // The first interval goes to all blocks alike, which costs less than a branch would.
            let (start, end) = intervals.next().unwrap_or_default();
            let mut ramps = L::ramps(0, start, end);
            let mut i = x;
            while i < blocks.len() {
                blocks[i] = L::depth(ramps);
                ramps = L::below(ramps);
                i += self.width;
            }
            for (start, end) in intervals {
                let row = start as usize / L::ROWS;
                let mut first = (row * L::ROWS) as i32;
                let mut ramps = L::ramps(first, start, end);
                for block in blocks[row * self.width + x..].iter_mut().step_by(self.width) {
                    *block = L::deeper(*block, L::depth(ramps));
                    ramps = L::below(ramps);
                    first += L::ROWS as i32;
                    if first >= end {
                        break;
                    }
                }
            }
        }
        let rows = columns.height as usize;
        if columns.open && !rows.is_multiple_of(L::ROWS) {
            // Intervals past an open border must not leave the image.
            let last = self.width * (self.height - 1);
            for block in &mut self.blocks[last..last + self.width] {
                L::clear(block, rows % L::ROWS);
            }
        }
    }
    /// Makes the pixels of a disc, which overlaps the box, background.
    #[inline(always)]
    pub fn carve<L: Lanes<Block = B>>(&mut self, columns: &Columns, disc: &Disc) {
        let (left, top) = (i64::from(columns.left), i64::from(columns.top));
        let blocks = &mut self.blocks[..self.width * self.height];
        for x in columns.across(disc) {
            let Some((low, high)) = disc.rows(left + x as i64) else { continue };
            let start = (low - top).max(0) as i32;
            let end = (high + 1 - top).min(columns.height.into()) as i32;
            let mut ramps = L::ramps(0, start, end);
            let mut i = x;
            while i < blocks.len() {
                blocks[i] = L::shallower(blocks[i], L::height(ramps));
                ramps = L::below(ramps);
                i += self.width;
            }
        }
    }
}
