//! `segzero eval`.

mod counted;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use segzero_datasets::{Error, Format, ReadOptions, Source};
use segzero_eval::{
    Coverage, Heard, Intervals, OnBadRecord, Options, Overrides, Predictions, Protocol, Provenance,
    Reading, Run, RunWriter, Scores, Totals, Unit, protocol, score_each, sesame_index,
    sesame_results,
};
use segzero_reports::write_whole;
use serde::Serialize;

use super::predict::{Finished, Queries};
use crate::failure::Failure;
use crate::output;
use crate::resampling::Resampling;
use crate::source_args::{SourceArgs, Wanted, format_hint};

/// Flags of `segzero eval`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: Option<SourceArgs>,
    /// Predictions: the folder of a run of `segzero predict`, which knows its data set, a file of any of
    /// the usual forms, or a folder of mask images named after their keys (docs/predictions.md).
    #[arg(long, value_name = "PATH")]
    pred: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Rules of scoring: a preset (see `segzero protocols`), a JSON file of one's own, or `all` for
    /// every preset in one pass.
    #[arg(long, value_name = "NAME", default_value = Protocol::DEFAULT)]
    protocol: String,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    resampling: Resampling,
    /// Score boundaries too (Boundary IoU): their width as a share of the image's diagonal, 0.02 in
    /// the paper.
    #[arg(long, value_name = "RATIO", num_args = 0..=1, default_missing_value = "0.02",
          value_parser = ratio)]
    boundary: Option<f64>,
    /// Write the scores, with one row a unit, to this JSON file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the numbers as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Count samples and predictions that cannot be read instead of stopping at the first.
    #[arg(long)]
    skip_bad: bool,
    /// Fail (exit code 1) unless every unit was scored on a prediction of its own.
    #[arg(long)]
    strict: bool,
    /// How a model was heard, where the predictions are the folder of a run.
    #[arg(skip)]
    heard: Option<Heard>,
}

/// What `--json` prints: the file of `--out` without its rows.
#[derive(Serialize)]
struct Overview<'a> {
    #[serde(flatten)]
    provenance: &'a Provenance,
    #[serde(flatten)]
    totals: &'a Totals,
}

/// Runs the command.
pub fn run(mut args: Args) -> Result<ExitCode, Failure> {
    if let Some(run) = Finished::open(&args.pred)? {
        args.pred = run.predictions;
        args.heard = Some(run.heard);
        args.source.get_or_insert(run.source);
        if run.queries == Queries::First && args.protocol == Protocol::DEFAULT {
            args.overrides.unit.get_or_insert(Unit::FirstQuery);
        }
    }
    match &args.source {
        Some(source) => score_masks(&args, source),
        None => match sesame_index(&args.pred) {
            Some(index) => score_results(&args, &index),
            None => counted::run(&args),
        },
    }
}

/// Scores predictions against a data set.
fn score_masks(args: &Args, source_args: &SourceArgs) -> Result<ExitCode, Failure> {
    let on_bad = if args.skip_bad { OnBadRecord::Skip } else { OnBadRecord::Stop };
    let options = Options { protocols: protocols(args)?, on_bad, boundary: args.boundary };
    let source = source_args.source(Wanted::WithMasks)?;
    let predictions = read_predictions(args, source_args, &source, on_bad)?;
    let mut writer = args.out.as_deref().map(RunWriter::create).transpose();
    let writer = writer.as_mut().map_err(|e| could_not_write(args, e))?;
    let scored = score_all(args, source_args, &source, &predictions, &options, writer.as_mut())?;
    let totals = scored.totals;
    let split = source_args.split.as_deref();
    check_not_empty(&totals, &predictions, scored.first_key.as_deref(), split, args)?;

    let provenance = Provenance {
        segzero: env!("CARGO_PKG_VERSION").to_owned(),
        data: source.label(),
        split: source_args.split.clone(),
        root: Some(source_args.root.clone()),
        images: source_args.images.clone(),
        predictions: args.pred.clone(),
        complete: totals.problems.is_complete() && scored.partial.is_empty(),
        partial: scored.partial,
        heard: args.heard.clone(),
    };
    if let (Some(out), Some(writer)) = (&args.out, writer) {
        let write = |file: &mut dyn Write| writer.finish(&provenance, &totals, file);
        write_whole(out, write).map_err(|e| could_not_write(args, &e))?;
    }
    show(args, &provenance, &totals)
}

/// Scores results that hold their targets too.
fn score_results(args: &Args, index: &Path) -> Result<ExitCode, Failure> {
    let on_bad = if args.skip_bad { OnBadRecord::Skip } else { OnBadRecord::Stop };
    let options = Options { protocols: protocols(args)?, on_bad, boundary: args.boundary };
    let (samples, predictions) = sesame_results(index)?;
    if samples.is_empty() {
        let path = index.display();
        return Err(Failure::new(format_args!("there is no result in `{path}`")));
    }
    let mut rows = Vec::new();
    let keep = |row| {
        rows.push(row);
        Ok(())
    };
    let samples = samples.into_iter().map(Ok);
    let (mut totals, cells) = score_each(samples, &predictions, &options, keep, |_| {})?;
    let intervals = |options| Intervals::of(&cells, &totals.protocol, options);
    totals.intervals = args.resampling.options().map(intervals);
    let provenance = Provenance {
        segzero: env!("CARGO_PKG_VERSION").to_owned(),
        data: "sesame".to_owned(),
        predictions: args.pred.clone(),
        complete: totals.problems.is_complete(),
        ..Provenance::default()
    };
    let run = Run { provenance, scores: Scores { totals, rows } };
    if let Some(out) = &args.out {
        write_whole(out, |file| run.write(file)).map_err(|e| could_not_write(args, &e))?;
    }
    show(args, &run.provenance, &run.scores.totals)
}

fn could_not_write(args: &Args, error: &std::io::Error) -> Failure {
    let out = args.out.clone().unwrap_or_default();
    Failure::new(format_args!("could not write `{}`: {error}", out.display()))
}

/// Prints the numbers, and what is wrong with them.
fn show(args: &Args, provenance: &Provenance, totals: &Totals) -> Result<ExitCode, Failure> {
    let text = match args.json {
        true => {
            serde_json::to_string_pretty(&Overview { provenance, totals }).map_err(Failure::new)?
        }
        false => table::table(provenance, totals),
    };
    output::print(&(text + "\n"))?;
    for partial in &provenance.partial {
        output::report(format_args!("warning: PARTIAL RUN: {partial}"));
    }
    table::warnings(totals).lines().for_each(output::report);
    provenance.heard.iter().flat_map(Heard::lines).for_each(output::report);
    let failed = args.strict && !provenance.complete;
    Ok(ExitCode::from(u8::from(failed)))
}

/// A share of the diagonal.
fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| *ratio > 0.0 && *ratio <= 1.0);
    ratio.ok_or_else(|| format!("expected a number above 0 and up to 1, found `{text}`"))
}

/// The rules that the flags name: those of the rows first.
fn protocols(args: &Args) -> Result<Vec<Protocol>, Failure> {
    let presets = protocol::presets().map_err(Failure::new)?;
    let chosen = if args.protocol == "all" {
        presets
    } else if let Some(preset) = presets.iter().find(|preset| preset.name == args.protocol) {
        vec![preset.clone()]
    } else if args.protocol.ends_with(".json") {
        vec![read_protocol(&args.protocol)?]
    } else {
        let names: Vec<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
        return Err(Failure::new(format_args!("there is no protocol `{}`", args.protocol))
            .hint(format_args!("choose one of {}, `all`, or a .json file", names.join(", "))));
    };
    Ok(chosen.into_iter().map(|protocol| args.overrides.apply(protocol)).collect())
}

fn read_protocol(path: &str) -> Result<Protocol, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::new(format_args!("could not read `{path}`: {e}")))?;
    serde_json::from_str(&text).map_err(|e| {
        Failure::new(format_args!("could not read `{path}`: {e}"))
            .hint("`segzero protocols --json NAME` prints a preset as such a file")
    })
}

/// The predictions; those that name images alone find their samples in a pass of their own.
fn read_predictions(
    args: &Args,
    source_args: &SourceArgs,
    source: &Source,
    on_bad: OnBadRecord,
) -> Result<Predictions, Failure> {
    let reading = Reading { on_bad, ..args.reading.clone() };
    let mut predictions =
        Predictions::read(&args.pred, &reading).map_err(|e| hinted(e, args, source))?;
    if predictions.needs_settling() {
        let read = ReadOptions { skip_images: true, ..source_args.read_options() };
        predictions.settle(source.samples(&read).map_err(|e| hinted(e, args, source))?);
    }
    Ok(predictions)
}

/// What was scored.
struct Scored {
    totals: Totals,
    /// Key of the first query, as an example for messages.
    first_key: Option<String>,
    /// How the number of units differs from the published one.
    partial: Vec<String>,
}

fn score_all(
    args: &Args,
    source_args: &SourceArgs,
    source: &Source,
    predictions: &Predictions,
    options: &Options,
    mut writer: Option<&mut RunWriter>,
) -> Result<Scored, Failure> {
    // The size of an image is all that scoring needs of it.
    let read = ReadOptions { skip_images: true, ..source_args.read_options() };
    let mut first_key = None;
    let samples = source.samples(&read).map_err(|e| hinted(e, args, source))?.inspect(|sample| {
        if let (None, Ok(sample)) = (&first_key, sample) {
            first_key = sample.queries.first().map(|query| sample.query_key(query));
        }
    });
    let progress = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {human_pos} samples scored ({per_sec})")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let out = args.out.clone().unwrap_or_default();
    // A table may have any name, that of a published set too.
    let unit = options.protocols.first().map_or(Unit::Query, |protocol| protocol.unit);
    let is_table = source.format == Format::Table;
    let mut coverage = (!is_table).then(|| Coverage::new(&source.label(), unit));
    let keep = |row| {
        if let Some(coverage) = &mut coverage {
            coverage.add(&row);
        }
        match &mut writer {
            Some(writer) => writer.row(&row).map_err(|e| Error::new(&out, e)),
            None => Ok(()),
        }
    };
    let scored =
        score_each(samples, predictions, options, keep, |done| progress.set_position(done));
    progress.finish_and_clear();
    let (mut totals, cells) = scored.map_err(|e| hinted(e, args, source))?;
    let intervals = |options| Intervals::of(&cells, &totals.protocol, options);
    totals.intervals = args.resampling.options().map(intervals);
    let partial = coverage.map_or_else(Vec::new, |coverage| coverage.differences());
    Ok(Scored { totals, first_key, partial })
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
    totals: &Totals,
    predictions: &Predictions,
    first_key: Option<&str>,
    split: Option<&str>,
    args: &Args,
) -> Result<(), Failure> {
    let units = totals.summary.n + totals.summary.skipped;
    let Some(first_key) = first_key.filter(|_| units > 0) else {
        let split = split.unwrap_or("any split");
        return Err(Failure::new(format_args!("there is no sample to score in {split}"))
            .hint("`segzero inspect` lists the splits and what cannot be read"));
    };
    if totals.problems.missing.count < units {
        return Ok(());
    }
    let path = args.pred.display();
    if let Some(name) = totals.problems.ambiguous.first.first() {
        return Err(Failure::new(format_args!(
            "every prediction in `{path}` names an image that has several samples: {name}"
        ))
        .hint("let each record say its object: `ann_id`, `ref_id` or `key`"));
    }
    Err(match totals.problems.unmatched.first.first() {
        None => Failure::new(format_args!("there is no prediction in `{path}`")).hint(FORMS),
        Some(theirs) => Failure::new(format_args!(
            "none of the {} predictions in `{path}` belongs to a sample",
            predictions.len()
        ))
        .hint(format_args!("samples have keys such as `{first_key}`, predictions `{theirs}`")),
    })
}
