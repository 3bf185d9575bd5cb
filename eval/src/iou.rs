//! Exact IoUs: fractions of pixel counts, and their sum in fixed point.

use std::cmp::Ordering;

/// An IoU as the fraction of pixels it is, `intersection <= union`; 0/0 never stands here.
#[derive(Clone, Copy, Debug)]
pub struct Iou {
    intersection: u64,
    union: u64,
}

impl Iou {
    /// Everything is right: 1.
    pub const ONE: Self = Self { intersection: 1, union: 1 };
    /// Nothing is: 0.
    pub const ZERO: Self = Self { intersection: 0, union: 1 };

    /// `intersection / union`, and 0 for an empty union: whether that is right is a rule of the
    /// caller's, not of arithmetic.
    pub fn new(intersection: u64, union: u64) -> Self {
        if union == 0 { Self::ZERO } else { Self { intersection, union } }
    }

    /// The nearest `f64`.
    pub fn value(self) -> f64 {
        // Pixel counts are far below 2^53, so this is one correctly rounded division.
        self.intersection as f64 / self.union as f64
    }

    /// Whether the IoU is at least `tenths / 10`, without rounding.
    pub fn at_least_tenths(self, tenths: u32) -> bool {
        self.cmp_tenths(tenths) != Ordering::Less
    }

    /// The IoU against `tenths / 10`, without rounding.
    pub fn cmp_tenths(self, tenths: u32) -> Ordering {
        let left = u128::from(self.intersection) * 10;
        left.cmp(&(u128::from(self.union) * u128::from(tenths)))
    }
}

impl PartialEq for Iou {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Iou {}

impl PartialOrd for Iou {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Iou {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = u128::from(self.intersection) * u128::from(other.union);
        left.cmp(&(u128::from(other.intersection) * u128::from(self.union)))
    }
}

/// A sum of IoUs in units of 2^-64. Integer addition is associative, so the sum (and every mean
/// taken of it) is the same bits in any order, on any number of threads; a term is off by at most
/// 2^-65, thousands of times less than the rounding of one `f64` addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IouSum {
    sum: u128,
    terms: u64,
}

const UNIT: f64 = 18_446_744_073_709_551_616.0; // 2^64

impl IouSum {
    /// Adds one IoU.
    pub fn add(&mut self, iou: Iou) {
        let union = u128::from(iou.union);
        // A mask has less than 2^32 pixels, so the shift cannot overflow; neither can 2^63 terms.
        self.sum += ((u128::from(iou.intersection) << 64) + union / 2) / union;
        self.terms += 1;
    }

    /// Adds a number of [0, 1] that is no fraction of pixels.
    pub fn add_value(&mut self, value: f64) {
        self.sum += (value * UNIT) as u128;
        self.terms += 1;
    }

    /// Adds what another sum holds.
    pub fn merge(&mut self, other: Self) {
        self.sum += other.sum;
        self.terms += other.terms;
    }

    /// The sum in units of 2^-64, and of how many terms it is.
    pub fn parts(self) -> (u128, u64) {
        (self.sum, self.terms)
    }

    /// The sum of these [`IouSum::parts`].
    pub fn from_parts((sum, terms): (u128, u64)) -> Self {
        Self { sum, terms }
    }

    /// The sum.
    pub fn total(self) -> f64 {
        self.sum as f64 / UNIT
    }

    /// The mean of what was added, with `epsilon` added to their number; `None` when nothing was.
    pub fn mean_with(self, epsilon: f64) -> Option<f64> {
        (self.terms > 0).then(|| self.total() / (self.terms as f64 + epsilon))
    }

    /// The mean of what was added; `None` when nothing was.
    pub fn mean(self) -> Option<f64> {
        self.mean_with(0.0)
    }
}

impl Extend<Iou> for IouSum {
    fn extend<I: IntoIterator<Item = Iou>>(&mut self, ious: I) {
        ious.into_iter().for_each(|iou| self.add(iou));
    }
}
