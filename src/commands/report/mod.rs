//! `segzero report`.

mod training;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use segzero_datasets::discover;
use segzero_eval::resample::Options;
use segzero_eval::{OnBadRecord, Predictions, Run};
use segzero_reports::figures::{DrawError, Figure, Theme};
use segzero_reports::preview::Images;
use segzero_reports::report::{
    Changes, Chosen, Gallery, GalleryOptions, Link, Place, Report, ReportError,
};
use segzero_reports::write_whole;

use crate::failure::Failure;
use crate::output::{print, report};

/// Flags of `segzero report`.
#[derive(clap::Args)]
pub struct Args {
    /// Files that `segzero eval --out` wrote, or folders of `segzero train`; several are shown side by
    /// side.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Names of the runs, in their order; the files' names if not given.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    names: Vec<String>,
    /// Title of the page; data set and split, or the runs' names if not given.
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Folder to write to, or the page's own file (`.html`); the other outputs then lie beside it.
    #[arg(long, value_name = "PATH", default_value = "report", help_heading = "Output")]
    out: PathBuf,
    /// What to write; all of it if not given, and the page alone where `--out` is a file.
    #[arg(
        long,
        value_name = "KIND,...",
        value_enum,
        value_delimiter = ',',
        help_heading = "Output"
    )]
    formats: Vec<Kind>,
    /// How many samples get pictures: a quarter the worst, a quarter the best, the rest at random. 0
    /// for none; more than there are for all.
    #[arg(long, value_name = "N", default_value_t = 200, help_heading = "Samples")]
    gallery: usize,
    /// Seed of the choice.
    #[arg(long, value_name = "N", default_value_t = 42, help_heading = "Samples")]
    seed: u64,
    /// Where the page's pictures are.
    #[arg(long, value_enum, default_value_t, help_heading = "Samples")]
    embed: Embed,
    /// Longest side of the pictures, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 480, help_heading = "Samples",
          value_parser = clap::value_parser!(u32).range(16..))]
    thumbnail: u32,
    /// Where the data set lies, if not where it was scored.
    #[arg(long, value_name = "PATH", help_heading = "Samples")]
    root: Option<PathBuf>,
    /// Folder of images, where it is not found under the root.
    #[arg(long, value_name = "DIR", help_heading = "Samples")]
    images: Option<PathBuf>,
    /// Where the predictions lie, if not where they were scored: one for each run, in their order.
    #[arg(long, value_name = "PATH", help_heading = "Samples")]
    pred: Vec<PathBuf>,
}

/// An output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// The page.
    Html,
    /// Tables in Markdown.
    Md,
    /// One line a run, and one line a sample.
    Csv,
    /// A table for LaTeX (booktabs).
    Tex,
    /// Everything but the samples, as JSON.
    Json,
    /// The figures as vectors.
    Svg,
    /// The figures as pixels.
    Png,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Html, Self::Md, Self::Csv, Self::Tex, Self::Json, Self::Svg, Self::Png];
}

/// Where the pictures of the page are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Embed {
    /// In the page up to 48 MB, in a folder beside it beyond.
    #[default]
    Auto,
    /// In the page, whatever its size.
    All,
    /// In a folder beside the page.
    None,
}

impl From<Embed> for Images {
    fn from(embed: Embed) -> Self {
        match embed {
            Embed::Auto => Self::Auto,
            Embed::All => Self::Inline,
            Embed::None => Self::Beside,
        }
    }
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    if args.runs.iter().any(|path| segzero_reports::training::is_training(path)) {
        return training::run(&args);
    }
    let made = read(&args)?;
    let out = Out::new(&args, &Kind::ALL);
    let mut links = Vec::new();
    for kind in out.kinds.iter().filter(|kind| **kind != Kind::Html) {
        out.write(*kind, &made, &mut links)?;
    }
    if out.kinds.contains(&Kind::Html) {
        let options = GalleryOptions { count: args.gallery, seed: args.seed };
        let chosen = made.choose(&options);
        draw(&args, &made, &chosen, &out.page, &links)?;
    }
    for entry in &made.entries {
        for words in entry.warnings() {
            report(format_args!("warning: {}: {words}", entry.name));
        }
    }
    let what = if out.kinds.contains(&Kind::Html) { &out.page } else { &out.folder };
    print(&format!("{} in {}\n", counted(&made), what.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the page with pictures of the chosen samples.
fn draw(
    args: &Args,
    made: &Report,
    chosen: &Chosen,
    page: &Path,
    links: &[Link],
) -> Result<(), Failure> {
    let places = places(args, made);
    let progress = ProgressBar::new(chosen.all().count() as u64).with_style(
        ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} samples drawn")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let done = |done: usize| progress.set_position(done as u64);
    let gallery = Gallery::open(made, chosen, &places, args.thumbnail, done);
    progress.finish_and_clear();
    if gallery.problems.count > 0 {
        let count = gallery.problems.count;
        report(format_args!("warning: {count} samples are shown without a picture"));
        gallery.problems.first.iter().take(3).for_each(|e| report(format_args!("  {e}")));
    }
    made.write_page(page, args.embed.into(), chosen, &gallery, links).map_err(Failure::new)
}

/// Writes a page about what changed from one run to another, with pictures of the largest changes.
pub fn write_comparison(
    runs: [&Path; 2],
    changes: Changes,
    count: usize,
    page: &Path,
) -> Result<(), Failure> {
    let args = Args {
        runs: runs.map(Path::to_owned).to_vec(),
        names: Vec::new(),
        title: None,
        out: page.to_owned(),
        formats: vec![Kind::Html],
        gallery: count,
        seed: 0,
        embed: Embed::Auto,
        thumbnail: 480,
        root: None,
        images: None,
        pred: Vec::new(),
    };
    let mut made = read(&args)?;
    made.changes = Some(changes);
    let chosen = made.choose_changes(count);
    draw(&args, &made, &chosen, page, &[])
}

fn counted(made: &Report) -> String {
    match made.entries.as_slice() {
        [entry] => format!("{} samples", entry.run.scores.totals.summary.n),
        several => format!("{} runs", several.len()),
    }
}

/// A name for each run.
fn named(args: &Args) -> Result<Vec<String>, Failure> {
    if !args.names.is_empty() && args.names.len() != args.runs.len() {
        let (names, runs) = (args.names.len(), args.runs.len());
        return Err(Failure::new(format_args!("there are {names} names for {runs} runs"))
            .hint("give `--names` one name a run, separated by commas"));
    }
    Ok(if args.names.is_empty() { names(&args.runs) } else { args.names.clone() })
}

fn read(args: &Args) -> Result<Report, Failure> {
    let mut runs = Vec::with_capacity(args.runs.len());
    for (path, name) in args.runs.iter().zip(named(args)?) {
        let run = Run::read(path).map_err(|e| {
            Failure::from(e).or_hint("`segzero eval --out FILE` writes the file that is read here")
        })?;
        runs.push((name, path.clone(), run));
    }
    Report::new(runs, args.title.clone(), &Options::default()).map_err(|error| {
        let hint = match &error {
            ReportError::NoRows(_) => "score some samples first: `segzero eval --out FILE`",
            ReportError::SameName(_) => "give the runs different names with `--names`",
            ReportError::NoRuns => "give a file that `segzero eval --out` wrote",
        };
        Failure::new(&error).hint(hint)
    })
}

/// The files' names without extension; with their folder's where two are the same.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let stem = |path: &PathBuf| {
        path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    };
    let stems: Vec<String> = paths.iter().map(stem).collect();
    let name = |(path, stem): (&PathBuf, &String)| {
        let folder = path.parent().and_then(Path::file_name);
        match (stems.iter().filter(|other| *other == stem).count(), folder) {
            (2.., Some(folder)) => format!("{}/{stem}", folder.to_string_lossy()),
            _ => stem.clone(),
        }
    };
    paths.iter().zip(&stems).map(name).collect()
}

/// Where every run's data and predictions lie. What is gone is said, and left out.
fn places(args: &Args, made: &Report) -> Vec<Place> {
    if args.gallery == 0 {
        return Vec::new();
    }
    let place = |(at, entry): (usize, &segzero_reports::report::Entry)| {
        let provenance = &entry.run.provenance;
        let mut place = Place { split: provenance.split.clone(), ..Place::default() };
        if let Some(root) = args.root.as_ref().or(provenance.root.as_ref()) {
            match discover(root) {
                Ok(sources) => {
                    place.source = sources.into_iter().find(|s| s.label() == provenance.data);
                    if place.source.is_none() {
                        let (data, root) = (&provenance.data, root.display());
                        report(format_args!("warning: no data set `{data}` under `{root}`"));
                    }
                }
                Err(error) => report(format_args!("warning: the data cannot be opened: {error}")),
            }
        }
        if let Some(source) = &mut place.source
            && let Some(images) = args.images.as_ref().or(provenance.images.as_ref())
        {
            source.images = Some(images.clone());
        }
        let path = args.pred.get(at).unwrap_or(&provenance.predictions);
        match Predictions::open(path, OnBadRecord::Skip) {
            Ok(predictions) => place.predictions = Some(predictions),
            Err(error) => report(format_args!("warning: predictions cannot be opened: {error}")),
        }
        place
    };
    made.entries.iter().enumerate().map(place).collect()
}

/// Where everything goes.
struct Out {
    page: PathBuf,
    folder: PathBuf,
    /// Start of the other files' names.
    stem: String,
    kinds: Vec<Kind>,
}

impl Out {
    /// Where the flags say; `all` is written to a folder unless they say what.
    fn new(args: &Args, all: &[Kind]) -> Self {
        let is_page = args.out.extension().is_some_and(|e| e.eq_ignore_ascii_case("html"));
        let all = || if is_page { vec![Kind::Html] } else { all.to_vec() };
        let kinds = if args.formats.is_empty() { all() } else { args.formats.clone() };
        if !is_page {
            let (page, stem) = (args.out.join("index.html"), "report".to_owned());
            return Self { page, folder: args.out.clone(), stem, kinds };
        }
        let stem = args.out.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = args.out.parent().unwrap_or(Path::new("")).to_owned();
        Self { page: args.out.clone(), folder, stem, kinds }
    }

    /// Writes a file whose name ends like this, and notes it for the page.
    fn save(
        &self,
        end: &str,
        title: &str,
        bytes: &[u8],
        links: &mut Vec<Link>,
    ) -> Result<(), Failure> {
        let name = format!("{}{end}", self.stem);
        let path = self.folder.join(&name);
        links.push(Link { name: title.to_owned(), address: name });
        write_whole(&path, |out| out.write_all(bytes))
            .map_err(|e| Failure::new(format_args!("could not write `{}`: {e}", path.display())))
    }

    /// Writes figures as vectors or as pixels.
    fn save_figures(
        &self,
        kind: Kind,
        figures: &[Figure],
        links: &mut Vec<Link>,
    ) -> Result<(), Failure> {
        let drawn = figures.par_iter().map(|figure| match kind {
            Kind::Svg => Ok((figure.svg(Theme::Paper)?.into_bytes(), "svg")),
            _ => Ok((figure.png()?, "png")),
        });
        let drawn: Vec<_> = drawn.collect::<Result<_, DrawError>>().map_err(Failure::new)?;
        for (figure, (bytes, extension)) in figures.iter().zip(drawn) {
            let file = format!("{}.{extension}", figure.name);
            self.save(&format!("-{file}"), &file, &bytes, links)?;
        }
        Ok(())
    }

    /// Writes an output and notes it for the page.
    fn write(&self, kind: Kind, made: &Report, links: &mut Vec<Link>) -> Result<(), Failure> {
        match kind {
            Kind::Html => Ok(()),
            Kind::Md => self.save(".md", "Markdown", made.markdown().as_bytes(), links),
            Kind::Tex => self.save(".tex", "LaTeX", made.latex().as_bytes(), links),
            Kind::Json => {
                let json = made.json().map_err(Failure::new)?;
                self.save(".json", "JSON", json.as_bytes(), links)
            }
            Kind::Csv => {
                self.save(".csv", "CSV of runs", made.csv().as_bytes(), links)?;
                let samples = made.samples_csv();
                self.save("-samples.csv", "CSV of samples", samples.as_bytes(), links)
            }
            Kind::Svg | Kind::Png => self.save_figures(kind, &made.figures(), links),
        }
    }
}
