//! [`Crossings`]: the places where a column changes value, from which runs follow.

use super::Mask;
use crate::Size;

/// Pixels at which the value changes going down a column, with background above every column.
/// Two crossings at one place cancel, so only their parity counts: COCO's polygon filling and the
/// comparison of a bitmap's rows both end here.
pub(super) struct Crossings {
    size: Size,
    /// Column (below the width) and row (up to the height, which means "below the last row").
    at: Vec<(u32, u32)>,
}

impl Crossings {
    /// No crossings: an empty mask.
    pub(super) fn new(size: Size) -> Self {
        Self { size, at: Vec::new() }
    }

    /// Size of the image.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Number of crossings so far.
    pub(super) fn len(&self) -> usize {
        self.at.len()
    }

    /// Records that column `x` changes value from row `y` on.
    pub(super) fn push(&mut self, x: u32, y: u32) {
        debug_assert!(x < self.size.width && y <= self.size.height);
        self.at.push((x, y));
    }

    /// Forgets all crossings, keeping the memory.
    pub(super) fn clear(&mut self) {
        self.at.clear();
    }

    /// The mask they bound. A counting sort by column, then a sort of the few rows in each column.
    pub(super) fn to_mask(&self) -> Mask {
        let Some(first) = self.at.iter().map(|c| c.0).min() else {
            return Mask::empty(self.size);
        };
        let last = self.at.iter().map(|c| c.0).max().unwrap_or(first);
        // `ends[c]` is where column c's crossings start, and after the scatter where they end.
        let mut ends = vec![0u32; (last - first) as usize + 2];
        for &(x, _) in &self.at {
            ends[(x - first) as usize + 1] += 1;
        }
        for column in 1..ends.len() {
            ends[column] += ends[column - 1];
        }
        let mut rows = vec![0u32; self.at.len()];
        for &(x, y) in &self.at {
            let end = &mut ends[(x - first) as usize];
            rows[*end as usize] = y;
            *end += 1;
        }
        let mut runs = RunsFromPositions::new(self.size, rows.len());
        let mut start = 0;
        for (column, &end) in (first..=last).zip(&ends) {
            let rows = &mut rows[start..end as usize];
            sort_few(rows);
            let offset = column * self.size.height;
            rows.iter().for_each(|&row| runs.toggle(offset + row));
            start = end as usize;
        }
        runs.finish()
    }
}

/// Most columns are crossed twice.
fn sort_few(rows: &mut [u32]) {
    match rows {
        [] | [_] => {}
        [a, b] => (*a, *b) = ((*a).min(*b), (*a).max(*b)),
        _ => rows.sort_unstable(),
    }
}

/// Runs from ascending positions at which the value changes; equal positions cancel in pairs.
pub(super) struct RunsFromPositions {
    size: Size,
    runs: Vec<u32>,
    position: u32,
}

impl RunsFromPositions {
    /// Background so far; expects about `capacity` changes.
    pub(super) fn new(size: Size, capacity: usize) -> Self {
        Self { size, runs: Vec::with_capacity(capacity + 1), position: 0 }
    }

    /// The value changes at `position`, which is not below the last.
    pub(super) fn toggle(&mut self, position: u32) {
        if position == self.position
            && let Some(run) = self.runs.pop()
        {
            self.position -= run;
        } else {
            self.runs.push(position - self.position);
            self.position = position;
        }
    }

    /// The mask, the last run reaching its end.
    pub(super) fn finish(mut self) -> Mask {
        // A crossing below the last pixel closes the last run; otherwise the rest is one more.
        let total = self.size.pixels() as u32;
        if self.position < total {
            self.runs.push(total - self.position);
        }
        Mask::from_canonical(self.size, self.runs)
    }
}
