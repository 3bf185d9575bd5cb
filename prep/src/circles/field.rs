//! [`Field`]: for every pixel of the box its squared distance to the background of its own column.

use std::ops::Range;

use super::columns::Columns;
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
        // Half of an interval's length is the greatest distance in it.
        if columns.longest > 2 * i64::from(L::LONGEST) {
            self.fill_with::<L>(columns, stale, L::square_or_infinite);
        } else {
            self.fill_with::<L>(columns, stale, L::square);
        }
        let rows = columns.height as usize;
        let reaches_out = columns.open && !rows.is_multiple_of(L::ROWS);
        if reaches_out {
            self.clear_below::<L>(rows as i32);
        }
    }

    /// The blocks of the columns, top to bottom. Several intervals may end in one block.
    #[inline(always)]
    fn fill_with<L: Lanes<Block = B>>(
        &mut self,
        columns: &Columns,
        stale: Range<usize>,
        square: impl Fn(L::Register) -> L::Register,
    ) {
        let top = i64::from(columns.top);
        let reach = L::LONGEST + 1;
        let least = i64::from(-reach);
        let most = i64::from(columns.height as i32 + reach);
        let nothing = L::splat(0);
        for x in stale {
            let mut block = x;
            let mut row = 0;
            let mut depth = nothing;
            let blocks = &mut self.blocks[..self.width * self.height];
            for interval in columns.column(x as u32) {
                let start = (interval.start - top).max(least) as i32;
                let end = (interval.end - top).min(most) as i32;
                let first_row = start.max(0) as usize / L::ROWS;
                let last_row = ((end - 1) as usize / L::ROWS).min(self.height - 1);
                while row < first_row {
                    blocks[block] = L::store(square(depth));
                    (row, block, depth) = (row + 1, block + self.width, nothing);
                }
                let mut ramps = L::ramps((row * L::ROWS) as i32, start, end);
                while row < last_row {
                    blocks[block] = L::store(square(L::max(depth, L::depth(ramps))));
                    (row, block, depth) = (row + 1, block + self.width, nothing);
                    ramps = L::next(ramps);
                }
                depth = L::max(depth, L::depth(ramps));
            }
            while row < self.height {
                blocks[block] = L::store(square(depth));
                (row, block, depth) = (row + 1, block + self.width, nothing);
            }
        }
    }

    /// Intervals past an open border must not leave the image.
    #[inline(always)]
    fn clear_below<L: Lanes<Block = B>>(&mut self, rows: i32) {
        let last = self.width * (self.height - 1);
        let first = ((self.height - 1) * L::ROWS) as i32;
        let inside = L::raise_where(L::splat(0), L::marks(first, 0, rows));
        for block in &mut self.blocks[last..last + self.width] {
            *block = L::store(L::min(L::load(block), inside));
        }
    }
}
