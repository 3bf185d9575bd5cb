//! Progress of long work on stderr: how much is done, how fast, how long it will still take. Silent
//! when stderr is no terminal, and with `--quiet`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Whether progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// If stderr is a terminal.
    Normal,
    /// Never.
    Quiet,
}

impl Verbosity {
    fn target(self) -> ProgressDrawTarget {
        match self {
            // Hides itself when stderr is no terminal.
            Self::Normal => ProgressDrawTarget::stderr_with_hz(8),
            Self::Quiet => ProgressDrawTarget::hidden(),
        }
    }
}

/// A bar for `total` things: `what`, done and total, rate, remaining time.
pub fn bar(total: u64, what: &str, verbosity: Verbosity) -> ProgressBar {
    let template = "{msg} [{bar:30}] {human_pos}/{human_len}, {rate}, {eta} left";
    let rate = |state: &ProgressState, w: &mut dyn std::fmt::Write| {
        let rate = state.per_sec();
        let digits = if rate < 10.0 { 2 } else { 0 };
        // The writer is a string; it cannot fail.
        let _ = write!(w, "{rate:.digits$}/s");
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", rate)
        .progress_chars("=> ");
    start(ProgressBar::with_draw_target(Some(total), verbosity.target()), style, what)
}

/// A bar for `total` bytes: `what`, done and total, rate, remaining time.
pub fn bytes(total: u64, what: &str, verbosity: Verbosity) -> ProgressBar {
    let template = "{msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    start(ProgressBar::with_draw_target(Some(total), verbosity.target()), style, what)
}

/// A counter for work of unknown length.
pub fn counter(what: &str, verbosity: Verbosity) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {human_pos} ({per_sec})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    start(ProgressBar::with_draw_target(None, verbosity.target()), style, what)
}

fn start(bar: ProgressBar, style: ProgressStyle, what: &str) -> ProgressBar {
    bar.set_style(style);
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
