//! `segzero demo`: the whole way of the data on a set that is made on the spot. Every step after the
//! first is a command that is printed before it runs, as the user would type it.

mod models;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use segzero_datasets::Mask;
use segzero_datasets::synth::{self, Flaw, PickleProtocol, Scene};
use segzero_eval::prediction_line;

use crate::failure::Failure;
use crate::output::print;

/// Flags of `segzero demo`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder for everything that the demo makes. A folder that the demo did not make is not
    /// touched.
    #[arg(long, value_name = "DIR", default_value = "segzero-demo")]
    out: PathBuf,
    /// Number of images; about four objects each.
    #[arg(long, value_name = "N", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(5..=100_000))]
    count: u32,
    /// Seed of the images and predictions.
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
}

/// Says that a folder is the demo's.
const MARKER: &str = "made-by-segzero-demo.txt";

/// What the demo makes in its folder.
const DATA: &str = "data";
const PREDICTIONS: &str = "predictions.jsonl";
const TRAIN: &str = "train";
const TRAIN_SEG_ZERO: &str = "train-seg-zero";
const SCORES: &str = "scores.json";
const PAGE: &str = "page.html";
const TRAIN_PAGE: &str = "train.html";
const SHEET: &str = "sheet.png";
const REPORT: &str = "report";
const MODELS: &str = "models";
const SCENES: &str = "scenes";
const ANSWERS: &str = "answers";
const ANSWERS_REPORT: &str = "answers-report";
const MADE: [&str; 13] = [
    DATA,
    PREDICTIONS,
    TRAIN,
    TRAIN_SEG_ZERO,
    SCORES,
    PAGE,
    TRAIN_PAGE,
    SHEET,
    REPORT,
    MODELS,
    SCENES,
    ANSWERS,
    ANSWERS_REPORT,
];

/// Side of the images that the demo's model is asked about: what it was trained with.
const SIDE: &str = "84";

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let begin = Instant::now();
    if args.out.to_str().is_none() {
        // The steps are printed as commands, which must be text.
        return Err(Failure::new(format_args!("`{}` is not valid UTF-8", args.out.display()))
            .hint("choose another folder with `--out`"));
    }
    make_folder(&args.out)?;
    let at = |name: &str| args.out.join(name).display().to_string();

    heading(1, "Make a data set: scenes with exact masks, in RefCOCOg's own files")?;
    generate(&args)?;
    let (data, predictions) = (at(DATA), at(PREDICTIONS));

    heading(2, "Look at what is there; one image leaks from train into test, on purpose")?;
    segzero(&["inspect", &data])?;

    heading(3, "Prepare a training set: boxes, inscribed circles, 840x840 images, Parquet")?;
    segzero(&["prep", "--root", &data, "--split", "train", "--out", &at(TRAIN)])?;

    heading(4, "The same with the two points as Seg-Zero's authors compute them")?;
    let out = at(TRAIN_SEG_ZERO);
    segzero(&["prep", "--root", &data, "--split", "train", "--points", "seg-zero", "--out", &out])?;

    heading(5, "Score predictions: good ones, and some that are shifted, ragged, wrong, missing")?;
    let scores = at(SCORES);
    let test = ["--root", &data, "--split", "test", "--pred", &predictions];
    segzero(&[&["eval"], &test[..], &["--protocol", "all", "--out", &scores]].concat())?;

    heading(6, "Draw it all: a page to look at, and a contact sheet")?;
    let (page, sheet) = (at(PAGE), at(SHEET));
    segzero(&[&["preview"], &test[..], &["--out", &page, "--sheet", &sheet]].concat())?;
    let (train, page_of_train) = (at(TRAIN), at(TRAIN_PAGE));
    segzero(&["preview", "--set", &train, "--title", "Training set", "--out", &page_of_train])?;

    heading(7, "Report the scores: figures with intervals, every protocol, every sample")?;
    let report = at(REPORT);
    segzero(&["report", &scores, "--out", &report])?;

    let answers = reason(&args)?;

    print(&format!(
        "\nDone in {:.1} s. Open these in a browser:\n  {page}  (test split, with predictions)\n  \
         {page_of_train}  (training set, as a model sees it)\n  {report}/index.html  (the scores)\n  \
         {answers}/index.html  (what the small model thought, and its masks)\n",
        begin.elapsed().as_secs_f64()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Has the small models answer questions about scenes that they have not seen. Gives the report's
/// folder.
fn reason(args: &Args) -> Result<String, Failure> {
    let at = |name: &str| args.out.join(name).display().to_string();
    let (models, scenes, answers, report) =
        (args.out.join(MODELS), at(SCENES), at(ANSWERS), at(ANSWERS_REPORT));
    let [reasoner, segmenter] =
        [models::REASONER, models::SEGMENTER].map(|name| models.join(name).display().to_string());
    let scores = args.out.join(ANSWERS).join(SCORES).display().to_string();
    let (count, seed) = (args.count.to_string(), args.seed.to_string());

    heading(8, "Think, then segment: a small Seg-Zero, trained by `segzero train` on such scenes")?;
    models::write(&models).map_err(|error| {
        Failure::new(format_args!("could not write `{}`: {error}", models.display()))
    })?;
    let scenes_of = ["--objects", "1-3", "--sentences", "plain"];
    let synth = ["synth", "--out", &scenes, "--count", &count, "--seed", &seed];
    segzero(&[&synth[..], &scenes_of].concat())?;
    let asked = ["predict", "--root", &scenes, "--split", "test", "--side", SIDE];
    let by = ["--reasoner", &reasoner, "--segmenter", &segmenter, "--out", &answers];
    segzero(&[&asked[..], &by].concat())?;

    heading(9, "Score and show what it answered")?;
    segzero(&["eval", "--pred", &answers, "--protocol", "seg-zero", "--out", &scores])?;
    segzero(&["report", &scores, "--out", &report])?;
    Ok(report)
}

fn heading(number: usize, text: &str) -> Result<(), Failure> {
    print(&format!("\n{number}. {text}\n"))
}

/// Prints a command as one would type it, and runs it.
fn segzero(arguments: &[&str]) -> Result<(), Failure> {
    let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
    print(&format!("   $ segzero {}\n\n", words.join(" ")))?;
    // A code other than success, without an error, says that a check found something: the leak.
    crate::run(std::iter::once("segzero").chain(arguments.iter().copied())).map(drop)
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// An empty folder of the demo's: what an earlier run made is removed.
fn make_folder(out: &Path) -> Result<(), Failure> {
    let failed = |what: &str, path: &Path, error: std::io::Error| {
        Failure::new(format_args!("could not {what} `{}`: {error}", path.display()))
    };
    let marker = out.join(MARKER);
    let is_new = std::fs::read_dir(out).map_or(true, |mut entries| entries.next().is_none());
    if !is_new && !marker.is_file() {
        return Err(Failure::new(format_args!("`{}` is not empty", out.display()))
            .hint("choose another folder with `--out`"));
    }
    for name in MADE {
        let path = out.join(name);
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("remove", &path, e));
            }
            _ => {}
        }
    }
    std::fs::create_dir_all(out).map_err(|e| failed("make", out, e))?;
    let text = "`segzero demo` made this folder, and replaces what is in it when it runs again.\n";
    std::fs::write(&marker, text).map_err(|e| failed("write", &marker, e))
}

/// Writes the data set and predictions for its test split.
fn generate(args: &Args) -> Result<(), Failure> {
    let scenes = synth::compose(args.count as usize, args.seed);
    let root = args.out.join(DATA);
    let summary = synth::write(&root, &scenes, PickleProtocol::Zero).map_err(Failure::new)?;
    let (lines, flaws) = predictions(&scenes, args.seed);
    let path = args.out.join(PREDICTIONS);
    std::fs::write(&path, lines)
        .map_err(|e| Failure::new(format_args!("could not write `{}`: {e}", path.display())))?;
    print(&format!(
        "   {}: {} images, {} annotations, {} refs, {} sentences\n   {}: {flaws}\n",
        root.display(),
        summary.images,
        summary.annotations,
        summary.refs,
        summary.sentences,
        path.display(),
    ))
}

/// One line a sentence of the test split, and how many have which flaw.
fn predictions(scenes: &[Scene], seed: u64) -> (String, String) {
    let mut lines = String::new();
    let mut counts: Vec<(Flaw, usize)> = Vec::new();
    for scene in scenes {
        for annotation in &scene.annotations {
            let Some(reference) = annotation.reference.as_ref().filter(|r| r.split == "test")
            else {
                continue;
            };
            let others: Vec<Mask> = scene
                .annotations
                .iter()
                .filter(|other| other.id != annotation.id)
                .map(|other| other.mask.clone())
                .collect();
            for sentence in &reference.sentences {
                let id = sentence.id as u64;
                let (flaw, mask) = synth::imperfect(&annotation.mask, &others, seed, id);
                let key = format!("{}:{}", reference.ref_id, sentence.id);
                lines.push_str(&prediction_line(&key, &mask));
                lines.push('\n');
                match counts.iter_mut().find(|(known, _)| *known == flaw) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((flaw, 1)),
                }
            }
        }
    }
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let mut text = format!("{} predictions", lines.lines().count());
    for (index, (flaw, count)) in counts.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{} {count} {}", if index == 0 { ":" } else { "," }, name(*flaw));
    }
    (lines, text)
}

fn name(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::None => "perfect",
        Flaw::Shifted => "shifted",
        Flaw::Dilated => "too fat",
        Flaw::Eroded => "too thin",
        Flaw::Noisy => "ragged",
        Flaw::Half => "half",
        Flaw::WrongObject => "of another object",
        Flaw::Missing => "empty",
    }
}
