//! What is drawn of trainings: the panels of the paper's Figures 7 and 8, and what goes with them.

use std::borrow::Cow;

use clap::ValueEnum;
use segzero_eval::reward::Reward;

use super::axis::round;
use super::{Training, Trainings};
use crate::figures::{Axis, Band, Figure, Line, Look};

/// Most points of a curve: more would be narrower than a pixel.
const MOST: usize = 400;
/// Parts of a step, in the order in which they are done.
pub(super) const TIMES: [&str; 6] =
    ["rollout", "reward", "ref", "forward", "backward", "optimizer"];

/// Figures that belong together.
#[derive(Clone, Debug)]
pub struct Part {
    /// What they are of, as a heading.
    pub title: &'static str,
    /// The figures; at least one.
    pub figures: Vec<Figure>,
}

/// A figure of the log against the step.
struct Panel {
    name: Cow<'static, str>,
    title: Cow<'static, str>,
    /// What is drawn, in words and units.
    of: &'static str,
    /// The figure's name in the log.
    figure: String,
    /// The name of what is measured of it on the validation set.
    validated: Option<String>,
    shape: Shape,
    /// The trainings that it is drawn of, where others have something else of that name.
    kind: Option<&'static str>,
    /// The largest value that is possible; 0 is then the smallest.
    most: Option<f64>,
}

/// How a figure is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// As a moving average over each step.
    Noisy,
    /// The same, with a band from `/min` to `/max`.
    Spread,
    /// As it is.
    Exact,
}

impl Panel {
    fn new(
        name: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
        of: &'static str,
        figure: impl Into<String>,
    ) -> Self {
        let (name, title, figure) = (name.into(), title.into(), figure.into());
        Self {
            name,
            title,
            of,
            figure,
            validated: None,
            shape: Shape::Noisy,
            kind: None,
            most: None,
        }
    }
}

/// A published reward: its place among them, and itself.
pub(super) fn known(name: &str) -> Option<(usize, Reward)> {
    let mut all = Reward::value_variants().iter().copied().enumerate();
    all.find(|(_, reward)| reward.name() == name)
}

impl Trainings {
    /// Every figure that the logs can fill, in parts.
    pub fn figures(&self) -> Vec<Part> {
        let spread = |panel| Panel { shape: Shape::Spread, ..panel };
        let rewards = [spread(Panel::new("score", "Score", "sum of rewards", "critic/score/mean"))];
        let rewards = rewards.into_iter().chain(self.rewards().into_iter().map(reward_panel));
        let length = Panel::new("length", "Completion length", "tokens", "response_length/mean");
        let replies = [
            spread(length),
            Panel::new("clip-ratio", "Cut-off replies", "share", "response_length/clip_ratio"),
        ];
        // One is a cross-entropy, the other what moves a policy: no common scale.
        let losses = [("loss-sft", "Loss of SFT", "sft"), ("loss-grpo", "Loss of GRPO", "grpo")];
        let losses = losses.map(|(name, title, kind)| Panel {
            kind: Some(kind),
            ..Panel::new(name, title, "loss", "loss")
        });
        let optimization = [
            ("kl", "KL to the reference", "KL", "actor/kl_loss"),
            ("entropy", "Entropy", "nats", "actor/entropy_loss"),
            ("grad-norm", "Norm of gradients", "norm", "actor/grad_norm"),
            ("clip-fraction", "Clipped tokens", "share", "actor/pg_clipfrac"),
            ("learning-rate", "Learning rate", "learning rate", "actor/lr"),
        ]
        .map(|(name, title, of, figure)| {
            let shape = if figure == "actor/lr" { Shape::Exact } else { Shape::Noisy };
            Panel { shape, ..Panel::new(name, title, of, figure) }
        });
        let speed = Panel::new("tokens", "Rollout", "tokens a second", "tokens_per_second/rollout");
        let drawn = |panels: &mut dyn Iterator<Item = Panel>| -> Vec<Figure> {
            panels.filter_map(|panel| self.panel(&panel)).collect()
        };
        let mut times: Vec<Figure> =
            (0..self.runs.len()).filter_map(|run| self.times(run)).collect();
        times.extend(self.panel(&speed));
        let parts = [
            ("Validation", ["giou", "ciou"].iter().filter_map(|of| self.validation(of)).collect()),
            ("Rewards", drawn(&mut rewards.into_iter())),
            ("Lengths", drawn(&mut replies.into_iter())),
            ("Optimization", drawn(&mut losses.into_iter().chain(optimization))),
            ("Time", times),
        ];
        let parts = parts.into_iter().map(|(title, figures)| Part { title, figures });
        parts.filter(|part| !part.figures.is_empty()).collect()
    }

    fn legend(&self) -> Vec<String> {
        match self.runs.as_slice() {
            [_] => Vec::new(),
            runs => runs.iter().map(|run| run.name.clone()).collect(),
        }
    }

    /// Curves of all runs over a common axis of steps.
    fn figure(
        &self,
        name: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
        y: Axis,
    ) -> Figure {
        let last = self.runs.iter().map(|run| run.last_step() as f64).fold(0.0, f64::max);
        Figure {
            name: name.into(),
            title: title.into(),
            caption: String::new(),
            x: round("step", [0.0, last].into_iter(), 1.0),
            y,
            bars: Vec::new(),
            cells: Vec::new(),
            bands: Vec::new(),
            lines: Vec::new(),
            legend: self.legend(),
        }
    }

    fn panel(&self, panel: &Panel) -> Option<Figure> {
        let window = if panel.shape == Shape::Exact { 1 } else { self.window() };
        let (mut bands, mut lines) = (Vec::new(), Vec::new());
        for (series, run) in self.runs.iter().enumerate() {
            if panel.kind.is_some_and(|kind| run.kind != kind) {
                continue;
            }
            let curve = run.curve(&panel.figure);
            if panel.shape == Shape::Spread {
                bands.extend(run.spread(&panel.figure).map(|points| Band {
                    series,
                    points: points.chunks(stride(points.len())).map(hull).collect(),
                    opacity: if self.runs.len() == 1 { 0.18 } else { 0.1 },
                }));
            }
            if window > 1 {
                let points = curve.chunks(2 * stride(curve.len())).flat_map(extremes).collect();
                lines.push(Line { series, points, look: Look::Faint });
            }
            lines.push(Line { series, points: smooth(&curve, window), look: Look::Plain });
            let points = panel.validated.as_ref().map(|figure| run.curve(figure));
            let points = points.unwrap_or_default();
            lines.push(Line { series, points, look: Look::Dots });
        }
        lines.retain(|line| !line.points.is_empty());
        if lines.is_empty() {
            return None;
        }
        // What is pale goes below.
        lines.sort_by_key(|line| line.look != Look::Faint);
        let has = |look: Look| lines.iter().any(|line| line.look == look);
        let mut words = Vec::new();
        if has(Look::Faint) {
            words.push(format!("Line: mean of the last {window} steps; pale: each step."));
        }
        if !bands.is_empty() {
            words.push("Shade: from the least to the most.".to_owned());
        }
        if has(Look::Dots) {
            words.push("Dots: on the validation set.".to_owned());
        }
        let ends = bands.iter().flat_map(|b: &Band| &b.points).flat_map(|p| [p[1], p[2]]);
        let drawn = lines.iter().flat_map(|line| &line.points).map(|point| point[1]);
        let possible = panel.most.iter().flat_map(|&most| [0.0, most]);
        let y = round(panel.of, ends.chain(drawn).chain(possible), 0.0);
        let figure = self.figure(panel.name.clone(), panel.title.clone(), y);
        Some(Figure { caption: words.join(" "), bands, lines, ..figure })
    }

    /// gIoU or cIoU of the checkpoints.
    fn validation(&self, of: &str) -> Option<Figure> {
        let mut lines = Vec::new();
        for (series, run) in self.runs.iter().enumerate() {
            let curve = run.curve(&format!("val/{of}"));
            let points: Vec<_> = curve.iter().map(|&[step, value]| [step, 100.0 * value]).collect();
            let best = points.iter().filter(|point| Some(point[0] as u64) == run.best);
            let best = best.copied().collect();
            lines.push(Line { series, points, look: Look::Dots });
            lines.push(Line { series, points: best, look: Look::Rings });
        }
        lines.retain(|line| !line.points.is_empty());
        let values = lines.iter().flat_map(|line| &line.points).map(|point| point[1]);
        let (title, unit) = match of {
            "giou" => ("gIoU", "gIoU, %"),
            _ => ("cIoU", "cIoU, %"),
        };
        let figure = self.figure(format!("validation-{of}"), title, round(unit, values, 0.0));
        let caption = "Of the checkpoints on the validation set; ring: the best, by gIoU.";
        let caption = caption.to_owned();
        (!lines.is_empty()).then_some(Figure { caption, lines, ..figure })
    }

    /// Where the time of one run's steps goes.
    fn times(&self, at: usize) -> Option<Figure> {
        let run = &self.runs[at];
        let whole = run.curve("timing_s/step");
        let mut below: Vec<[f64; 2]> = Vec::new();
        let mut bands = Vec::new();
        for (series, part) in TIMES.iter().enumerate() {
            let figure = format!("timing_s/{part}");
            let of = |of: &super::Figures| of.get(&figure).copied().unwrap_or(0.0);
            let taken =
                run.steps.iter().filter(|(_, figures)| figures.contains_key("timing_s/step"));
            let curve: Vec<_> = taken.map(|(&step, figures)| [step as f64, of(figures)]).collect();
            let curve = smooth(&curve, self.window());
            below.resize(curve.len(), [0.0; 2]);
            let stack = |(below, &[step, seconds]): (&mut [f64; 2], &[f64; 2])| {
                let low = below[1];
                below[1] += seconds;
                [step, low, below[1]]
            };
            let points = below.iter_mut().zip(&curve).map(stack).collect();
            bands.push(Band { series, points, opacity: 0.75 });
        }
        let tops = below.iter().map(|point| point[1]).chain([0.0]);
        let name =
            if self.runs.len() == 1 { "time".to_owned() } else { format!("time-{}", at + 1) };
        let title = match self.runs.len() {
            1 => "Time of a step".to_owned(),
            _ => format!("Time of a step: {}", run.name),
        };
        let mean = |points: &[[f64; 2]]| {
            points.iter().map(|point| point[1]).sum::<f64>() / points.len() as f64
        };
        let [all, parts] = [mean(&whole), mean(&below)];
        let caption = format!(
            "Stacked. Mean {all:.2} s a step, of which {:.2} s in none of these parts.",
            (all - parts).max(0.0)
        );
        let figure = self.figure(name, title, round("seconds", tops, 0.0));
        let legend = TIMES.map(str::to_owned).into();
        (!whole.is_empty()).then_some(Figure { caption, bands, legend, ..figure })
    }
}

impl Training {
    /// The least and the most of a figure whose mean this is.
    fn spread(&self, mean: &str) -> Option<Vec<[f64; 3]>> {
        let stem = mean.strip_suffix("mean")?;
        let [low, high] = ["min", "max"].map(|end| self.curve(&format!("{stem}{end}")));
        let is_whole = !low.is_empty() && low.len() == high.len();
        is_whole.then(|| low.iter().zip(&high).map(|(l, h)| [l[0], l[1], h[1]]).collect())
    }
}

fn reward_panel(name: &str) -> Panel {
    // A name from a file must not lead out of the folder.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let file: String = name.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    Panel {
        validated: Some(format!("val/reward/{name}/mean")),
        most: known(name).map(|(_, reward)| reward.largest()),
        ..Panel::new(
            format!("reward-{file}"),
            format!("Reward: {name}"),
            "mean",
            format!("reward/{name}/mean"),
        )
    }
}

/// Points that become one, so that a curve has no more than [`MOST`].
fn stride(points: usize) -> usize {
    points.div_ceil(MOST).max(1)
}

/// Means of the last `window` values, and of neighbours where there are too many.
pub(super) fn smooth(curve: &[[f64; 2]], window: usize) -> Vec<[f64; 2]> {
    let mean = |points: &[[f64; 2]], axis: usize| {
        points.iter().map(|point| point[axis]).sum::<f64>() / points.len() as f64
    };
    let average = |at: usize| [curve[at][0], mean(&curve[(at + 1).saturating_sub(window)..=at], 1)];
    let averages: Vec<_> = (0..curve.len()).map(average).collect();
    averages.chunks(stride(curve.len())).map(|points| [mean(points, 0), mean(points, 1)]).collect()
}

/// The least and the most of neighbours, in their order.
fn extremes(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let by_value = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
    let mut ends: Vec<_> = [points.iter().min_by(by_value), points.iter().max_by(by_value)]
        .into_iter()
        .flatten()
        .collect();
    ends.sort_by(|a, b| a[0].total_cmp(&b[0]));
    ends.dedup();
    ends.into_iter().copied().collect()
}

/// What holds neighbours of a band.
fn hull(points: &[[f64; 3]]) -> [f64; 3] {
    let middle = points[points.len() / 2][0];
    let low = points.iter().map(|point| point[1]).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|point| point[2]).fold(f64::NEG_INFINITY, f64::max);
    [middle, low, high]
}
