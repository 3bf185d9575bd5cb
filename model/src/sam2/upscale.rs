//! Logits of a mask at a quarter of the network's resolution → the mask at the image's own.

use segzero_datasets::{Mask, MaskError, Size};

use crate::layers::cpu::wide;

/// The pixels of an image of `size` whose logit is above 0. `logits` are `[side, side]`, row-major;
/// they are enlarged, or reduced without antialiasing, by bilinear interpolation
/// (`F.interpolate(mode="bilinear", align_corners=False)`), row by row: of the image's logits no
/// more than two lines are held. A logit that is not a number is background.
///
/// Bit for bit what torch computes with AVX2 of three masks at once, as both implementations have
/// it. Of one mask alone it sums the same products in another order, which moves logits by an ulp
/// or two.
///
/// # Errors
/// A size of 2^32 pixels or more.
///
/// # Panics
/// If there are not `side * side` logits.
pub fn upscale(logits: &[f32], side: usize, size: Size) -> Result<Mask, MaskError> {
    assert_eq!(logits.len(), side * side, "logits are [{side}, {side}]");
    if side == 0 {
        return Ok(Mask::empty(size));
    }
    let mut lines = Lines::new(logits, side, size);
    Mask::from_rows(size, |y, row| {
        let shares = lines.move_to(y);
        wide(|| threshold(&lines, shares, row));
    })
}

/// The lines of logits above and below a row of the image, as long as the image is wide.
struct Lines<'a> {
    logits: &'a [f32],
    side: usize,
    columns: Taps,
    rows: Taps,
    upper: Line,
    lower: Line,
}

/// The two neighbours of each pixel, left and right.
struct Line {
    index: Option<usize>,
    logits: [Vec<f32>; 2],
}

/// The two neighbours of each target sample, and how much it is of either.
struct Taps {
    neighbours: Vec<[usize; 2]>,
    shares: [Vec<f32>; 2],
}

impl Taps {
    fn new(source: usize, target: u32) -> Self {
        let scale = source as f32 / target as f32;
        let last = source - 1;
        let mut taps = Self { neighbours: Vec::new(), shares: [Vec::new(), Vec::new()] };
        for index in 0..target {
            let at = scale.mul_add(index as f32 + 0.5, -0.5).max(0.0);
            let first = (at as usize).min(last);
            let share = (at - first as f32).clamp(0.0, 1.0);
            taps.neighbours.push([first, (first + 1).min(last)]);
            taps.shares[0].push(1.0 - share);
            taps.shares[1].push(share);
        }
        taps
    }
}

impl<'a> Lines<'a> {
    fn new(logits: &'a [f32], side: usize, size: Size) -> Self {
        let line = || Line { index: None, logits: [0, 1].map(|_| vec![0.0; size.width as usize]) };
        let (columns, rows) = (Taps::new(side, size.width), Taps::new(side, size.height));
        Self { logits, side, columns, rows, upper: line(), lower: line() }
    }

    /// Goes on to row `y`, and says how much of either line it is.
    fn move_to(&mut self, y: u32) -> [f32; 2] {
        let [first, second] = self.rows.neighbours[y as usize];
        if self.lower.index == Some(first) {
            std::mem::swap(&mut self.upper, &mut self.lower);
        }
        for (line, index) in [(&mut self.upper, first), (&mut self.lower, second)] {
            // Enlarging asks for each line many times.
            if line.index != Some(index) {
                let source = &self.logits[index * self.side..][..self.side];
                for (neighbour, logits) in line.logits.iter_mut().enumerate() {
                    for (logit, at) in logits.iter_mut().zip(&self.columns.neighbours) {
                        *logit = source[at[neighbour]];
                    }
                }
                line.index = Some(index);
            }
        }
        [0, 1].map(|neighbour| self.rows.shares[neighbour][y as usize])
    }
}

/// The pixels of a row that are above 0.
#[inline(always)]
fn threshold(lines: &Lines<'_>, shares: [f32; 2], row: &mut [u8]) {
    let [left, right] = &lines.columns.shares;
    let shares_of = left.iter().zip(right);
    let upper = lines.upper.logits[0].iter().zip(&lines.upper.logits[1]);
    let lower = lines.lower.logits[0].iter().zip(&lines.lower.logits[1]);
    for (((out, columns), upper), lower) in row.iter_mut().zip(shares_of).zip(upper).zip(lower) {
        let corners = [[*upper.0, *upper.1], [*lower.0, *lower.1]];
        *out = u8::from(mix(corners, shares, [*columns.0, *columns.1]) > 0.0);
    }
}

/// A logit between four. torch's compiler rounds the product with the upper right corner, and fuses
/// the others with their additions.
#[inline(always)]
fn mix([upper, lower]: [[f32; 2]; 2], rows: [f32; 2], columns: [f32; 2]) -> f32 {
    let sum = upper[1] * (rows[0] * columns[1]);
    let sum = upper[0].mul_add(rows[0] * columns[0], sum);
    let sum = lower[0].mul_add(rows[1] * columns[0], sum);
    lower[1].mul_add(rows[1] * columns[1], sum)
}

#[cfg(test)]
#[path = "upscale_tests.rs"]
mod tests;
