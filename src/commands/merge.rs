//! `segzero merge`: the scores, or the runs, of shards as those of the whole.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use segzero_eval::{Coverage, Provenance, Run};
use segzero_reports::write_whole;

use super::predict;
use crate::failure::Failure;
use crate::output;
use crate::resampling::Resampling;

/// Flags of `segzero merge`.
#[derive(clap::Args)]
pub struct Args {
    /// Scores of the shards, as `segzero eval --out` wrote them, or folders that
    /// `segzero predict --shard` wrote; in any order.
    #[arg(required = true, value_name = "SCORES|DIR")]
    shards: Vec<PathBuf>,
    /// Write the scores of the whole to this JSON file, or its run to this folder.
    #[arg(long, value_name = "FILE|DIR")]
    out: PathBuf,
    #[command(flatten)]
    resampling: Resampling,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    if args.shards.iter().all(|shard| shard.is_dir()) {
        let summary = predict::merge(&args.shards, &args.out)?;
        output::print(&format!("{} shards: {summary}\n", args.shards.len()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut merged: Option<(Run, &Path)> = None;
    for path in &args.shards {
        let shard = Run::read(path)?;
        merged = Some(match merged.take() {
            None => (shard, path),
            Some((run, first)) => (join(run, shard, first, path)?, first),
        });
    }
    let Some((mut run, _)) = merged else { return Err(Failure::new("there is nothing to merge")) };
    let mut coverage = Coverage::new(&run.provenance.data, run.scores.totals.protocol.unit);
    run.scores.rows.iter().for_each(|row| coverage.add(row));
    run.provenance.partial = coverage.differences();
    run.provenance.complete =
        run.scores.totals.problems.is_complete() && run.provenance.partial.is_empty();
    run.scores.totals.intervals = args.resampling.options().map(|options| {
        let protocol = &run.scores.totals.protocol;
        segzero_eval::Intervals::of(&run.scores.cells(), protocol, options)
    });
    write_whole(&args.out, |file| run.write(file))
        .map_err(|e| Failure::new(format_args!("could not write `{}`: {e}", args.out.display())))?;
    report(&run, &args)
}

fn report(run: &Run, args: &Args) -> Result<ExitCode, Failure> {
    let summary = &run.scores.totals.summary;
    let percent = |value: Option<f64>| match value {
        Some(value) => format!("{:.2}", value * 100.0),
        None => "-".to_owned(),
    };
    output::print(&format!(
        "{} shards, {} units: gIoU {}, cIoU {} ({})\n",
        args.shards.len(),
        summary.n,
        percent(summary.giou),
        percent(summary.ciou),
        run.scores.totals.protocol.name
    ))?;
    let repeated = &run.scores.totals.problems.repeated;
    if repeated.count > 0 {
        let (count, first) = (repeated.count, repeated.first.join(", "));
        output::report(format_args!("warning: {count} units stand in several shards: {first}"));
    }
    for partial in &run.provenance.partial {
        output::report(format_args!("warning: PARTIAL RUN: {partial}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Two runs over one data set by the same rules.
fn join(run: Run, shard: Run, first: &Path, path: &Path) -> Result<Run, Failure> {
    let (ours, theirs) = (run.provenance, shard.provenance);
    let (first, path) = (first.display(), path.display());
    if (&ours.data, &ours.split) != (&theirs.data, &theirs.split) {
        return Err(Failure::new(format_args!(
            "`{first}` and `{path}` are of different data: {} and {}",
            set(&ours),
            set(&theirs)
        )));
    }
    let name = run.scores.totals.protocol.name.clone();
    let scores = run.scores.merge(shard.scores).map_err(|other| {
        Failure::new(format_args!("`{first}` was scored by {name}, `{path}` by {other}"))
            .hint("score all shards with the same `--protocol` and flags")
    })?;
    // Where shards read different predictions, their common folder is the nearest that can be said.
    let predictions = match ours.predictions == theirs.predictions {
        true => ours.predictions,
        false => common(&ours.predictions, &theirs.predictions),
    };
    let heard = match (ours.heard, &theirs.heard) {
        (Some(ours), Some(theirs)) => Some(ours.join(theirs)),
        _ => None,
    };
    Ok(Run { provenance: Provenance { predictions, heard, ..ours }, scores })
}

fn set(provenance: &Provenance) -> String {
    let split = provenance.split.as_deref().unwrap_or("all splits");
    format!("{} {split}", provenance.data)
}

fn common(a: &Path, b: &Path) -> PathBuf {
    let pairs = a.components().zip(b.components());
    pairs.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}
