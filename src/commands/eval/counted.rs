//! `segzero eval` without a data set: rows that Seg-Zero's or VisionReasoner's evaluation counted.

use std::path::Path;
use std::process::ExitCode;

use segzero_eval::{Intervals, Problems, Protocol, Provenance, Run, Scores, Verdict, counted_rows};
use segzero_reports::write_whole;

use super::{Args, could_not_write, protocols, show};
use crate::failure::Failure;

/// Runs the command.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut protocols = protocols(args)?;
    if args.protocol == "all" {
        protocols.retain(|protocol| protocol.differs_from_counts().is_none());
    }
    let scores = protocols
        .into_iter()
        .map(|protocol| scores(args, protocol))
        .collect::<Result<Vec<Scores>, Failure>>()?;
    let mut all = scores.into_iter();
    let Some(mut scores) = all.next() else {
        return Err(Failure::new("no protocol can be applied to counted rows"));
    };
    scores.totals.others = all
        .map(|Scores { totals, .. }| Verdict { protocol: totals.protocol, summary: totals.summary })
        .collect();
    let provenance = Provenance {
        segzero: env!("CARGO_PKG_VERSION").to_owned(),
        data: "counted".to_owned(),
        predictions: args.pred.clone(),
        complete: true,
        ..Provenance::default()
    };
    let run = Run { provenance, scores };
    if let Some(out) = &args.out {
        write_whole(out, |file| run.write(file)).map_err(|e| could_not_write(args, &e))?;
    }
    show(args, &run.provenance, &run.scores.totals)
}

/// Scores under one protocol, which must count pixels as those evaluators do.
fn scores(args: &Args, protocol: Protocol) -> Result<Scores, Failure> {
    if !counted_looks_right(&args.pred) {
        return Err(Failure::new(format_args!(
            "`{}` is scored against a data set: give it as `--root`",
            args.pred.display()
        ))
        .hint(
            "only `output_*.json` of Seg-Zero or VisionReasoner, and folders of them, hold counts",
        ));
    }
    if let Some((field, value, theirs)) = protocol.differs_from_counts() {
        return Err(Failure::new(format_args!(
            "`{}` was counted with {field}={theirs}; protocol {} needs {field}={value}",
            args.pred.display(),
            protocol.name
        ))
        .hint("choose `--protocol seg-zero` or `vision-reasoner`"));
    }
    let rows = counted_rows(&args.pred, &protocol)?;
    if rows.is_empty() {
        let path = args.pred.display();
        return Err(Failure::new(format_args!("there is no record in `{path}`")));
    }
    let mut scores = Scores::new(rows, protocol, Problems::default());
    let cells = scores.cells();
    let intervals = |options| Intervals::of(&cells, &scores.totals.protocol, options);
    scores.totals.intervals = args.resampling.options().map(intervals);
    Ok(scores)
}

/// Whether a path can hold counts: a folder, or a JSON file.
fn counted_looks_right(path: &Path) -> bool {
    !path.exists() || path.is_dir() || path.extension().is_some_and(|e| e == "json")
}
