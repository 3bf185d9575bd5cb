//! What the tests of several crates share: where the optional real data is, and a server.
#![allow(clippy::print_stderr)] // a skipped test says so
#![allow(clippy::unwrap_used)] // helpers of tests

pub mod server;

use std::path::{Path, PathBuf};

/// The folder of real data beside the checkout (`../shared/data`), or `$SEGZERO_TEST_DATA`. Where it
/// is absent the reason is printed and the caller returns: such a test is a bonus, not a condition.
pub fn shared_data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("SEGZERO_TEST_DATA").map_or(beside, PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no data at `{}` (set SEGZERO_TEST_DATA)", path.display());
    None
}

/// A fixture of the calling crate: pass `env!("CARGO_MANIFEST_DIR")` and the path under `tests/fixtures`.
pub fn fixture(manifest_dir: &str, path: &str) -> PathBuf {
    Path::new(manifest_dir).join("tests/fixtures").join(path)
}
