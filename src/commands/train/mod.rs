//! `segzero train`: models that learn. What is interrupted goes on as if nothing had happened.

mod export;
mod folder;
mod init;
mod log;
mod mask;
mod memory;
mod rehearsal;
mod run;
mod settings;
mod validate;
mod view;

use std::process::ExitCode;

use crate::failure::Failure;

/// Flags of `segzero train`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Teach a model the answers of a training set.
    Sft(Box<settings::SftArgs>),
    /// Let a model answer, and move it towards the answers that earn more: Seg-Zero's training.
    Grpo(Box<settings::GrpoArgs>),
    /// Teach a SAM 2 the masks of a data set, by prompts drawn from them.
    Mask(Box<mask::Args>),
    /// Weights to begin with, for an architecture that nobody has trained.
    Init(init::Args),
    /// A trained model as it is published: in 16 bits, without what only training needs.
    Export(export::Args),
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.what {
        What::Sft(args) => run::sft(*args),
        What::Grpo(args) => run::grpo(*args),
        What::Mask(args) => mask::run(*args),
        What::Init(args) => init::run(args),
        What::Export(args) => export::run(args),
    }
}
