//! What `segzero eval` prints.

use segzero_eval::{Names, Problems, Provenance, Totals, Unit};

/// The summary as people read it: percent with two decimals.
pub fn table(provenance: &Provenance, totals: &Totals) -> String {
    let Totals { summary, problems, protocol, .. } = totals;
    let percent = |value: Option<f64>| match value {
        Some(value) => format!("{:.2}", value * 100.0),
        None => "-".to_owned(),
    };
    let unit = match protocol.unit {
        Unit::Query => "queries",
        Unit::FirstQuery | Unit::Sample => "samples",
    };
    let pixels = format!("of {} px: {} hit", summary.union, summary.intersection);
    let mut rows = vec![
        (unit.to_owned(), summary.n.to_string(), String::new()),
        ("gIoU".to_owned(), percent(summary.giou), "mean IoU (mIoU)".to_owned()),
        ("cIoU".to_owned(), percent(summary.ciou), format!("cumulative IoU (oIoU), {pixels}")),
        ("median IoU".to_owned(), percent(summary.median_iou), String::new()),
    ];
    for precision in &summary.precision {
        rows.push((format!("Pr@{}", precision.at), percent(Some(precision.share)), String::new()));
    }
    if summary.no_target > 0 {
        let note = format!("of {} without a target", summary.no_target);
        rows.push(("N-acc.".to_owned(), percent(summary.no_target_accuracy), note));
        rows.push(("T-acc.".to_owned(), percent(summary.target_accuracy), String::new()));
    }
    for (name, count, note) in [
        ("both empty", summary.both_empty, "count as IoU 1"),
        ("empty answers", summary.empty_prediction, "to a target"),
        ("missing", problems.missing.count, "count as IoU 0"),
        ("other size", problems.size_mismatch.count, "count as IoU 0"),
        ("unreadable", problems.unreadable.count, "count as IoU 0"),
        ("repeated", problems.repeated.count, "samples"),
        ("duplicate", problems.duplicate.count, "predictions, the first counts"),
        ("unmatched", problems.unmatched.count, "predictions without a sample"),
        ("bad records", problems.bad_predictions.count, "predictions skipped"),
        ("bad samples", problems.bad_samples.count, "samples not scored"),
    ] {
        rows.push((name.to_owned(), count.to_string(), note.to_owned()));
    }
    let split = provenance.split.as_ref().map(|split| format!(" {split}")).unwrap_or_default();
    let mut text = format!("{}{split}, {}\n", provenance.data, provenance.predictions.display());
    if !provenance.complete {
        text.push_str("INCOMPLETE: not every sample has a usable prediction\n");
    }
    for (name, value, note) in rows {
        let line = format!("  {name:<14}{value:>10}  {note}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// What a reader of the numbers must know, with the first few names.
pub fn warnings(totals: &Totals) -> String {
    let Problems { missing, size_mismatch, unreadable, repeated, .. } = &totals.problems;
    let Problems { duplicate, unmatched, bad_predictions, bad_samples, .. } = &totals.problems;
    let n = totals.summary.n;
    let mut text = String::new();
    let mut warn = |names: &Names, what: String| {
        if names.count > 0 {
            let dots = if names.count > names.first.len() as u64 { ", ..." } else { "" };
            let first = names.first.join(", ");
            text.push_str(&format!("warning: {} {what}: {first}{dots}\n", names.count));
        }
    };
    warn(missing, format!("of {n} have NO PREDICTION and count as IoU 0"));
    warn(size_mismatch, format!("of {n} have a prediction of ANOTHER SIZE and count as IoU 0"));
    warn(unreadable, format!("of {n} have an UNREADABLE prediction and count as IoU 0"));
    warn(bad_samples, "samples could not be read and are NOT SCORED".to_owned());
    warn(bad_predictions, "predictions could not be read and were skipped".to_owned());
    warn(duplicate, "predictions repeat a key; the first of each key counts".to_owned());
    warn(unmatched, "predictions belong to no sample".to_owned());
    warn(repeated, "keys stand in the data more than once, and each time count".to_owned());
    text
}
