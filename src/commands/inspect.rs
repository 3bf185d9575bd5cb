//! `segzero inspect`.

use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use segzero_datasets::counts::{Comparison, Counts};
use segzero_datasets::inspect::{
    Depth, Faults, OverlapKind, Progress, Report, SourceReport, inspect,
};
use segzero_datasets::{Format, discover};

use crate::failure::Failure;
use crate::output;
use crate::source_args::nothing_found;

/// Flags of `segzero inspect`.
///
/// Exit code 0: nothing wrong; 1: images missing, records or masks unreadable, or a data set that
/// leaks into its own evaluation; 2: nothing could be inspected. Counts that differ from the
/// published ones and overlaps between data sets are told, but are no failure.
#[derive(clap::Args)]
pub struct Args {
    /// Folder that holds data sets in any of the published layouts, or one file of them.
    #[arg(value_name = "ROOT")]
    root: PathBuf,
    /// Print everything as JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Also rasterise every mask and compare every image's size with its annotations.
    #[arg(long)]
    deep: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let sources = discover(&args.root)?;
    if sources.is_empty() {
        return Err(nothing_found(&args.root));
    }
    let depth = if args.deep { Depth::Masks } else { Depth::Annotations };
    let bar = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {msg}: {human_pos} samples ({per_sec})")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let report = inspect(&sources, depth, &mut |event| match event {
        Progress::Source(source) => {
            bar.reset();
            bar.set_message(source.label());
        }
        Progress::Samples(done) => bar.set_position(done),
    })?;
    bar.finish_and_clear();
    let text = match args.json {
        true => serde_json::to_string_pretty(&report).map_err(Failure::new)? + "\n",
        false => tables(&report),
    };
    output::print(&text)?;
    for warning in warnings(&report) {
        output::report(format_args!("warning: {warning}"));
    }
    Ok(ExitCode::from(u8::from(report.problems() > 0)))
}

fn tables(report: &Report) -> String {
    let mut text = String::new();
    for source in &report.sources {
        text += &source_table(source);
        text.push('\n');
    }
    let between: Vec<_> =
        report.overlaps.iter().filter(|o| o.kind == OverlapKind::Between).collect();
    if !between.is_empty() {
        let mut rows = vec![["train".to_owned(), "held out".to_owned(), "images".to_owned()]];
        for overlap in between {
            let images = overlap.images.to_string();
            rows.push([overlap.train.clone(), overlap.held_out.clone(), images]);
        }
        text += "train images that other data sets hold out (`segzero prep` leaves them out)\n";
        text += &aligned(&rows);
        text.push('\n');
    }
    text += &match report.problems() {
        0 => "no problems\n".to_owned(),
        1 => "1 problem\n".to_owned(),
        n => format!("{n} problems\n"),
    };
    text
}

fn source_table(source: &SourceReport) -> String {
    let header = ["", "images", "refs", "sentences", "masks"].map(str::to_owned);
    let mut rows = vec![header];
    let mut order: Vec<_> = source.splits.iter().collect();
    order.sort_by_key(|(split, _)| (rank(split), (*split).clone()));
    rows.extend(order.into_iter().map(|(split, counts)| row(split, counts)));
    if source.splits.len() > 1 {
        rows.push(row("total", &source.total));
    }
    let mut text =
        format!("{}  {}\n{}", source.label, source.annotations.display(), aligned(&rows));
    let images = source.images.as_ref().map(|folder| folder.display().to_string());
    let mut line = |name: &str, value: String| text += &format!("  {name:<10}{value}\n");
    if let Some(images) = images {
        line("images", images);
    }
    if let Some(published) = &source.published {
        line("published", comparison(published));
    }
    if let Some(masks) = &source.masks {
        line("masks", format!("{} rasterised", masks.rasterised));
    }
    text
}

fn row(split: &str, counts: &Counts) -> [String; 5] {
    let Counts { images, refs, sentences, masks } = counts;
    [
        split.to_owned(),
        images.to_string(),
        refs.to_string(),
        sentences.to_string(),
        masks.to_string(),
    ]
}

/// Which published counts these are, or how far from them.
fn comparison(published: &Comparison) -> String {
    let name = published.split_by.as_deref().map_or(String::new(), |s| format!(" {s}"));
    if published.is_exact() {
        return format!("exactly the{name} counts ({})", published.source);
    }
    let total = published.equal + published.differences.len();
    let equal = match published.equal {
        0 => "none".to_owned(),
        equal => equal.to_string(),
    };
    let mut differences: Vec<_> = published.differences.iter().collect();
    differences.sort_by_key(|d| rank(&d.split));
    let mut shown: Vec<_> = differences.iter().take(3).map(ToString::to_string).collect();
    if differences.len() > shown.len() {
        shown.push("...".to_owned());
    }
    format!("{equal} of the {total}{name} counts: {}", shown.join(", "))
}

/// Order of splits in a table.
fn rank(split: &str) -> u8 {
    match split {
        "train" => 0,
        _ if split.starts_with("val") => 1,
        _ => 2,
    }
}

/// First column to the left, numbers to the right.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let numeric = |cell: &str| cell.bytes().all(|b| b.is_ascii_digit());
    let mut text = String::new();
    for row in rows {
        let mut line = String::from("  ");
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let right = rows.last().is_some_and(|last| numeric(&last[column]));
            let cell = if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            line += &cell;
            line += "  ";
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn warnings(report: &Report) -> Vec<String> {
    let mut all = Vec::new();
    for source in &report.sources {
        let label = &source.label;
        let mut add = |what: &str, faults: &Faults| all.extend(warning(label, what, faults));
        add("unreadable records", &source.unreadable);
        add("missing images", &source.missing_images);
        if let Some(masks) = &source.masks {
            add("masks that cannot be rasterised", &masks.failures);
            add("masks without a pixel", &masks.empty);
            add("images of another size than annotated", &masks.size_mismatches);
            add("unreadable images", &masks.unreadable_images);
        }
        let apart = matches!(source.format, Format::Refer | Format::Coco);
        if apart && source.images.is_none() && source.missing_images.count > 0 {
            all.push(format!(
                "{label}: no folder of images was found; `prep` and `preview` take one with `--images`"
            ));
        }
        let other = source.published.as_ref().filter(|p| p.equal > 0);
        if let Some(split_by) = other.and_then(|p| p.split_by.as_deref())
            && !label.ends_with(&format!("/{split_by}"))
        {
            all.push(format!("{label}: its counts are those of `{split_by}`, not of its own name"));
        }
    }
    for overlap in &report.overlaps {
        let text =
            format!("{} and {} share {} images", overlap.train, overlap.held_out, overlap.images);
        match overlap.kind {
            OverlapKind::Within => all.push(text),
            OverlapKind::ByDesign => {
                all.push(format!("{text}: `google` splits objects, not images; prefer unc or umd"));
            }
            OverlapKind::Between => {}
        }
    }
    all
}

fn warning(label: &str, what: &str, faults: &Faults) -> Option<String> {
    if faults.count == 0 {
        return None;
    }
    let mut text = format!("{label}: {} {what}", faults.count);
    for name in &faults.first {
        text += &format!("\n  {name}");
    }
    let more = faults.count - faults.first.len() as u64;
    if more > 0 {
        text += &format!("\n  ... and {more} more");
    }
    Some(text)
}
