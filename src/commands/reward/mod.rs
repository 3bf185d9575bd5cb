//! `segzero reward`.

mod replies;
mod solutions;
mod summary;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use segzero_eval::OnBadRecord;
use segzero_eval::reward::{Recipe, Solution};
use segzero_reports::write_whole;
use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::progress::Verbosity;
use crate::recipe_args::RecipeArgs;
use replies::{Grouping, Scorer};
use solutions::Solutions;
use summary::Summary;

/// Flags of `segzero reward`.
#[derive(clap::Args)]
pub struct Args {
    /// Solutions: a training set as `segzero prep` writes it, or a JSONL file of `key` and `solution`.
    #[arg(
        long,
        value_name = "PATH",
        required_unless_present = "explain",
        requires = "replies",
        conflicts_with = "explain"
    )]
    set: Option<PathBuf>,
    /// Only this split of the training set.
    #[arg(long, value_name = "NAME", requires = "set")]
    split: Option<String>,
    /// Replies: a JSONL file of `key` and `text`, as many to one key as you like.
    #[arg(long, value_name = "FILE", requires = "set")]
    replies: Option<PathBuf>,
    /// Score this one reply and say what it earned by each reward.
    #[arg(long, value_name = "REPLY", requires = "solution")]
    explain: Option<String>,
    /// The solution that `--explain` is about, as it stands in a training set.
    #[arg(long, value_name = "TEXT", requires = "explain")]
    solution: Option<String>,
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Also give each reply's advantage, (score - mean) / (deviation + 1e-6), among the replies to one
    /// key that stand together.
    #[arg(long, requires = "replies")]
    group: bool,
    /// Write one line a reply, in the order of the replies: key, rewards, score, advantage.
    #[arg(long, value_name = "FILE", requires = "replies", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Print the summary as JSON instead of a table.
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Count lines that cannot be read instead of stopping at the first.
    #[arg(long)]
    skip_bad: bool,
    /// Fail (exit code 1) unless every example has a reply and every reply an example.
    #[arg(long)]
    strict: bool,
    /// No progress.
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
}

const FORMS: &str = "docs/reward.md describes the files; `--recipe` chooses the rewards, and \
                     `--skip-bad` counts what cannot be read";

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let recipe = args.recipe.recipe()?;
    let (Some(set), Some(replies)) = (&args.set, &args.replies) else {
        return explain(&args, &recipe);
    };
    let on_bad = if args.skip_bad { OnBadRecord::Skip } else { OnBadRecord::Stop };
    let mut summary = Summary::new(&recipe);
    let solutions = Solutions::open(set, args.split.as_deref(), &recipe, on_bad, &mut summary)
        .map_err(|failure| failure.or_hint(FORMS))?;
    let scorer = Scorer {
        path: replies,
        recipe: &recipe,
        solutions: &solutions,
        on_bad,
        grouping: if args.group { Grouping::Together } else { Grouping::None },
        verbosity: if args.quiet { Verbosity::Quiet } else { Verbosity::Normal },
    };
    let scored = match &args.out {
        Some(out) => write_lines(out, &scorer, &mut summary),
        None => scorer.run(None, &mut summary),
    };
    scored.map_err(|failure| failure.or_hint(FORMS))?;
    summary.finish(&solutions);
    if summary.replies == 0 {
        return Err(nothing_scored(set, replies, &summary));
    }
    let text = match args.json {
        true => serde_json::to_string_pretty(&Report {
            segzero: env!("CARGO_PKG_VERSION"),
            set,
            replies_file: replies,
            recipe: &recipe,
            summary: &summary,
        })
        .map_err(Failure::new)?,
        false => summary.table(&format!("{}, {}", set.display(), replies.display())),
    };
    output::print(&(text + "\n"))?;
    summary.warnings().iter().for_each(output::report);
    Ok(ExitCode::from(u8::from(args.strict && !summary.is_complete())))
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    /// Version of this tool.
    segzero: &'static str,
    set: &'a Path,
    replies_file: &'a Path,
    recipe: &'a Recipe,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// Writes the lines to a file that is whole or not there.
fn write_lines(out: &Path, scorer: &Scorer, summary: &mut Summary) -> Result<(), Failure> {
    let mut failed = None;
    let write = |file: &mut dyn Write| {
        scorer.run(Some(file), summary).map_err(|failure| {
            let message = failure.message().to_owned();
            failed = Some(failure);
            std::io::Error::other(message)
        })
    };
    let written = write_whole(out, write);
    match failed {
        Some(failure) => Err(failure),
        None => written
            .map_err(|e| Failure::new(format_args!("could not write `{}`: {e}", out.display()))),
    }
}

/// No reply, or replies to other examples only, is a mistake rather than a mean of zero.
fn nothing_scored(set: &Path, replies: &Path, summary: &Summary) -> Failure {
    let path = replies.display();
    match summary.unknown.first.first() {
        Some(theirs) => Failure::new(format_args!(
            "none of the replies in `{path}` belongs to an example of `{}`",
            set.display()
        ))
        .hint(match summary.missing.first.first() {
            Some(ours) => format!("examples have keys such as `{ours}`, replies `{theirs}`"),
            None => format!("there is no example, but a reply to `{theirs}`"),
        }),
        None => Failure::new(format_args!("there is no reply in `{path}`"))
            .hint("docs/reward.md describes the files"),
    }
}

/// One reply, reward by reward.
fn explain(args: &Args, recipe: &Recipe) -> Result<ExitCode, Failure> {
    let reply = args.explain.as_deref().unwrap_or_default();
    let solution = Solution::parse(args.solution.as_deref().unwrap_or_default());
    let solution = solution.map_err(|e| {
        Failure::new(format_args!("`--solution`: {e}")).hint("give it as the training set has it")
    })?;
    recipe.fits(&solution).map_err(|e| {
        Failure::new(format_args!("`--solution`: {e}")).hint("choose another `--recipe`")
    })?;
    let rewards = recipe.score(reply, &solution);
    if args.json {
        let line = replies::Line::new("", Some(&rewards), None).without_key();
        output::print(&(serde_json::to_string(&line).map_err(Failure::new)? + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for ((reward, value), weighted) in rewards.parts.iter().zip(&recipe.rewards) {
        let weight = match weighted.weight {
            1.0 => String::new(),
            weight => format!(" x {weight}"),
        };
        let (name, largest) = (reward.name(), reward.largest());
        text.push_str(&format!("  {name:<18}{value:>8.4} of {largest}{weight}\n"));
    }
    let (total, full) = (rewards.total, recipe.full_marks());
    text.push_str(&format!("  {:<18}{total:>8.4} of {full}\n", "score"));
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
