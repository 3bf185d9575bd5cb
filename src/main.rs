//! The `segzero` command: flags, progress, printing. Nothing else in the workspace prints.
mod commands;
mod failure;
mod masks;
mod model_source;
mod output;
mod pipeline;
mod progress;
mod reasoner;
mod recipe_args;
mod resampling;
mod segmenter;
mod source_args;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use failure::Failure;

/// Prepare, run, train and score reasoning segmentation (Seg-Zero), from raw files to a report.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// In the order that data takes.
#[derive(Subcommand)]
enum Command {
    /// Make a synthetic RefCOCOg, prepare it, score predictions on it, and write a page: no download.
    Demo(commands::demo::Args),
    /// Make a synthetic RefCOCOg of any size, with exact masks.
    Synth(commands::synth::Args),
    /// Say what data sets lie under a folder: counts, missing images, leaks, unreadable records.
    Inspect(commands::inspect::Args),
    /// Raw data set -> training set: boxes, inscribed circles, resized images, Parquet.
    Prep(commands::prep::Args),
    /// Draw masks, boxes and circles on the images: an HTML page and a contact sheet.
    Preview(commands::preview::Args),
    /// Train a Qwen-VL by SFT and by GRPO on Seg-Zero's rewards, or a SAM 2 for masks.
    Train(commands::train::Args),
    /// Ask a Qwen-VL model about images.
    Ask(commands::ask::Args),
    /// Masks of what boxes and points show, by SAM 2.
    Mask(commands::mask::Args),
    /// Find what a text names: the reasoning, the answer and a mask, by Qwen-VL and SAM 2.
    Segment(commands::segment::Args),
    /// Try the models on a page in the browser: ask, see, correct boxes and points.
    Serve(commands::serve::Args),
    /// Ask about every sample of a benchmark; what is interrupted goes on, shards can be joined.
    Predict(commands::predict::Args),
    /// Score predicted masks: gIoU and cIoU under any published protocol.
    Eval(commands::eval::Args),
    /// Score answers to questions about images: ChartQA's and TextVQA's accuracy.
    Vqa(commands::vqa::Args),
    /// Score replies by the rewards that models are trained with: Seg-Zero's, VisionReasoner's, your own.
    Reward(commands::reward::Args),
    /// Scores -> a page, tables and figures to put beside a paper.
    Report(commands::report::Args),
    /// Weights: what a model is and needs, whether it is whole; fetch it by name.
    Model(commands::model::Args),
    /// Published figures of the field, your own among them, and arithmetic that they must satisfy.
    Leaderboard(commands::leaderboard::Args),
    /// Join the scores of shards: exactly those of the whole.
    Merge(commands::merge::Args),
    /// Compare two runs unit by unit; fails where the new one lost more than it may.
    Compare(commands::compare::Args),
    /// List the protocols: every rule, and where it was read.
    Protocols(commands::protocols::Args),
}

fn main() -> ExitCode {
    let cli = parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    cli.command.run().unwrap_or_else(|failure| {
        output::report(failure);
        ExitCode::from(2)
    })
}

/// Runs the command of a command line whose first word is the program: how one command calls
/// another, exactly as the user would.
fn run<'a>(words: impl Iterator<Item = &'a str>) -> Result<ExitCode, Failure> {
    parse(words).map_err(Failure::new)?.command.run()
}

/// What a command line says.
fn parse(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Cli, clap::Error> {
    // Predictions that were counted elsewhere need no data set; masks do, and then say so.
    let mut command = Cli::command()
        .mut_subcommand("eval", |eval| eval.mut_arg("root", |root| root.required(false)));
    let matches = command.try_get_matches_from_mut(words)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

impl Command {
    fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Demo(args) => commands::demo::run(args),
            Self::Synth(args) => commands::synth::run(args),
            Self::Inspect(args) => commands::inspect::run(args),
            Self::Prep(args) => commands::prep::run(args),
            Self::Preview(args) => commands::preview::run(args),
            Self::Train(args) => commands::train::run(args),
            Self::Ask(args) => commands::ask::run(args),
            Self::Mask(args) => commands::mask::run(args),
            Self::Segment(args) => commands::segment::run(args),
            Self::Serve(args) => commands::serve::run(args),
            Self::Predict(args) => commands::predict::run(args),
            Self::Eval(args) => commands::eval::run(args),
            Self::Vqa(args) => commands::vqa::run(args),
            Self::Reward(args) => commands::reward::run(args),
            Self::Report(args) => commands::report::run(args),
            Self::Model(args) => commands::model::run(args),
            Self::Leaderboard(args) => commands::leaderboard::run(args),
            Self::Merge(args) => commands::merge::run(args),
            Self::Compare(args) => commands::compare::run(args),
            Self::Protocols(args) => commands::protocols::run(args),
        }
    }
}
