//! ChartQA's relaxed accuracy (Masry et al., "ChartQA", Findings of ACL 2022, §5.1, after Methani et
//! al., "PlotQA", WACV 2020): a number may be off by 5 %, a text may not be off at all.
//!
//! The details that the sentence leaves open are those of the implementation that papers quote
//! (pix2struct's, taken over by Qwen-VL and lmms-eval):
//! - `12%` is 0.12, on either side, so an answer without the sign is wrong.
//! - Exactly 5 % is right. A target of 0 has no relative error, so its text must match.
//! - Where either side is no number (`1,000` is none), texts are compared in lower case.

/// Largest relative error of a number.
const TOLERANCE: f64 = 0.05;

/// Whether an answer is right for a target. Both without white space around them.
pub fn is_relaxed_match(answer: &str, target: &str) -> bool {
    match (number(answer), number(target)) {
        (Some(answer), Some(target)) if target != 0.0 => {
            (answer - target).abs() / target.abs() <= TOLERANCE
        }
        _ => answer.to_lowercase() == target.to_lowercase(),
    }
}

/// A decimal number as Python reads it, or a percentage of one. Words that Python takes for numbers
/// (`nan`, `infinity`) stay words, which a target cannot be near but can equal.
fn number(text: &str) -> Option<f64> {
    let (digits, scale) = match text.strip_suffix('%') {
        Some(_) => (text.trim_end_matches('%'), 100.0),
        None => (text, 1.0),
    };
    let digits = without_separators(digits.trim())?;
    let value = digits.parse::<f64>().ok().filter(|value| value.is_finite())?;
    Some(value / scale)
}

/// The number without the underscores that may stand between two digits; `None` where others are.
fn without_separators(digits: &str) -> Option<String> {
    let bytes = digits.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_separator = |at: usize| at > 0 && is_digit(at - 1) && is_digit(at + 1);
    let mut underscores = digits.match_indices('_');
    underscores.all(|(at, _)| is_separator(at)).then(|| digits.replace('_', ""))
}
