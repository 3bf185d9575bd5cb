//! Imperfect predictions: a mask, and what a model might have made of it.

use super::dice::Dice;
use crate::{Mask, Size};

/// How a prediction goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Not at all.
    None,
    /// A few pixels aside.
    Shifted,
    /// Too fat.
    Dilated,
    /// Too thin.
    Eroded,
    /// Ragged, with specks in and around it.
    Noisy,
    /// Only the upper part.
    Half,
    /// Another object of the image.
    WrongObject,
    /// Nothing found.
    Missing,
}

/// A prediction for `truth`, by chance: most are good, some are wrong. `others` are the masks of
/// the other objects of the image, all of the same size; `id` (of the sentence) decides together
/// with the seed.
pub fn imperfect(truth: &Mask, others: &[Mask], seed: u64, id: u64) -> (Flaw, Mask) {
    // Streams from 2^40 on, apart from those of the scenes.
    let mut dice = Dice::new(seed, (1 << 40) + id);
    let flaw = match dice.unit() {
        u if u < 0.12 => Flaw::None,
        u if u < 0.34 => Flaw::Shifted,
        u if u < 0.54 => Flaw::Dilated,
        u if u < 0.70 => Flaw::Eroded,
        u if u < 0.84 => Flaw::Noisy,
        u if u < 0.90 => Flaw::Half,
        u if u < 0.97 && !others.is_empty() => Flaw::WrongObject,
        _ => Flaw::Missing,
    };
    (flaw, apply(flaw, truth, others, &mut dice))
}

fn apply(flaw: Flaw, truth: &Mask, others: &[Mask], dice: &mut Dice) -> Mask {
    let size = truth.size();
    // Flaws grow with the object.
    let scale = (truth.area() as f64).sqrt();
    let steps = |dice: &mut Dice| 1 + (scale * dice.range(0.01, 0.06)) as usize;
    match flaw {
        Flaw::None => truth.clone(),
        Flaw::Missing => Mask::empty(size),
        Flaw::WrongObject => others[dice.below(others.len())].clone(),
        Flaw::Shifted => {
            let mut by = || (scale * dice.range(-0.15, 0.15)) as i64;
            let (dx, dy) = (by(), by());
            remap(truth, |bitmap, x, y| bitmap.get(x - dx, y - dy))
        }
        Flaw::Dilated => (0..steps(dice)).fold(truth.clone(), |mask, _| {
            remap(&mask, |b, x, y| b.get(x, y) || b.neighbours(x, y) > 0)
        }),
        Flaw::Eroded => (0..steps(dice)).fold(truth.clone(), |mask, _| {
            remap(&mask, |b, x, y| b.get(x, y) && b.neighbours(x, y) == 4)
        }),
        Flaw::Noisy => {
            let (near, bbox) = (scale * 0.35, truth.bbox());
            let outside = |x: i64, y: i64| {
                let beyond = |v: i64, low: i32, high: i32| {
                    (i64::from(low) - v).max(v - i64::from(high)) as f64 > near
                };
                bbox.is_none_or(|b| beyond(x, b.x0, b.x1) || beyond(y, b.y0, b.y1))
            };
            remap(truth, |b, x, y| {
                let neighbours = b.neighbours(x, y);
                let at_edge = if b.get(x, y) { neighbours < 4 } else { neighbours > 0 };
                let flip = if at_edge { 0.35 } else { 0.003 };
                b.get(x, y) ^ (!outside(x, y) && dice.chance(flip))
            })
        }
        Flaw::Half => {
            let bbox = truth.bbox();
            let middle = bbox.map_or(0, |b| i64::from(b.y0 + b.y1) / 2);
            remap(truth, |b, x, y| y <= middle && b.get(x, y))
        }
    }
}

struct Bitmap {
    size: Size,
    pixels: Vec<u8>,
}

impl Bitmap {
    /// Outside of the image is background.
    fn get(&self, x: i64, y: i64) -> bool {
        let (w, h) = (i64::from(self.size.width), i64::from(self.size.height));
        (0..w).contains(&x) && (0..h).contains(&y) && self.pixels[(y * w + x) as usize] != 0
    }

    /// How many of the four neighbours are set.
    fn neighbours(&self, x: i64, y: i64) -> usize {
        let around = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)];
        around.iter().filter(|(x, y)| self.get(*x, *y)).count()
    }
}

/// A mask whose pixels are a function of another's.
fn remap(mask: &Mask, mut pixel: impl FnMut(&Bitmap, i64, i64) -> bool) -> Mask {
    let size = mask.size();
    let bitmap = Bitmap { size, pixels: mask.to_bitmap() };
    let mut out = Vec::with_capacity(bitmap.pixels.len());
    for y in 0..i64::from(size.height) {
        for x in 0..i64::from(size.width) {
            out.push(u8::from(pixel(&bitmap, x, y)));
        }
    }
    Mask::from_bitmap(size, &out).unwrap_or_else(|_| Mask::empty(size))
}
