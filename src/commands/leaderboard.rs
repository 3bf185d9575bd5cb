//! `segzero leaderboard`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use segzero_datasets::Error;
use segzero_eval::Run;
use segzero_reports::leaderboard::render::{TableFormat, render};
use segzero_reports::leaderboard::{
    Board, Entry, Figure, FigureStatus, Metric, SETS, Selection, Trust, check, read,
    set_and_partition, shipped,
};
use segzero_reports::write_whole;

use crate::failure::Failure;
use crate::output;

/// Flags of `segzero leaderboard`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The set: refcoco, refcoco+, refcocog, grefcoco, reasonseg; refcocog/umd for one partition.
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
    /// Only this split: val, testA, testB, test.
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Only this metric.
    #[arg(long, value_enum)]
    metric: Option<Metric>,
    /// A table of the Seg-Zero paper: 1 to 7, or an ablation of its second version (v2-kl, ...).
    #[arg(long, value_name = "NAME", conflicts_with = "set")]
    table: Option<String>,
    /// Scores that `segzero eval --out` wrote, put at the place they earn; may be repeated. `--set`
    /// and `--split` say what was scored where the file does not.
    #[arg(long = "run", value_name = "SCORES.json")]
    runs: Vec<PathBuf>,
    /// Which published figures to show.
    #[arg(long, value_enum, default_value_t)]
    status: Trust,
    /// Sort by this column (`test-giou`); the fullest one if not given.
    #[arg(long, value_name = "COLUMN")]
    sort: Option<String>,
    /// How to write the table.
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,
    /// Write to this file instead of the standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Check the arithmetic of the published figures, or of a file in the same schema
    /// (docs/leaderboard.md), and print what cannot be right.
    #[arg(long, value_name = "FILE.csv", num_args = 0..=1, conflicts_with_all = ["table", "sort"])]
    #[allow(clippy::option_option)] // the flag may be absent, bare, or have a file
    check: Option<Option<PathBuf>>,
    /// With `--check`: fail (exit code 1) if anything is found.
    #[arg(long, requires = "check")]
    strict: bool,
}

const EXAMPLES: &str = "Examples:
  segzero leaderboard                                   what there is
  segzero leaderboard --set reasonseg --split test      one board
  segzero leaderboard --run scores.json                 your run at the place it earns
  segzero leaderboard --table 6                         a table of the Seg-Zero paper
  segzero leaderboard --check                           rows that cannot be right";

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    if let Some(file) = &args.check {
        return run_check(&args, file.as_deref());
    }
    let published = shipped()?;
    let text = match (&args.set, &args.table, args.runs.as_slice()) {
        (None, None, []) => overview(&published),
        _ => table(&args, &published, &entries(&args)?)?,
    };
    deliver(&args, &text)?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// What `--set` names: a set, or one partition of it.
    fn set_and_partition(&self) -> (Option<String>, Option<String>) {
        let named = self.set.as_deref().map(set_and_partition);
        let (set, split_by) = named.map_or((None, None), |(set, split_by)| (Some(set), split_by));
        (set.map(str::to_owned), split_by.map(str::to_owned))
    }
}

fn deliver(args: &Args, text: &str) -> Result<(), Failure> {
    let Some(out) = &args.out else { return output::print(text) };
    write_whole(out, |file: &mut dyn Write| file.write_all(text.as_bytes()))
        .map_err(|e| Failure::new(format_args!("could not write `{}`: {e}", out.display())))
}

fn entries(args: &Args) -> Result<Vec<Entry>, Failure> {
    let hint = "`--run` takes what `segzero eval --out` wrote; `--set` and `--split` name its data";
    let mut entries = Vec::new();
    for path in &args.runs {
        let read = Run::read(path)
            .and_then(|run| Entry::of(&run, path, args.set.as_deref(), args.split.as_deref()));
        entries.extend(read.map_err(|e| Failure::from(e).or_hint(hint))?);
    }
    Ok(entries)
}

/// The table that the flags name. A run alone names the set and split it was scored on.
fn table(args: &Args, published: &[Figure], entries: &[Entry]) -> Result<String, Failure> {
    let own = || entries.iter().flat_map(|entry| &entry.figures);
    let first = own().next().filter(|_| args.table.is_none());
    let (set, split_by) = args.set_and_partition();
    let selection = Selection {
        set: set.or_else(|| first.map(|figure| figure.set.clone())),
        split_by,
        split: args.split.clone().or_else(|| first.map(|figure| figure.split.clone())),
        metric: args.metric,
        table: args.table.clone(),
        trust: args.status,
    };
    own().try_for_each(|figure| check_place(figure, &selection))?;
    let board = Board::new(published, entries, &selection, args.sort.as_deref())
        .map_err(|e| Failure::new(e).hint("`--sort test-giou`, for example"))?;
    if board.rows.is_empty() {
        return Err(nothing(published, &selection));
    }
    if board.rows.iter().filter(|row| row.n.is_some()).count() < entries.len() {
        return Err(Failure::new("the table has no column for what a run was scored on")
            .hint("without `--table`, `--set` and `--split` the run's own board is shown"));
    }
    let figures = published.iter().chain(own()).filter(|figure| selection.has(figure));
    render(&board, &figures.collect::<Vec<_>>(), args.format).map_err(Failure::new)
}

/// Runs on other data do not belong into one table.
fn check_place(figure: &Figure, selection: &Selection) -> Result<(), Failure> {
    let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
    if is(&selection.set, &figure.set) && is(&selection.split, &figure.split) {
        return Ok(());
    }
    let (set, split) = (&figure.set, &figure.split);
    Err(Failure::new(format_args!("`{}` was scored on {set} {split}", figure.source))
        .hint("runs in one table must be of one set and split; run the command for each"))
}

/// Nothing is published under these names: say what is.
fn nothing(published: &[Figure], selection: &Selection) -> Failure {
    let names = |of: &dyn Fn(&Figure) -> Option<&str>| {
        let names: BTreeSet<&str> = published.iter().filter_map(of).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    if let Some(table) = &selection.table {
        let known = names(&|figure| figure.table.as_deref());
        let what = format_args!("no table `{table}` of the paper with such figures").to_string();
        return Failure::new(what).hint(format_args!("there are {known}"));
    }
    let set = selection.set.as_deref().unwrap_or_default();
    if !SETS.contains(&set) {
        return Failure::new(format_args!("no figures are published here for a set `{set}`"))
            .hint(format_args!("there are {}", SETS.join(", ")));
    }
    let splits = names(&|f| (f.set == set && f.table.is_none()).then_some(f.split.as_str()));
    Failure::new(format_args!("no such figures of {set} are published here")).hint(format_args!(
        "its splits are {splits}; without `--metric` and `--status` all is shown"
    ))
}

/// What there is: sets, figures, and how far they are verified.
fn overview(published: &[Figure]) -> String {
    let count = |keep: &dyn Fn(&&Figure) -> bool| published.iter().filter(|f| keep(f)).count();
    let mut text = format!(
        "{:<12}{:>8}{:>9}{:>9}{:>12}{:>12}\n",
        "set", "methods", "figures", "own (P)", "others' (S)", "unverified"
    );
    for set in SETS {
        let has = |figure: &&Figure| figure.set == set && figure.table.is_none();
        let methods: BTreeSet<&str> =
            published.iter().filter(has).map(|figure| figure.method.as_str()).collect();
        let of = |status| count(&|figure| has(figure) && figure.status == status);
        text += &format!(
            "{set:<12}{:>8}{:>9}{:>9}{:>12}{:>12}\n",
            methods.len(),
            count(&has),
            of(FigureStatus::Primary),
            of(FigureStatus::Secondary),
            of(FigureStatus::Unverified),
        );
    }
    let tables: BTreeSet<&str> = published.iter().filter_map(|f| f.table.as_deref()).collect();
    let tables: Vec<&str> = tables.into_iter().collect();
    text += &format!("\nSeg-Zero paper, --table: {}\n\n{EXAMPLES}\n", tables.join(", "));
    text
}

/// `--check`: of the shipped figures, or of a file; one's own runs join them.
fn run_check(args: &Args, file: Option<&Path>) -> Result<ExitCode, Failure> {
    let mut figures = match file {
        None => shipped()?,
        Some(path) => {
            let hint = "docs/leaderboard.md describes the columns";
            let bytes = std::fs::read(path).map_err(|e| Error::new(path, e))?;
            read(path, &bytes).map_err(|e| Failure::from(e).or_hint(hint))?
        }
    };
    figures.extend(entries(args)?.into_iter().flat_map(|entry| entry.figures));
    // Figures are checked against all others, and shown if they are asked for.
    let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
    let (set, split_by) = args.set_and_partition();
    let is_wanted = |f: &Figure| {
        is(&set, &f.set)
            && (split_by.is_none() || split_by == f.split_by)
            && is(&args.split, &f.split)
            && args.metric.is_none_or(|metric| metric == f.metric)
            && (args.status == Trust::All || f.status != FigureStatus::Unverified)
    };
    let checked = figures.iter().filter(|figure| is_wanted(figure)).count();
    if checked == 0 {
        return Err(Failure::new("there is no figure to check")
            .hint("a file has one figure a line; `--set` and `--split` choose among them"));
    }
    let mut findings = check(&figures);
    findings.retain(|finding| finding.figures.iter().any(|&i| is_wanted(&figures[i])));
    let text = match args.format {
        TableFormat::Json => serde_json::to_string_pretty(&findings).map_err(Failure::new)? + "\n",
        _ => {
            let lines = findings.iter().map(|finding| format!("{finding}\n"));
            let count = format!("{checked} figures checked, {} findings\n", findings.len());
            lines.collect::<String>() + &count
        }
    };
    deliver(args, &text)?;
    Ok(ExitCode::from(u8::from(args.strict && !findings.is_empty())))
}
