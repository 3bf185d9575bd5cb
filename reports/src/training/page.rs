//! The page of trainings.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use super::text::FOOTNOTE;
use super::{Sample, Trainings};
use crate::figures::drawn;
use crate::frame::{COMMON, PageError, escape, filled, json_in_script, save};
use crate::report::page::linked;
use crate::report::{Built, Link};

/// Most replies of a run in the page.
const SAMPLES: usize = 4000;

/// What the page's script reads.
#[derive(Serialize)]
struct Data<'a> {
    runs: Vec<&'a str>,
    rewards: Vec<&'a str>,
    samples: Vec<Reply<'a>>,
}

#[derive(Serialize)]
struct Reply<'a> {
    run: usize,
    #[serde(flatten)]
    sample: &'a Sample,
}

impl Trainings {
    /// Writes the page.
    ///
    /// # Errors
    /// When it cannot be written, or a figure not be drawn.
    pub fn write_page(&self, path: &Path, links: &[Link]) -> Result<(), Built> {
        Ok(save(path, self.html(links)?.as_bytes())?)
    }

    pub(super) fn html(&self, links: &[Link]) -> Result<String, Built> {
        let data = Data {
            runs: self.runs.iter().map(|run| run.name.as_str()).collect(),
            rewards: self.rewards(),
            samples: self.shown(),
        };
        let data = json_in_script(&data).map_err(PageError::from)?;
        let parts = [
            ("title", escape(&self.title)),
            ("subtitle", self.subtitle()),
            ("table", self.table_html()),
            ("footnote", FOOTNOTE.to_owned()),
            ("figures", self.figures_html()?),
            ("shown", self.shown_words()),
            ("settings", self.settings_html()),
            ("sources", self.sources()),
            ("links", linked(links)),
            ("style", [include_str!("../report/page.css"), include_str!("page.css")].concat()),
            ("script", [COMMON, include_str!("page.js")].concat()),
            ("data", data),
        ];
        let part = |name: &str| {
            parts.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text.as_str())
        };
        Ok(filled(include_str!("page.html"), part))
    }

    /// Replies evenly over each run, the last among them.
    fn shown(&self) -> Vec<Reply<'_>> {
        let runs = self.runs.iter().enumerate();
        let replies = runs.flat_map(|(run, training)| {
            let all = &training.samples;
            let count = all.len().min(SAMPLES);
            (1..=count).map(move |i| Reply { run, sample: &all[i * all.len() / count - 1] })
        });
        replies.collect()
    }

    fn shown_words(&self) -> String {
        let [all, shown]: [usize; 2] =
            [self.runs.iter().map(|run| run.samples.len()).sum(), self.shown().len()];
        match shown {
            0 => {
                "<p class=\"soft\">No reply was kept: supervised training has none.</p>".to_owned()
            }
            _ if shown < all => format!(
                "<p class=\"soft\">{shown} of {all} replies that were kept, evenly over the steps.</p>"
            ),
            _ => String::new(),
        }
    }

    fn subtitle(&self) -> String {
        let words = |run: &super::Training| {
            let method = if run.kind == "grpo" { "GRPO" } else { "SFT" };
            format!("{}: {method}, step {}", run.name, run.progress())
        };
        escape(&self.runs.iter().map(words).collect::<Vec<_>>().join("; "))
    }

    fn figures_html(&self) -> Result<String, Built> {
        let mut html = String::new();
        for part in self.figures() {
            let (title, id) = (part.title, part.title.to_lowercase());
            let _ = writeln!(
                html,
                "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}\
                 </h2>\n<div class=\"figures\">\n{}</div>\n</section>",
                drawn(&part.figures)?
            );
        }
        Ok(html)
    }

    /// The head of a table with a column for each run.
    fn head(&self, what: &str) -> String {
        let cell = |run: &super::Training| format!("<th scope=\"col\">{}</th>", escape(&run.name));
        let cells: String = self.runs.iter().map(cell).collect();
        format!("<thead><tr><th scope=\"col\">{what}</th>{cells}</tr></thead>")
    }

    fn table_html(&self) -> String {
        let mut rows = String::new();
        for (name, values) in self.table() {
            let _ = writeln!(
                rows,
                "<tr><th scope=\"row\">{}</th>{}</tr>",
                escape(&name),
                cells(&values)
            );
        }
        let head = self.head("figure");
        format!(
            "<div class=\"wide\"><table class=\"numeric side\">\n{head}\n<tbody>\n{rows}</tbody>\n\
             </table></div>"
        )
    }

    fn settings_html(&self) -> String {
        let settings = self.settings();
        let mut rows = String::new();
        for setting in &settings {
            let class = if setting.differs() { " class=\"differs\"" } else { "" };
            let (name, cells) = (escape(&setting.name), cells(&setting.values));
            let _ = writeln!(rows, "<tr{class}><th scope=\"row\">{name}</th>{cells}</tr>");
        }
        let differ = settings.iter().filter(|setting| setting.differs()).count();
        let choice = match self.runs.len() {
            1 => String::new(),
            _ => format!(
                "<label class=\"pick\"><input type=\"checkbox\" id=\"differing\" checked> only the \
                 {differ} of {} that differ</label>\n",
                settings.len()
            ),
        };
        let head = self.head("setting");
        format!(
            "{choice}<div class=\"wide\"><table class=\"settings\" id=\"settings-table\">\n{head}\n\
             <tbody>\n{rows}</tbody>\n</table></div>"
        )
    }

    fn sources(&self) -> String {
        let mut html = String::from("<ul class=\"problems\">\n");
        for run in &self.runs {
            let (name, path) = (escape(&run.name), escape(&run.path.display().to_string()));
            let version = escape(run.settings["segzero"].as_str().unwrap_or("?"));
            let _ = writeln!(
                html,
                "<li><b>{name}</b>: folder <span class=\"names\">{path}</span>; trained by segzero \
                 {version}</li>"
            );
        }
        html + "</ul>"
    }
}

fn cells(values: &[String]) -> String {
    values.iter().map(|value| format!("<td>{}</td>", escape(value))).collect()
}
