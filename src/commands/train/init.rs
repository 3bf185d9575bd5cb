//! `segzero train init`: weights to begin with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use segzero_model::{qwen_vl, sam2};
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
    let parameters = match model_type(&args.config).as_deref() {
        Some(name) if sam2::MODEL_TYPES.contains(&name) => {
            sam2::parameters(&sam2::Config::open(&args.config)?)
        }
        // Whatever else there is, the reader of Qwen-VL says what is wrong with it.
        _ => qwen_vl::parameters(&qwen_vl::Config::open(&args.config)?),
    };
    let count = begin(parameters, &args.config, &args.out, &args.beginning)?;
    print(&format!("{}: {count} numbers\n", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// What `config.json` says that the model is.
fn model_type(folder: &Path) -> Option<String> {
    let text = std::fs::read(folder.join("config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_slice(&text).ok()?;
    Some(config["model_type"].as_str()?.to_owned())
}
