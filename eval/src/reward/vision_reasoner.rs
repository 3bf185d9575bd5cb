//! VisionReasoner's rewards (`compute_score` `vision_reasoner`), quirks and all, from their
//! description in `docs/reward.md`. Their thinking format is Seg-Zero's.

use std::collections::HashSet;

use ahash::RandomState;

use super::Thresholds;
use super::assignment::largest_sum;
use super::python::{Value, loads, strip};
use super::seg_zero::{contains, distance, mean_difference};
use super::solution::Truth;

/// Objects beyond these do not count, of the answer and of the truth.
const MAX_OBJECTS: usize = 120;

/// The answer of a reply: what stands between the first `<answer>` and the next `</answer>`, as JSON.
pub(super) fn answer(text: &str) -> Option<Value<'_>> {
    let (_, rest) = text.split_once("<answer>")?;
    let (answer, _) = rest.split_once("</answer>")?;
    loads(strip(answer))
}

/// Mean over the objects of how many of box and point they have, 0 to 2. What is no object ends the
/// count, and what was counted until then stays.
pub(super) fn objects_format(answer: &Value) -> f64 {
    let items = answer.list().unwrap_or_default();
    let marks = items.iter().map_while(marks);
    // Divided before they are added, as the original does: thirds and sevenths round.
    marks.fold(0.0, |sum, marks| sum + marks / items.len() as f64)
}

/// One for a box of four and one for a point of two; `None` where Python raises.
fn marks(item: &Value) -> Option<f64> {
    let names = ["bbox_2d", "point_2d"];
    // `in` searches texts and lists too, but what it finds there cannot be looked up.
    let holds_none = match item {
        Value::Dict(members) => {
            let is = |name, length| {
                let items = members.get(name).and_then(Value::list);
                f64::from(u8::from(items.is_some_and(|items| items.len() == length)))
            };
            return Some(is(names[0], 4) + is(names[1], 2));
        }
        Value::Text(text) => !names.iter().any(|name| text.contains(name)),
        Value::List(items) => {
            let is_name = |item: &Value| matches!(item, Value::Text(t) if names.contains(&&**t));
            !items.iter().any(is_name)
        }
        _ => false,
    };
    holds_none.then_some(0.0)
}

/// Marks for boxes and points under the best one-to-one assignment of the answer's objects to the true
/// ones, over the larger number of objects: 0 to 3.
pub(super) fn objects_accuracy(answer: &Value, truths: &[Truth], limits: &Thresholds) -> f64 {
    let objects = objects(answer).unwrap_or_default();
    let truths: Vec<_> = truths.iter().take(MAX_OBJECTS).map_while(Truth::single).collect();
    let rows = objects.iter();
    let marks: Vec<u8> = rows
        .flat_map(|object| truths.iter().map(move |truth| agreement(object, truth, limits)))
        .collect();
    let larger = objects.len().max(truths.len()).max(1);
    f64::from(largest_sum(&marks, objects.len(), truths.len())) / larger as f64
}

/// A box and a point.
type Object = ([f64; 4], [f64; 2]);

/// The objects of an answer; `None` unless each has a box and a point of numbers.
fn objects(answer: &Value) -> Option<Vec<Object>> {
    let items = answer.list()?;
    let mut objects = Vec::with_capacity(items.len().min(MAX_OBJECTS));
    for item in items {
        let Value::Dict(members) = item else { return None };
        let (bbox, point) = (members.get("bbox_2d")?, members.get("point_2d")?);
        // Those beyond must have both names, and are cut off before anybody looks at the values.
        if objects.len() < MAX_OBJECTS {
            objects.push((array(bbox)?, array(point)?));
        }
    }
    Some(objects)
}

/// A list of `N` numbers; no integer is so large that it is no float.
fn array<const N: usize>(value: &Value) -> Option<[f64; N]> {
    let too_large = |item: &Value| matches!(item, Value::Int(number) if number.is_infinite());
    value.numbers().filter(|_| !value.list().unwrap_or_default().iter().any(too_large))
}

/// A mark each for IoU, box and point.
fn agreement(&(bbox, point): &Object, truth: &Object, limits: &Thresholds) -> u8 {
    let &(true_box, true_point) = truth;
    u8::from(iou(bbox, true_box) > limits.bbox_iou)
        + u8::from(mean_difference(bbox, true_box) < limits.bbox_l1)
        + u8::from(distance(point, true_point) < limits.object_point && contains(bbox, point))
}

/// IoU of two boxes of inclusive pixels; here, unlike in Seg-Zero, one shared column is shared.
fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let area = |[x0, y0, x1, y1]: [f64; 4]| (x1 - x0 + 1.0) * (y1 - y0 + 1.0);
    let across = (a[2].min(b[2]) - a[0].max(b[0]) + 1.0).max(0.0);
    let down = (a[3].min(b[3]) - a[1].max(b[1]) + 1.0).max(0.0);
    let shared = across * down;
    shared / (area(a) + area(b) - shared)
}

/// Whether fewer than two sentences of a reply have been said before in it.
pub(super) fn is_without_repeats(text: &str) -> bool {
    let mut seen = HashSet::with_hasher(RandomState::new());
    let sentences = text.split('.').map(strip).filter(|sentence| !sentence.is_empty());
    sentences.filter(|&sentence| !seen.insert(sentence)).nth(1).is_none()
}
