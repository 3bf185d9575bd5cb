//! Figures: what is drawn of scores ([`figures`]), and how ([`Figure::svg`], [`Figure::png`]).
//!
//! A figure is a small chart of shares and means, so one type of chart is enough: bars, cells of a
//! density, bands, and lines over two axes. plotters draws it; in a PNG with Ubuntu Light, in an SVG with the
//! reader's own sans-serif.

mod draw;
mod plots;

pub(crate) use draw::drawn;
pub use draw::{DrawError, Theme};
pub use plots::figures;

use std::borrow::Cow;

use segzero_eval::Row;

/// What is drawn of one run.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// Its name, for the legend.
    pub name: &'a str,
    /// Its rows; those that the protocol leaves out are not drawn.
    pub rows: &'a [Row],
}

/// A chart with a name of its own.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of its files: `iou-histogram`, ...
    pub name: Cow<'static, str>,
    /// What it shows, as a heading.
    pub title: Cow<'static, str>,
    /// How to read it, in a sentence.
    pub caption: String,
    /// The horizontal axis.
    pub(crate) x: Axis,
    /// The vertical axis.
    pub(crate) y: Axis,
    pub(crate) bars: Vec<Bar>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) bands: Vec<Band>,
    pub(crate) lines: Vec<Line>,
    /// Names of the series, where there are several.
    pub(crate) legend: Vec<String>,
}

/// An axis with its labelled positions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub title: &'static str,
    pub from: f64,
    pub to: f64,
    pub ticks: Vec<(f64, String)>,
}

/// A bar from the axis up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bar {
    pub from: f64,
    pub to: f64,
    pub height: f64,
}

/// A rectangle whose opacity says how many rows lie in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell {
    pub x: [f64; 2],
    pub y: [f64; 2],
    pub weight: f64,
}

/// The area between two curves of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Band {
    pub series: usize,
    /// Position, lower and upper end.
    pub points: Vec<[f64; 3]>,
    pub opacity: f64,
}

/// A line of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub series: usize,
    pub points: Vec<[f64; 2]>,
    pub look: Look,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A line only.
    Plain,
    /// A thin, pale line: the values whose mean is drawn over it.
    Faint,
    /// A dot at every point, which was measured on its own.
    Dots,
    /// A ring around every point and no line: points of another line that stand out.
    Rings,
}

#[cfg(test)]
mod tests;
