//! What `segzero eval` prints.

use segzero_eval::{Breakdown, Names, Problems, Protocol, Provenance, Summary, Totals, Unit};

/// A line of a table: name, value, note.
type Line = (String, String, String);

/// The numbers as people read them: percent with two decimals.
pub fn table(provenance: &Provenance, totals: &Totals) -> String {
    let Totals { summary, problems, protocol, .. } = totals;
    let split = provenance.split.as_ref().map(|split| format!(" {split}")).unwrap_or_default();
    let mut text = format!("{}{split}, {}\n", provenance.data, provenance.predictions.display());
    text += &rules(protocol);
    if !provenance.complete {
        text += "INCOMPLETE: not every sample has a usable prediction\n";
    }
    for partial in &provenance.partial {
        text += &format!("PARTIAL RUN: {partial}\n");
    }
    for (name, value, note) in figures(summary, protocol).into_iter().chain(counts(problems)) {
        let line = format!("  {name:<14}{value:>10}  {note}");
        text += line.trim_end();
        text.push('\n');
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

fn figures(summary: &Summary, protocol: &Protocol) -> Vec<Line> {
    let unit = match protocol.unit {
        Unit::Query => "queries",
        Unit::FirstQuery | Unit::Sample => "samples",
    };
    let pixels = format!("of {} px: {} hit", summary.union, summary.intersection);
    let line = |name: &str, value: String, note: &str| (name.to_owned(), value, note.to_owned());
    let mut lines = vec![
        line(unit, summary.n.to_string(), ""),
        line("gIoU", percent(summary.giou), "mean IoU (mIoU)"),
        line("cIoU", percent(summary.ciou), &format!("cumulative IoU (oIoU), {pixels}")),
        line("median IoU", percent(summary.median_iou), ""),
    ];
    for precision in &summary.precision {
        lines.push(line(&format!("Pr@{}", precision.at), percent(Some(precision.share)), ""));
    }
    for (name, value, note) in [
        ("box accuracy", summary.box_accuracy, "boxes with IoU > 0.5"),
        ("points", summary.points_on_target, "on the target"),
        ("boundary IoU", summary.boundary_iou, "mean"),
    ] {
        if value.is_some() {
            lines.push(line(name, percent(value), note));
        }
    }
    if summary.no_target > 0 {
        let note = format!("of {} without a target", summary.no_target);
        lines.push(line("N-acc.", percent(summary.no_target_accuracy), &note));
        lines.push(line("T-acc.", percent(summary.target_accuracy), ""));
    }
    for (name, count, note) in [
        ("skipped", summary.skipped, "left out by the protocol"),
        ("both empty", summary.both_empty, "no target, and the answer is nothing"),
        ("empty answers", summary.empty_prediction, "to a target"),
    ] {
        if count > 0 {
            lines.push(line(name, count.to_string(), note));
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
    ];
    let nonzero = all.into_iter().filter(|(_, names, _)| names.count > 0);
    let line = |(name, names, note): (&str, &Names, &str)| {
        (name.to_owned(), names.count.to_string(), note.to_owned())
    };
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
    warn(duplicate, "predictions repeat a key; the first of each key counts".to_owned());
    warn(unmatched, "predictions belong to no sample".to_owned());
    warn(repeated, "keys stand in the data more than once, and each time count".to_owned());
    text
}
