//! `segzero train export`: a checkpoint as a model is published.

use std::path::PathBuf;
use std::process::ExitCode;

use segzero_train::{ADAPTER_CONFIG, ExportDtype, export};

use super::folder::{base_of, chosen};
use crate::failure::Failure;
use crate::output::print;

/// Flags of `segzero train export`.
#[derive(clap::Args)]
pub struct Args {
    /// A checkpoint of a run, or a run: then its best checkpoint, or its last where nothing was
    /// validated.
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// Folder for the model.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// In what the weights are written.
    #[arg(long, value_enum, default_value_t)]
    dtype: ExportDtype,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let checkpoint = chosen(&args.checkpoint)?;
    let bytes = match checkpoint.join(ADAPTER_CONFIG).is_file() {
        true => {
            let base = base_of(&checkpoint)?;
            export(&base, Some(&checkpoint), &args.out, args.dtype)?
        }
        false => export(&checkpoint, None, &args.out, args.dtype)?,
    };
    let megabytes = bytes as f64 / 1e6;
    let (from, to) = (checkpoint.display(), args.out.display());
    print(&format!("{to}: {megabytes:.1} MB, from {from}\n"))?;
    Ok(ExitCode::SUCCESS)
}
