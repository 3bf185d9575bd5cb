//! What is seen of a training while it goes on: a line that is written over in a terminal, a line now
//! and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use segzero_train::Figures;

use crate::output::report;
use crate::progress::{self, Verbosity};

/// Time between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(30);

/// The view of a run.
pub struct View {
    bar: ProgressBar,
    verbosity: Verbosity,
    said: Option<Instant>,
}

impl View {
    /// Of a run that has taken `step` of `steps` steps.
    pub fn new(step: u64, steps: u64, verbosity: Verbosity) -> Self {
        let bar = progress::bar(steps, "training", verbosity);
        bar.set_position(step);
        bar.reset_eta();
        Self { bar, verbosity, said: None }
    }

    /// Shows a step.
    pub fn step(&mut self, step: u64, figures: &Figures) {
        let line = words(figures);
        self.bar.set_position(step);
        self.bar.set_message(line.clone());
        let is_due = self.said.is_none_or(|said| said.elapsed() > PAUSE);
        if self.bar.is_hidden() && self.verbosity == Verbosity::Normal && is_due {
            report(format_args!("step {step}: {line}"));
            self.said = Some(Instant::now());
        }
    }

    /// Says a line beside the view.
    pub fn say(&self, line: &str) {
        if self.verbosity == Verbosity::Normal {
            self.bar.suspend(|| report(line));
        }
    }

    /// Takes the view away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// The figures that say how it goes.
fn words(figures: &Figures) -> String {
    let mut words = Vec::new();
    let mut add = |name: &str, label: &str, digits: usize| {
        if let Some(value) = figures.get(name) {
            words.push(format!("{label} {value:.digits$}"));
        }
    };
    add("critic/score/mean", "reward", 3);
    add("loss", "loss", 4);
    add("actor/kl_loss", "kl", 4);
    add("actor/grad_norm", "|g|", 3);
    add("response_length/mean", "length", 1);
    add("timing_s/step", "s", 1);
    words.join(", ")
}
