//! `segzero report` of trainings.

use std::process::ExitCode;

use segzero_reports::training::{TrainingError, Trainings, is_training};

use super::{Args, Kind, Out};
use crate::failure::Failure;
use crate::output::print;

/// What is written of trainings.
const KINDS: [Kind; 5] = [Kind::Html, Kind::Md, Kind::Csv, Kind::Svg, Kind::Png];

/// Runs the command on folders of trainings.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    if let Some(other) = args.runs.iter().find(|path| !is_training(path)) {
        let other = other.display();
        return Err(Failure::new(format_args!("`{other}` is no folder of a training")).hint(
            "give folders of `segzero train` alone, or files of `segzero eval --out` alone",
        ));
    }
    let out = Out::new(args, &KINDS);
    if let Some(kind) = out.kinds.iter().find(|kind| !KINDS.contains(kind)) {
        let kind = format!("{kind:?}").to_lowercase();
        return Err(Failure::new(format_args!("trainings are not written as {kind}"))
            .hint("choose of html, md, csv, svg and png"));
    }
    let folders = super::named(args)?.into_iter().zip(args.runs.clone()).collect();
    let made = Trainings::open(folders, args.title.clone()).map_err(refused)?;
    let mut links = Vec::new();
    for &kind in &out.kinds {
        match kind {
            Kind::Md => out.save(".md", "Markdown", made.markdown().as_bytes(), &mut links)?,
            Kind::Csv => {
                out.save(".csv", "CSV of the log", made.csv().as_bytes(), &mut links)?;
                let samples = made.samples_csv();
                out.save("-samples.csv", "CSV of replies", samples.as_bytes(), &mut links)?;
            }
            Kind::Svg | Kind::Png => {
                let parts = made.figures();
                let figures: Vec<_> = parts.into_iter().flat_map(|part| part.figures).collect();
                out.save_figures(kind, &figures, &mut links)?;
            }
            Kind::Html | Kind::Tex | Kind::Json => {}
        }
    }
    let mut what = &out.folder;
    if out.kinds.contains(&Kind::Html) {
        made.write_page(&out.page, &links).map_err(Failure::new)?;
        what = &out.page;
    }
    let steps: usize = made.runs.iter().map(|run| run.steps.len()).sum();
    let runs = match made.runs.len() {
        1 => String::new(),
        several => format!("{several} runs, "),
    };
    print(&format!("{runs}{steps} logged steps in {}\n", what.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn refused(error: TrainingError) -> Failure {
    let hint = match &error {
        TrainingError::NoSteps(_) => "wait for the first step",
        TrainingError::SameName(_) => "give the runs different names with `--names`",
        TrainingError::Line { .. } => "take the line out; the others are kept",
        TrainingError::Damaged { .. } | TrainingError::Read { .. } | TrainingError::NoRuns => {
            "give a folder that `segzero train` wrote"
        }
    };
    Failure::new(&error).hint(hint)
}
