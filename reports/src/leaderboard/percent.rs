//! [`Percent`]: a printed number and the interval that rounding leaves for the true one.

use std::fmt::{Display, Formatter};

use serde::{Serialize, Serializer};

/// Parts of a percent that arithmetic is done in, so that sums and comparisons are exact.
const PARTS: i64 = 1_000_000;

/// Most decimals of a printed number; half of the last digit must still be a whole number of parts.
const DECIMALS: usize = 5;

/// A number in percent with its printed form. Two of them are equal when they are printed alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Percent {
    text: String,
    /// Millionths of a percent.
    parts: i64,
    /// Half of the last printed digit, in the same unit.
    half: i64,
}

impl Percent {
    /// Reads a printed number (`34.4`); `None` where it is no plain decimal number below a million
    /// with at most five decimals.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || !(1..=6).contains(&whole.len()) {
            return None;
        }
        if decimals.len() > DECIMALS || digits.ends_with('.') {
            return None;
        }
        let digit = (0..decimals.len()).fold(PARTS, |unit, _| unit / 10);
        let decimals = if decimals.is_empty() { 0 } else { decimals.parse().ok()? };
        let parts = whole.parse::<i64>().ok()? * PARTS + digit * decimals;
        Some(Self { text: text.to_owned(), parts: sign * parts, half: digit / 2 })
    }

    /// A measured fraction as percent, rounded to the two decimals that tables have; `None` where it
    /// is no such number.
    pub fn measured(fraction: f64) -> Option<Self> {
        Self::parse(&format!("{:.2}", fraction * 100.0))
    }

    /// As printed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Millionths of a percent.
    pub fn parts(&self) -> i64 {
        self.parts
    }

    /// Least true value that is printed so, millionths of a percent.
    pub fn low(&self) -> i64 {
        self.parts - self.half
    }

    /// Greatest true value that is printed so, millionths of a percent.
    pub fn high(&self) -> i64 {
        self.parts + self.half
    }

    /// Whether both may be the same true value, rounded differently. Intervals that only touch would
    /// need that value to be exactly between two roundings.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let overlap = self.low() < other.high() && other.low() < self.high();
        overlap || self.parts == other.parts
    }

    /// Whether it lies between 0 and 100.
    pub fn is_possible(&self) -> bool {
        (0..=100 * PARTS).contains(&self.parts)
    }
}

impl Display for Percent {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
