//! `segzero compare`: two runs, unit by unit; and a check for anyone's CI.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use segzero_eval::resample::Difference;
use segzero_eval::{CompareError, Comparison, Pair, Run, compare};
use segzero_reports::report::{Change, Changes};
use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::resampling::Resampling;

/// Flags of `segzero compare`.
#[derive(clap::Args)]
pub struct Args {
    /// Scores to compare with, as `segzero eval --out` wrote them.
    base: PathBuf,
    /// Scores to judge.
    new: PathBuf,
    /// Fail (exit code 1) where gIoU or cIoU is lower than the base's by more than this many
    /// points, or a unit of the base is missing.
    #[arg(long, value_name = "POINTS", value_parser = points)]
    max_drop: Option<f64>,
    /// How many of the largest losses and wins to list.
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// Write a page with the largest changes side by side to this HTML file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How many samples of the page get pictures, half of them losses.
    #[arg(long, value_name = "N", default_value_t = 100)]
    gallery: usize,
    /// Print the comparison as JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    resampling: Resampling,
}

fn points(text: &str) -> Result<f64, String> {
    let points = text.parse().ok().filter(|points: &f64| (0.0..=100.0).contains(points));
    points.ok_or_else(|| format!("expected points from 0 to 100, found `{text}`"))
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let (base, new) = (Run::read(&args.base)?, Run::read(&args.new)?);
    if base.provenance.data != new.provenance.data {
        let message = format_args!(
            "the runs are of different data: {} and {}",
            base.provenance.data, new.provenance.data
        );
        return Err(Failure::new(message).hint("`segzero report RUN RUN` shows them side by side"));
    }
    let options = args.resampling.options().unwrap_or_default();
    let comparison = compare(&base, &new, options).map_err(failure)?;
    let faults = args.max_drop.map_or_else(Vec::new, |points| faults(&comparison, points));
    if let Some(out) = &args.out {
        let changes = Changes::of(&comparison, &faults);
        super::report::write_comparison([&args.base, &args.new], changes, args.gallery, out)?;
    }
    let text = match args.json {
        true => json(&comparison, &faults, &args)?,
        false => table(&comparison, &args),
    };
    output::print(&(text + "\n"))?;
    faults.iter().for_each(|fault| output::report(format_args!("FAILED: {fault}")));
    Ok(ExitCode::from(u8::from(!faults.is_empty())))
}

fn failure(error: CompareError) -> Failure {
    let failure = Failure::new(&error);
    match error {
        CompareError::Rules { .. } => {
            failure.hint("score both with the same `--protocol` and flags")
        }
        CompareError::NothingInCommon { .. } => failure.hint("score the same split with both"),
        CompareError::Empty { .. } => failure,
    }
}

/// What `--max-drop` finds wrong. Figures are over the common units, so that a smaller run cannot
/// look better by what it left out; that it left something out is a fault of its own.
fn faults(comparison: &Comparison<'_>, max_drop: f64) -> Vec<String> {
    let Comparison { base, new, only_base, .. } = comparison;
    let mut faults = Vec::new();
    for (name, base, new) in [("gIoU", base.giou, new.giou), ("cIoU", base.ciou, new.ciou)] {
        let drop = match (base, new) {
            (Some(base), Some(new)) => (base - new) * 100.0,
            (Some(base), None) => base * 100.0,
            (None, _) => continue,
        };
        if drop > max_drop {
            faults.push(format!("{name} dropped by {drop:.4} points, {max_drop} are allowed"));
        }
    }
    if only_base.count > 0 {
        let first = only_base.first.join(", ");
        faults.push(format!("{} units of the base are not scored: {first}", only_base.count));
    }
    faults
}

#[derive(Serialize)]
struct Report<'a> {
    base_file: &'a Path,
    new_file: &'a Path,
    #[serde(flatten)]
    comparison: &'a Comparison<'a>,
    max_drop: Option<f64>,
    faults: &'a [String],
    losses: Vec<Moved<'a>>,
    wins: Vec<Moved<'a>>,
}

/// One unit whose IoU changed.
#[derive(Serialize)]
struct Moved<'a> {
    key: String,
    text: &'a str,
    base: f64,
    new: f64,
}

impl<'a> Moved<'a> {
    fn of(pair: &Pair<'a>) -> Self {
        let Pair { base, new } = pair;
        Self { key: base.query_key(), text: &base.text, base: base.iou, new: new.iou }
    }
}

/// The largest losses and wins, the largest first.
fn changes<'a>(comparison: &Comparison<'a>, top: usize) -> [Vec<Moved<'a>>; 2] {
    let losses = comparison.pairs.iter().take_while(|pair| pair.change() < 0.0);
    let wins = comparison.pairs.iter().rev().take_while(|pair| pair.change() > 0.0);
    [losses.take(top).map(Moved::of).collect(), wins.take(top).map(Moved::of).collect()]
}

fn json(comparison: &Comparison<'_>, faults: &[String], args: &Args) -> Result<String, Failure> {
    let [losses, wins] = changes(comparison, args.top);
    let (base_file, new_file, max_drop) = (&args.base, &args.new, args.max_drop);
    serde_json::to_string_pretty(&Report {
        base_file,
        new_file,
        comparison,
        max_drop,
        faults,
        losses,
        wins,
    })
    .map_err(Failure::new)
}

/// The comparison as people read it: percent and points.
fn table(comparison: &Comparison<'_>, args: &Args) -> String {
    let Comparison { base, only_base, only_new, .. } = comparison;
    let mut text = format!("base {}\nnew  {}\n", args.base.display(), args.new.display());
    text += &format!("protocol {}, {} common units", comparison.protocol.name, base.n);
    for (names, which) in [(only_base, "the base"), (only_new, "the new run")] {
        if names.count > 0 {
            text += &format!(", {} only in {which}", names.count);
        }
    }
    text += &format!("\n{}\n", comparison.options);
    text += &format!(
        "  {:<14}{:>8}{:>8}{:>9}  {:<18}{:>7}{:>8}{:>8}{:>8}\n",
        "", "base", "new", "change", "interval", "p", "wins", "losses", "ties"
    );
    for change in Changes::of(comparison, &[]).figures {
        text += &row(&change);
    }
    let [losses, wins] = changes(comparison, args.top);
    for (title, changes) in [("largest losses", losses), ("largest wins", wins)] {
        if !changes.is_empty() {
            text += &format!("{title}\n");
        }
        for Moved { key, text: query, base, new } in changes {
            let (base, new) = (base * 100.0, new * 100.0);
            text += &format!("  {base:>6.2} -> {new:>6.2}  {key:<14} {query}\n");
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn row(change: &Change) -> String {
    let Change { name, base, new, difference } = change;
    let Difference { interval, p_swap, wins, losses, ties, .. } = difference;
    let between = format!("{:+.2} to {:+.2}", interval.low * 100.0, interval.high * 100.0);
    format!(
        "  {name:<14}{:>8.2}{:>8.2}{:>+9.2}  {between:<18}{p_swap:>7.4}{wins:>8}{losses:>8}{ties:>8}\n",
        base * 100.0,
        new * 100.0,
        (new - base) * 100.0
    )
}
