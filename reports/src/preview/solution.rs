//! Seg-Zero's `solution` strings, read back to be drawn.

use segzero_datasets::{Bbox, Point};
use serde::Deserialize;

/// One object of a solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The box.
    pub bbox: Bbox,
    /// The points.
    pub points: Vec<Point>,
}

/// VisionReasoner's objects.
#[derive(Deserialize)]
struct Entry {
    bbox_2d: [i32; 4],
    point_2d: [i32; 2],
}

/// Reads `<box>(x,y),(x,y)</box><points>(x,y),(x,y)</points>`, or VisionReasoner's JSON list of
/// `bbox_2d` and `point_2d`; `None` for anything else.
pub fn parse_solution(text: &str) -> Option<Vec<Answered>> {
    if let Ok(entries) = serde_json::from_str::<Vec<Entry>>(text) {
        let object = |entry: Entry| {
            let ([x0, y0, x1, y1], [x, y]) = (entry.bbox_2d, entry.point_2d);
            Answered { bbox: Bbox { x0, y0, x1, y1 }, points: vec![Point::new(x, y)] }
        };
        return Some(entries.into_iter().map(object).collect());
    }
    let (_, rest) = text.split_once("<box>")?;
    let (corners, rest) = rest.split_once("</box>")?;
    let (_, rest) = rest.split_once("<points>")?;
    let (points, _) = rest.split_once("</points>")?;
    let [from, to] = pairs(corners)?.try_into().ok()?;
    let bbox = Bbox { x0: from.x, y0: from.y, x1: to.x, y1: to.y };
    Some(vec![Answered { bbox, points: pairs(points)? }])
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
