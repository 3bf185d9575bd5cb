//! `segzero preview`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use segzero_datasets::{Format, Sample, Size, Source};
use segzero_eval::{OnBadRecord, Predictions};
use segzero_prep::image::{PngEffort, encode_jpeg, encode_png};
use segzero_prep::{PointRule, TargetOptions};
use segzero_reports::preview::{Builder, BuilderOptions, Card, Images, Page, choose};
use segzero_reports::{Sheet, SheetOptions, write_whole};

use crate::failure::Failure;
use crate::output::{print, report};
use crate::source_args::{SourceArgs, Wanted};

/// Flags of `segzero preview`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Predictions to draw and score: a JSONL file, or a folder of mask images
    /// (docs/predictions.md).
    #[arg(long, value_name = "PATH")]
    pred: Option<PathBuf>,
    /// How the points are chosen; a prepared set is drawn with the points that it states.
    #[arg(long, value_enum, default_value_t)]
    points: PointRule,
    /// Number of points.
    #[arg(long, value_name = "N", default_value_t = 2)]
    circles: usize,
    /// Write the page to this file.
    #[arg(long, value_name = "FILE", required_unless_present = "sheet", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Write a contact sheet to this file, `.png` or `.jpg`.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    sheet: Option<PathBuf>,
    /// How many samples, drawn at random.
    #[arg(long, value_name = "N", default_value_t = 60)]
    count: usize,
    /// Seed of the draw.
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Title of the page; the data set's name if not given.
    #[arg(long, value_name = "TEXT", help_heading = "Output")]
    title: Option<String>,
    /// Longest side of the page's images, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 640, help_heading = "Output",
          value_parser = clap::value_parser!(u32).range(16..))]
    thumbnail: u32,
    /// Where the page's images are: inside it, or in a folder beside it.
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    images_in: ImagesIn,
    /// How many samples the contact sheet shows, of different images where there are enough.
    #[arg(long, value_name = "N", default_value_t = 24, help_heading = "Output")]
    sheet_count: usize,
    /// Tiles in a row of the contact sheet.
    #[arg(long, value_name = "N", default_value_t = 4, help_heading = "Output",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    columns: u32,
    /// Width of a tile of the contact sheet, in pixels; its height is three quarters of it.
    #[arg(long, value_name = "PIXELS", default_value_t = 320, help_heading = "Output",
          value_parser = clap::value_parser!(u32).range(32..=2048))]
    tile: u32,
}

/// Where the images of a page are.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum ImagesIn {
    /// In the page up to 48 MB, in a folder beyond.
    #[default]
    Auto,
    /// In the page, whatever its size.
    Page,
    /// In a folder beside the page.
    Folder,
}

impl From<ImagesIn> for Images {
    fn from(choice: ImagesIn) -> Self {
        match choice {
            ImagesIn::Auto => Self::Auto,
            ImagesIn::Page => Self::Inline,
            ImagesIn::Folder => Self::Beside,
        }
    }
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let source = args.source.source(Wanted::Any)?;
    let predictions = match &args.pred {
        Some(path) => Some(Predictions::open(path, OnBadRecord::Skip)?),
        None => None,
    };
    let mut problems = Problems::default();
    let (samples, of) = drawn(&args, &source, &mut problems)?;
    let target =
        TargetOptions { points: args.points, circles: args.circles, ..TargetOptions::default() };
    let options = BuilderOptions { target, longest_side: args.thumbnail, ..Default::default() };
    let mut builder = Builder::new(options, predictions.as_ref());
    if source.format == Format::HfTrain {
        builder.read_provenance(&args.source.root)?;
    }
    let progress = ProgressBar::new(samples.len() as u64).with_style(
        ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} samples drawn")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    for sample in &samples {
        if let Err(error) = builder.add(sample) {
            problems.add(error);
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let (cards, pictures) = builder.finish();
    if cards.is_empty() {
        problems.print();
        let split = args.source.split.as_deref().unwrap_or("any split");
        return Err(Failure::new(format_args!("there is no sample to show in {split}"))
            .hint("`segzero inspect` lists the splits and what cannot be read"));
    }
    if let Some(path) = &args.sheet {
        let options = SheetOptions {
            columns: args.columns,
            tile: Size::new(args.tile, args.tile * 3 / 4),
            ..SheetOptions::default()
        };
        let shown = for_sheet(&cards, args.sheet_count.max(1));
        let sheet = Sheet::draw(&shown, &pictures, &options).map_err(Failure::new)?;
        write_sheet(path, &sheet)?;
        print(&format!("{} samples on {}\n", shown.len(), path.display()))?;
    }
    if let Some(path) = &args.out {
        let title = args.title.clone().unwrap_or_else(|| title(&args, &source));
        let facts = facts(&cards, of);
        let count = cards.len();
        let page = Page { title, facts, cards, pictures };
        page.write(path, args.images_in.into()).map_err(Failure::new)?;
        print(&format!("{count} of {of} samples in {}\n", path.display()))?;
    }
    problems.print();
    Ok(ExitCode::SUCCESS)
}

/// The first `count` cards of different images, then the others.
fn for_sheet(cards: &[Card], count: usize) -> Vec<Card> {
    let mut seen = HashSet::new();
    let (first, again): (Vec<&Card>, Vec<&Card>) =
        cards.iter().partition(|card| seen.insert(card.picture));
    first.into_iter().chain(again).take(count).cloned().collect()
}

/// What could not be shown; said once, at the end.
#[derive(Default)]
struct Problems {
    count: usize,
    first: Vec<String>,
}

impl Problems {
    fn add(&mut self, error: impl std::fmt::Display) {
        self.count += 1;
        if self.first.len() < 3 {
            self.first.push(error.to_string());
        }
    }

    fn print(&self) {
        if self.count > 0 {
            report(format_args!("warning: {} samples could not be shown", self.count));
            self.first.iter().for_each(|error| report(format_args!("  {error}")));
        }
    }
}

/// The samples to show, and how many there are in all.
fn drawn(
    args: &Args,
    source: &Source,
    problems: &mut Problems,
) -> Result<(Vec<Sample>, usize), Failure> {
    let mut of = 0;
    let readable = source.samples(&args.source.read_options())?.filter_map(|sample| {
        of += 1;
        sample.map_err(|error| problems.add(error)).ok()
    });
    let samples = choose(readable, args.count, args.seed);
    Ok((samples, of))
}

fn title(args: &Args, source: &Source) -> String {
    match &args.source.split {
        Some(split) => format!("{} {split}", source.label()),
        None => source.label(),
    }
}

/// What stands under the title.
fn facts(cards: &[Card], of: usize) -> Vec<(String, String)> {
    let mut facts = vec![("samples".to_owned(), format!("{} of {of}", cards.len()))];
    let ious: Vec<f64> = cards
        .iter()
        .flat_map(|card| &card.said)
        .filter_map(|said| said.prediction.as_ref().map(|prediction| prediction.iou))
        .collect();
    if !ious.is_empty() {
        let mean = ious.iter().sum::<f64>() / ious.len() as f64;
        facts.push(("queries".to_owned(), ious.len().to_string()));
        facts.push(("mean IoU of these".to_owned(), format!("{:.2} %", 100.0 * mean)));
    }
    facts
}

/// The extension decides the format.
fn write_sheet(path: &Path, sheet: &Sheet) -> Result<(), Failure> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    let bytes = match extension.as_deref() {
        Some("png") => encode_png(&sheet.image, PngEffort::Small),
        Some("jpg" | "jpeg") => encode_jpeg(&sheet.image, 88),
        _ => {
            return Err(Failure::new(format_args!("`{}` is no picture", path.display()))
                .hint("name the contact sheet `.png` or `.jpg`"));
        }
    };
    let bytes = bytes.map_err(Failure::new)?;
    write_whole(path, |out| out.write_all(&bytes))
        .map_err(|e| Failure::new(format_args!("could not write `{}`: {e}", path.display())))
}
