//! Arithmetic that published figures must satisfy, and do not always.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::ops::RangeInclusive;

use serde::Serialize;

use super::{Figure, FigureStatus, Metric, Part, Percent};

/// Queries of ReasonSeg's test split.
pub const REASONSEG_TEST: i64 = 779;

/// How many of them are short: what the rounding intervals of the published gIoU rows leave when
/// taken together. No source prints the count.
pub const SHORT_QUERIES: RangeInclusive<i64> = 187..=190;

/// Figures that cannot all be right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `reasonseg test, LISA-7B, cIoU`.
    pub about: String,
    /// What is wrong.
    pub fault: Fault,
    /// Places of the figures in the list that was checked; of a row's parts, the overall one last.
    #[serde(skip)]
    pub figures: Vec<usize>,
}

/// What can be wrong with figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// Below 0 or above 100.
    OutOfRange {
        /// As printed.
        value: Percent,
    },
    /// Overall is a weighted mean (gIoU) or a ratio of sums (cIoU) of its two parts, so it lies
    /// between them.
    NotBetween {
        /// Of the short queries.
        short: Percent,
        /// Of the long ones.
        long: Percent,
        /// Of all.
        overall: Percent,
    },
    /// gIoU of the parts and of the whole imply how many queries are short, and it is another
    /// number than for every other row.
    ShortQueries {
        /// Least implied number.
        least: i64,
        /// Greatest implied number.
        most: i64,
    },
    /// One method, one metric, one split, and values that no rounding reconciles.
    Conflict {
        /// Each value with its source.
        values: Vec<(Percent, String)>,
    },
    /// Another's table has the method's own figure, in the column of another split.
    Misplaced {
        /// As printed.
        value: Percent,
        /// The split that the method itself prints it for.
        of_split: String,
        /// Where the method prints it.
        source: String,
    },
    /// The name that a source prints is the other metric's.
    Misnamed {
        /// What it is printed as.
        printed_as: String,
        /// What it is.
        metric: Metric,
    },
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.about, self.fault)
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutOfRange { value } => write!(f, "{value} is not between 0 and 100"),
            Self::NotBetween { short, long, overall } => {
                write!(f, "overall {overall} is not between short {short} and long {long}")
            }
            Self::ShortQueries { least, most } => {
                let (known, all) = (SHORT_QUERIES, REASONSEG_TEST);
                let (first, last) = (known.start(), known.end());
                write!(f, "implies {least} to {most} short queries of {all}, ")?;
                write!(f, "the other rows {first} to {last}")
            }
            Self::Conflict { values } => {
                let list = values.iter().map(|(value, source)| format!("{value} ({source})"));
                write!(f, "conflicting values: {}", list.collect::<Vec<_>>().join(", "))
            }
            Self::Misplaced { value, of_split, source } => {
                write!(f, "{value} is the method's own figure for {of_split} ({source})")
            }
            Self::Misnamed { printed_as, metric } => {
                write!(f, "printed as {printed_as}, is {}", metric.name())
            }
        }
    }
}

/// Everything that is wrong with these figures, in a stable order.
pub fn check(figures: &[Figure]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = figures.iter().enumerate().filter_map(out_of_range).collect();
    findings.extend(parts(figures));
    findings.extend(conflicts(figures));
    findings.extend(misplaced(figures));
    findings.extend(misnamed(figures));
    findings
}

fn about(figure: &Figure) -> String {
    let split_by = figure.split_by.iter().map(|split_by| format!("/{split_by}"));
    let set = format!("{}{}", figure.set, split_by.collect::<String>());
    format!("{set} {}, {}, {}", figure.split, figure.method, figure.metric.name())
}

fn out_of_range((i, figure): (usize, &Figure)) -> Option<Finding> {
    let fault = Fault::OutOfRange { value: figure.value.clone() };
    let finding = Finding { about: about(figure), fault, figures: vec![i] };
    (!figure.value.is_possible()).then_some(finding)
}

/// Places of figures that share a key, in the order of the key.
fn grouped<'a, K: Ord>(
    figures: &'a [Figure],
    key: impl Fn(&'a Figure) -> K,
) -> impl Iterator<Item = Vec<usize>> {
    let mut groups = BTreeMap::<K, Vec<usize>>::new();
    for (i, figure) in figures.iter().enumerate() {
        groups.entry(key(figure)).or_default().push(i);
    }
    groups.into_values()
}

/// Short, long and overall of one row against each other.
fn parts(figures: &[Figure]) -> Vec<Finding> {
    let key = |f: &'_ Figure| {
        let place = (f.set.clone(), f.split_by.clone(), f.split.clone(), f.table.clone());
        (place, f.method.clone(), f.source.clone(), f.metric)
    };
    let mut findings = Vec::new();
    for group in grouped(figures, key) {
        let of = |part| group.iter().copied().find(|&i| figures[i].part == part);
        let (Some(short), Some(long), Some(overall)) =
            (of(Part::Short), of(Part::Long), of(Part::All))
        else {
            continue;
        };
        let values = [short, long, overall].map(|i| &figures[i].value);
        if let Some(fault) = fault_of_parts(&figures[overall], values) {
            let figures_of_row = vec![short, long, overall];
            findings.push(Finding {
                about: about(&figures[overall]),
                fault,
                figures: figures_of_row,
            });
        }
    }
    findings
}

fn fault_of_parts(figure: &Figure, [short, long, overall]: [&Percent; 3]) -> Option<Fault> {
    let (low, high) = (short.low().min(long.low()), short.high().max(long.high()));
    let is_share = matches!(figure.metric, Metric::Giou | Metric::Ciou);
    if is_share && (overall.high() < low || overall.low() > high) {
        let [short, long, overall] = [short, long, overall].map(Percent::clone);
        return Some(Fault::NotBetween { short, long, overall });
    }
    // One's own run counts its queries itself, and may not have all of them.
    let is_published = figure.status != FigureStatus::Own;
    let is_counted = is_published && figure.set == "reasonseg" && figure.split == "test";
    if figure.metric != Metric::Giou || !is_counted {
        return None;
    }
    let implied = implied_short([short, long, overall], REASONSEG_TEST)?;
    let fits = implied.start() <= SHORT_QUERIES.end() && SHORT_QUERIES.start() <= implied.end();
    (!fits).then(|| Fault::ShortQueries { least: *implied.start(), most: *implied.end() })
}

/// How many of `all` queries are short, if the mean of all is `overall`:
/// `short * s + long * (all - s) = overall * all` with each figure within half its last digit.
/// `None` where the parts are too near to each other to tell.
pub fn implied_short(
    [short, long, overall]: [&Percent; 3],
    all: i64,
) -> Option<RangeInclusive<i64>> {
    // The count is a quotient of linear functions of each figure, so it is least and greatest at
    // corners of the three intervals, unless the divisor can be 0.
    let mut range: Option<(i64, i64)> = None;
    let mut sign = 0;
    for corner in 0..8 {
        let end = |bit: u32, p: &Percent| if corner >> bit & 1 == 0 { p.low() } else { p.high() };
        let (short, long, overall) = (end(0, short), end(1, long), end(2, overall));
        let divisor = long - short;
        if divisor == 0 || sign * divisor.signum() < 0 {
            return None;
        }
        sign = divisor.signum();
        let (dividend, divisor) = (all * (long - overall) * sign, divisor * sign);
        let floor = dividend.div_euclid(divisor);
        let ceil = floor + i64::from(dividend.rem_euclid(divisor) > 0);
        let (least, most) = range.unwrap_or((ceil, floor));
        range = Some((least.min(ceil), most.max(floor)));
    }
    range.map(|(least, most)| least.max(0)..=most.min(all))
}

fn conflicts(figures: &[Figure]) -> Vec<Finding> {
    let key = |f: &'_ Figure| {
        let place = (f.set.clone(), f.split_by.clone(), f.split.clone(), f.part);
        (place, f.method.clone(), f.metric)
    };
    let mut findings = Vec::new();
    for mut group in grouped(figures, key) {
        // One's own runs may share a name.
        group.retain(|&i| figures[i].status != FigureStatus::Own);
        let value = |i: usize| &figures[i].value;
        let mut pairs = group.iter().flat_map(|&i| group.iter().map(move |&j| (i, j)));
        if pairs.all(|(i, j)| value(i).agrees_with(value(j))) {
            continue;
        }
        let values = group.iter().map(|&i| (value(i).clone(), figures[i].source.clone())).collect();
        let about = about(&figures[group[0]]);
        findings.push(Finding { about, fault: Fault::Conflict { values }, figures: group });
    }
    findings
}

/// A value of another's table that the method prints for another split, and for none of this one.
fn misplaced(figures: &[Figure]) -> Vec<Finding> {
    use FigureStatus::{Primary, Secondary, Unverified};
    let key = |f: &'_ Figure| (f.set.clone(), f.split_by.clone(), f.method.clone(), f.metric);
    let mut findings = Vec::new();
    for group in grouped(figures, key) {
        let own: Vec<usize> =
            group.iter().copied().filter(|&i| figures[i].status == Primary).collect();
        let others = group.iter().filter(|&&i| matches!(figures[i].status, Secondary | Unverified));
        for &i in others {
            let figure = &figures[i];
            if own.iter().any(|&j| figures[j].split == figure.split) {
                continue;
            }
            let same = |&&j: &&usize| figures[j].value.text() == figure.value.text();
            let Some(&j) = own.iter().find(same) else { continue };
            let fault = Fault::Misplaced {
                value: figure.value.clone(),
                of_split: figures[j].split.clone(),
                source: figures[j].source.clone(),
            };
            findings.push(Finding { about: about(figure), fault, figures: vec![i] });
        }
    }
    findings
}

/// One finding for each metric of a row, not for each of its splits.
fn misnamed(figures: &[Figure]) -> Vec<Finding> {
    let key = |f: &'_ Figure| (f.set.clone(), f.method.clone(), f.source.clone(), f.metric);
    let mut findings = Vec::new();
    for group in grouped(figures, key) {
        let wrong = |&&i: &&usize| wrong_name(&figures[i]).is_some();
        let places: Vec<usize> = group.iter().filter(wrong).copied().collect();
        let Some(first) = places.first().map(|&i| &figures[i]) else { continue };
        let Some(printed_as) = wrong_name(first) else { continue };
        let about = format!("{}, {}, {}", first.set, first.method, first.source);
        let fault = Fault::Misnamed { printed_as, metric: first.metric };
        findings.push(Finding { about, fault, figures: places });
    }
    findings
}

/// The printed name that means another metric.
pub fn wrong_name(figure: &Figure) -> Option<String> {
    let names = figure.printed_as.iter().flat_map(|names| names.split(';'));
    let is_wrong = |name: &&str| Metric::of_printed(name).is_some_and(|m| m != figure.metric);
    names.map(str::trim).find(is_wrong).map(str::to_owned)
}
