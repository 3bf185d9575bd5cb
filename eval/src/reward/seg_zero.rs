//! Seg-Zero's five rewards (`compute_score` `seg_strict` and `seg`), quirks and all, from their
//! description in `docs/reward.md`.

use serde::{Deserialize, Serialize};

use super::python::{Dict, Value, is_space, loads};
use super::solution::Truth;
use crate::answer::first_braces;

/// Which names an answer may give to its box and points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Keys {
    /// `bbox`, `points_1` and `points_2` (`seg_strict`, which the paper's models were trained with).
    #[default]
    Strict,
    /// The first name that holds `bbox`, and the first two that hold `point` (format) or `points`
    /// (distance), in any case (`seg`).
    Soft,
}

/// Whether the whole reply is `<think>`, any text, `</think>`, white space or none, `<answer>`, any
/// text and `</answer>`.
pub(super) fn think(text: &str) -> bool {
    let inside = text.strip_prefix("<think>").and_then(|text| text.strip_suffix("</answer>"));
    let mut rest = inside.unwrap_or_default();
    while let Some((_, after)) = rest.split_once("</think>") {
        if after.trim_start_matches(is_space).starts_with("<answer>") {
            return true;
        }
        rest = after;
    }
    false
}

/// The answer of a reply: its first braces, read as JSON.
#[derive(Default)]
pub(super) struct Answer<'a> {
    members: Dict<'a>,
    keys: Keys,
}

impl<'a> Answer<'a> {
    /// An answer of nothing where the reply has none: it earns nothing.
    pub fn read(text: &'a str, keys: Keys) -> Self {
        let members = match first_braces(text).and_then(loads) {
            Some(Value::Dict(members)) => members,
            _ => Dict::default(),
        };
        Self { members, keys }
    }

    fn bbox_name(&self) -> Option<&str> {
        match self.keys {
            Keys::Strict => Some("bbox"),
            Keys::Soft => self.members.names_with("bbox").next(),
        }
    }

    /// The first two different names that hold `part`.
    fn point_names(&self, part: &'static str, except: Option<&str>) -> Option<[&str; 2]> {
        if self.keys == Keys::Strict {
            return Some(["points_1", "points_2"]);
        }
        let mut names = self.members.names_with(part).filter(|&name| Some(name) != except);
        let first = names.next()?;
        Some([first, names.find(|&name| name != first)?])
    }

    /// Whether there are a box of four and two points of two.
    pub fn has_format(&self) -> bool {
        let bbox = self.bbox_name();
        let is = |name: &str, length| {
            let value = self.members.get(name);
            let value = value.filter(|v| self.keys == Keys::Soft || v.list().is_some());
            value.and_then(Value::len) == Some(length)
        };
        // The name of the box is none of a point's, here; for the distance it may be.
        let points = self.point_names("point", bbox);
        bbox.is_some_and(|bbox| is(bbox, 4))
            && points.is_some_and(|points| points.iter().all(|point| is(point, 2)))
    }

    fn bbox(&self) -> Option<[f64; 4]> {
        self.members.get(self.bbox_name()?)?.numbers()
    }

    /// IoU with the true box.
    pub fn iou(&self, truth: &Truth) -> Option<f64> {
        let bbox = self.bbox()?;
        Some(iou(bbox, truth.corners()))
    }

    /// Mean distance of the four coordinates from those of the true box, in pixels.
    pub fn bbox_distance(&self, truth: &Truth) -> Option<f64> {
        let bbox = self.bbox()?;
        Some(mean_difference(bbox, truth.corners()))
    }

    /// Mean distance of the two points from the true ones, in pixels, under the better of the two
    /// pairings; `None` where one of them is outside of the answer's own box.
    pub fn point_distance(&self, truth: &Truth) -> Option<f64> {
        let bbox = self.bbox()?;
        let mut points = [[0.0; 2]; 2];
        for (point, name) in points.iter_mut().zip(self.point_names("points", None)?) {
            // More numbers than two do no harm.
            let value = self.members.get(name)?;
            *point = [value.int_at(0)?, value.int_at(1)?];
        }
        let true_points: [_; 2] = truth.points_f64().try_into().ok()?;
        let [[a, b], [p, q]] = [points, true_points];
        let is_inside = points.iter().all(|&point| contains(bbox, point));
        let straight = (distance(a, p) + distance(b, q)) / 2.0;
        let crossed = (distance(a, q) + distance(b, p)) / 2.0;
        is_inside.then(|| straight.min(crossed))
    }
}

/// IoU of two boxes of inclusive pixels; those that share one column or row alone share nothing.
fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let area = |[x0, y0, x1, y1]: [f64; 4]| (x1 - x0 + 1.0) * (y1 - y0 + 1.0);
    let common = [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])];
    let [x0, y0, x1, y1] = common;
    let shared = if x0 < x1 && y0 < y1 { area(common) } else { 0.0 };
    shared / (area(a) + area(b) - shared)
}

/// Mean absolute difference of the coordinates.
pub(super) fn mean_difference(a: [f64; 4], b: [f64; 4]) -> f64 {
    let [p, q, r, s]: [f64; 4] = std::array::from_fn(|i| (a[i] - b[i]).abs());
    (p + q + r + s) / 4.0
}

/// Euclidean distance.
pub(super) fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    let [dx, dy] = [a[0] - b[0], a[1] - b[1]];
    (dx * dx + dy * dy).sqrt()
}

/// Whether a point is inside of a box or on its edge.
pub(super) fn contains([x0, y0, x1, y1]: [f64; 4], [x, y]: [f64; 2]) -> bool {
    x0 <= x && x <= x1 && y0 <= y && y <= y1
}
