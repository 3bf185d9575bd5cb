//! `segzero model import`: the checkpoint of a training over several GPUs as a model.

use std::path::PathBuf;
use std::process::ExitCode;

use segzero_model::checkpoint::View;
use segzero_model::checkpoint::sharded::{self, ImportDtype, Sharded};

use super::size;
use crate::failure::Failure;
use crate::output;
use crate::progress::{self, Verbosity};

/// Flags of `segzero model import`.
///
/// Reads what FSDP saved, a file of torch.save for each rank, as data: nothing in it is executed, and
/// neither torch nor the trainer is needed. Configuration and tokenizer are those of `huggingface/` beside
/// the files.
#[derive(clap::Args)]
pub struct Args {
    /// The run of EasyR1 or veRL: then its last step; a global_step_N; or the folder of the files
    /// model_world_size_W_rank_R.pt.
    #[arg(value_name = "CHECKPOINT")]
    checkpoint: PathBuf,
    /// Folder for the model: new, or empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// In what the weights are written.
    #[arg(long, value_enum, default_value_t)]
    dtype: ImportDtype,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let verbosity = if args.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    let step = sharded::locate(&args.checkpoint)?;
    let sharded = Sharded::open(&step.folder)?;
    let bytes = |name, whole| sharded.pieces(name, whole).iter().map(length).sum::<u64>();
    let total = sharded.wholes().map(|(name, whole)| bytes(name, whole)).sum();
    let bar = progress::bytes(total, "joined", verbosity);
    let imported = sharded::import(&sharded, &args.out, args.dtype, &|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    let files = match imported.files {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    };
    let chosen = step.chosen.map_or(String::new(), |step| format!(", the last step being {step}"));
    output::print(&format!(
        "{}: {} tensors, {} in {files}, from {} ranks in {}{chosen}\n",
        args.out.display(),
        imported.tensors,
        size(imported.bytes),
        sharded.world,
        step.folder.display(),
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn length(piece: &View<'_>) -> u64 {
    piece.bytes().len() as u64
}
