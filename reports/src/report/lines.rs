//! [`Line`]: a figure of a run as every output shows it.

use segzero_eval::resample::{Headline, Interval};
use segzero_eval::{Metric, Precision, Protocol, Summary};

/// One figure of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Name in files: `giou`, `pr_50`, ...
    pub id: String,
    /// Name for people: `gIoU`, `Pr@0.5`, ...
    pub label: String,
    /// What it is, in words.
    pub note: &'static str,
    /// Its value, a fraction.
    pub value: Option<f64>,
    /// Its interval, where one can be given.
    pub interval: Option<Interval>,
}

impl Line {
    /// The value in percent, `-` for none.
    pub fn percent(&self) -> String {
        percent(self.value)
    }

    /// The interval in percent: `70.1-72.4`, nothing for none.
    pub fn range(&self) -> String {
        let range = |i: Interval| format!("{}–{}", percent(Some(i.low)), percent(Some(i.high)));
        self.interval.map(range).unwrap_or_default()
    }
}

/// A fraction in percent with two decimals; `-` where there is nothing.
pub(super) fn percent(value: Option<f64>) -> String {
    match value.filter(|value| value.is_finite()) {
        Some(value) => format!("{:.2}", 100.0 * value),
        None => "-".to_owned(),
    }
}

/// A difference of fractions in percent points, with its sign.
pub(super) fn points(value: Option<f64>) -> String {
    match value.filter(|value| value.is_finite()) {
        // What rounds to nothing has no sign.
        Some(value) if (100.0 * value).abs() < 0.005 => "0.00".to_owned(),
        Some(value) => format!("{:+.2}", 100.0 * value),
        None => "-".to_owned(),
    }
}

/// A whole number with its thousands apart.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

type Intervals = Headline<Option<Interval>>;

/// The figures of a summary: what the protocol puts first, then the rest that it has.
pub(super) fn lines(summary: &Summary, protocol: &Protocol, intervals: &Intervals) -> Vec<Line> {
    let mut metrics = protocol.headline.clone();
    metrics.extend([Metric::Giou, Metric::Ciou, Metric::Precision]);
    if summary.no_target > 0 {
        metrics.extend([Metric::NoTargetAccuracy, Metric::TargetAccuracy]);
    }
    let metrics = metrics.into_iter().flat_map(|metric| of_metric(metric, summary, intervals));
    let rest = others(summary, intervals).into_iter().filter(|line| line.value.is_some());
    let mut lines: Vec<Line> = Vec::new();
    for line in metrics.chain(rest) {
        if lines.iter().all(|known| known.id != line.id) {
            lines.push(line);
        }
    }
    lines
}

impl Line {
    fn new(
        (id, label): (&str, &str),
        note: &'static str,
        value: Option<f64>,
        interval: Option<Interval>,
    ) -> Self {
        Self { id: id.to_owned(), label: label.to_owned(), note, value, interval }
    }
}

fn of_metric(metric: Metric, summary: &Summary, intervals: &Intervals) -> Vec<Line> {
    let (name, note, value, interval) = match metric {
        Metric::Giou => (("giou", "gIoU"), "mean IoU (mIoU)", summary.giou, intervals.giou),
        Metric::Ciou => {
            let note = "cumulative IoU (oIoU, overall IoU)";
            (("ciou", "cIoU"), note, summary.ciou, intervals.ciou)
        }
        Metric::NoTargetAccuracy => {
            let note = "share of samples without a target that are answered so";
            let interval = intervals.no_target_accuracy;
            (("n_acc", "N-acc."), note, summary.no_target_accuracy, interval)
        }
        Metric::TargetAccuracy => {
            let note = "share of samples with a target that are answered so";
            (("t_acc", "T-acc."), note, summary.target_accuracy, intervals.target_accuracy)
        }
        Metric::Precision => return precision(summary, intervals),
    };
    vec![Line::new(name, note, value, interval)]
}

fn precision(summary: &Summary, intervals: &Intervals) -> Vec<Line> {
    let line = |at: &Precision| {
        let percent = (100.0 * at.at).round() as u32;
        let position = (50..=90).step_by(10).position(|known| known == percent);
        let interval = position.and_then(|position| intervals.precision[position]);
        let (id, label) = (format!("pr_{percent}"), format!("Pr@{}", at.at));
        Line::new((&id, &label), "share of samples at this IoU", Some(at.share), interval)
    };
    summary.precision.iter().map(line).collect()
}

fn others(summary: &Summary, intervals: &Intervals) -> [Line; 4] {
    [
        Line::new(
            ("median_iou", "median IoU"),
            "half of the samples are above",
            summary.median_iou,
            None,
        ),
        Line::new(
            ("box_acc", "box acc."),
            "share of targets whose box is found: IoU above 0.5",
            summary.box_accuracy,
            intervals.box_accuracy,
        ),
        Line::new(
            ("points_on_target", "points on target"),
            "share of the predicted points that lie on the target",
            summary.points_on_target,
            intervals.points_on_target,
        ),
        Line::new(
            ("boundary_iou", "boundary IoU"),
            "mean IoU of the masks' borders",
            summary.boundary_iou,
            intervals.boundary_iou,
        ),
    ]
}
