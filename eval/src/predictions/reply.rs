//! What a model wrote, read as boxes and points (`seg-zero.md` §5.2).
//!
//! Seg-Zero: the first `{...}` of the whole reply, `{"bbox": [4], "points_1": [2], "points_2": [2]}`
//! with lenient keys. VisionReasoner: a JSON list of `{"bbox_2d": [4], "point_2d": [2]}` between
//! `<answer>` and `</answer>`. The thinking is not looked at.

use segzero_datasets::Size;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::AnswerFrame;

/// Boxes and points of a reply, in pixels of the image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reply {
    pub boxes: Vec<[f64; 4]>,
    pub points: Vec<[f64; 2]>,
}

/// Reads a reply about an image of this size; `None` where it holds no answer of either form.
pub(super) fn read(text: &str, frame: AnswerFrame, size: Size) -> Option<Reply> {
    let factors = match frame {
        AnswerFrame::Native => [1.0, 1.0],
        AnswerFrame::Square840 => [size.width, size.height].map(|side| f64::from(side) / 840.0),
    };
    vision_reasoner(text, factors).or_else(|| seg_zero(text, factors))
}

/// `[x, y, ...]` scaled number by number.
fn scaled<const N: usize>(
    numbers: &[f64; N],
    factors: [f64; 2],
    round: impl Fn(f64) -> f64,
) -> [f64; N] {
    std::array::from_fn(|i| round(numbers[i] * factors[i % 2]))
}

fn vision_reasoner(text: &str, factors: [f64; 2]) -> Option<Reply> {
    #[derive(serde::Deserialize)]
    struct Entry {
        bbox_2d: [f64; 4],
        #[serde(default)]
        point_2d: Option<[f64; 2]>,
    }
    let (_, rest) = text.split_once("<answer>")?;
    let (answer, _) = rest.split_once("</answer>")?;
    let entries: Vec<Entry> = serde_json::from_str(answer.trim()).ok()?;
    let round = |value: f64| (value + 0.5).trunc();
    Some(Reply {
        boxes: entries.iter().map(|entry| scaled(&entry.bbox_2d, factors, round)).collect(),
        points: entries
            .iter()
            .filter_map(|entry| entry.point_2d.as_ref())
            .map(|point| scaled(point, factors, round))
            .collect(),
    })
}

fn seg_zero(text: &str, factors: [f64; 2]) -> Option<Reply> {
    let (_, rest) = text.split_once('{')?;
    let (inside, _) = rest.split_once('}')?;
    let Members(members) = serde_json::from_str(&format!("{{{inside}}}")).ok()?;
    let bbox = members.iter().find_map(|(name, value)| {
        let is_box = name.to_lowercase().contains("bbox");
        numbers::<4>(value).filter(|_| is_box)
    })?;
    let mut points = members.iter().filter(|(name, _)| name.contains("points"));
    let mut point = || numbers::<2>(&points.next()?.1);
    let points = [point()?, point()?];
    // Python's `round` takes the even neighbour of a half.
    let round = f64::round_ties_even;
    Some(Reply {
        boxes: vec![scaled(&bbox, factors, round)],
        points: points.iter().map(|point| scaled(point, factors, round)).collect(),
    })
}

/// A list of `N` numbers as Python's `int` takes them: floats cut off, integers in quotes.
fn numbers<const N: usize>(value: &Value) -> Option<[f64; N]> {
    let number = |value: &Value| match value {
        Value::String(text) => text.trim().parse::<i32>().ok().map(f64::from),
        value => value.as_f64().map(f64::trunc),
    };
    let numbers: Vec<f64> = value.as_array()?.iter().map(number).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// The members of an object in their order.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}
