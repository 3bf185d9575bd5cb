//! Validation by rewards: what replies to a training set earn that is not trained on.

use std::path::Path;

use clap::Parser;
use segzero_datasets::Format;
use segzero_eval::reward::Recipe;
use segzero_train::{Figures, GrpoOptions, Row, Sampled};

use super::folder::could_not_write;
use super::settings::Common;
use crate::failure::Failure;
use crate::source_args::{SourceArgs, Wanted};

/// Prompts that are asked together.
const AT_ONCE: usize = 32;

/// The rows of a prepared training set.
///
/// # Errors
/// A data set that is none; one that cannot be read.
pub fn rows(set: &SourceArgs) -> Result<Vec<Row>, Failure> {
    let source = set.source(Wanted::Any)?;
    if source.format != Format::HfTrain {
        let path = source.annotations.display();
        return Err(Failure::new(format_args!("`{path}` is no prepared training set"))
            .hint("make one of it by `segzero prep`"));
    }
    let rows: Vec<Row> = source
        .samples(&set.read_options())?
        .map(|sample| Ok(Row::new(sample?)?))
        .collect::<Result<_, Failure>>()?;
    if rows.is_empty() {
        return Err(Failure::new(format_args!("`{}` holds no samples", set.root.display()))
            .hint("`segzero prep` makes a training set"));
    }
    Ok(rows)
}

/// Refuses samples whose answers a recipe cannot judge.
///
/// # Errors
/// The first of them.
pub fn fits(recipe: &Recipe, rows: &[Row]) -> Result<(), Failure> {
    let fault = |row: &Row| Some((row.key.clone(), recipe.fits(&row.solution).err()?));
    match rows.iter().find_map(fault) {
        None => Ok(()),
        Some((key, reason)) => Err(Failure::new(format_args!("sample `{key}`: {reason}"))
            .hint("choose another `--recipe`")),
    }
}

/// Rows that are held out, and how replies to them are sampled and judged.
pub struct Rehearsal {
    rows: Vec<Row>,
    pub recipe: Recipe,
    options: GrpoOptions,
}

#[derive(clap::Parser)]
struct Words {
    #[command(flatten)]
    set: SourceArgs,
}

impl Rehearsal {
    /// Of the set that `--val-set` names, if any.
    ///
    /// # Errors
    /// A set that cannot be read, or that the recipe cannot judge.
    pub fn open(
        common: &Common,
        recipe: &Recipe,
        options: &GrpoOptions,
    ) -> Result<Option<Self>, Failure> {
        let Some(path) = &common.validation.val_set else { return Ok(None) };
        let words = ["train".to_owned(), format!("--root={}", path.display())];
        let rows = rows(&Words::try_parse_from(words).map_err(Failure::new)?.set)?;
        fits(recipe, &rows)?;
        let options = GrpoOptions { num_generations: 1, ..options.clone() };
        Ok(Some(Self { rows, recipe: recipe.clone(), options }))
    }

    /// Has each row answered once, writes the replies into a file, and gives the mean of each reward
    /// with its standard error.
    ///
    /// # Errors
    /// What `ask` fails by; a disk that is full.
    pub fn run(
        &self,
        path: &Path,
        mut ask: impl FnMut(&[Row], &GrpoOptions) -> Result<Vec<Sampled>, Failure>,
    ) -> Result<Figures, Failure> {
        let mut sampled = Vec::with_capacity(self.rows.len());
        for (index, rows) in self.rows.chunks(AT_ONCE).enumerate() {
            let seed = self.options.seed.wrapping_add(index as u64);
            sampled.extend(ask(rows, &GrpoOptions { seed, ..self.options.clone() })?);
        }
        let failed = |error| could_not_write(path, error);
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
        segzero_reports::write_whole(path, |file| {
            sampled.iter().try_for_each(|reply| {
                serde_json::to_writer(&mut *file, reply)?;
                file.write_all(b"\n")
            })
        })
        .map_err(failed)?;
        let mut figures = Figures::new();
        note(&mut figures, "val/score", sampled.iter().map(|reply| reply.score));
        let names = sampled.first().map(|reply| reply.rewards.keys().cloned().collect::<Vec<_>>());
        for name in names.unwrap_or_default() {
            let values = sampled.iter().map(|reply| reply.rewards[&name]);
            note(&mut figures, &format!("val/reward/{name}"), values);
        }
        Ok(figures)
    }
}

/// Mean and standard error.
fn note(figures: &mut Figures, name: &str, values: impl ExactSizeIterator<Item = f64> + Clone) {
    let count = values.len() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let squares = values.map(|value| (value - mean).powi(2)).sum::<f64>();
    figures.insert(format!("{name}/mean"), mean);
    figures.insert(format!("{name}/error"), (squares / (count - 1.0).max(1.0) / count).sqrt());
}
