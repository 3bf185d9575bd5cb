//! `segzero demo`.

use std::process::ExitCode;

use crate::failure::Failure;

/// Flags of `segzero demo`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: Args) -> Result<ExitCode, Failure> {
    Err(Failure::new("not written yet"))
}
