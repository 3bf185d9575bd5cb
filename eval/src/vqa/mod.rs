//! Visual question answering, scored as Figure 5 of the Seg-Zero paper has it: whether a model that
//! was trained to segment still answers questions about charts ([`Metric::Chartqa`]) and about texts
//! in photographs ([`Metric::Textvqa`]).
//!
//! Credit is a whole number of thirtieths, so every figure is the same bits in any order.

mod chartqa;
mod read;
mod textvqa;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use ahash::RandomState;
use segzero_datasets::Error;
use serde::{Deserialize, Serialize};

use crate::resample::{self, Interval, intervals};
use crate::{Names, OnBadRecord};
use read::{Record, unexpected};

pub use chartqa::is_relaxed_match;
pub use textvqa::{FULL_CREDIT, PEOPLE, credit, spelled};

/// How an answer is compared with the people's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// ChartQA's relaxed accuracy: numbers within 5 %, texts equal. The best of several targets
    /// counts.
    Chartqa,
    /// TextVQA's accuracy: the share of three of ten people who gave this answer.
    Textvqa,
}

/// What a model's answers are worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VqaScores {
    /// Everything but the rows.
    #[serde(flatten)]
    pub totals: VqaTotals,
    /// One row a question, in the file's order.
    pub rows: Vec<VqaRow>,
}

/// The numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VqaTotals {
    /// How answers were compared.
    pub metric: Metric,
    /// Over all questions; `None` when there is none.
    pub summary: Option<VqaSummary>,
    /// By the questions' type, in alphabetical order; empty where they have none.
    pub by_type: BTreeMap<String, VqaSummary>,
    /// What was wrong with the input.
    pub problems: VqaProblems,
}

/// The accuracy over some questions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VqaSummary {
    /// Number of questions.
    pub n: u64,
    /// Mean credit, from 0 to 1.
    pub accuracy: f64,
    /// Its bootstrap interval; images are drawn, where the questions name them, else questions.
    pub interval: Interval,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VqaRow {
    /// The question's id.
    pub id: String,
    /// The question's type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The question's image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The answer as it was compared; `None` where there is none, which gives no credit.
    pub answer: Option<String>,
    /// Credit, in thirtieths.
    pub credit: u64,
}

/// What was wrong with the input, in the words of [`crate::Problems`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VqaProblems {
    /// Questions without an answer; they count as wrong.
    pub missing: Names,
    /// Questions that stand in the data more than once; each counts.
    pub repeated: Names,
    /// Answers whose id an earlier one has; the first counts.
    pub duplicate: Names,
    /// Answers to no question.
    pub unmatched: Names,
    /// Answers that could not be read.
    pub bad_predictions: Names,
    /// Questions that could not be read; they are not scored.
    pub bad_samples: Names,
}

impl VqaProblems {
    /// Whether every question was scored on an answer of its own.
    pub fn is_complete(&self) -> bool {
        self.missing.count == 0 && self.bad_samples.count == 0
    }
}

/// The part of a reply that is the answer: what stands after the last `<answer>`, up to
/// `</answer>`, or else all of it; without white space around it.
pub fn answer_of(reply: &str) -> &str {
    let answer = reply.rsplit_once("<answer>").map_or(reply, |(_, answer)| answer);
    answer.split_once("</answer>").map_or(answer, |(answer, _)| answer).trim()
}

/// Scores the answers of one file to the questions of another. `docs/vqa.md` describes both.
///
/// # Errors
/// A file that cannot be read, or, unless `on_bad` says to skip, the first record that cannot.
pub fn score_answers(
    metric: Metric,
    questions: &Path,
    answers: &Path,
    on_bad: OnBadRecord,
    options: &resample::Options,
) -> Result<VqaScores, Error> {
    let mut problems = VqaProblems::default();
    let mut said = Said::read(answers, on_bad, &mut problems)?;
    let mut rows: Vec<VqaRow> = Vec::new();
    let mut seen = HashSet::with_hasher(RandomState::default());
    read::each(questions, |record| {
        let scored = record.and_then(|record| said.score(metric, record, questions));
        let row = match (scored, on_bad) {
            (Ok(row), _) => row,
            (Err(error), OnBadRecord::Stop) => return Err(error),
            (Err(error), OnBadRecord::Skip) => {
                problems.bad_samples.push(|| error.to_string());
                return Ok(());
            }
        };
        if row.answer.is_none() {
            problems.missing.push(|| row.id.clone());
        }
        if !seen.insert(row.id.clone()) {
            problems.repeated.push(|| row.id.clone());
        }
        rows.push(row);
        Ok(())
    })?;
    problems.unmatched = said.unmatched();
    let mut types: BTreeMap<&str, Vec<&VqaRow>> = BTreeMap::new();
    for row in &rows {
        if let Some(kind) = &row.kind {
            types.entry(kind).or_default().push(row);
        }
    }
    let by_type = types
        .into_iter()
        .filter_map(|(kind, rows)| Some((kind.to_owned(), summary(&rows, options)?)));
    let (by_type, all) = (by_type.collect(), rows.iter().collect::<Vec<_>>());
    let summary = summary(&all, options);
    Ok(VqaScores { totals: VqaTotals { metric, summary, by_type, problems }, rows })
}

/// The model's answers by question.
#[derive(Default)]
struct Said {
    by_id: HashMap<String, Answer, RandomState>,
}

struct Answer {
    line: usize,
    text: String,
    is_used: bool,
}

impl Said {
    fn read(path: &Path, on_bad: OnBadRecord, problems: &mut VqaProblems) -> Result<Self, Error> {
        let mut said = Self::default();
        read::each(path, |record| {
            let one = record.and_then(|Record { line, id, mut answers, .. }| {
                match (answers.pop(), answers.len()) {
                    (Some(text), 0) => Ok((id, Answer { line, text, is_used: false })),
                    (_, others) => {
                        let found = format!("{} answers", others + 1);
                        let error = Error::new(path, unexpected("one answer", &found));
                        Err(error.record(format_args!("line {line}")).field("answers"))
                    }
                }
            });
            match (one, on_bad) {
                (Ok((id, answer)), _) => match said.by_id.entry(id) {
                    Entry::Vacant(entry) => drop(entry.insert(answer)),
                    Entry::Occupied(entry) => {
                        let name = || format!("{} (line {})", entry.key(), answer.line);
                        problems.duplicate.push(name);
                    }
                },
                (Err(error), OnBadRecord::Stop) => return Err(error),
                (Err(error), OnBadRecord::Skip) => {
                    problems.bad_predictions.push(|| error.to_string());
                }
            }
            Ok(())
        })?;
        Ok(said)
    }

    /// The row of a question.
    fn score(&mut self, metric: Metric, question: Record, path: &Path) -> Result<VqaRow, Error> {
        let Record { line, id, answers: people, kind, image } = question;
        let answer = self.by_id.get_mut(&id).map(|answer| {
            answer.is_used = true;
            answer_of(&answer.text).to_owned()
        });
        let credit = match metric {
            Metric::Chartqa => {
                let is_match =
                    |answer: &String| people.iter().any(|p| is_relaxed_match(answer, p.trim()));
                FULL_CREDIT * u64::from(answer.as_ref().is_some_and(is_match))
            }
            Metric::Textvqa => {
                let people: [String; PEOPLE] = people.try_into().map_err(|people: Vec<_>| {
                    let found = format!("{} answers", people.len());
                    let kind = unexpected("the answers of 10 people", &found);
                    Error::new(path, kind).record(format_args!("line {line}")).field("answers")
                })?;
                answer.as_ref().map_or(0, |answer| credit(answer, &people))
            }
        };
        Ok(VqaRow { id, kind, image, answer, credit })
    }

    /// Answers to no question, in the file's order.
    fn unmatched(&self) -> Names {
        let left = self.by_id.iter().filter(|(_, answer)| !answer.is_used);
        let mut left: Vec<_> = left.map(|(id, answer)| (answer.line, id)).collect();
        left.sort_unstable();
        let mut names = Names::default();
        left.into_iter().for_each(|(_, id)| names.push(|| id.clone()));
        names
    }
}

/// `None` where there are no rows.
fn summary(rows: &[&VqaRow], options: &resample::Options) -> Option<VqaSummary> {
    let n = rows.len() as u64;
    let accuracy =
        |&[credit, n]: &[u64; 2]| [(n > 0).then(|| credit as f64 / (FULL_CREDIT * n) as f64)];
    // Rows of one image share its number; a row without one has its own.
    let mut images: HashMap<&str, u64, RandomState> = HashMap::default();
    let units = (0..n).zip(rows).map(|(index, row)| {
        let image = row.image.as_deref();
        let cluster = image.map_or(index, |image| *images.entry(image).or_insert(index));
        (cluster, [row.credit, 1])
    });
    let [interval] = intervals(units, accuracy, options);
    let [accuracy] = accuracy(&[rows.iter().map(|row| row.credit).sum(), n]);
    Some(VqaSummary { n, accuracy: accuracy?, interval: interval? })
}
