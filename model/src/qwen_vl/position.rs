//! Positions of tokens on three axes: text walks on all of them at once, the patches of an image
//! spread over height and width.

use super::vision::Grid;

/// Positions `(time, height, width)` of the tokens of one sequence, and the position of the token
/// that comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    /// One for each token.
    pub tokens: Vec<[i64; 3]>,
    /// That of the next token, on all three axes.
    pub next: i64,
}

/// The positions of a sequence in which the tokens `image_token` stand for the merged patches of
/// images, in order; none where their number does not fit the grids.
///
/// An image keeps one time, and the text after it goes on behind the longer of its sides.
pub fn positions(ids: &[u32], image_token: u32, grids: &[Grid], merge: usize) -> Option<Positions> {
    let mut tokens = Vec::with_capacity(ids.len());
    let mut next = 0;
    let mut images = grids.iter();
    let mut at = 0;
    while at < ids.len() {
        if ids[at] != image_token {
            tokens.push([next; 3]);
            next += 1;
            at += 1;
            continue;
        }
        let &[frames, height, width] = images.next()?;
        let (height, width) = (height / merge, width / merge);
        let count = frames * height * width;
        if ids[at..].len() < count || ids[at..at + count].iter().any(|&id| id != image_token) {
            return None;
        }
        for place in 0..count {
            let frame = place / (height * width);
            let (row, column) = (place / width % height, place % width);
            tokens.push([frame, row, column].map(|offset| next + offset as i64));
        }
        next += height.max(width) as i64;
        at += count;
    }
    images.next().is_none().then_some(Positions { tokens, next })
}
