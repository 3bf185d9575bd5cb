//! The page, and everything else that goes into the report's folder.

use std::path::Path;

use super::data::Data;
use super::html::Link;
use super::{Chosen, Gallery, Report, changes};
use crate::RUN_LENGTHS;
use crate::figures::{DrawError, Figure, Series, drawn, figures};
use crate::frame::{COMMON, PageError, escape, filled, json_in_script, save};
use crate::pictures::{Images, place};

/// A page that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Built {
    /// It cannot be written.
    #[error(transparent)]
    Page(#[from] PageError),
    /// A figure cannot be drawn.
    #[error(transparent)]
    Figure(#[from] DrawError),
}

impl Report {
    /// The report's figures.
    pub fn figures(&self) -> Vec<Figure> {
        let series: Vec<Series> = self
            .entries
            .iter()
            .map(|entry| Series { name: &entry.name, rows: &entry.run.scores.rows })
            .collect();
        figures(&series)
    }

    /// Writes the page to `path` and, where [`Images`] says so, its images to a folder beside it.
    ///
    /// # Errors
    /// When a file cannot be written, or a figure not be drawn.
    pub fn write_page(
        &self,
        path: &Path,
        images: Images,
        chosen: &Chosen,
        gallery: &Gallery,
        links: &[Link],
    ) -> Result<(), Built> {
        let pictures = place(&gallery.pictures, images, path, "files")?;
        let html = self.html(chosen, gallery, pictures, links)?;
        Ok(save(path, html.as_bytes())?)
    }

    fn html(
        &self,
        chosen: &Chosen,
        gallery: &Gallery,
        pictures: Vec<String>,
        links: &[Link],
    ) -> Result<String, Built> {
        let data = Data::new(self, chosen, gallery, pictures);
        let data = json_in_script(&data).map_err(PageError::from)?;
        let title = escape(&self.title);
        let parts = [
            ("title", title),
            ("subtitle", self.subtitle()),
            ("banner", self.banner()),
            ("headline", self.headline()),
            ("intervals", escape(&self.footnote())),
            ("rules", self.rules()),
            ("problems", self.problems()),
            ("figures", drawn(&self.figures())?),
            ("changes", self.changes.as_ref().map_or_else(String::new, changes::section)),
            ("breakdowns", self.breakdowns()),
            ("verdicts", self.verdicts()),
            ("shown", shown(gallery, chosen)),
            ("sources", self.sources()),
            ("links", linked(links)),
            ("style", include_str!("page.css").to_owned()),
            ("script", format!("{COMMON}\n{}\n{RUN_LENGTHS}", include_str!("page.js"))),
            ("data", data),
        ];
        let part = |name: &str| {
            parts.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text.as_str())
        };
        Ok(filled(include_str!("page.html"), part))
    }

    fn subtitle(&self) -> String {
        let words = |entry: &super::Entry| {
            let totals = &entry.run.scores.totals;
            format!("{} under the protocol {}", entry.name, totals.protocol.name)
        };
        let all: Vec<String> = self.entries.iter().map(words).collect();
        escape(&all.join("; "))
    }
}

/// What the gallery holds, and what it could not.
fn shown(gallery: &Gallery, chosen: &Chosen) -> String {
    let wanted = chosen.all().count();
    let mut html = match (gallery.cards.len(), wanted) {
        (0, 0) => String::new(),
        (0, _) => "<p class=\"soft\">No pictures: the data or the predictions could not be opened \
                   again.</p>"
            .to_owned(),
        (found, _) if chosen.losses.len() + chosen.wins.len() > 0 => format!(
            "<p class=\"soft\">{found} samples have pictures, one a run, in the runs' order: the {} \
             largest losses and the {} largest wins.</p>",
            chosen.losses.len(),
            chosen.wins.len()
        ),
        (found, _) => format!(
            "<p class=\"soft\">{found} samples have pictures: the {} worst, the {} best, and {} at \
             random.</p>",
            chosen.worst.len(),
            chosen.best.len(),
            chosen.random.len()
        ),
    };
    if gallery.problems.count > 0 {
        let first = gallery.problems.first.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        let count = gallery.problems.count;
        html += &format!(
            "<p class=\"soft\">{count} could not be shown: <span class=\"names\">{}</span></p>",
            escape(&first)
        );
    }
    html
}

pub(crate) fn linked(links: &[Link]) -> String {
    let one =
        |link: &Link| format!("<a href=\"{}\">{}</a>", escape(&link.address), escape(&link.name));
    let all: Vec<String> = links.iter().map(one).collect();
    match all.is_empty() {
        true => String::new(),
        false => format!("<p>The same as files: {}.</p>", all.join(", ")),
    }
}
