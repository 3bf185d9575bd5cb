//! `segzero predict`: a whole benchmark → a folder with predictions, replies, timings and options, which
//! `segzero eval` and `segzero report` read.

mod choose;
mod entry;
mod finished;
mod journal;
mod shards;
mod summary;
mod units;
mod work;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use segzero_datasets::Source;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{print, report};
use crate::pipeline::{Asking, Pipeline};
use crate::progress::{self, Verbosity};
use crate::source_args::{SourceArgs, Wanted};
use choose::Choose;
use journal::{Journal, PREDICTIONS, Retry};
use units::{Shard, Units};
use work::{Manner, work};

pub use finished::Finished;
pub use shards::merge;
pub use summary::Summary;
pub use units::Queries;

/// Flags of `segzero predict`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    asking: Asking,
    /// Folder of the run. A run that was interrupted goes on; the result is the same to the byte.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: PathBuf,
    /// Which queries of each sample are asked.
    #[arg(long, value_enum, default_value_t, help_heading = "Data set")]
    queries: Queries,
    /// Ask the first N only.
    #[arg(long, value_name = "N", help_heading = "Data set",
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// One of N equal parts, such as 2/8; `segzero merge` joins their folders.
    #[arg(long, value_name = "I/N", help_heading = "Data set")]
    shard: Option<Shard>,
    /// Replies to each query.
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Answer",
          value_parser = clap::value_parser!(u16).range(1..))]
    samples: u16,
    /// Which of several replies becomes the prediction.
    #[arg(long, value_enum, default_value_t, help_heading = "Answer")]
    choose: Choose,
    /// Queries that a model in this process is asked together.
    #[arg(long, default_value_t = 8, value_name = "N", help_heading = "Run",
          value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Queries that an endpoint is asked at once.
    #[arg(long, default_value_t = 8, value_name = "N", help_heading = "Run",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Ask those again that have no mask.
    #[arg(long, help_heading = "Run")]
    retry_failed: bool,
    /// Do not show progress.
    #[arg(long, help_heading = "Run")]
    quiet: bool,
}

/// Runs the command. A query without a mask is no error: it is counted, and named in the folder.
pub fn run(mut args: Args) -> Result<ExitCode, Failure> {
    let Asked { summary, count, seconds } = answer(&mut args)?;
    print(&format!("{}\n", args.out.join(PREDICTIONS).display()))?;
    report(&summary);
    if count > 0 {
        let rate = count as f64 / seconds.max(1e-9);
        report(format_args!("{count} asked in {seconds:.1} s, {rate:.2} a second"));
    }
    Ok(ExitCode::SUCCESS)
}

/// What a run came to.
pub struct Asked {
    /// All of it.
    pub summary: Summary,
    /// Queries that were asked, without those of an earlier run.
    pub count: usize,
    /// How long they took; models were loaded before.
    pub seconds: f64,
}

/// Asks what was not answered yet.
///
/// # Errors
/// A data set that cannot be read; models that do not load; a run of other options.
pub fn answer(args: &mut Args) -> Result<Asked, Failure> {
    args.asking.expect_replies()?;
    if args.samples > 1 && args.asking.temperature == 0.0 && args.asking.reasoner.is_some() {
        return Err(Failure::new("several replies of temperature 0 are all the same")
            .hint("give `--temperature 1`, or leave out `--samples`"));
    }
    // The folder of the run is read by other commands, from wherever they are called.
    args.source.root = absolute(&args.source.root);
    args.source.images = args.source.images.as_deref().map(absolute);
    let source = args.source.source(Wanted::Any)?;
    let units = Units::count(args, &source)?;
    let pipeline = Pipeline::open(&args.asking)?;
    let options = options(args, &source, &units, &pipeline);
    let mut journal = Journal::open(&args.out, &options, units.len())?;
    let retry = if args.retry_failed { Retry::Failures } else { Retry::Nothing };
    let done = journal.done(retry);
    let before = done.iter().filter(|done| **done).count();
    if before > 0 && !args.quiet {
        report(format_args!("{before} of {} were answered by an earlier run", units.len()));
    }
    let start = Instant::now();
    ask_all(args, &pipeline, &units, &done, &mut journal)?;
    let summary = journal.finish()?;
    Ok(Asked { summary, count: units.len() - before, seconds: start.elapsed().as_secs_f64() })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn ask_all(
    args: &Args,
    pipeline: &Pipeline,
    units: &Units,
    done: &[bool],
    journal: &mut Journal,
) -> Result<(), Failure> {
    // An endpoint makes batches of its own, of whoever asks at the moment.
    let (batch, concurrency) = match pipeline.is_remote() {
        true => (1, args.concurrency),
        false => (args.batch, 1),
    };
    let manner = Manner {
        batch: usize::from(batch),
        concurrency: usize::from(concurrency),
        samples: usize::from(args.samples),
        choose: args.choose,
    };
    let verbosity = if args.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    let left = done.iter().filter(|done| !**done).count();
    let bar = progress::bar(left as u64, "asking", verbosity);
    let worked = work(pipeline, manner, units, done, |entries| {
        journal.add(&entries)?;
        bar.inc(entries.iter().filter(|entry| !done[entry.at]).count() as u64);
        Ok(())
    });
    bar.finish_and_clear();
    worked.map_err(|failure| failure.or_hint("the same command goes on where it stopped"))
}

/// What the predictions follow from.
fn options(args: &Args, source: &Source, units: &Units, pipeline: &Pipeline) -> Value {
    json!({
        "segzero": env!("CARGO_PKG_VERSION"),
        "data": {
            "name": source.label(),
            "source": args.source,
            "queries": args.queries,
            "limit": args.limit,
        },
        "shard": args.shard.map(|shard| shard.to_string()),
        "units": units.len(),
        "asking": args.asking,
        "resolved": pipeline.describe(),
        "samples": args.samples,
        "choose": args.choose,
        "batch": args.batch,
    })
}
