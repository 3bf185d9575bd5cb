//! `segzero synth`: a synthetic RefCOCOg of any size, and of simpler scenes for models that begin from
//! nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use segzero_datasets::synth::{self, Composition, PickleProtocol};

use crate::failure::Failure;
use crate::output::print;

/// Flags of `segzero synth`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder for the data set, which must be empty or not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of images.
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(5..=1_000_000))]
    count: u32,
    /// Seed of the scenes; scene `i` does not depend on how many there are.
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    composition: Composition,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let is_new = std::fs::read_dir(&args.out).map_or(true, |mut entries| entries.next().is_none());
    if !is_new {
        return Err(Failure::new(format_args!("`{}` is not empty", args.out.display()))
            .hint("choose another folder with `--out`"));
    }
    let scenes = synth::compose_with(args.count as usize, args.seed, &args.composition);
    let summary = synth::write(&args.out, &scenes, PickleProtocol::Two).map_err(Failure::new)?;
    print(&format!(
        "{}: {} images, {} annotations, {} refs, {} sentences\n",
        args.out.display(),
        summary.images,
        summary.annotations,
        summary.refs,
        summary.sentences,
    ))?;
    Ok(ExitCode::SUCCESS)
}
