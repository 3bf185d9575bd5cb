//! Set operations on runs.

use super::{Mask, MaskError};
use crate::Size;

impl Mask {
    /// Pixels of either mask.
    ///
    /// # Errors
    /// When the sizes differ (pycocotools silently returns an empty mask).
    pub fn union(&self, other: &Self) -> Result<Self, MaskError> {
        self.combine(other, |a, b| a | b)
    }

    /// Pixels of both masks.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn intersection(&self, other: &Self) -> Result<Self, MaskError> {
        self.combine(other, |a, b| a & b)
    }

    /// Pixels of `self` that are not of `other`.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn difference(&self, other: &Self) -> Result<Self, MaskError> {
        self.combine(other, |a, b| a & !b)
    }

    /// Pixels of more than half of the masks.
    ///
    /// # Errors
    /// When a mask is not of this size.
    pub fn majority(size: Size, masks: &[Self]) -> Result<Self, MaskError> {
        let empty = Self::empty(size);
        let mut edges: Vec<(u32, i32)> = Vec::new();
        for mask in masks {
            empty.same_size(mask)?;
            edges.extend(mask.foreground().flat_map(|range| [(range.start, 1), (range.end, -1)]));
        }
        edges.sort_unstable();
        let (mut runs, mut begun, mut votes, mut value) = (Vec::new(), 0, 0, false);
        for edges in edges.chunk_by(|a, b| a.0 == b.0) {
            votes += edges.iter().map(|edge| edge.1).sum::<i32>();
            if (2 * i64::from(votes) > masks.len() as i64) != value {
                runs.push(edges[0].0 - begun);
                (begun, value) = (edges[0].0, !value);
            }
        }
        runs.push(size.pixels() as u32 - begun);
        Self::from_runs(size, &runs)
    }

    /// Number of pixels of both masks, without building their intersection.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn intersection_area(&self, other: &Self) -> Result<u64, MaskError> {
        self.same_size(other)?;
        let (mut left, mut right) = (self.foreground(), other.foreground());
        let (Some(mut a), Some(mut b)) = (left.next(), right.next()) else {
            return Ok(0);
        };
        let mut area = 0;
        // A loop for either mask: which range ends first is guessed far better by the processor
        // where the answers of both are apart.
        loop {
            while a.end < b.end {
                area += u64::from(a.end.saturating_sub(a.start.max(b.start)));
                let Some(next) = left.next() else { return Ok(area) };
                a = next;
            }
            while b.end <= a.end {
                area += u64::from(b.end.saturating_sub(a.start.max(b.start)));
                let Some(next) = right.next() else { return Ok(area) };
                b = next;
            }
        }
    }

    fn same_size(&self, other: &Self) -> Result<(), MaskError> {
        if self.size != other.size {
            return Err(MaskError::SizeMismatch { expected: self.size, found: other.size });
        }
        Ok(())
    }

    /// Walks both run lists at once; `op` gives the value where they have values `a` and `b`.
    fn combine(&self, other: &Self, op: impl Fn(bool, bool) -> bool) -> Result<Self, MaskError> {
        self.same_size(other)?;
        let mut runs = Vec::with_capacity(self.runs.len() + other.runs.len());
        let (mut left, mut right) = (self.runs.iter(), other.runs.iter());
        let (mut ra, mut rb) = (left.next().copied(), right.next().copied());
        let (mut va, mut vb, mut value, mut run) = (false, false, false, 0u32);
        while let (Some(a), Some(b)) = (ra, rb) {
            let step = a.min(b);
            if step > 0 && op(va, vb) != value {
                runs.push(run);
                (run, value) = (0, !value);
            }
            run += step;
            (ra, rb) = (Some(a - step), Some(b - step));
            if a == step {
                (ra, va) = (left.next().copied(), !va);
            }
            if b == step {
                (rb, vb) = (right.next().copied(), !vb);
            }
        }
        if run > 0 {
            runs.push(run);
        }
        Ok(Self::from_canonical(self.size, runs))
    }
}
