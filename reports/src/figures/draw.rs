//! A chart as SVG and as pixels.

use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use segzero_datasets::Size;
use segzero_prep::image::{ImageError, PngEffort, Rgb, encode_png};

use super::{Axis, Band, Figure, Line, Look};
use crate::frame::escape;

/// Size of a figure, in units of its SVG; small, so that its text is readable on a phone.
const WIDTH: u32 = 440;
const HEIGHT: u32 = 290;
/// Pixels of a PNG for one unit.
const PNG_SCALE: u32 = 3;

/// Where a figure stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// On paper: dark on white.
    Paper,
    /// On a page, whose style sheet gives the colours: `currentColor`, `var(--line)`, and
    /// `var(--series-1)` to `var(--series-6)`.
    Page,
}

/// A figure that cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The drawing failed.
    #[error("could not draw the figure `{figure}`: {message}")]
    Plot {
        /// Its name.
        figure: String,
        /// Why.
        message: String,
    },
    /// The picture cannot be encoded.
    #[error("could not write the figure `{figure}`: {source}")]
    Encode {
        /// Its name.
        figure: String,
        /// Why.
        source: ImageError,
    },
}

const INK: RGBColor = RGBColor(0x1b, 0x1f, 0x24);
const SOFT: RGBColor = RGBColor(0x5b, 0x65, 0x70);
const GRID: RGBColor = RGBColor(0xdf, 0xe3, 0xe8);
/// Colours that stay apart for colour-blind readers too (Okabe and Ito's, darker), in the page's own
/// order.
const SERIES: [RGBColor; 6] = [
    RGBColor(0x25, 0x63, 0xeb),
    RGBColor(0xb4, 0x53, 0x09),
    RGBColor(0x04, 0x7a, 0x57),
    RGBColor(0xa2, 0x1c, 0xaf),
    RGBColor(0x0e, 0x74, 0x90),
    RGBColor(0x6b, 0x70, 0x21),
];

/// plotters' chart over our axes.
type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<Axis, Axis>>;

fn color(series: usize) -> RGBColor {
    SERIES[series % SERIES.len()]
}

impl Figure {
    /// The figure as SVG.
    ///
    /// # Errors
    /// When the drawing fails, which would be a fault of ours.
    pub fn svg(&self, theme: Theme) -> Result<String, DrawError> {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
            if theme == Theme::Paper {
                area.fill(&WHITE).map_err(|e| self.failed(e))?;
            }
            self.draw(&area, 1)?;
        }
        if theme == Theme::Page {
            let hex = |c: RGBColor| format!("\"#{:02X}{:02X}{:02X}\"", c.0, c.1, c.2);
            for (series, &color) in SERIES.iter().enumerate() {
                svg = svg.replace(&hex(color), &format!("\"var(--series-{})\"", series + 1));
            }
            for (color, name) in
                [(INK, "currentColor"), (SOFT, "var(--soft)"), (GRID, "var(--line)")]
            {
                svg = svg.replace(&hex(color), &format!("\"{name}\""));
            }
        }
        Ok(svg)
    }

    /// The figure as PNG, three pixels a unit.
    ///
    /// # Errors
    /// When the drawing or the encoding fails, which would be a fault of ours.
    pub fn png(&self) -> Result<Vec<u8>, DrawError> {
        let size = Size::new(WIDTH * PNG_SCALE, HEIGHT * PNG_SCALE);
        let mut pixels = vec![255; size.pixels() as usize * 3];
        {
            let area = BitMapBackend::with_buffer(&mut pixels, (size.width, size.height))
                .into_drawing_area();
            self.draw(&area, PNG_SCALE)?;
        }
        encode_png(&Rgb { size, pixels }, PngEffort::Balanced)
            .map_err(|source| DrawError::Encode { figure: self.name.to_string(), source })
    }

    fn failed(&self, error: impl std::fmt::Display) -> DrawError {
        DrawError::Plot { figure: self.name.to_string(), message: error.to_string() }
    }

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), DrawError> {
        if !has_font() {
            return Err(self.failed("the font cannot be read"));
        }
        self.try_draw(area, scale).map_err(|e| self.failed(e))
    }

    fn try_draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let legend = if self.legend.is_empty() { 0 } else { 18 * self.legend.len().div_ceil(3) };
        let mut chart = ChartBuilder::on(area)
            .margin_top((10 + legend as u32) * scale)
            .margin_right(14 * scale)
            .margin_bottom(4 * scale)
            .margin_left(4 * scale)
            .x_label_area_size(42 * scale)
            .y_label_area_size(46 * scale)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let text = |size: u32| ("sans-serif", size * scale).into_font().color(&INK);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(scale))
            .axis_style(SOFT.stroke_width(scale))
            .label_style(text(13))
            .axis_desc_style(text(14))
            .x_desc(self.x.title)
            .y_desc(self.y.title)
            .set_all_tick_mark_size(4 * scale)
            .draw()?;
        let density = |cell: &super::Cell| {
            let corners = [(cell.x[0], cell.y[0]), (cell.x[1], cell.y[1])];
            // By the root, so that single samples are still seen.
            Rectangle::new(corners, color(0).mix(0.06 + 0.5 * cell.weight.sqrt()).filled())
        };
        chart.draw_series(self.cells.iter().map(density))?;
        let bar = |bar: &super::Bar| {
            let mut bar =
                Rectangle::new([(bar.from, 0.0), (bar.to, bar.height)], color(0).filled());
            bar.set_margin(0, 0, scale, 0);
            bar
        };
        chart.draw_series(self.bars.iter().filter(|bar| bar.height > 0.0).map(bar))?;
        chart.draw_series(self.bands.iter().map(area_between))?;
        for line in &self.lines {
            draw_line(&mut chart, line, scale)?;
        }
        self.draw_legend(area, scale)?;
        area.present()
    }

    /// Names of the series above the chart, three a line.
    fn draw_legend<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let unit = scale as i32;
        for (series, name) in self.legend.iter().enumerate() {
            let column = WIDTH as i32 / 3;
            let [x, y] = [8 + column * (series as i32 % 3), 12 + 18 * (series as i32 / 3)];
            let [x, y] = [x * unit, y * unit];
            let swatch = [(x, y - 3 * unit), (x + 12 * unit, y + 3 * unit)];
            area.draw(&Rectangle::new(swatch, color(series).filled()))?;
            let style = ("sans-serif", 12 * scale).into_font().color(&INK);
            let style = style.pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(shortened(name), (x + 17 * unit, y), style))?;
        }
        Ok(())
    }
}

/// A band as a polygon: along its lower end, and back along its upper one.
fn area_between(band: &Band) -> Polygon<(f64, f64)> {
    let low = band.points.iter().map(|&[x, low, _]| (x, low));
    let high = band.points.iter().rev().map(|&[x, _, high]| (x, high));
    Polygon::new(low.chain(high).collect::<Vec<_>>(), color(band.series).mix(band.opacity).filled())
}

fn draw_line<B: DrawingBackend>(
    chart: &mut Chart<'_, B>,
    line: &Line,
    scale: u32,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let points = || line.points.iter().map(|&[x, y]| (x, y));
    let color = color(line.series);
    let stroke = match line.look {
        Look::Plain | Look::Dots => color.stroke_width(2 * scale),
        Look::Faint => color.mix(0.35).stroke_width(scale),
        Look::Rings => {
            let ring = |at| Circle::new(at, 6 * scale, color.stroke_width(2 * scale));
            chart.draw_series(points().map(ring))?;
            return Ok(());
        }
    };
    chart.draw_series(LineSeries::new(points(), stroke))?;
    // One point is no line.
    if line.look == Look::Dots || line.points.len() == 1 {
        let dot = |at| Circle::new(at, 3 * scale, color.filled());
        chart.draw_series(points().map(dot))?;
    }
    Ok(())
}

/// Figures as parts of a page.
pub(crate) fn drawn(figures: &[Figure]) -> Result<String, DrawError> {
    let mut html = String::new();
    for figure in figures {
        let label = escape(&format!("{}: {}", figure.title, figure.caption));
        let named = format!("<svg role=\"img\" aria-label=\"{label}\" ");
        let svg = figure.svg(Theme::Page)?.replacen("<svg ", &named, 1);
        let (title, caption) = (escape(&figure.title), escape(&figure.caption));
        html += &format!(
            "<figure><h3>{title}</h3>\n{svg}<figcaption>{caption}</figcaption></figure>\n"
        );
    }
    Ok(html)
}

/// A name that fits a third of the width.
fn shortened(name: &str) -> String {
    const MOST: usize = 20;
    match name.chars().count() {
        0..=MOST => name.to_owned(),
        _ => name.chars().take(MOST - 1).chain(['…']).collect(),
    }
}

/// Ours knows its ticks and their labels; plotters' own axes would choose them.
impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let share = (value - self.from) / (self.to - self.from);
        low + (share * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|tick| tick.0).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|tick| tick.0 == *value);
        tick.map(|tick| tick.1.clone()).unwrap_or_default()
    }
}

/// Gives plotters its font, once. SVG is laid out by it too, and shown in the reader's own.
fn has_font() -> bool {
    static FONT: OnceLock<bool> = OnceLock::new();
    *FONT.get_or_init(|| {
        let font = epaint_default_fonts::UBUNTU_LIGHT;
        register_font("sans-serif", FontStyle::Normal, font).is_ok()
    })
}
