//! [`Columns`]: a mask as the foreground intervals of each column of its box.

use std::ops::Range;

use segzero_datasets::{Bbox, Mask, Size};

use super::{Disc, floor_sqrt};
use crate::Border;

/// How far an interval reaches past an open border: farther than any row of an image is from another.
const BEYOND: i64 = 1 << 33;

/// Foreground rows `start..end` of one column, image rows. At an open border an interval reaches
/// past the image, so that its end there is never the nearest background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub start: i64,
    pub end: i64,
}

/// The columns of a mask's box. Buffers are kept from mask to mask.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// Box: leftmost column, topmost row, number of columns and rows.
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
    /// Whether the pixels just left and right of the box count as background.
    pub closed_left: bool,
    pub closed_right: bool,
    /// Whether intervals may reach past the image.
    pub open: bool,
    /// Intervals of all columns, in order; those of column `i` are `first[i]..first[i + 1]`.
    intervals: Vec<Interval>,
    first: Vec<u32>,
    /// Where [`Columns::cut`] builds the next intervals.
    spare: Vec<Interval>,
}

impl Columns {
    /// Reads a mask; `false` when it is empty.
    pub fn read(&mut self, mask: &Mask, border: Border) -> bool {
        let Size { width: image_width, height: rows } = mask.size();
        self.intervals.clear();
        self.first.clear();
        self.first.push(0);
        let runs = mask.runs();
        let Some(&before) = runs.first().filter(|_| runs.len() > 1) else { return false };
        self.left = before / rows;
        // The first row of the current run, in the current column.
        let mut start = before % rows;
        let (mut top, mut bottom) = (rows, 0);
        for pair in runs[1..].chunks(2) {
            let mut left = pair[0];
            loop {
                let end = start + left.min(rows - start);
                (top, bottom) = (top.min(start), bottom.max(end));
                self.intervals.push(Interval { start: start.into(), end: end.into() });
                left -= end - start;
                start = end;
                if left == 0 {
                    break;
                }
                self.next_column();
                start = 0;
            }
            let Some(mut gap) = pair.get(1).copied() else { break };
            while gap >= rows - start {
                gap -= rows - start;
                self.next_column();
                start = 0;
            }
            start += gap;
        }
        self.next_column();
        // Background at the end has led past the last column.
        while self.first.len() > 2
            && self.first[self.first.len() - 2] == self.intervals.len() as u32
        {
            self.first.pop();
        }
        (self.top, self.height) = (top, bottom - top);
        self.width = self.first.len() as u32 - 1;
        self.open = border == Border::Open;
        self.closed_left = !(self.open && self.left == 0);
        self.closed_right = !(self.open && self.left + self.width == image_width);
        if self.open && (top == 0 || bottom == rows) {
            self.open_ends(rows.into());
        }
        true
    }

    fn next_column(&mut self) {
        self.first.push(self.intervals.len() as u32);
    }

    /// Extends the intervals that touch the first or last row of the image.
    fn open_ends(&mut self, rows: i64) {
        for interval in &mut self.intervals {
            if interval.start == 0 {
                interval.start -= BEYOND;
            }
            if interval.end == rows {
                interval.end += BEYOND;
            }
        }
    }

    /// The mask's box.
    pub fn bbox(&self) -> Bbox {
        let [x0, y0] = [self.left, self.top].map(|first| first as i32);
        Bbox { x0, y0, x1: x0 + self.width as i32 - 1, y1: y0 + self.height as i32 - 1 }
    }

    /// Intervals of column `x` of the box.
    pub fn column(&self, x: u32) -> &[Interval] {
        &self.intervals[self.first[x as usize] as usize..self.first[x as usize + 1] as usize]
    }

    /// The columns of the box that a disc overlaps.
    pub fn across(&self, disc: &Disc) -> Range<usize> {
        let reach = floor_sqrt(disc.reach_squared) as i64;
        let column = |x: i64| (x - i64::from(self.left)).clamp(0, self.width.into()) as usize;
        let center = i64::from(disc.center.x);
        column(center - reach)..column(center + reach + 1)
    }

    /// Removes the pixels of a disc. The box stays.
    pub fn cut(&mut self, disc: &Disc) {
        let changed = self.across(disc);
        let begin = self.first[changed.start] as usize;
        let end = self.first[changed.end] as usize;
        // Of an interval that reaches past an open border no piece without a pixel is kept.
        let (top, bottom) = (i64::from(self.top), i64::from(self.top + self.height));
        self.spare.clear();
        let mut from = begin;
        for x in changed.clone() {
            let to = self.first[x + 1] as usize;
            let (low, high) = disc.rows(i64::from(self.left) + x as i64).unwrap_or((1, 0));
            for &Interval { start, end } in &self.intervals[from..to] {
                let above = Interval { start, end: end.min(low) };
                if above.end > start.max(top) {
                    self.spare.push(above);
                }
                let below = Interval { start: start.max(high + 1), end };
                if below.start < end.min(bottom) {
                    self.spare.push(below);
                }
            }
            from = to;
            self.first[x + 1] = (begin + self.spare.len()) as u32;
        }
        let grown = self.spare.len().wrapping_sub(end - begin) as u32;
        self.intervals.splice(begin..end, self.spare.drain(..));
        for first in &mut self.first[changed.end + 1..] {
            *first = first.wrapping_add(grown);
        }
    }

    /// Foreground rows of column `x` of the box, within the image.
    pub fn rows(&self, x: u32) -> impl Iterator<Item = Interval> + '_ {
        let (top, bottom) = (i64::from(self.top), i64::from(self.top + self.height));
        let within =
            move |i: &Interval| Interval { start: i.start.max(top), end: i.end.min(bottom) };
        self.column(x).iter().map(within)
    }
}
