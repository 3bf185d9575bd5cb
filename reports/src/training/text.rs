//! Trainings as text: the table of their figures, Markdown, CSV.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Training, Trainings};
use crate::report::plain::{mark_down, number, separated, table};

/// One line of the table of figures: what, and its value in each run.
pub(super) type Row = (String, Vec<String>);

/// What the arrows of the table mean.
pub(super) const FOOTNOTE: &str = "Arrows go from the mean of a run's first steps to that of its last: \
                                   a quarter of them, ten at most.";

impl Trainings {
    /// What became of the runs: figures at the beginning and the end.
    pub(super) fn table(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        let mut add = |name: &str, value: &dyn Fn(&Training) -> Option<String>| {
            let values: Vec<_> = self.runs.iter().map(value).collect();
            if values.iter().any(Option::is_some) {
                let values = values.into_iter().map(|v| v.unwrap_or_else(|| "–".to_owned()));
                rows.push((name.to_owned(), values.collect()));
            }
        };
        add("training", &|run| Some(run.kind.clone()));
        add("steps", &|run| Some(run.progress()));
        add("epochs", &|run| Some(significant(run.curve("epoch").last()?[1])));
        add("time", &|run| Some(duration(run.sum("timing_s/step")?)));
        add("time of a step", &|run| {
            Some(format!("{} s", significant(run.mean("timing_s/step")?)))
        });
        add("tokens a second, rollout", &|run| {
            Some(significant(run.mean("tokens_per_second/rollout")?))
        });
        for (name, figure) in [("gIoU", "val/giou"), ("cIoU", "val/ciou")] {
            add(name, &|run| run.validated(figure));
        }
        add("score", &|run| run.change("critic/score/mean"));
        for reward in self.rewards() {
            add(reward, &|run| run.change(&format!("reward/{reward}/mean")));
        }
        for (name, figure) in [
            ("completion length", "response_length/mean"),
            ("cut-off replies", "response_length/clip_ratio"),
            ("loss", "loss"),
            ("KL", "actor/kl_loss"),
            ("entropy", "actor/entropy_loss"),
            ("norm of gradients", "actor/grad_norm"),
            ("clipped tokens", "actor/pg_clipfrac"),
        ] {
            add(name, &|run| run.change(figure));
        }
        rows
    }

    /// The figures and the settings as Markdown tables.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", mark_down(&self.title));
        let mut header = vec!["setting".to_owned()];
        header.extend(self.runs.iter().map(|run| run.name.clone()));
        let rows = |rows: Vec<Row>| {
            rows.into_iter().map(|(name, values)| [vec![name], values].concat()).collect::<Vec<_>>()
        };
        let figures = [vec!["run".to_owned()], header[1..].to_vec()].concat();
        table(&mut text, &figures, rows(self.table()).into_iter());
        let _ = writeln!(text, "{}\n", FOOTNOTE);
        let settings = self.settings();
        let (differ, same): (Vec<_>, Vec<_>) = settings.into_iter().partition(|s| s.differs());
        let groups = match self.runs.len() {
            1 => vec![("Settings", same)],
            _ => vec![("Settings that differ", differ), ("Settings in common", same)],
        };
        for (title, settings) in groups.into_iter().filter(|(_, settings)| !settings.is_empty()) {
            let _ = writeln!(text, "## {title}\n");
            let settings = settings.into_iter().map(|s| (s.name, s.values)).collect();
            table(&mut text, &header, rows(settings).into_iter());
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    /// The logs: one line a step of every run, with all digits.
    pub fn csv(&self) -> String {
        let figures: BTreeSet<&String> =
            self.runs.iter().flat_map(|run| run.steps.values()).flat_map(|of| of.keys()).collect();
        let mut header = vec!["run".to_owned(), "step".to_owned()];
        header.extend(figures.iter().map(|name| (*name).clone()));
        let rows = self.runs.iter().flat_map(|run| {
            run.steps.iter().map(|(step, of)| {
                let mut row = vec![run.name.clone(), step.to_string()];
                row.extend(figures.iter().map(|name| number(of.get(*name).copied())));
                row
            })
        });
        separated(&header, rows)
    }

    /// The replies that were kept, one a line.
    pub fn samples_csv(&self) -> String {
        let samples = || self.runs.iter().flat_map(|run| run.samples.iter().map(move |s| (run, s)));
        let rewards: BTreeSet<&String> = samples().flat_map(|(_, s)| s.rewards.keys()).collect();
        let fixed = ["run", "step", "key", "question", "reply", "score", "advantage"];
        let mut header = fixed.map(str::to_owned).to_vec();
        header.extend(rewards.iter().map(|name| (*name).clone()));
        let rows = samples().map(|(run, sample)| {
            let mut row = vec![run.name.clone(), sample.step.to_string()];
            row.extend([&sample.key, &sample.question, &sample.reply].map(String::clone));
            row.extend([sample.score, sample.advantage].map(|value| number(Some(value))));
            row.extend(rewards.iter().map(|name| number(sample.rewards.get(*name).copied())));
            row
        });
        separated(&header, rows)
    }
}

impl Training {
    /// Steps taken, and to be taken.
    pub(super) fn progress(&self) -> String {
        let taken = self.last_step();
        match self.planned() {
            Some(planned) if planned != taken => format!("{taken} of {planned}"),
            _ => taken.to_string(),
        }
    }

    fn sum(&self, figure: &str) -> Option<f64> {
        let curve = self.curve(figure);
        (!curve.is_empty()).then(|| curve.iter().map(|point| point[1]).sum())
    }

    fn mean(&self, figure: &str) -> Option<f64> {
        Some(self.sum(figure)? / self.curve(figure).len() as f64)
    }

    /// A figure at the beginning and at the end.
    fn change(&self, figure: &str) -> Option<String> {
        let values: Vec<f64> = self.curve(figure).iter().map(|point| point[1]).collect();
        let steps = (values.len() / 4).clamp(1, 10);
        let mean = |values: &[f64]| significant(values.iter().sum::<f64>() / values.len() as f64);
        let [first, last] = [values.get(..steps)?, &values[values.len() - steps..]].map(mean);
        Some(format!("{first} → {last}"))
    }

    /// A figure of the first validation and of the best.
    fn validated(&self, figure: &str) -> Option<String> {
        let curve = self.curve(figure);
        let percent = |value: f64| format!("{:.2} %", 100.0 * value);
        let first = percent(curve.first()?[1]);
        let best = curve.iter().find(|point| Some(point[0] as u64) == self.best);
        Some(match best {
            Some([step, value]) => format!("{first} → {} at step {step}", percent(*value)),
            None => first,
        })
    }
}

/// A number with about three digits that matter.
pub(super) fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        ..0.001 => format!("{value:.1e}"),
        ..1.0 => format!("{value:.4}"),
        ..10.0 => format!("{value:.3}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Seconds in words.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        ..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}
