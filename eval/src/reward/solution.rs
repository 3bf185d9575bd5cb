//! [`Solution`]: what a training set says the answer is, read once.

use segzero_datasets::{Bbox, Point};
use serde::Deserialize;

/// The `solution` of a training example: its objects, in pixels of the example's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// In the order of the text; Seg-Zero's has one.
    pub objects: Vec<Truth>,
}

/// One object of a solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The box.
    pub bbox: Bbox,
    /// The points: two in Seg-Zero's form, one in VisionReasoner's.
    pub points: Vec<Point>,
}

/// A text that is no solution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `<box>(x,y),(x,y)</box><points>(x,y),(x,y)</points>` or a JSON list of `bbox_2d` and \
     `point_2d`, found `{found}`"
)]
pub struct NoSolution {
    /// How it begins.
    found: String,
}

/// VisionReasoner's objects.
#[derive(Deserialize)]
struct Entry {
    bbox_2d: [i32; 4],
    point_2d: [i32; 2],
}

impl Solution {
    /// Reads `<box>(x,y),(x,y)</box><points>(x,y),(x,y)</points>`, or VisionReasoner's JSON list of
    /// `bbox_2d` and `point_2d`.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, NoSolution> {
        let objects = match serde_json::from_str::<Vec<Entry>>(text) {
            Ok(entries) => Some(entries.into_iter().map(Truth::from).collect()),
            Err(_) => tagged(text).map(|truth| vec![truth]),
        };
        let found = || text.chars().take(80).collect();
        objects.map(|objects| Self { objects }).ok_or_else(|| NoSolution { found: found() })
    }
}

impl From<Entry> for Truth {
    fn from(entry: Entry) -> Self {
        let ([x0, y0, x1, y1], [x, y]) = (entry.bbox_2d, entry.point_2d);
        Self { bbox: Bbox { x0, y0, x1, y1 }, points: vec![Point::new(x, y)] }
    }
}

impl Truth {
    pub(super) fn corners(&self) -> [f64; 4] {
        let Bbox { x0, y0, x1, y1 } = self.bbox;
        [x0, y0, x1, y1].map(f64::from)
    }

    pub(super) fn points_f64(&self) -> Vec<[f64; 2]> {
        self.points.iter().map(|point| [point.x, point.y].map(f64::from)).collect()
    }

    /// The box and its one point.
    pub(super) fn single(&self) -> Option<([f64; 4], [f64; 2])> {
        let [point] = self.points[..] else { return None };
        Some((self.corners(), [point.x, point.y].map(f64::from)))
    }
}

fn tagged(text: &str) -> Option<Truth> {
    let (_, rest) = text.split_once("<box>")?;
    let (corners, rest) = rest.split_once("</box>")?;
    let (_, rest) = rest.split_once("<points>")?;
    let (points, _) = rest.split_once("</points>")?;
    let [from, to] = pairs(corners)?.try_into().ok()?;
    let bbox = Bbox { x0: from.x, y0: from.y, x1: to.x, y1: to.y };
    Some(Truth { bbox, points: pairs(points)? })
}

/// `(1,2),(3,4)`.
fn pairs(text: &str) -> Option<Vec<Point>> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    let pair = |pair: &str| {
        let (x, y) = pair.split_once(',')?;
        Some(Point::new(x.trim().parse().ok()?, y.trim().parse().ok()?))
    };
    inner.split("),(").map(pair).collect()
}
