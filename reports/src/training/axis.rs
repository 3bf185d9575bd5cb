//! Axes whose ends and ticks are round numbers.

use crate::figures::Axis;

/// Most ticks but one.
const TICKS: f64 = 5.0;

/// An axis over the values with ticks at least `finest` apart; it begins at 0 where that costs less than
/// half of it.
pub(super) fn round(title: &'static str, values: impl Iterator<Item = f64>, finest: f64) -> Axis {
    let [mut low, mut high] =
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| [low.min(v), high.max(v)]);
    if low > high {
        [low, high] = [0.0, 1.0];
    }
    if low > 0.0 && low < high / 2.0 {
        low = 0.0;
    }
    // A constant is in the middle.
    if high - low <= 1e-9 * high.abs().max(low.abs()) {
        let around = high.abs() / 2.0;
        [low, high] = if high == 0.0 { [0.0, 1.0] } else { [low - around, high + around] };
    }
    let (digit, exponent) = step(((high - low) / TICKS).max(finest));
    let unit = power(digit, exponent);
    let [first, last] = [(low / unit).floor() as i64, (high / unit).ceil() as i64];
    let largest = power(first.abs().max(last.abs()) * digit, exponent);
    let tick = |i: i64| {
        let value = power(i * digit, exponent);
        (value, label(value, largest, exponent))
    };
    let ticks: Vec<_> = (first..=last.max(first + 1)).map(tick).collect();
    Axis { title, from: ticks[0].0, to: ticks[ticks.len() - 1].0, ticks }
}

/// The smallest of 1, 2 and 5 times a power of ten that is no smaller: digit and exponent.
fn step(least: f64) -> (i64, i32) {
    let exponent = least.log10().floor() as i32;
    let reaches = |digit: &i64| power(*digit, exponent) >= least * (1.0 - 1e-9);
    match [1, 2, 5].into_iter().find(reaches) {
        Some(digit) => (digit, exponent),
        None => (1, exponent + 1),
    }
}

/// The number nearest to digits times a power of ten, which a product would miss.
fn power(digits: i64, exponent: i32) -> f64 {
    format!("{digits}e{exponent}").parse().unwrap_or(0.0)
}

/// A tick in as many digits as its neighbours differ in.
fn label(value: f64, largest: f64, exponent: i32) -> String {
    let decimals = usize::try_from(-exponent).unwrap_or(0);
    match largest {
        _ if value == 0.0 => "0".to_owned(),
        ..0.01 => {
            let digits = usize::try_from(largest.log10().floor() as i32 - exponent).unwrap_or(0);
            let text = format!("{value:.digits$e}");
            match text.split_once('e') {
                Some((number, power)) if number.contains('.') => {
                    format!("{}e{power}", number.trim_end_matches('0').trim_end_matches('.'))
                }
                _ => text,
            }
        }
        10_000.0.. if exponent >= 3 => format!("{}k", value / 1000.0),
        _ => format!("{value:.decimals$}"),
    }
}
