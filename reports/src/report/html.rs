//! The parts of the page that need no script: headline, rules, problems, tables.

use std::fmt::Write;

use segzero_eval::{Axis, Heard, Protocol, Summary, Verdict};

use super::lines::{grouped, percent, points};
use super::plain::minus;
use super::{Entry, Line, Report, words};
use crate::frame::escape;

/// Another output of the report, to be linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Name for people.
    pub name: String,
    /// Address, relative to the page.
    pub address: String,
}

/// Writing to a string cannot fail; this says so once.
macro_rules! put {
    ($out:expr, $($words:tt)*) => { let _ = write!($out, $($words)*); };
}

impl Report {
    /// What stands in the way of trusting the numbers.
    pub(super) fn banner(&self) -> String {
        let mut html = String::new();
        let mut say = |name: &str, words: &str| {
            put!(html, "<p><strong>{}</strong> {}</p>\n", escape(name), escape(words));
        };
        for entry in &self.entries {
            entry.warnings().iter().for_each(|words| say(&entry.name, words));
        }
        let first = &self.entries[0];
        let rules = |entry: &Entry| Protocol {
            headline: Vec::new(),
            source: String::new(),
            name: String::new(),
            ..entry.run.scores.totals.protocol.clone()
        };
        for entry in &self.entries[1..] {
            if rules(entry) != rules(first) {
                say(&entry.name, "was scored by other rules: its numbers cannot be compared.");
            }
            let n = |entry: &Entry| entry.run.scores.totals.summary.n;
            if entry.set() != first.set() || n(entry) != n(first) {
                let [here, there] = [entry, first].map(|e| format!("{}, n = {}", e.set(), n(e)));
                say(&entry.name, &format!("is on {here}, not on {there}."));
            }
        }
        match html.is_empty() {
            true => html,
            false => format!("<div class=\"banner\" role=\"alert\">\n{html}</div>"),
        }
    }

    /// The figures: large ones for a single run, columns side by side for several.
    pub(super) fn headline(&self) -> String {
        match self.entries.as_slice() {
            [entry] => entry.numbers(),
            _ => self.side_by_side(),
        }
    }

    fn side_by_side(&self) -> String {
        let mut html = String::from(
            "<div class=\"wide\"><table class=\"numeric side\">\n<thead><tr><th scope=\"col\">figure</th>",
        );
        for entry in &self.entries {
            put!(html, "<th scope=\"col\">{}</th>", escape(&entry.name));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        let words = |label: &str, value: &dyn Fn(&Entry) -> String| {
            let cells: String =
                self.entries.iter().map(|e| format!("<td>{}</td>", escape(&value(e)))).collect();
            format!("<tr><th scope=\"row\">{label}</th>{cells}</tr>\n")
        };
        html += &words("protocol", &|e| e.run.scores.totals.protocol.name.clone());
        html += &words("samples", &|e| grouped(e.run.scores.totals.summary.n));
        let main = self.entries[0].run.scores.totals.protocol.headline.len().min(2);
        for (at, column) in self.columns().into_iter().enumerate() {
            let class = if at < main { " class=\"main\"" } else { "" };
            let (label, note) = (escape(&column.label), escape(column.note));
            put!(html, "<tr{class}><th scope=\"row\" title=\"{note}\">{label}</th>");
            let best = self.entries.iter().filter_map(|e| e.line(&column.id)?.value);
            let best = best.fold(f64::NEG_INFINITY, f64::max);
            for entry in &self.entries {
                let line = entry.line(&column.id);
                let class = match line.and_then(|line| line.value) {
                    Some(value) if value == best => " class=\"best\"",
                    _ => "",
                };
                put!(html, "<td{class}>{}</td>", line.map_or("-".to_owned(), value));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody>\n</table></div>");
        html
    }

    /// Every field of the rules, in words; once where all runs share them.
    pub(super) fn rules(&self) -> String {
        let mut html = String::new();
        let mut said: Vec<&Protocol> = Vec::new();
        for entry in &self.entries {
            let protocol = &entry.run.scores.totals.protocol;
            if said.contains(&protocol) {
                continue;
            }
            said.push(protocol);
            put!(
                html,
                "<details class=\"rules\"><summary>Protocol <b>{}</b>: every rule in words</summary>\n\
                 <p class=\"soft\">{}</p>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">rule</th>\
                 <th scope=\"col\">value</th><th scope=\"col\">meaning</th></tr></thead>\n<tbody>\n",
                escape(&protocol.name),
                escape(&protocol.source)
            );
            for (field, value) in protocol.fields() {
                let (value, meaning) = (escape(&value), escape(words::meaning(protocol, field)));
                put!(
                    html,
                    "<tr><th scope=\"row\">{field}</th><td>{value}</td><td>{meaning}</td></tr>\n"
                );
            }
            html.push_str("</tbody></table></div></details>\n");
        }
        html
    }

    /// Everything that was wrong with the input, counted and named.
    pub(super) fn problems(&self) -> String {
        let mut html = String::new();
        for entry in &self.entries {
            let name = match self.entries.len() {
                1 => String::new(),
                _ => format!("{}: ", escape(&entry.name)),
            };
            for line in entry.run.provenance.heard.iter().flat_map(Heard::lines) {
                put!(html, "<li>{name}{}</li>\n", escape(&line));
            }
            for (what, names) in words::problems(&entry.run.scores.totals.problems) {
                let dots = if names.count > names.first.len() as u64 { ", …" } else { "" };
                put!(
                    html,
                    "<li>{name}<b>{}</b> {what}: <span class=\"names\">{}{dots}</span></li>\n",
                    grouped(names.count),
                    escape(&names.first.join(", "))
                );
            }
        }
        match html.is_empty() {
            true => "<p class=\"soft\">Nothing was wrong with the input: every sample has one \
                     prediction, and every prediction a sample.</p>"
                .to_owned(),
            false => format!("<ul class=\"problems\">\n{html}</ul>"),
        }
    }

    /// The numbers by size of the object, length of the query, ...: a table an axis, with columns for
    /// every run.
    pub(super) fn breakdowns(&self) -> String {
        Axis::ALL.into_iter().map(|axis| self.group_table(axis)).collect()
    }

    fn group_table(&self, axis: Axis) -> String {
        let of = |entry: &'_ Entry, name: &str| {
            let breakdowns = &entry.run.scores.totals.breakdowns;
            let groups = &breakdowns.iter().find(|breakdown| breakdown.axis == axis)?.groups;
            groups.iter().find(|group| group.name == name).map(|group| group.summary.clone())
        };
        let mut rows = String::new();
        for name in axis.names() {
            let found: Vec<Option<Summary>> = self.entries.iter().map(|e| of(e, name)).collect();
            if found.iter().all(Option::is_none) {
                continue;
            }
            put!(rows, "<tr><th scope=\"row\">{name}</th>");
            for summary in found {
                let half = |s: &Summary| s.precision.iter().find(|p| p.at == 0.5).map(|p| p.share);
                let s = summary.unwrap_or_default();
                put!(rows, "<td class=\"first\">{}</td>", grouped(s.n));
                for value in [s.giou, s.ciou, half(&s)] {
                    put!(rows, "<td>{}</td>", percent(value));
                }
            }
            rows.push_str("</tr>\n");
        }
        if rows.is_empty() {
            return rows;
        }
        let mut runs = String::new();
        let mut columns = String::from("<th scope=\"col\">group</th>");
        for entry in &self.entries {
            put!(runs, "<th colspan=\"4\" class=\"first\">{}</th>", escape(&entry.name));
            columns += "<th scope=\"col\" class=\"first\">n</th>";
            for name in ["gIoU", "cIoU", "Pr@0.5"] {
                put!(columns, "<th scope=\"col\">{name}</th>");
            }
        }
        let runs = match self.entries.len() {
            1 => String::new(),
            _ => format!("<tr><th></th>{runs}</tr>\n"),
        };
        format!(
            "<div class=\"group\"><table class=\"numeric\">\n<caption>{}</caption>\n\
             <thead>{runs}<tr>{columns}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
            axis.title()
        )
    }

    /// The same predictions by other rules; nothing where that was not asked for.
    pub(super) fn verdicts(&self) -> String {
        self.entries.iter().map(Entry::verdict_table).collect()
    }

    /// Where the numbers come from.
    pub(super) fn sources(&self) -> String {
        let mut html = String::new();
        for entry in &self.entries {
            let provenance = &entry.run.provenance;
            let mut facts = vec![("scores", entry.path.display().to_string())];
            facts.push(("predictions", provenance.predictions.display().to_string()));
            let root = provenance.root.as_ref().map(|root| root.display().to_string());
            facts.extend(root.map(|root| ("data", root)));
            facts.push(("scored by", format!("segzero {}", provenance.segzero)));
            put!(html, "<li><b>{}</b>, {}:", escape(&entry.name), escape(&entry.set()));
            for (name, value) in facts {
                put!(html, " {name} <span class=\"names\">{}</span>;", escape(&value));
            }
            html.pop();
            html.push_str("</li>\n");
        }
        format!("<ul class=\"problems\">\n{html}</ul>")
    }
}

impl Entry {
    fn numbers(&self) -> String {
        let summary = &self.run.scores.totals.summary;
        let main = self.run.scores.totals.protocol.headline.len().min(2);
        let mut html = String::from("<dl class=\"numbers\">\n");
        for (at, line) in self.lines.iter().enumerate() {
            let class = if at < main { "main" } else { "" };
            put!(
                html,
                "<div class=\"{class}\"><dt title=\"{}\">{}</dt><dd>{}</dd></div>\n",
                escape(line.note),
                escape(&line.label),
                value(line)
            );
        }
        let n = grouped(summary.n);
        put!(html, "<div><dt>samples</dt><dd><b>{n}</b></dd></div>\n");
        if summary.skipped > 0 {
            let skipped = grouped(summary.skipped);
            put!(html, "<div><dt>left out</dt><dd><b>{skipped}</b></dd></div>\n");
        }
        html.push_str("</dl>");
        html
    }

    fn verdict_table(&self) -> String {
        let totals = &self.run.scores.totals;
        if totals.others.is_empty() {
            return String::new();
        }
        let mut html = format!(
            "<h3>{}: the same predictions under every protocol; differences are to <b>{}</b>, in \
             points</h3>\n<div class=\"wide\"><table class=\"numeric\">\n<thead><tr>",
            escape(&self.name),
            escape(&totals.protocol.name)
        );
        for name in ["protocol", "n", "gIoU", "±", "cIoU", "±"] {
            put!(html, "<th scope=\"col\">{name}</th>");
        }
        html.push_str(
            "<th scope=\"col\" class=\"words\">what differs</th></tr></thead>\n<tbody>\n",
        );
        let own = &totals.summary;
        let mine = Verdict { protocol: totals.protocol.clone(), summary: own.clone() };
        for verdict in std::iter::once(&mine).chain(&totals.others) {
            let Summary { n, giou, ciou, .. } = &verdict.summary;
            let [by_giou, by_ciou] = [minus(*giou, own.giou), minus(*ciou, own.ciou)];
            let differs = words::differences(&verdict.protocol, &totals.protocol).join("; ");
            let (name, source) = (&verdict.protocol.name, &verdict.protocol.source);
            put!(
                html,
                "<tr><th scope=\"row\" title=\"{}\">{}</th><td>{}</td>",
                escape(source),
                escape(name),
                grouped(*n)
            );
            for (value, by) in [(giou, by_giou), (ciou, by_ciou)] {
                let class =
                    if by.is_some_and(|by| by.abs() >= 0.01) { " class=\"far\"" } else { "" };
                put!(html, "<td>{}</td><td{class}>{}</td>", percent(*value), points(by));
            }
            put!(html, "<td class=\"words\">{}</td></tr>\n", escape(&differs));
        }
        html.push_str("</tbody>\n</table></div>\n");
        html
    }
}

/// A value with its interval.
fn value(line: &Line) -> String {
    match line.range() {
        range if range.is_empty() => format!("<b>{}</b>", line.percent()),
        range => format!("<b>{}</b> <span class=\"range\">{range}</span>", line.percent()),
    }
}
