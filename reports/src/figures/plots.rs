//! What is drawn of scores.

use segzero_eval::{Row, Status};

use super::{Axis, Bar, Cell, Figure, Line, Look, Series};

/// Bars of the histogram.
const BINS: usize = 20;
/// Groups of rows whose means are drawn, and the fewest rows of one.
const GROUPS: usize = 10;
const FEWEST: usize = 5;

/// Every figure that the rows can fill: the IoUs, Pr@, and the IoU by object area and by query length.
pub fn figures(series: &[Series]) -> Vec<Figure> {
    let legend: Vec<String> = match series {
        [_] => Vec::new(),
        _ => series.iter().map(|series| series.name.to_owned()).collect(),
    };
    let area = Against {
        name: "iou-by-area",
        title: "IoU by object area",
        of: "object area, pixels",
        value: |row| row.target_area.filter(|&area| area > 0).map(|area| (area as f64).log10()),
        ticks: decades,
        cell: 0.125,
    };
    let words = Against {
        name: "iou-by-words",
        title: "IoU by query length",
        of: "words in the query",
        // In the middle of its cell.
        value: |row| Some(row.words() as f64 + 0.5).filter(|&words| words > 1.0),
        ticks: counts,
        cell: 1.0,
    };
    let figures =
        [histogram(series), precision(series), against(series, &area), against(series, &words)];
    let named = |figure: Figure| Figure { legend: legend.clone(), ..figure };
    figures.into_iter().flatten().map(named).collect()
}

fn counted(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.status != Status::Skipped && row.iou.is_finite())
}

/// An axis from 0 to `to`, in percent, with a tick every `step`.
fn percent(title: &'static str, to: f64, step: f64) -> Axis {
    let count = (to / step).round() as usize;
    let tick = |i: usize| (i as f64 * step, format!("{:.0}", 100.0 * i as f64 * step));
    Axis { title, from: 0.0, to, ticks: (0..=count).map(tick).collect() }
}

fn histogram(series: &[Series]) -> Option<Figure> {
    let shares: Vec<Vec<f64>> = series.iter().map(|series| shares(series.rows)).collect();
    let most = shares.iter().flatten().copied().fold(0.0, f64::max);
    if most == 0.0 {
        return None;
    }
    let step = [0.01, 0.02, 0.05, 0.1, 0.2].into_iter().find(|s| most / s <= 5.0).unwrap_or(0.25);
    let edge = |bin: usize| bin as f64 / BINS as f64;
    let bar = |(bin, &height): (usize, &f64)| Bar { from: edge(bin), to: edge(bin + 1), height };
    let outline = |(series, shares): (usize, &Vec<f64>)| {
        let corners =
            |(bin, &height): (usize, &f64)| [[edge(bin), height], [edge(bin + 1), height]];
        let points = shares.iter().enumerate().flat_map(corners).collect();
        Line { series, points, look: Look::Plain }
    };
    let (bars, lines) = match shares.as_slice() {
        [one] => (one.iter().enumerate().map(bar).collect(), Vec::new()),
        several => (Vec::new(), several.iter().enumerate().map(outline).collect()),
    };
    Some(Figure {
        name: "iou-histogram".into(),
        title: "IoU, how often".into(),
        caption: "Share of the samples in every twentieth of IoU; a full match is in the last."
            .to_owned(),
        x: percent("IoU, %", 1.0, 0.2),
        y: percent("samples, %", (most / step).ceil() * step, step),
        bars,
        cells: Vec::new(),
        bands: Vec::new(),
        lines,
        legend: Vec::new(),
    })
}

fn shares(rows: &[Row]) -> Vec<f64> {
    let mut counts = [0u64; BINS];
    for row in counted(rows) {
        counts[((row.iou * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let all = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().map(|&count| count as f64 / all).collect()
}

fn precision(series: &[Series]) -> Option<Figure> {
    let line = |(series, of): (usize, &Series)| {
        let mut ious: Vec<f64> = counted(of.rows).map(|row| row.iou).collect();
        ious.sort_by(f64::total_cmp);
        let reached = |threshold: f64| ious.len() - ious.partition_point(|&iou| iou < threshold);
        let point = |i: u32| {
            let threshold = f64::from(i) / 100.0;
            [threshold, reached(threshold) as f64 / ious.len() as f64]
        };
        let points = (0..=100).map(point).collect();
        (!ious.is_empty()).then_some(Line { series, points, look: Look::Plain })
    };
    let lines: Vec<Line> = series.iter().enumerate().filter_map(line).collect();
    (!lines.is_empty()).then(|| Figure {
        name: "precision".into(),
        title: "Pr@, at every threshold".into(),
        caption: "Share of the samples whose IoU reaches the threshold.".to_owned(),
        x: percent("IoU threshold, %", 1.0, 0.2),
        y: percent("samples, %", 1.0, 0.2),
        bars: Vec::new(),
        cells: Vec::new(),
        bands: Vec::new(),
        lines,
        legend: Vec::new(),
    })
}

/// What the IoU is drawn against.
struct Against {
    name: &'static str,
    title: &'static str,
    of: &'static str,
    value: fn(&Row) -> Option<f64>,
    ticks: fn(f64, f64) -> Vec<(f64, String)>,
    /// Width of a density cell.
    cell: f64,
}

fn against(series: &[Series], what: &Against) -> Option<Figure> {
    let pair = |row: &Row| Some([(what.value)(row)?, row.iou]);
    let pairs: Vec<Vec<[f64; 2]>> =
        series.iter().map(|series| counted(series.rows).filter_map(pair).collect()).collect();
    let values = || pairs.iter().flatten().map(|pair| pair[0]);
    let to_cells = |x: f64| (x / what.cell).floor();
    let from = to_cells(values().fold(f64::INFINITY, f64::min)) * what.cell;
    let to = (to_cells(values().fold(f64::NEG_INFINITY, f64::max)) + 1.0) * what.cell;
    if !(from.is_finite() && to.is_finite()) {
        return None;
    }
    let line = |(series, pairs): (usize, &Vec<[f64; 2]>)| Line {
        series,
        points: means(pairs.clone()),
        look: Look::Dots,
    };
    let cells = match pairs.as_slice() {
        [one] => density(one, what.cell),
        _ => Vec::new(),
    };
    let shade = if cells.is_empty() { "" } else { " Shade: how many samples." };
    Some(Figure {
        name: what.name.into(),
        title: what.title.into(),
        caption: format!(
            "Dots: mean IoU of groups of about equally many samples, with a target.{shade}"
        ),
        x: Axis { title: what.of, from, to, ticks: (what.ticks)(from, to) },
        y: percent("IoU, %", 1.0, 0.2),
        bars: Vec::new(),
        cells,
        bands: Vec::new(),
        lines: pairs.iter().enumerate().map(line).collect(),
        legend: Vec::new(),
    })
}

/// Mean of groups of neighbours; equal values are of one group.
fn means(mut pairs: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    pairs.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let size = pairs.len().div_ceil(GROUPS).max(FEWEST);
    let mut points = Vec::new();
    let mut rest = pairs.as_slice();
    while !rest.is_empty() {
        let last = rest[size.min(rest.len()) - 1][0];
        let mut end = rest.partition_point(|pair| pair[0] <= last);
        if rest.len() - end < FEWEST {
            end = rest.len();
        }
        let (group, after) = rest.split_at(end);
        let mean = |axis: usize| group.iter().map(|p| p[axis]).sum::<f64>() / group.len() as f64;
        points.push([mean(0), mean(1)]);
        rest = after;
    }
    points
}

/// How many pairs lie in each cell, as a share of the fullest.
fn density(pairs: &[[f64; 2]], width: f64) -> Vec<Cell> {
    let mut counts = std::collections::BTreeMap::<(i64, i64), u64>::new();
    for &[x, y] in pairs {
        let row = ((y * BINS as f64) as i64).min(BINS as i64 - 1);
        *counts.entry(((x / width).floor() as i64, row)).or_default() += 1;
    }
    let most = counts.values().max().copied().unwrap_or(1) as f64;
    let cell = |((column, row), count): ((i64, i64), u64)| {
        let [x, y] = [column as f64 * width, row as f64 / BINS as f64];
        let height = 1.0 / BINS as f64;
        Cell { x: [x, x + width], y: [y, y + height], weight: count as f64 / most }
    };
    counts.into_iter().map(cell).collect()
}

/// Powers of ten, with twos and fives where the range is short.
fn decades(from: f64, to: f64) -> Vec<(f64, String)> {
    let steps: &[f64] = if to - from < 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let mut ticks = Vec::new();
    for power in from.floor() as i32..=to.ceil() as i32 {
        for step in steps {
            let value = step * 10f64.powi(power);
            if (from..=to).contains(&value.log10()) {
                ticks.push((value.log10(), grouped(value)));
            }
        }
    }
    ticks
}

/// Whole numbers, at most eight of them, in the middle of their cells.
fn counts(from: f64, to: f64) -> Vec<(f64, String)> {
    let step = [1, 2, 5, 10, 20, 50, 100, 200, 500]
        .into_iter()
        .find(|&step| (to - from) / f64::from(step) <= 8.0)
        .unwrap_or(1000);
    let (first, last) = (from as u32, to as u32);
    let shown = (first..last).filter(|word| word % step == 0 || (step > 1 && *word == 1));
    shown.map(|words| (f64::from(words) + 0.5, words.to_string())).collect()
}

/// `12345` as `12k`.
fn grouped(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{value:.0}"),
    }
}
