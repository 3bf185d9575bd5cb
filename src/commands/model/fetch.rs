//! `segzero model fetch`: a model by name, into the cache.

use std::process::ExitCode;

use segzero_model::checkpoint::hub::Freshness;

use crate::failure::Failure;
use crate::progress::Verbosity;
use crate::{model_source, output};

/// Flags of `segzero model fetch`.
///
/// Prints the folder. What is in the cache is not fetched again; what was interrupted goes on where
/// it stopped. HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are respected.
#[derive(clap::Args)]
pub struct Args {
    /// Name on the hub, such as Qwen/Qwen2.5-VL-3B-Instruct, or NAME@REVISION.
    #[arg(value_name = "NAME")]
    model: String,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let verbosity = if args.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    let folder = model_source::resolve(&args.model, Freshness::Latest, verbosity)?;
    output::print(&format!("{}\n", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
