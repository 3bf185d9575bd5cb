//! `segzero model`: weights on disk and on the hub.

mod fetch;
mod import;
mod info;
mod random;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;

/// Flags of `segzero model`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Architecture, parameters, dtypes, and the memory that it needs by device and format.
    Info(info::Args),
    /// Check files, index, names, shapes and, with --values, every value.
    Verify(verify::Args),
    /// Fetch a model by name into the cache that the tools of Hugging Face share.
    Fetch(fetch::Args),
    /// Join what the GPUs of a training under EasyR1 or veRL saved to a model.
    Import(import::Args),
    /// Write a checkpoint of random weights for a configuration: for benchmarks.
    #[command(hide = true)]
    Random(random::Args),
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Info(args) => info::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Fetch(args) => fetch::run(args),
        Command::Import(args) => import::run(args),
        Command::Random(args) => random::run(args),
    }
}

/// Bytes for people: decimal, three digits.
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        1e9.. => format!("{:.2} GB", bytes / 1e9),
        1e6.. => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.1} kB", bytes / 1e3),
    }
}
