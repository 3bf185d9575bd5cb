//! The runs of all shards as the run of the whole.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::journal::{Journal, SUMMARY, differences, read_options};
use super::summary::Summary;
use crate::failure::Failure;

/// A shard's folder, and what its run follows from.
struct Run<'a> {
    folder: &'a Path,
    options: Value,
    number: usize,
    of: usize,
}

/// Joins the runs of all shards, given in any order, in the folder `out`.
///
/// # Errors
/// Folders without a finished run; runs with other options; a shard that is missing or comes twice.
pub fn merge(folders: &[PathBuf], out: &Path) -> Result<Summary, Failure> {
    let runs = folders.iter().map(|folder| Run::open(folder));
    let mut runs = runs.collect::<Result<Vec<_>, _>>()?;
    runs.sort_by_key(|run| run.number);
    check(&runs)?;
    let units: Vec<u64> =
        runs.iter().map(|run| run.options["units"].as_u64().unwrap_or(0)).collect();
    let mut options = runs.first().map_or(Value::Null, |run| run.options.clone());
    options["shard"] = Value::Null;
    options["units"] = units.iter().sum::<u64>().into();
    let mut journal = Journal::open(out, &options, units.iter().sum::<u64>() as usize)?;
    let mut first = 0;
    for (run, units) in runs.iter().zip(units) {
        let shard = Journal::open(run.folder, &run.options, units as usize)?;
        shard.each(|mut entry| {
            entry.at += first;
            journal.add(&[entry])
        })?;
        first += units as usize;
    }
    journal.finish()
}

impl<'a> Run<'a> {
    fn open(folder: &'a Path) -> Result<Self, Failure> {
        let at = folder.display();
        let Some(options) = read_options(folder)? else {
            let failure = Failure::new(format_args!("there is no run in `{at}`"));
            return Err(failure.hint("give the folders that `segzero predict --shard` wrote"));
        };
        if !folder.join(SUMMARY).exists() {
            return Err(Failure::new(format_args!("the run in `{at}` has not come to its end"))
                .hint("the command that began it goes on where it stopped"));
        }
        let shard = options["shard"].as_str().and_then(|shard| shard.split_once('/'));
        let shard = shard.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        let Some((number, of)) = shard else {
            return Err(Failure::new(format_args!("the run in `{at}` is no shard, but a whole")));
        };
        Ok(Self { folder, options, number, of })
    }

    /// What it has in common with other shards, which may have been run on other machines.
    fn common(&self) -> Value {
        let mut options = self.options.clone();
        let own = ["/shard", "/units", "/data/source/root", "/data/source/images"];
        let places = ["/asking/reasoner", "/asking/reply", "/asking/segmenter", "/asking/template"];
        for path in
            own.into_iter().chain(places).chain(["/asking/device", "/resolved/reasoner/endpoint"])
        {
            if let Some(value) = options.pointer_mut(path) {
                *value = Value::Null;
            }
        }
        options
    }
}

/// Refuses anything but each shard of one run, once.
fn check(runs: &[Run]) -> Result<(), Failure> {
    let Some(first) = runs.first() else { return Err(Failure::new("there is nothing to merge")) };
    for run in &runs[1..] {
        let differing = differences("", &first.common(), &run.common());
        if !differing.is_empty() || run.of != first.of {
            let (a, b) = (first.folder.display(), run.folder.display());
            let (of, other) = (first.of, run.of);
            let differing = differing.join("; ");
            return Err(Failure::new(format_args!(
                "`{a}` is of {of} shards, `{b}` of {other}, and they are not of one run: {differing}"
            ))
            .hint("shards are run with the same flags but `--shard` and `--out`"));
        }
    }
    let numbers: Vec<usize> = runs.iter().map(|run| run.number).collect();
    if !numbers.iter().copied().eq(1..=first.of) {
        let failure = format!("shards {numbers:?} are there, of {}", first.of);
        return Err(Failure::new(failure).hint("every shard is needed, once"));
    }
    Ok(())
}
