//! `segzero eval`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use segzero_datasets::{Error, ReadOptions, Source};
use segzero_eval::{Names, OnBadRecord, Options, Predictions, Problems, Scores, Unit, score};
use segzero_reports::write_whole;
use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::source_args::{SourceArgs, Wanted, format_hint};

/// Flags of `segzero eval`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Predictions: a JSONL file, or a folder of mask images named after their keys
    /// (docs/predictions.md).
    #[arg(long, value_name = "PATH")]
    pred: PathBuf,
    /// What is scored: every query of every sample, or every sample once.
    #[arg(long, value_enum, default_value_t)]
    unit: Unit,
    /// Write the scores, with one row a sample, to this JSON file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the summary as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Count samples and predictions that cannot be read instead of stopping at the first.
    #[arg(long)]
    skip_bad: bool,
    /// Fail (exit code 1) unless every sample was scored on a prediction of its own.
    #[arg(long)]
    strict: bool,
}

/// What `--out` and `--json` hold: scores, and what they are scores of.
#[derive(Serialize)]
struct Report<'a, S> {
    #[serde(flatten)]
    provenance: &'a Provenance<'a>,
    #[serde(flatten)]
    scores: S,
}

/// Where scores come from.
#[derive(Serialize)]
struct Provenance<'a> {
    /// Version of this tool.
    segzero: &'static str,
    /// Name of the data set.
    data: String,
    split: Option<&'a str>,
    predictions: &'a Path,
    unit: Unit,
    /// Whether every unit was scored on a prediction of its own.
    complete: bool,
}

/// Scores without rows.
#[derive(Serialize)]
struct Overview<'a> {
    summary: &'a segzero_eval::Summary,
    problems: &'a Problems,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let on_bad = if args.skip_bad { OnBadRecord::Skip } else { OnBadRecord::Stop };
    let source = args.source.source(Wanted::WithMasks)?;
    let predictions =
        Predictions::open(&args.pred, on_bad).map_err(|e| hinted(e, &args, &source))?;
    let options = Options { unit: args.unit, on_bad, ..Options::default() };
    // The size of an image is all that scoring needs of it.
    let read = ReadOptions { skip_images: true, ..args.source.read_options() };
    let mut first_key = None;
    let samples = source.samples(&read).map_err(|e| hinted(e, &args, &source))?.inspect(|sample| {
        if let (None, Ok(sample)) = (&first_key, sample) {
            first_key = sample.queries.first().map(|query| sample.query_key(query));
        }
    });
    let progress = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {human_pos} samples scored ({per_sec})")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let scores = score(samples, &predictions, &options, |done| progress.set_position(done));
    progress.finish_and_clear();
    let scores = scores.map_err(|e| hinted(e, &args, &source))?;
    check_not_empty(&scores, &predictions, first_key.as_deref(), &args)?;

    let provenance = Provenance {
        segzero: env!("CARGO_PKG_VERSION"),
        data: source.label(),
        split: args.source.split.as_deref(),
        predictions: &args.pred,
        unit: args.unit,
        complete: scores.problems.is_complete(),
    };
    if let Some(out) = &args.out {
        let report = Report { provenance: &provenance, scores: &scores };
        let write = |file: &mut dyn Write| {
            serde_json::to_writer(&mut *file, &report)?;
            file.write_all(b"\n")
        };
        write_whole(out, write)
            .map_err(|e| Failure::new(format_args!("could not write `{}`: {e}", out.display())))?;
    }
    let overview = Overview { summary: &scores.summary, problems: &scores.problems };
    let text = match args.json {
        true => serde_json::to_string_pretty(&Report { provenance: &provenance, scores: overview })
            .map_err(Failure::new)?,
        false => table(&provenance, &scores),
    };
    output::print(&(text + "\n"))?;
    warnings(&scores).lines().for_each(output::report);
    let failed = args.strict && !provenance.complete;
    Ok(ExitCode::from(u8::from(failed)))
}

/// An error of reading, with the place where the format of its file is described.
fn hinted(error: Error, args: &Args, source: &Source) -> Failure {
    let about_predictions = error.path.starts_with(&args.pred);
    Failure::from(error).or_hint(match about_predictions {
        true => FORMS,
        false => format_hint(source.format),
    })
}

const FORMS: &str = "docs/predictions.md lists the forms of a prediction; `--skip-bad` counts bad \
                     records instead of stopping";

/// No samples, or predictions for others only, is a mistake rather than a score of zero.
fn check_not_empty(
    scores: &Scores,
    predictions: &Predictions,
    first_key: Option<&str>,
    args: &Args,
) -> Result<(), Failure> {
    let Some(first_key) = first_key.filter(|_| scores.summary.n > 0) else {
        let split = args.source.split.as_deref().unwrap_or("any split");
        return Err(Failure::new(format_args!("there is no sample to score in {split}"))
            .hint("`segzero inspect` lists the splits and what cannot be read"));
    };
    if scores.problems.missing.count < scores.summary.n {
        return Ok(());
    }
    let path = args.pred.display();
    Err(match scores.problems.unmatched.first.first() {
        None => Failure::new(format_args!("there is no prediction in `{path}`")).hint(FORMS),
        Some(theirs) => Failure::new(format_args!(
            "none of the {} predictions in `{path}` belongs to a sample",
            predictions.len()
        ))
        .hint(format_args!("samples have keys such as `{first_key}`, predictions `{theirs}`")),
    })
}

/// The summary as people read it: percent with two decimals.
fn table(provenance: &Provenance<'_>, scores: &Scores) -> String {
    let Scores { summary, problems, .. } = scores;
    let percent = |value: Option<f64>| match value {
        Some(value) => format!("{:.2}", value * 100.0),
        None => "-".to_owned(),
    };
    let unit = match provenance.unit {
        Unit::Query => "queries",
        Unit::Sample => "samples",
    };
    let pixels = format!("of {} px: {} hit", summary.union, summary.intersection);
    let mut rows = vec![
        (unit.to_owned(), summary.n.to_string(), String::new()),
        ("gIoU".to_owned(), percent(summary.giou), "mean IoU (mIoU)".to_owned()),
        ("cIoU".to_owned(), percent(summary.ciou), format!("cumulative IoU (oIoU), {pixels}")),
        ("median IoU".to_owned(), percent(summary.median_iou), String::new()),
    ];
    for precision in &summary.precision {
        rows.push((format!("Pr@{}", precision.at), percent(Some(precision.share)), String::new()));
    }
    if summary.no_target > 0 {
        let note = format!("of {} without a target", summary.no_target);
        rows.push(("N-acc.".to_owned(), percent(summary.no_target_accuracy), note));
        rows.push(("T-acc.".to_owned(), percent(summary.target_accuracy), String::new()));
    }
    for (name, count, note) in [
        ("both empty", summary.both_empty, "count as IoU 1"),
        ("empty answers", summary.empty_prediction, "to a target"),
        ("missing", problems.missing.count, "count as IoU 0"),
        ("other size", problems.size_mismatch.count, "count as IoU 0"),
        ("unreadable", problems.unreadable.count, "count as IoU 0"),
        ("repeated", problems.repeated.count, "samples"),
        ("duplicate", problems.duplicate.count, "predictions, the first counts"),
        ("unmatched", problems.unmatched.count, "predictions without a sample"),
        ("bad records", problems.bad_predictions.count, "predictions skipped"),
        ("bad samples", problems.bad_samples.count, "samples not scored"),
    ] {
        rows.push((name.to_owned(), count.to_string(), note.to_owned()));
    }
    let split = provenance.split.map(|split| format!(" {split}")).unwrap_or_default();
    let mut text = format!("{}{split}, {}\n", provenance.data, provenance.predictions.display());
    if !provenance.complete {
        text.push_str("INCOMPLETE: not every sample has a usable prediction\n");
    }
    for (name, value, note) in rows {
        let line = format!("  {name:<14}{value:>10}  {note}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// What a reader of the numbers must know, with the first few names.
fn warnings(scores: &Scores) -> String {
    let Problems { missing, size_mismatch, unreadable, repeated, .. } = &scores.problems;
    let Problems { duplicate, unmatched, bad_predictions, bad_samples, .. } = &scores.problems;
    let n = scores.summary.n;
    let mut text = String::new();
    let mut warn = |names: &Names, what: String| {
        if names.count > 0 {
            let dots = if names.count > names.first.len() as u64 { ", ..." } else { "" };
            let first = names.first.join(", ");
            text.push_str(&format!("warning: {} {what}: {first}{dots}\n", names.count));
        }
    };
    warn(missing, format!("of {n} have NO PREDICTION and count as IoU 0"));
    warn(size_mismatch, format!("of {n} have a prediction of ANOTHER SIZE and count as IoU 0"));
    warn(unreadable, format!("of {n} have an UNREADABLE prediction and count as IoU 0"));
    warn(bad_samples, "samples could not be read and are NOT SCORED".to_owned());
    warn(bad_predictions, "predictions could not be read and were skipped".to_owned());
    warn(duplicate, "predictions repeat a key; the first of each key counts".to_owned());
    warn(unmatched, "predictions belong to no sample".to_owned());
    warn(repeated, "keys stand in the data more than once, and each time count".to_owned());
    text
}
