//! [`Changes`]: what a comparison of two runs found, for a table.

use segzero_eval::resample::Difference;
use segzero_eval::{Comparison, Summary};

use crate::frame::escape;

/// What changed from one run to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The figures that both have.
    pub figures: Vec<Change>,
    /// How the intervals were found, in words.
    pub intervals: String,
    /// Number of units that both have.
    pub units: u64,
    /// Units that only the first has, and only the second.
    pub alone: [u64; 2],
    /// What a check found wrong, in sentences.
    pub faults: Vec<String>,
}

/// One figure in both runs; fractions.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// In the first run.
    pub base: f64,
    /// In the second.
    pub new: f64,
    /// The difference, with interval and tests.
    pub difference: Difference,
}

impl Changes {
    /// The figures of a comparison, and the faults that a check found.
    pub fn of(comparison: &Comparison<'_>, faults: &[String]) -> Self {
        let Comparison { base, new, figures, only_base, only_new, .. } = comparison;
        let precision = |summary: &Summary| summary.precision.first().map(|first| first.share);
        let at = base.precision.first().map_or(0.5, |first| first.at);
        let tenths = (at * 10.0).round() as usize;
        let tested = tenths.checked_sub(5).and_then(|at| *figures.precision.get(at)?);
        let named = [
            ("gIoU".to_owned(), base.giou, new.giou, figures.giou),
            ("cIoU".to_owned(), base.ciou, new.ciou, figures.ciou),
            (format!("Pr@{at}"), precision(base), precision(new), tested),
            (
                "N-acc.".to_owned(),
                base.no_target_accuracy,
                new.no_target_accuracy,
                figures.no_target_accuracy,
            ),
            ("box accuracy".to_owned(), base.box_accuracy, new.box_accuracy, figures.box_accuracy),
            ("boundary IoU".to_owned(), base.boundary_iou, new.boundary_iou, figures.boundary_iou),
        ];
        let change = |(name, base, new, difference)| -> Option<Change> {
            Some(Change { name, base: base?, new: new?, difference: difference? })
        };
        Self {
            figures: named.into_iter().filter_map(change).collect(),
            intervals: comparison.options.to_string(),
            units: base.n,
            alone: [only_base.count, only_new.count],
            faults: faults.to_vec(),
        }
    }
}

/// The section of the page.
pub(super) fn section(changes: &Changes) -> String {
    let Changes { figures, intervals, units, alone: [base, new], faults } = changes;
    let mut html = String::from(
        "<section id=\"changes\" aria-labelledby=\"changes-title\">\n\
         <h2 id=\"changes-title\">What changed</h2>\n",
    );
    for fault in faults {
        html += &format!("<p class=\"banner\" role=\"alert\">FAILED: {}</p>\n", escape(fault));
    }
    html += "<div class=\"wide\"><table class=\"numeric\">\n<thead><tr>";
    for name in ["figure", "base", "new", "change", "interval", "p", "wins", "losses", "ties"] {
        html += &format!("<th scope=\"col\">{name}</th>");
    }
    html += "</tr></thead>\n<tbody>\n";
    for Change { name, base, new, difference } in figures {
        let Difference { interval, p_swap, wins, losses, ties, .. } = difference;
        html += &format!(
            "<tr><th scope=\"row\">{}</th><td>{:.2}</td><td>{:.2}</td><td>{:+.2}</td>\
             <td>{:+.2} to {:+.2}</td><td>{p_swap:.4}</td><td>{wins}</td><td>{losses}</td>\
             <td>{ties}</td></tr>\n",
            escape(name),
            base * 100.0,
            new * 100.0,
            (new - base) * 100.0,
            interval.low * 100.0,
            interval.high * 100.0,
        );
    }
    let alone = match (base, new) {
        (0, 0) => String::new(),
        _ => format!(" {base} units are only in the base, {new} only in the new run."),
    };
    html += &format!(
        "</tbody>\n</table></div>\n<p class=\"soft\">In percent and points, over the {units} units \
         that both runs have; {}. p is that of swapping the runs' results image by image.{alone}</p>\n\
         </section>",
        escape(intervals)
    );
    html
}
