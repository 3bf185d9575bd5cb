//! Whether a training fits into memory, said before it starts.

use segzero_model::device::DeviceName;
use segzero_train::Part;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What to do about a training that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum TooLarge {
    /// Not to begin.
    #[default]
    Refuse,
    /// To begin all the same.
    Begin,
}

/// The estimate in words.
pub fn words(parts: &[Part]) -> String {
    let whole: u64 = parts.iter().map(|part| part.bytes).sum();
    let each: Vec<String> =
        parts.iter().take(5).map(|part| format!("{} {}", part.name, size(part.bytes))).collect();
    format!("needs about {}: {}", size(whole), each.join(", "))
}

fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    if bytes >= 1e9 { format!("{:.1} GB", bytes / 1e9) } else { format!("{:.0} MB", bytes / 1e6) }
}

/// # Errors
/// More than this machine has left, where the device is the processor. What a GPU has is not known.
pub fn check(parts: &[Part], device: DeviceName, too_large: TooLarge) -> Result<(), Failure> {
    let needed: u64 = parts.iter().map(|part| part.bytes).sum();
    let Some(left) = available().filter(|_| device == DeviceName::Cpu) else { return Ok(()) };
    if needed <= left || too_large == TooLarge::Begin {
        return Ok(());
    }
    let advice: Vec<String> =
        parts.iter().take(2).map(|part| format!("for {}: {}", part.name, part.advice)).collect();
    Err(Failure::new(format_args!("training {}; {} are left", words(parts), size(left)))
        .hint(format_args!("{}; or `--if-too-large begin`", advice.join("; "))))
}

/// Bytes that programs can still have, where the system says so.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(1024 * kibibytes)
}
