//! `segzero vqa`.

use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use segzero_eval::resample::{Level, Options};
use segzero_eval::vqa::{Metric, VqaProblems, VqaScores, VqaSummary, VqaTotals, score_answers};
use segzero_eval::{Names, OnBadRecord};
use segzero_reports::write_whole;
use serde::Serialize;

use crate::failure::Failure;
use crate::output;

/// Flags of `segzero vqa`.
#[derive(clap::Args)]
pub struct Args {
    /// How an answer is compared with the people's.
    #[arg(long, value_enum)]
    metric: Metric,
    /// Questions with people's answers: a JSONL file (docs/vqa.md).
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The model's answers: a JSONL file.
    #[arg(long, value_name = "FILE")]
    pred: PathBuf,
    /// Write the scores, with one row a question, to this JSON file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the summary as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Resamples behind the intervals.
    #[arg(long, value_name = "N", default_value_t = Options::default().resamples)]
    resamples: NonZeroU32,
    /// How much of the resamples an interval holds.
    #[arg(long, value_name = "SHARE", default_value_t)]
    level: Level,
    /// Key of the random draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Count questions and answers that cannot be read instead of stopping at the first.
    #[arg(long)]
    skip_bad: bool,
    /// Fail (exit code 1) unless every question was scored on an answer of its own.
    #[arg(long)]
    strict: bool,
}

/// What `--out` holds, and without its rows what `--json` prints.
#[derive(Serialize)]
struct Report<'a, S> {
    /// Version of this tool.
    segzero: &'static str,
    data: &'a Path,
    predictions: &'a Path,
    /// Whether every question was scored on an answer of its own.
    complete: bool,
    /// How the intervals were drawn.
    bootstrap: Options,
    #[serde(flatten)]
    scores: &'a S,
}

impl<'a, S> Report<'a, S> {
    fn of(scores: &'a S, args: &'a Args, bootstrap: Options, complete: bool) -> Self {
        let segzero = env!("CARGO_PKG_VERSION");
        Self { segzero, data: &args.data, predictions: &args.pred, complete, bootstrap, scores }
    }
}

const FORMS: &str = "docs/vqa.md describes both files; `--skip-bad` counts bad records instead of \
                     stopping";

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let on_bad = if args.skip_bad { OnBadRecord::Skip } else { OnBadRecord::Stop };
    let bootstrap = Options {
        resamples: args.resamples,
        level: args.level,
        seed: args.seed,
        ..Options::default()
    };
    let scores = score_answers(args.metric, &args.data, &args.pred, on_bad, &bootstrap);
    let scores = scores.map_err(|e| Failure::from(e).or_hint(FORMS))?;
    let (summary, totals) = (not_empty(&scores, &args)?, &scores.totals);
    let complete = totals.problems.is_complete();
    if let Some(out) = &args.out {
        let report = Report::of(&scores, &args, bootstrap, complete);
        let write = |file: &mut dyn Write| {
            serde_json::to_writer(&mut *file, &report)?;
            file.write_all(b"\n")
        };
        write_whole(out, write)
            .map_err(|e| Failure::new(format_args!("could not write `{}`: {e}", out.display())))?;
    }
    let text = match args.json {
        true => serde_json::to_string_pretty(&Report::of(totals, &args, bootstrap, complete))
            .map_err(Failure::new)?,
        false => table(&args, &summary, totals),
    };
    output::print(&(text + "\n"))?;
    warnings(&totals.problems, summary.n).lines().for_each(output::report);
    Ok(ExitCode::from(u8::from(args.strict && !complete)))
}

/// No questions, or answers to others only, is a mistake rather than a score of zero.
fn not_empty(scores: &VqaScores, args: &Args) -> Result<VqaSummary, Failure> {
    let Some(summary) = scores.totals.summary else {
        let path = args.data.display();
        return Err(Failure::new(format_args!("there is no question in `{path}`")).hint(FORMS));
    };
    let problems = &scores.totals.problems;
    if problems.missing.count < summary.n {
        return Ok(summary);
    }
    let path = args.pred.display();
    let (ours, theirs) = (scores.rows.first(), problems.unmatched.first.first());
    Err(match (ours, theirs) {
        (Some(ours), Some(theirs)) => {
            Failure::new(format_args!("none of the answers in `{path}` belongs to a question"))
                .hint(format_args!("questions have ids such as `{}`, answers `{theirs}`", ours.id))
        }
        _ => Failure::new(format_args!("there is no answer in `{path}`")).hint(FORMS),
    })
}

/// The summary as people read it: percent with two decimals.
fn table(args: &Args, summary: &VqaSummary, totals: &VqaTotals) -> String {
    let VqaProblems { missing, repeated, duplicate, unmatched, bad_predictions, bad_samples } =
        &totals.problems;
    let level = f64::from(args.level) * 100.0;
    let percent = |share: f64| format!("{:.2}", share * 100.0);
    let figure = |name: &str, of: &VqaSummary| {
        let ends = [of.interval.low, of.interval.high].map(percent).join(" to ");
        (name.to_owned(), percent(of.accuracy), format!("{ends} ({level} %), of {}", of.n))
    };
    let name = match args.metric {
        Metric::Chartqa => "relaxed acc.",
        Metric::Textvqa => "VQA acc.",
    };
    let mut rows =
        vec![("questions".to_owned(), summary.n.to_string(), String::new()), figure(name, summary)];
    rows.extend(totals.by_type.iter().map(|(kind, of)| figure(&format!("  {kind}"), of)));
    for (name, names, note) in [
        ("missing", missing, "count as wrong"),
        ("repeated", repeated, "questions"),
        ("duplicate", duplicate, "answers, the first counts"),
        ("unmatched", unmatched, "answers without a question"),
        ("bad records", bad_predictions, "answers skipped"),
        ("bad samples", bad_samples, "questions not scored"),
    ] {
        rows.push((name.to_owned(), names.count.to_string(), note.to_owned()));
    }
    let mut text = format!("{}, {}\n", args.data.display(), args.pred.display());
    if !totals.problems.is_complete() {
        text.push_str("INCOMPLETE: not every question has a usable answer\n");
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
fn warnings(problems: &VqaProblems, n: u64) -> String {
    let mut text = String::new();
    let mut warn = |names: &Names, what: &str| {
        if names.count > 0 {
            let dots = if names.count > names.first.len() as u64 { ", ..." } else { "" };
            let first = names.first.join(", ");
            text.push_str(&format!("warning: {} {what}: {first}{dots}\n", names.count));
        }
    };
    warn(&problems.missing, &format!("of {n} have NO ANSWER and count as wrong"));
    warn(&problems.bad_samples, "questions could not be read and are NOT SCORED");
    warn(&problems.bad_predictions, "answers could not be read and were skipped");
    warn(&problems.duplicate, "answers repeat an id; the first of each id counts");
    warn(&problems.unmatched, "answers belong to no question");
    warn(&problems.repeated, "ids stand in the data more than once, and each time count");
    text
}
