//! [`Caveat`]: why a row is not to be compared with the others as it stands. Every one is derived
//! from the fields of its figures.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use segzero_eval::protocol::Ignore;
use serde::{Serialize, Serializer};

use super::board::{Column, Line};
use super::check::{Fault, Finding, wrong_name};
use super::{Entry, Figure, SampleUnit};

/// Why a row is not to be compared with the others as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caveat {
    /// The run did not score everything, for these reasons.
    Partial(Vec<String>),
    /// It averages over another unit.
    Unit {
        /// This row's.
        own: SampleUnit,
        /// The other rows' (or the run's).
        norm: SampleUnit,
    },
    /// It treats ignored pixels otherwise.
    Ignore {
        /// This row's.
        own: Ignore,
        /// The other rows' (or the run's).
        norm: Ignore,
    },
    /// Its split is another, or not known to be the same.
    SplitBy {
        /// This row's.
        own: Option<String>,
        /// The other rows' (or the run's).
        norm: String,
    },
    /// The model was trained on what it is tested on.
    TrainedOn(String),
    /// The source calls the metric by the other's name.
    Misnamed {
        /// As printed.
        printed_as: String,
        /// What it is.
        is: &'static str,
    },
    /// A check found fault with a figure.
    Suspect {
        /// The figure's column.
        column: String,
        /// What is wrong.
        fault: Fault,
    },
    /// Other sources print other values.
    Conflicts(Vec<Conflict>),
    /// What the data say besides.
    Note(String),
}

/// The values that are printed for one column of one method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The column.
    pub column: String,
    /// Each value once, as printed.
    pub values: Vec<String>,
}

impl Display for Caveat {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Partial(reasons) => write!(f, "PARTIAL RUN: {}", reasons.join("; ")),
            Self::Unit { own, norm } => {
                write!(f, "scores {}, not {}", own.in_words(), norm.in_words())
            }
            Self::Ignore { own, norm } => {
                write!(f, "ignored pixels are {}, not {}", in_words(*own), in_words(*norm))
            }
            Self::SplitBy { own: Some(own), norm } => write!(f, "{own} split, not {norm}"),
            Self::SplitBy { own: None, norm } => write!(f, "split not stated, may not be {norm}"),
            Self::TrainedOn(splits) => write!(f, "trained on {splits} of this set"),
            Self::Misnamed { printed_as, is } => {
                write!(f, "other metric: printed as {printed_as}, is {is}")
            }
            Self::Suspect { column, fault } => write!(f, "! {column}: {fault}"),
            Self::Conflicts(conflicts) => {
                let one = |c: &Conflict| format!("{} {}", c.column, c.values.join(" or "));
                let all: Vec<String> = conflicts.iter().map(one).collect();
                write!(f, "! values in conflict: {}", all.join(", "))
            }
            Self::Note(note) => f.write_str(note),
        }
    }
}

/// What becomes of ignored pixels, after "ignored pixels are".
fn in_words(ignore: Ignore) -> &'static str {
    match ignore {
        Ignore::Exclude => "left out",
        Ignore::Foreground => "target",
        Ignore::Background => "background",
    }
}

impl Serialize for Caveat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the rows of a set are held against: one's own run, or what most rows do.
pub(super) struct Norm(BTreeMap<String, Rules>);

#[derive(Default)]
struct Rules {
    unit: Option<SampleUnit>,
    ignore: Option<Ignore>,
    split_by: Option<String>,
}

impl Norm {
    pub(super) fn of(lines: &[Line<'_>], entries: &[Entry]) -> Self {
        let mut sets = BTreeMap::<String, Vec<&Figure>>::new();
        for (figure, _) in lines.iter().flat_map(|line| &line.figures) {
            sets.entry(figure.set.clone()).or_default().push(figure);
        }
        let rules = sets.into_iter().map(|(set, figures)| {
            let own =
                entries.iter().flat_map(|entry| &entry.figures).find(|figure| figure.set == set);
            let rules = Rules {
                unit: own.and_then(|f| f.unit).or_else(|| most(figures.iter().map(|f| f.unit))),
                ignore: own
                    .and_then(|f| f.ignore)
                    .or_else(|| most(figures.iter().map(|f| f.ignore))),
                split_by: own
                    .and_then(|f| f.split_by.clone())
                    .or_else(|| most(figures.iter().map(|f| f.split_by.clone()))),
            };
            (set, rules)
        });
        Self(rules.collect())
    }
}

/// The most frequent of what is known; the first of equals.
fn most<T: PartialEq>(values: impl Iterator<Item = Option<T>>) -> Option<T> {
    let mut counts: Vec<(T, usize)> = Vec::new();
    for value in values.flatten() {
        match counts.iter_mut().find(|(known, _)| *known == value) {
            Some((_, count)) => *count += 1,
            None => counts.push((value, 1)),
        }
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(value, _)| value)
}

/// What to know about a row, the gravest first.
pub(super) fn caveats(
    line: &Line<'_>,
    columns: &[Column],
    norm: &Norm,
    findings: &[Finding],
    entries: &[Entry],
) -> Vec<Caveat> {
    let mut found = Vec::new();
    let mut add = |caveat: Caveat| {
        if !found.contains(&caveat) {
            found.push(caveat);
        }
    };
    let partial = line.entry.map_or(&[][..], |e| &entries[e].partial);
    if !partial.is_empty() {
        add(Caveat::Partial(partial.to_vec()));
    }
    of_findings(line, findings, columns).into_iter().for_each(&mut add);
    for (figure, _) in &line.figures {
        of_figure(figure, norm).into_iter().for_each(&mut add);
    }
    found
}

/// What the checks found about a row; a wrong name is said once, as the other metric that it is.
fn of_findings(line: &Line<'_>, findings: &[Finding], columns: &[Column]) -> Vec<Caveat> {
    let mut found = Vec::new();
    let mut conflicts = Vec::new();
    for finding in findings {
        let here = |place: &usize| line.figures.iter().find(|(_, own)| own == place);
        // The last is the figure that the others speak against.
        let Some((figure, _)) = finding.figures.iter().rev().find_map(here) else { continue };
        let column = Column::of(figure).name_among(columns);
        match &finding.fault {
            Fault::Misnamed { .. } => {}
            Fault::Conflict { values } => {
                let mut values: Vec<String> = values.iter().map(|(v, _)| v.to_string()).collect();
                values.sort_unstable();
                values.dedup();
                conflicts.push(Conflict { column, values });
            }
            fault => found.push(Caveat::Suspect { column, fault: fault.clone() }),
        }
    }
    if !conflicts.is_empty() {
        found.push(Caveat::Conflicts(conflicts));
    }
    found
}

fn of_figure(figure: &Figure, norm: &Norm) -> Vec<Caveat> {
    let mut found = Vec::new();
    let rules = norm.0.get(&figure.set);
    if let Some(printed_as) = wrong_name(figure) {
        found.push(Caveat::Misnamed { printed_as, is: figure.metric.name() });
    }
    if let (Some(own), Some(norm)) = (figure.unit, rules.and_then(|r| r.unit))
        && own != norm
    {
        found.push(Caveat::Unit { own, norm });
    }
    if let (Some(own), Some(norm)) = (figure.ignore, rules.and_then(|r| r.ignore))
        && own != norm
    {
        found.push(Caveat::Ignore { own, norm });
    }
    if let Some(norm) = rules.and_then(|r| r.split_by.clone())
        && figure.split_by.as_ref() != Some(&norm)
    {
        found.push(Caveat::SplitBy { own: figure.split_by.clone(), norm });
    }
    if let Some(splits) = &figure.trained_on
        && splits.split('+').any(|split| !matches!(split, "none" | "train"))
    {
        found.push(Caveat::TrainedOn(splits.replace('+', " and ")));
    }
    found.extend(figure.note.clone().map(Caveat::Note));
    found
}
