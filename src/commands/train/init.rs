//! `segzero train init`: weights to begin with.

use std::path::PathBuf;
use std::process::ExitCode;

use segzero_model::qwen_vl::Config;
use segzero_train::{Beginning, begin};

use crate::failure::Failure;
use crate::output::print;

/// Flags of `segzero train init`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with `config.json` and, for a Qwen-VL, the tokenizer's files.
    #[arg(long, value_name = "DIR")]
    config: PathBuf,
    /// Folder for the model.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    beginning: Beginning,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = Config::open(&args.config)?;
    let count = begin(&config, &args.config, &args.out, &args.beginning)?;
    print(&format!("{}: {count} numbers\n", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}
