//! What `segzero eval` prints.

use std::fmt::{Display, Formatter};

use segzero_eval::resample::Interval;
use segzero_eval::{Breakdown, Names, Problems, Protocol, Provenance, Summary, Totals, Unit};

/// A line of the table.
struct Line {
    name: String,
    value: String,
    interval: Option<Interval>,
    note: String,
}

impl Line {
    fn new(name: &str, value: String, note: &str) -> Self {
        Self { name: name.to_owned(), value, interval: None, note: note.to_owned() }
    }

    fn between(self, interval: Option<Interval>) -> Self {
        Self { interval, ..self }
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { name, value, interval, note } = self;
        let interval = interval.map_or_else(String::new, |Interval { low, high, .. }| {
            format!("{:.2} to {:.2}", low * 100.0, high * 100.0)
        });
        let line = format!("  {name:<14}{value:>10}  {interval:<16}{note}");
        f.write_str(line.trim_end())
    }
}

/// The numbers as people read them: percent with two decimals.
pub fn table(provenance: &Provenance, totals: &Totals) -> String {
    let Totals { problems, protocol, .. } = totals;
    let split = provenance.split.as_ref().map(|split| format!(" {split}")).unwrap_or_default();
    let mut text = format!("{}{split}, {}\n", provenance.data, provenance.predictions.display());
    text += &rules(protocol);
    if !problems.is_complete() {
        text += "INCOMPLETE: not every sample has a usable prediction\n";
    }
    for partial in &provenance.partial {
        text += &format!("PARTIAL RUN: {partial}\n");
    }
    if let Some(intervals) = &totals.intervals {
        text += &format!("{}\n", intervals.options);
    }
    for line in figures(totals).into_iter().chain(counts(problems)) {
        text += &format!("{line}\n");
    }
    for breakdown in &totals.breakdowns {
        text += &groups(breakdown);
    }
    if !totals.others.is_empty() {
        text += &differences(totals);
    }
    text.truncate(text.trim_end().len());
    text
}

fn percent(value: Option<f64>) -> String {
    match value {
        Some(value) => format!("{:.2}", value * 100.0),
        None => "-".to_owned(),
    }
}

/// The protocol's name and every rule, so that a number is never without them.
fn rules(protocol: &Protocol) -> String {
    let mut text = format!("protocol {}\n", protocol.name);
    let mut line = String::from(" ");
    for (name, value) in protocol.fields() {
        let rule = format!(" {name}={}", value.replace(' ', ","));
        if line.len() + rule.len() > 100 {
            text += &line;
            text.push('\n');
            line = String::from(" ");
        }
        line += &rule;
    }
    text + &line + "\n"
}

fn figures(totals: &Totals) -> Vec<Line> {
    let Totals { summary, protocol, intervals, .. } = totals;
    let found = intervals.as_ref().map(|intervals| intervals.figures.clone()).unwrap_or_default();
    let unit = match protocol.unit {
        Unit::Query => "queries",
        Unit::FirstQuery | Unit::Sample => "samples",
    };
    let mut lines = vec![
        Line::new(unit, summary.n.to_string(), ""),
        Line::new("gIoU", percent(summary.giou), "mean IoU (mIoU)").between(found.giou),
        Line::new("cIoU", percent(summary.ciou), "cumulative IoU (oIoU)").between(found.ciou),
        Line::new("median IoU", percent(summary.median_iou), ""),
    ];
    for precision in &summary.precision {
        // Intervals are found for 0.5 to 0.9.
        let position = (precision.at * 10.0).round() as usize;
        let interval = position.checked_sub(5).and_then(|at| *found.precision.get(at)?);
        let name = format!("Pr@{}", precision.at);
        lines.push(Line::new(&name, percent(Some(precision.share)), "").between(interval));
    }
    let without = format!("of {} without a target", summary.no_target);
    for (name, value, interval, note) in [
        ("N-acc.", summary.no_target_accuracy, found.no_target_accuracy, without.as_str()),
        ("T-acc.", summary.target_accuracy, found.target_accuracy, "of those with a target"),
        ("box accuracy", summary.box_accuracy, found.box_accuracy, "boxes with IoU > 0.5"),
        ("points", summary.points_on_target, found.points_on_target, "on the target"),
        ("boundary IoU", summary.boundary_iou, found.boundary_iou, "mean"),
    ] {
        // T-acc. says little where everything has a target.
        if value.is_some() && (name != "T-acc." || summary.no_target > 0) {
            lines.push(Line::new(name, percent(value), note).between(interval));
        }
    }
    lines.push(Line::new("hit", summary.intersection.to_string(), "px, sum of intersections"));
    lines.push(Line::new("of", summary.union.to_string(), "px, sum of unions"));
    for (name, count, note) in [
        ("skipped", summary.skipped, "left out by the protocol"),
        ("both empty", summary.both_empty, "no target, and the answer is nothing"),
        ("empty answers", summary.empty_prediction, "to a target"),
    ] {
        if count > 0 {
            lines.push(Line::new(name, count.to_string(), note));
        }
    }
    lines
}

fn counts(problems: &Problems) -> Vec<Line> {
    let all = [
        ("missing", &problems.missing, "no prediction"),
        ("other size", &problems.size_mismatch, "count as no prediction"),
        ("unreadable", &problems.unreadable, "count as no prediction"),
        ("repeated", &problems.repeated, "samples"),
        ("duplicate", &problems.duplicate, "predictions, the first counts"),
        ("unmatched", &problems.unmatched, "predictions without a sample"),
        ("bad records", &problems.bad_predictions, "predictions skipped"),
        ("bad samples", &problems.bad_samples, "samples not scored"),
        ("filled boxes", &problems.filled_boxes, "predictions without a mask"),
        ("no answer", &problems.unanswered, "in the reply, count as no prediction"),
        ("ambiguous", &problems.ambiguous, "predictions of an image, not used"),
        ("several", &problems.several, "records of a key that others have too"),
    ];
    let nonzero = all.into_iter().filter(|(_, names, _)| names.count > 0);
    let line =
        |(name, names, note): (&str, &Names, &str)| Line::new(name, names.count.to_string(), note);
    nonzero.map(line).collect()
}

fn groups(breakdown: &Breakdown) -> String {
    let mut text = format!("{:<26}{:>8}{:>8}{:>8}\n", breakdown.axis.title(), "n", "gIoU", "cIoU");
    for group in &breakdown.groups {
        let Summary { n, giou, ciou, .. } = &group.summary;
        let (giou, ciou) = (percent(*giou), percent(*ciou));
        text += &format!("  {:<24}{n:>8}{giou:>8}{ciou:>8}\n", group.name);
    }
    text
}

/// The same predictions by every other protocol, against the first.
fn differences(totals: &Totals) -> String {
    let first = (&totals.protocol, &totals.summary);
    let others = totals.others.iter().map(|verdict| (&verdict.protocol, &verdict.summary));
    let change = |value: Option<f64>, base: Option<f64>| match (value, base) {
        // A change that rounds to nothing has no sign.
        (Some(value), Some(base)) => {
            format!("{:+.2}", (value - base) * 100.0).replace("-0.00", "+0.00")
        }
        _ => "-".to_owned(),
    };
    let mut text = format!(
        "{:<18}{:>9}{:>9}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}\n",
        "protocol", "n", "skipped", "gIoU", "+/-", "cIoU", "+/-", "N-acc.", "T-acc."
    );
    for (protocol, summary) in std::iter::once(first).chain(others) {
        let Summary { n, skipped, giou, ciou, .. } = summary;
        text += &format!(
            "  {:<16}{n:>9}{skipped:>9}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}\n",
            protocol.name,
            percent(*giou),
            change(*giou, totals.summary.giou),
            percent(*ciou),
            change(*ciou, totals.summary.ciou),
            percent(summary.no_target_accuracy),
            percent(summary.target_accuracy),
        );
    }
    text
}

/// What a reader of the numbers must know, with the first few names.
pub fn warnings(totals: &Totals) -> String {
    let Problems { missing, size_mismatch, unreadable, repeated, .. } = &totals.problems;
    let Problems { duplicate, unmatched, bad_predictions, bad_samples, filled_boxes, .. } =
        &totals.problems;
    let Problems { unanswered, ambiguous, several, .. } = &totals.problems;
    let n = totals.summary.n;
    let mut text = String::new();
    let mut warn = |names: &Names, what: String| {
        if names.count > 0 {
            let dots = if names.count > names.first.len() as u64 { ", ..." } else { "" };
            let first = names.first.join(", ");
            text.push_str(&format!("warning: {} {what}: {first}{dots}\n", names.count));
        }
    };
    warn(missing, format!("of {n} have NO PREDICTION (rule: missing)"));
    warn(size_mismatch, format!("of {n} have a prediction of ANOTHER SIZE, which is not scored"));
    warn(unreadable, format!("of {n} have an UNREADABLE prediction"));
    warn(bad_samples, "samples could not be read and are NOT SCORED".to_owned());
    warn(bad_predictions, "predictions could not be read and were skipped".to_owned());
    warn(filled_boxes, "predictions are BOXES WITHOUT A MASK, scored as if filled".to_owned());
    warn(unanswered, format!("of {n} have a reply that holds NO ANSWER and count as missing"));
    warn(
        ambiguous,
        "predictions name an image with several samples and were NOT USED (let each record say \
         its object: `ann_id`, `ref_id` or `key`)"
            .to_owned(),
    );
    warn(
        several,
        "records share a key; the best of each counts, or all with --instances union".to_owned(),
    );
    warn(duplicate, "predictions repeat a key; the first of each key counts".to_owned());
    warn(unmatched, "predictions belong to no sample".to_owned());
    warn(repeated, "keys stand in the data more than once, and each time count".to_owned());
    text
}
