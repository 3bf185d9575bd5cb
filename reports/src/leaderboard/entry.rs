//! [`Entry`]: one's own scores, as figures beside the published ones.

use std::collections::BTreeSet;
use std::path::Path;

use segzero_datasets::{Error, ErrorKind};
use segzero_eval::protocol::{Ignore, Protocol, Unit};
use segzero_eval::{Axis, Breakdown, Run, Summary};

use super::{Figure, FigureStatus, Metric, Part, Percent, SampleUnit};

/// Scores of one run under one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its figures; the method is the file's stem, the source its path.
    pub figures: Vec<Figure>,
    /// Number of scored units.
    pub n: u64,
    /// Why it does not stand for the whole split, in words; empty where it does.
    pub partial: Vec<String>,
}

/// Sets of the boards.
pub const SETS: [&str; 5] = ["refcoco", "refcoco+", "refcocog", "grefcoco", "reasonseg"];

impl Entry {
    /// The scores in `run`, read from `path`: those of its rows first, then those by other protocols.
    /// `set` (`refcocog`, `refcocog/umd`) and `split` replace what the file says: a data set of
    /// one's own naming may be a copy of a published one. One of a published name is no other.
    ///
    /// # Errors
    /// A data set that is not on the boards or not the one that is asked for, no split, no score, or totals that are not those of the
    /// rows.
    pub fn of(
        run: &Run,
        path: &Path,
        set: Option<&str>,
        split: Option<&str>,
    ) -> Result<Vec<Self>, Error> {
        check_totals(run, path)?;
        let data = &run.provenance.data;
        let (set, split_by) = match set.map(set_and_partition) {
            Some((set, _)) if place(data).is_some_and(|named| named != set) => {
                let (expected, found) = (format!("a run on {set}"), format!("one on `{data}`"));
                let kind = ErrorKind::Unexpected { expected, found };
                return Err(Error::new(path, kind).field("data"));
            }
            Some((set, split_by)) => (set.to_owned(), split_by),
            None => (place(data).ok_or_else(|| unknown_set(path, data))?, None),
        };
        let place = Place {
            path,
            set,
            split_by: split_by.or(set_and_partition(data).1).map(str::to_owned),
            split: split
                .map(str::to_owned)
                .or_else(|| split_of(run))
                .ok_or_else(|| missing(path, "split", "one split, which the boards keep apart,"))?,
            is_hugging_face: split_in_name(data).is_some(),
            has_all_sentences: data.ends_with("_all"),
        };
        let totals = &run.scores.totals;
        let own = (&totals.protocol, &totals.summary, totals.breakdowns.as_slice());
        let others = totals.others.iter().map(|other| (&other.protocol, &other.summary, &[][..]));
        let mut entries = Vec::new();
        for (protocol, summary, breakdowns) in [own].into_iter().chain(others) {
            let figures = place.figures(protocol, summary, breakdowns);
            if figures.iter().all(|figure| figure.part != Part::All) {
                return Err(missing(path, "summary", "a score"));
            }
            entries.push(Self { figures, n: summary.n, partial: partial(run) });
        }
        Ok(entries)
    }
}

/// `refcocog/umd` as set and partition.
pub fn set_and_partition(name: &str) -> (&str, Option<&str>) {
    name.split_once('/').map_or((name, None), |(set, split_by)| (set, Some(split_by)))
}

/// The numbers of a file are those of its rows, or somebody changed them.
fn check_totals(run: &Run, path: &Path) -> Result<(), Error> {
    let totals = &run.scores.totals;
    let computed = Summary::of(&run.scores.cells(), &totals.protocol);
    let ours = &totals.summary;
    // The same sums in the same order; the margin is for other machines' rounding.
    let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-9,
        (a, b) => a == b,
    };
    for (field, found, computed) in
        [("giou", ours.giou, computed.giou), ("ciou", ours.ciou, computed.ciou)]
    {
        if !near(found, computed) {
            let show = |value: Option<f64>| value.map_or("none".to_owned(), |v| v.to_string());
            let expected = format!("{}, which its rows give", show(computed));
            let kind = ErrorKind::Unexpected { expected, found: show(found) };
            return Err(Error::new(path, kind).field(format_args!("summary.{field}")));
        }
    }
    Ok(())
}

fn partial(run: &Run) -> Vec<String> {
    let mut reasons = run.provenance.partial.clone();
    if !run.provenance.complete && reasons.is_empty() {
        reasons.push("not every sample has a usable prediction".to_owned());
    }
    reasons
}

/// What a file's figures have in common.
struct Place<'a> {
    path: &'a Path,
    set: String,
    split_by: Option<String>,
    split: String,
    /// The authors' sets: one sentence a ref, ignored pixels already target.
    is_hugging_face: bool,
    /// Those of them that keep every sentence.
    has_all_sentences: bool,
}

impl Place<'_> {
    fn figures(&self, rules: &Protocol, all: &Summary, breakdowns: &[Breakdown]) -> Vec<Figure> {
        let mut figures = self.part(rules, all, Part::All);
        let kinds = breakdowns.iter().filter(|b| b.axis == Axis::QueryKind && self.is_reasonseg());
        for group in kinds.flat_map(|breakdown| &breakdown.groups) {
            let part = if group.name == "short" { Part::Short } else { Part::Long };
            figures.extend(self.part(rules, &group.summary, part));
        }
        figures
    }

    fn part(&self, rules: &Protocol, summary: &Summary, part: Part) -> Vec<Figure> {
        let has_no_targets = self.set == "grefcoco";
        let values = [
            (Metric::Giou, summary.giou),
            (Metric::Ciou, summary.ciou),
            (Metric::NAcc, summary.no_target_accuracy.filter(|_| has_no_targets)),
            (Metric::TAcc, summary.target_accuracy.filter(|_| has_no_targets)),
        ];
        let values = values.into_iter().filter_map(|(m, v)| Some((m, Percent::measured(v?)?)));
        values.map(|(metric, value)| self.figure(rules, part, metric, value)).collect()
    }

    fn figure(&self, rules: &Protocol, part: Part, metric: Metric, value: Percent) -> Figure {
        let stem = self.path.file_stem().unwrap_or(self.path.as_os_str());
        Figure {
            set: self.set.clone(),
            split_by: self.split_by.clone(),
            split: self.split.clone(),
            part,
            method: stem.to_string_lossy().into_owned(),
            year: None,
            backbone: None,
            metric,
            value,
            printed_as: Some(metric.name().to_owned()),
            protocol: Some(rules.name.clone()),
            unit: Some(self.unit(rules.unit)),
            ignore: self.is_reasonseg().then_some(match self.is_hugging_face {
                true => Ignore::Foreground,
                false => rules.ignore,
            }),
            trained_on: None,
            table: None,
            note: None,
            source: self.path.display().to_string(),
            status: FigureStatus::Own,
        }
    }

    fn is_reasonseg(&self) -> bool {
        self.set == "reasonseg"
    }

    fn unit(&self, unit: Unit) -> SampleUnit {
        match unit {
            _ if self.is_reasonseg() => SampleUnit::OneQuery,
            _ if self.is_hugging_face && !self.has_all_sentences => SampleUnit::OneSentence,
            Unit::Query => SampleUnit::Sentence,
            Unit::FirstQuery => SampleUnit::FirstSentence,
            Unit::Sample => SampleUnit::JoinedSentences,
        }
    }
}

fn missing(path: &Path, field: &str, what: &str) -> Error {
    Error::new(path, ErrorKind::Missing { what: what.to_owned() }).field(field)
}

fn unknown_set(path: &Path, data: &str) -> Error {
    let expected = format!("a set of the boards ({})", SETS.join(", "));
    let found = format!("`{data}`");
    Error::new(path, ErrorKind::Unexpected { expected, found }).field("data")
}

/// The set that a data set's label names: `refcocog/umd`, `ReasonSeg_test`, `refcocoplus_testA`.
fn place(data: &str) -> Option<String> {
    let name = data.split(['/', '_']).next()?.to_lowercase().replace("plus", "+");
    let name = if name == "refcocop" { "refcoco+" } else { &name };
    SETS.iter().find(|set| **set == name).map(|set| (*set).to_owned())
}

/// The one split of the run. Hugging Face sets call every split `test`; their names say which it is.
fn split_of(run: &Run) -> Option<String> {
    let named = split_in_name(&run.provenance.data).map(str::to_owned);
    named.or_else(|| run.provenance.split.clone()).or_else(|| {
        let splits: BTreeSet<&str> = run.scores.rows.iter().map(|row| row.split.as_str()).collect();
        let only = splits.first().filter(|split| splits.len() == 1 && !split.is_empty());
        only.map(|split| (*split).to_owned())
    })
}

/// The split in the name of a Hugging Face set: `refcoco_testA`, `refcocog_val_all`.
fn split_in_name(data: &str) -> Option<&'static str> {
    let split = data.split('_').nth(1)?;
    ["val", "test", "testA", "testB"].into_iter().find(|known| *known == split)
}
