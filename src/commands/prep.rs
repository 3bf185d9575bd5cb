//! `segzero prep`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use segzero_datasets::FillRegime;
use segzero_model::device::DeviceName;
use segzero_model::packed::Format;
use segzero_model::sam2::Preprocessing;
use segzero_prep::image::{Filter, PngEffort};
use segzero_prep::select::{Crowd, Leaks, MultiPart, SelectOptions, Sentences, Skip, SkipCounts};
use segzero_prep::{
    Border, BoxConvention, Columns, Event, Existing, FrameSize, ImageEncoding, Job, MaskFilter,
    OnBad, OutputFormat, Parts, Plan, PointRule, PrepOptions, Report, Rounding, SolutionFormat,
    TargetOptions,
};

use crate::failure::Failure;
use crate::output::{print, report};
use crate::progress::{self, Verbosity};
use crate::segmenter::{self, Opened, Wanted};
use crate::source_args::{self, SourceArgs, format_hint};

/// Flags of `segzero prep`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Folder to write the training set into. An interrupted run goes on where it stopped when it is
    /// started again with the same flags.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: PathBuf,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Leave records out that cannot be used, count them, and list them in `skipped.jsonl`, instead
    /// of stopping at the first.
    #[arg(long, help_heading = "Run")]
    skip_bad: bool,
    /// Replace a set that segzero made in this folder with other flags.
    #[arg(long, help_heading = "Run")]
    overwrite: bool,
    /// Only say what would be done: counts and estimated size.
    #[arg(long, help_heading = "Run")]
    dry_run: bool,
    /// Number of threads; all cores if not given. The files do not depend on it.
    #[arg(long, value_name = "N", help_heading = "Run",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// No progress and no summary.
    #[arg(long, short, help_heading = "Run")]
    quiet: bool,
}

/// Which samples.
#[derive(clap::Args)]
#[command(next_help_heading = "Selection")]
struct SelectArgs {
    /// How many examples, drawn at random; all if not given.
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Seed of the draw.
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Which sentences of an object.
    #[arg(long, value_enum, default_value_t)]
    sentences: Sentences,
    /// Least number of mask pixels.
    #[arg(long, value_name = "PIXELS")]
    min_area: Option<u64>,
    /// Largest number of mask pixels.
    #[arg(long, value_name = "PIXELS")]
    max_area: Option<u64>,
    /// Least share of the image that the mask covers, 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_area_fraction: Option<f64>,
    /// Largest share of the image that the mask covers, 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_area_fraction: Option<f64>,
    /// Least length of the box's shorter side, in pixels of the original image.
    #[arg(long, value_name = "PIXELS")]
    min_side: Option<u32>,
    /// Largest length of the box's longer side, in pixels of the original image.
    #[arg(long, value_name = "PIXELS")]
    max_side: Option<u32>,
    /// Masks of several polygons.
    #[arg(long, value_enum, default_value_t)]
    multi_part: MultiPart,
    /// COCO's crowd annotations.
    #[arg(long, value_enum, default_value_t)]
    crowd: Crowd,
    /// Images that a val or test split of any data set under the root contains.
    #[arg(long, value_enum, default_value_t)]
    leaks: Leaks,
}

/// Which objects a model must find.
#[derive(clap::Args)]
#[command(next_help_heading = "Filter")]
struct FilterArgs {
    /// Keep only objects that SAM 2 finds by their box and first point, as VisionReasoner's builder
    /// does: a folder, a file or a name on the hub.
    #[arg(long, value_name = "DIR|FILE|NAME")]
    filter_sam: Option<String>,
    /// Least IoU of its mask with the annotation, 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = 0.6,
          requires = "filter_sam")]
    min_iou: f64,
    /// Where SAM 2 computes: `cpu`, `cuda:N` or `wgpu:N`.
    #[arg(long, default_value = "cpu", value_name = "DEVICE", requires = "filter_sam")]
    sam_device: DeviceName,
    /// How its weights are kept.
    #[arg(long, default_value = "f32", value_name = "FORMAT", requires = "filter_sam")]
    sam_format: Format,
}

impl FilterArgs {
    /// The model, where objects are filtered.
    fn open(&self, verbosity: Verbosity) -> Result<Option<Opened>, Failure> {
        let Some(model) = &self.filter_sam else { return Ok(None) };
        let wanted = Wanted {
            model,
            device: self.sam_device,
            format: self.sam_format,
            preprocessing: Preprocessing::Meta,
            verbosity,
        };
        segmenter::open(&wanted).map(Some)
    }
}

/// Boxes and points.
#[derive(clap::Args)]
#[command(next_help_heading = "Targets")]
struct TargetArgs {
    /// How the points are chosen.
    #[arg(long, value_enum, default_value_t)]
    points: PointRule,
    /// Number of points; 2 if not given, or 1 with `--solution vision-reasoner`.
    #[arg(long, value_name = "N")]
    circles: Option<usize>,
    /// What lies beyond the image edge, for `--points inscribed` and `outside`.
    #[arg(long, value_enum, default_value_t)]
    border: Border,
    /// Which parts of a mask count.
    #[arg(long, value_enum, default_value_t)]
    parts: Parts,
    /// How scaled coordinates become integers.
    #[arg(long, value_enum, default_value_t)]
    rounding: Rounding,
    /// What the box's right and bottom mean.
    #[arg(long = "box", value_enum, default_value_t)]
    bbox: BoxConvention,
    /// How ReasonSeg polygons are filled: as OpenCV up to 4.7, 4.8 to 4.10 (LISA), or from 4.11.
    #[arg(long, default_value = "opencv-b", value_parser = fill_parser())]
    fill: FillRegime,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    solution: SolutionFormat,
}

/// Images and files.
#[derive(clap::Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Size of the images: a side, WxH, or `keep`.
    #[arg(long, value_name = "SIZE", default_value_t)]
    size: FrameSize,
    /// How images are resized.
    #[arg(long, value_enum, default_value_t)]
    filter: Filter,
    /// How images are encoded: png, jpeg:QUALITY, or original (with `--size keep`).
    #[arg(long, value_name = "ENCODING", default_value = "png")]
    image: ImageEncoding,
    /// How hard PNGs are compressed.
    #[arg(long, value_enum)]
    png: Option<PngEffort>,
    /// How the set is written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
    /// Which columns it has.
    #[arg(long, value_enum, default_value_t)]
    columns: Columns,
    /// Examples after which a new file begins.
    #[arg(long, value_name = "N", default_value_t = PrepOptions::default().shard_rows)]
    shard_rows: usize,
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn fill_parser() -> impl TypedValueParser<Value = FillRegime> {
    PossibleValuesParser::new(["opencv-a", "opencv-b", "opencv-c"]).map(|name| {
        match name.as_str() {
            "opencv-a" => FillRegime::OpencvA,
            "opencv-c" => FillRegime::OpencvC,
            _ => FillRegime::OpencvB,
        }
    })
}

impl Args {
    fn options(&self) -> PrepOptions {
        let (select, target, output) = (&self.select, &self.target, &self.output);
        let circles = match target.solution {
            SolutionFormat::SegZero => 2,
            SolutionFormat::VisionReasoner => 1,
        };
        let image = match (output.image, output.png) {
            (ImageEncoding::Png(_), Some(effort)) => ImageEncoding::Png(effort),
            (image, _) => image,
        };
        PrepOptions {
            select: SelectOptions {
                count: select.count,
                seed: select.seed,
                sentences: select.sentences,
                min_area: select.min_area,
                max_area: select.max_area,
                min_area_fraction: select.min_area_fraction,
                max_area_fraction: select.max_area_fraction,
                min_side: select.min_side,
                max_side: select.max_side,
                multi_part: select.multi_part,
                crowd: select.crowd,
                leaks: select.leaks,
            },
            target: TargetOptions {
                points: target.points,
                circles: target.circles.unwrap_or(circles),
                border: target.border,
                parts: target.parts,
            },
            rounding: target.rounding,
            bbox: target.bbox,
            fill: target.fill,
            solution: target.solution,
            size: output.size,
            filter: output.filter,
            image,
            format: output.format,
            columns: output.columns,
            shard_rows: output.shard_rows,
        }
    }
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let begin = Instant::now();
    let verbosity = if args.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    let (source, options) = (args.source.source(source_args::Wanted::WithMasks)?, args.options());
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads.map_or(0, usize::from))
        .build()
        .map_err(Failure::new)?;
    let model = if args.dry_run { None } else { args.filter.open(verbosity)? };
    let min_iou = args.filter.min_iou;
    let job = Job {
        source: &source,
        root: &args.source.root,
        split: args.source.split.clone(),
        options: &options,
        filter: model.as_ref().map(|model| MaskFilter { segmenter: model, min_iou }),
        on_bad: if args.skip_bad { OnBad::Skip } else { OnBad::Stop },
        pool: &pool,
    };
    let reading = progress::counter("reading samples", verbosity);
    let plan = Plan::new(&job, &|event| {
        if let Event::Read(samples) = event {
            reading.inc(samples);
        }
    });
    reading.finish_and_clear();
    let plan = plan.map_err(|e| Failure::from(e).or_hint(format_hint(source.format)))?;
    if plan.held_out_unreadable > 0 {
        let n = plan.held_out_unreadable;
        report(format_args!(
            "warning: {n} records under the root could not be read; images that only they hold out \
             are not excluded (`segzero inspect` names them)"
        ));
    }
    if args.dry_run {
        let bytes = segzero_prep::estimate_bytes(&job, &plan)?;
        print(&dry_run(&source.label(), &plan, bytes))?;
        return Ok(ExitCode::SUCCESS);
    }
    let bar = progress::bar(plan.examples, "preparing", verbosity);
    let existing = if args.overwrite { Existing::Overwrite } else { Existing::Resume };
    let done = segzero_prep::run(&job, &plan, &args.out, existing, &|event| match event {
        // What was there before says nothing of the speed.
        Event::Found(examples) => {
            bar.inc(examples);
            bar.reset_eta();
        }
        Event::Made(examples) => bar.inc(examples),
        Event::Read(_) => {}
    });
    bar.finish_and_clear();
    let done = done?;
    if !args.quiet {
        print(&summary(&source.label(), &done, &args, begin.elapsed()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Two columns; numbers flush right.
fn table(rows: &[(String, String)]) -> String {
    let width = |column: fn(&(String, String)) -> &String| {
        rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0)
    };
    let (left, right) = (width(|row| &row.0), width(|row| &row.1));
    let mut text = String::new();
    for (name, value) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:left$}  {value:>right$}");
    }
    text
}

fn counts(read: u64, skipped: &SkipCounts, left: (&str, u64)) -> Vec<(String, String)> {
    let mut rows = vec![("samples read".to_owned(), read.to_string())];
    rows.extend(skipped.iter().map(|(skip, n)| (format!("left out: {skip}"), n.to_string())));
    rows.push((left.0.to_owned(), left.1.to_string()));
    rows
}

fn dry_run(source: &str, plan: &Plan, bytes: u64) -> String {
    let mut rows = counts(plan.read, &plan.skipped, ("examples to write", plan.examples));
    rows.push(("of images".to_owned(), plan.images.to_string()));
    rows.push(("shards".to_owned(), plan.shards().to_string()));
    rows.push(("size, estimated".to_owned(), megabytes(bytes)));
    format!("{source}: nothing was written (--dry-run)\n{}", table(&rows))
}

fn summary(source: &str, report: &Report, args: &Args, elapsed: Duration) -> String {
    let counts_of = &report.manifest.counts;
    let left = ("examples written", counts_of.written);
    let mut rows = counts(counts_of.read, &counts_of.skipped, left);
    if report.found > 0 {
        rows.push(("of them found finished".to_owned(), report.found.to_string()));
    }
    rows.push(("shards".to_owned(), report.manifest.shards.len().to_string()));
    rows.push(("size".to_owned(), megabytes(report.bytes())));
    rows.push(("time".to_owned(), format!("{:.1} s", elapsed.as_secs_f64())));
    let made = counts_of.written.saturating_sub(report.found);
    if made > 0 {
        let rate = made as f64 / elapsed.as_secs_f64().max(1e-9);
        rows.push(("rate".to_owned(), format!("{rate:.0} examples/s")));
    }
    let mut text = format!("{source} -> {}\n{}", args.out.display(), table(&rows));
    let listed = [(Skip::Bad, "bad records"), (Skip::MaskIou, "objects that SAM 2 does not find")];
    for (_, what) in listed.iter().filter(|(skip, _)| counts_of.skipped.contains_key(skip)) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{what} are listed in skipped.jsonl");
    }
    text
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
