//! The report as text: Markdown, LaTeX, CSV, JSON.

use std::fmt::Write;

use segzero_eval::resample::Interval;
use segzero_eval::{Breakdown, Heard, Problems, Protocol, Provenance, Run, Summary, Verdict};
use serde::Serialize;

use super::lines::{grouped, percent, points};
use super::{Entry, Line, Report, words};

/// A cell of a table: the value, and its interval where there is one.
fn cell(line: Option<&Line>) -> String {
    match line {
        None => "-".to_owned(),
        Some(line) if line.interval.is_none() => line.percent(),
        Some(line) => format!("{} [{}]", line.percent(), line.range()),
    }
}

impl Report {
    /// The report as Markdown tables.
    pub fn markdown(&self) -> String {
        let columns = self.columns();
        let mut text = format!("# {}\n\n", mark_down(&self.title));
        let mut header = vec!["run".to_owned(), "protocol".to_owned(), "n".to_owned()];
        header.extend(columns.iter().map(|line| line.label.clone()));
        let row = |entry: &Entry| {
            let totals = &entry.run.scores.totals;
            let mut row = vec![entry.name.clone(), totals.protocol.name.clone()];
            row.push(grouped(totals.summary.n));
            row.extend(columns.iter().map(|line| cell(entry.line(&line.id))));
            row
        };
        table(&mut text, &header, self.entries.iter().map(row));
        let _ = writeln!(text, "{}\n", self.footnote());
        for entry in &self.entries {
            entry.notes(&mut text);
        }
        for entry in &self.entries {
            entry.groups(&mut text);
        }
        for entry in &self.entries {
            entry.verdicts(&mut text);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    /// A table in LaTeX's booktabs style, with the protocol as its footnote.
    pub fn latex(&self) -> String {
        let columns: Vec<&Line> = self.columns();
        let mut text = String::from("% Needs \\usepackage{booktabs}. In percent.\n");
        let aligned = "r".repeat(columns.len() + 1);
        let _ = writeln!(text, "\\begin{{tabular}}{{l{aligned}}}\n\\toprule");
        let labels: Vec<String> = columns.iter().map(|line| tex(&line.label)).collect();
        let _ = writeln!(text, "Run & $n$ & {} \\\\\n\\midrule", labels.join(" & "));
        for entry in &self.entries {
            let value = |line: &&Line| match entry.line(&line.id) {
                None => "--".to_owned(),
                Some(line) => match line.interval {
                    None => line.percent().replace('-', "--"),
                    Some(Interval { low, high, .. }) => {
                        let ends = [low, high].map(|end| percent(Some(end)));
                        format!("{} {{\\scriptsize [{}, {}]}}", line.percent(), ends[0], ends[1])
                    }
                },
            };
            let values: Vec<String> = columns.iter().map(value).collect();
            let n = entry.run.scores.totals.summary.n;
            let _ = writeln!(text, "{} & {n} & {} \\\\", tex(&entry.name), values.join(" & "));
        }
        let _ = writeln!(text, "\\bottomrule\n\\end{{tabular}}\n");
        for entry in &self.entries {
            let protocol = &entry.run.scores.totals.protocol;
            let fields: Vec<String> =
                protocol.fields().iter().map(|(name, value)| format!("{name}={value}")).collect();
            let note = format!(
                "{}: {}, protocol {} ({}): {}.",
                entry.name,
                entry.set(),
                protocol.name,
                protocol.source,
                fields.join("; ")
            );
            let warnings = entry.warnings().join(" ");
            let note = format!("{} {}", tex(&note), tex(&warnings));
            let _ = writeln!(text, "\\par\\noindent{{\\footnotesize {}}}", note.trim_end());
        }
        let _ = writeln!(text, "\\par\\noindent{{\\footnotesize {}}}", tex(&self.footnote()));
        text
    }

    /// One line a run: fractions, with the ends of their intervals.
    pub fn csv(&self) -> String {
        let columns = self.columns();
        let fixed = ["run", "data", "split", "predictions", "protocol", "complete", "n", "skipped"];
        let mut header: Vec<String> = fixed.map(str::to_owned).to_vec();
        for line in &columns {
            header.extend(["", "_low", "_high"].map(|end| format!("{}{end}", line.id)));
        }
        let row = |entry: &Entry| {
            let Run { provenance, scores } = &entry.run;
            let mut row = vec![
                entry.name.clone(),
                provenance.data.clone(),
                provenance.split.clone().unwrap_or_default(),
                provenance.predictions.display().to_string(),
                scores.totals.protocol.name.clone(),
                provenance.complete.to_string(),
                scores.totals.summary.n.to_string(),
                scores.totals.summary.skipped.to_string(),
            ];
            for column in &columns {
                let line = entry.line(&column.id);
                let interval = line.and_then(|line| line.interval);
                row.push(number(line.and_then(|line| line.value)));
                row.push(number(interval.map(|interval| interval.low)));
                row.push(number(interval.map(|interval| interval.high)));
            }
            row
        };
        separated(&header, self.entries.iter().map(row))
    }

    /// One line a scored unit of every run.
    pub fn samples_csv(&self) -> String {
        let header = [
            "run",
            "dataset",
            "split",
            "key",
            "query",
            "text",
            "image",
            "status",
            "iou",
            "intersection",
            "union",
            "target_area",
            "prediction_area",
            "image_area",
            "words",
            "category",
            "distractors",
            "box_iou",
        ];
        let header: Vec<String> = header.map(str::to_owned).to_vec();
        let rows = self.entries.iter().flat_map(|entry| {
            entry.run.scores.rows.iter().map(|row| {
                let text = |value: Option<u64>| value.map(|v| v.to_string()).unwrap_or_default();
                vec![
                    entry.name.clone(),
                    row.dataset.clone(),
                    row.split.clone(),
                    row.key.clone(),
                    row.query.map(|query| query.to_string()).unwrap_or_default(),
                    row.text.clone(),
                    row.image.clone(),
                    spelled(&row.status),
                    number(Some(row.iou)),
                    row.intersection.to_string(),
                    row.union.to_string(),
                    text(row.target_area),
                    text(row.prediction_area),
                    text(row.image_area),
                    row.words().to_string(),
                    row.category.clone().unwrap_or_default(),
                    text(row.distractors.map(u64::from)),
                    number(row.box_iou),
                ]
            })
        });
        separated(&header, rows)
    }

    /// Everything but the rows, with the intervals.
    ///
    /// # Errors
    /// None that these types can give.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            title: &'a str,
            runs: Vec<One<'a>>,
        }
        #[derive(Serialize)]
        struct One<'a> {
            name: &'a str,
            #[serde(flatten)]
            provenance: &'a Provenance,
            protocol: &'a Protocol,
            summary: &'a Summary,
            intervals: serde_json::Map<String, serde_json::Value>,
            breakdowns: &'a [Breakdown],
            others: &'a [Verdict],
            problems: &'a Problems,
        }
        let one = |entry: &'_ Entry| {
            let with = entry.lines.iter().filter_map(|l| Some((l.id.clone(), l.interval?)));
            let ends = |i: Interval| serde_json::json!([i.low, i.high]);
            with.map(|(id, interval)| (id, ends(interval))).collect()
        };
        let runs = self.entries.iter().map(|entry| {
            let totals = &entry.run.scores.totals;
            One {
                name: &entry.name,
                provenance: &entry.run.provenance,
                protocol: &totals.protocol,
                summary: &totals.summary,
                intervals: one(entry),
                breakdowns: &totals.breakdowns,
                others: &totals.others,
                problems: &totals.problems,
            }
        });
        let whole = Whole { title: &self.title, runs: runs.collect() };
        serde_json::to_string_pretty(&whole).map(|text| text + "\n")
    }
}

impl Entry {
    /// Protocol, data and problems, as a list of Markdown.
    fn notes(&self, text: &mut String) {
        let Run { provenance, scores } = &self.run;
        let protocol = &scores.totals.protocol;
        let _ = writeln!(text, "**{}**: {}.", mark_down(&self.name), mark_down(&self.set()));
        let _ = writeln!(text);
        for warning in self.warnings() {
            let _ = writeln!(text, "- **{}**", mark_down(&warning));
        }
        let predictions = provenance.predictions.display().to_string();
        let _ = writeln!(text, "- predictions: {}", mark_down(&predictions));
        let (name, source) = (mark_down(&protocol.name), mark_down(&protocol.source));
        let fields: Vec<String> =
            protocol.fields().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let _ = writeln!(text, "- protocol {name} ({source}): {}", mark_down(&fields.join("; ")));
        for (what, names) in words::problems(&scores.totals.problems) {
            let first = mark_down(&names.first.join(", "));
            let dots = if names.count > names.first.len() as u64 { ", …" } else { "" };
            let _ = writeln!(text, "- {} {what}: {first}{dots}", names.count);
        }
        for line in provenance.heard.iter().flat_map(Heard::lines) {
            let _ = writeln!(text, "- {}", mark_down(&line));
        }
        let _ = writeln!(text);
    }

    fn groups(&self, text: &mut String) {
        for breakdown in &self.run.scores.totals.breakdowns {
            let title = mark_down(breakdown.axis.title());
            let _ = writeln!(text, "## {}, by {title}\n", mark_down(&self.name));
            let header = ["group", "n", "gIoU", "cIoU", "Pr@0.5"].map(str::to_owned);
            let rows = breakdown.groups.iter().map(|group| {
                let s = &group.summary;
                let half = s.precision.iter().find(|p| p.at == 0.5).map(|p| p.share);
                let mut row = vec![group.name.clone(), grouped(s.n)];
                row.extend([s.giou, s.ciou, half].map(percent));
                row
            });
            table(text, &header, rows);
        }
    }

    fn verdicts(&self, text: &mut String) {
        let totals = &self.run.scores.totals;
        if totals.others.is_empty() {
            return;
        }
        let own = &totals.summary;
        let _ = writeln!(text, "## {}, by every protocol\n", mark_down(&self.name));
        let header = ["protocol", "n", "gIoU", "difference", "cIoU", "difference", "what differs"];
        let mine = Verdict { protocol: totals.protocol.clone(), summary: own.clone() };
        let rows = std::iter::once(&mine).chain(&totals.others).map(|verdict| {
            let Summary { giou, ciou, n, .. } = &verdict.summary;
            let [dg, dc] = [minus(*giou, own.giou), minus(*ciou, own.ciou)].map(points);
            let differs = words::differences(&verdict.protocol, &totals.protocol).join("; ");
            let name = verdict.protocol.name.clone();
            vec![name, grouped(*n), percent(*giou), dg, percent(*ciou), dc, differs]
        });
        table(text, &header.map(str::to_owned), rows);
    }
}

/// The difference where both are there.
pub(super) fn minus(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? - b?)
}

/// A Markdown table and an empty line. Its first column is text, the others are numbers, but for
/// words at the end.
pub(crate) fn table(text: &mut String, header: &[String], rows: impl Iterator<Item = Vec<String>>) {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(header.iter().map(|cell| mark_down(cell)).collect()));
    let is_text =
        |name: &str| matches!(name, "run" | "group" | "protocol" | "what differs" | "setting");
    let rule = |name: &String| if is_text(name) { "---".to_owned() } else { "--:".to_owned() };
    text.push_str(&line(header.iter().map(rule).collect()));
    for row in rows {
        text.push_str(&line(row.iter().map(|cell| mark_down(cell)).collect()));
    }
    text.push('\n');
}

/// Text that Markdown shows as it is, on one line.
pub(crate) fn mark_down(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' => escaped.extend(['\\', c]),
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Text that LaTeX shows as it is, on one line.
pub(super) fn tex(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' => escaped.push_str("\\textless{}"),
            '>' => escaped.push_str("\\textgreater{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '"' => escaped.push_str("\\textquotedbl{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A fraction with all its digits; nothing where there is none.
pub(crate) fn number(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map(|value| value.to_string()).unwrap_or_default()
}

/// A value of an enumeration as files spell it.
pub(super) fn spelled(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

pub(crate) fn separated(header: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail, and every row is as long as the header.
    let _ = writer.write_record(header);
    for row in rows {
        let _ = writer.write_record(&row);
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
