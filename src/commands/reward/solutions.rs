//! The solutions of a training set, by key.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use segzero_datasets::{Error, ErrorKind, Geometry, ReadOptions};
use segzero_eval::OnBadRecord;
use segzero_eval::reward::{Recipe, Solution};
use serde::Deserialize;

use super::replies::{Text, json_error};
use super::summary::Summary;
use crate::failure::Failure;
use crate::source_args::{SourceArgs, Wanted};

/// Solutions by key, with their position in the set.
#[derive(Default)]
pub struct Solutions(HashMap<String, (u32, Solution)>);

/// A line of a JSONL file of solutions.
#[derive(Deserialize)]
#[serde(expecting = "an object with `key` (or `id`) and `solution`")]
struct Line {
    #[serde(alias = "id")]
    key: Text,
    solution: String,
}

impl Solutions {
    /// Reads those of a prepared set, or of a JSONL file.
    ///
    /// # Errors
    /// A set that cannot be read, or a solution that is none or not one for this recipe, unless bad
    /// ones are skipped.
    pub fn open(
        path: &Path,
        split: Option<&str>,
        recipe: &Recipe,
        on_bad: OnBadRecord,
        summary: &mut Summary,
    ) -> Result<Self, Failure> {
        let mut solutions = Self::default();
        let mut take = |read: Result<(String, String), Error>, at: &dyn Fn(Error) -> Error| {
            let read = read.and_then(|(key, text)| Ok((key, solution(&text, recipe).map_err(at)?)));
            match (read, on_bad) {
                (Ok((key, solution)), _) => solutions.add(key, solution, summary),
                (Err(error), OnBadRecord::Skip) => summary.bad_solutions.push(|| error.to_string()),
                (Err(error), OnBadRecord::Stop) => return Err(error),
            }
            Ok(())
        };
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let file = File::open(path).map_err(|e| Error::new(path, e))?;
            for (line, text) in (1..).zip(BufReader::new(file).lines()) {
                let at = |mut error: Error| {
                    path.clone_into(&mut error.path);
                    error.record(format_args!("line {line}"))
                };
                let text = text.map_err(|e| at(Error::new(path, e)))?;
                if !text.trim().is_empty() {
                    let parsed = serde_json::from_str::<Line>(&text);
                    let parsed = parsed.map(|line| (line.key.into(), line.solution));
                    take(parsed.map_err(|e| at(json_error(path, &e))), &at)?;
                }
            }
            return Ok(solutions);
        }
        let source = SourceArgs {
            root: path.to_owned(),
            dataset: None,
            split_by: None,
            split: split.map(str::to_owned),
            images: None,
        }
        .source(Wanted::Any)?;
        let options = ReadOptions { split: split.map(str::to_owned), skip_images: true };
        for sample in source.samples(&options)? {
            let sample = match sample {
                Ok(sample) => sample,
                Err(error) => {
                    take(Err(error), &|error| error)?;
                    continue;
                }
            };
            let Geometry::Solution(text) = sample.geometry else {
                return Err(Failure::new(format_args!(
                    "`{}` is no prepared training set: it holds no solutions",
                    path.display()
                ))
                .hint("`segzero prep` makes one"));
            };
            let key = sample.key;
            let at = |mut error: Error| {
                error.path.clone_from(&source.annotations);
                error.record(format_args!("id {key}")).field("solution")
            };
            take(Ok((key.clone(), text)), &at)?;
        }
        Ok(solutions)
    }

    /// Of several solutions with one key the first counts.
    fn add(&mut self, key: String, solution: Solution, summary: &mut Summary) {
        let position = self.0.len() as u32;
        if self.0.contains_key(&key) {
            return summary.repeated.push(|| key);
        }
        self.0.insert(key, (position, solution));
    }

    /// The solution of a key, and its position.
    pub fn get(&self, key: &str) -> Option<(u32, &Solution)> {
        self.0.get(key).map(|(position, solution)| (*position, solution))
    }

    /// Number of solutions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Keys in the order of the set.
    pub fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<_> = self.0.iter().map(|(key, (at, _))| (at, key.as_str())).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key).collect()
    }
}

/// A solution that the recipe can judge by.
fn solution(text: &str, recipe: &Recipe) -> Result<Solution, Error> {
    let unexpected = |expected: String, found: String| {
        Error::new("", ErrorKind::Unexpected { expected, found }).field("solution")
    };
    let solution = Solution::parse(text).map_err(|_| {
        let found = format!("`{}`", text.chars().take(80).collect::<String>());
        unexpected("`<box>..</box><points>..</points>` or a JSON list".to_owned(), found)
    })?;
    recipe.fits(&solution).map_err(|misfit| {
        unexpected("a solution for the recipe".to_owned(), format!("another: {misfit}"))
    })?;
    Ok(solution)
}
