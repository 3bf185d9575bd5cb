//! The reader that gets an answer out of whatever models really write.
//!
//! Where it looks, in this order: the last `<answer>`, what follows the thinking, the whole reply. What
//! it looks for there: the last JSON value, strict or nearly, that holds boxes; then numbers in the
//! notations of older grounding models. The last rather than the first, because models rehearse.

use serde_json::Value;

use super::relaxed;
use super::{Answer, Failure, Object, Repair};

/// Reads a reply about an image of that width and height.
pub(super) fn read(text: &str, frame: [f64; 2]) -> Result<Answer, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::Empty);
    }
    let mut repairs = Vec::new();
    let (thinking, rest) = thinking(text, &mut repairs);
    let (tagged, closed) = answer_tag(rest);
    let found = tagged.and_then(|inside| objects(inside, &mut repairs));
    if found.is_some() && !closed {
        repairs.push(Repair::UnclosedTag);
    }
    let outside = |text: &str, repairs: &mut Vec<Repair>| {
        let found = objects(text, repairs)?;
        repairs.push(Repair::OutsideAnswer);
        Some(found)
    };
    let found = found
        .or_else(|| outside(rest, &mut repairs))
        .or_else(|| outside(text, &mut repairs))
        .ok_or(Failure::NoAnswer)?;
    let objects = finished(found, frame, &mut repairs)?;
    repairs.sort();
    repairs.dedup();
    Ok(Answer { objects, thinking: thinking.map(str::to_owned), repairs })
}

/// What stands between `<think>` and `</think>`, or as much of it as there is, and what follows.
fn thinking<'a>(text: &'a str, repairs: &mut Vec<Repair>) -> (Option<&'a str>, &'a str) {
    let begin = text.find("<think>").map(|at| at + "<think>".len());
    let inside = &text[begin.unwrap_or(0)..];
    let end = inside.find("</think>");
    let (thinking, rest) = match (begin, end) {
        (_, Some(end)) => (Some(&inside[..end]), &inside[end + "</think>".len()..]),
        (Some(_), None) => {
            let end = inside.find("<answer>").unwrap_or(inside.len());
            (Some(&inside[..end]), &inside[end..])
        }
        (None, None) => (None, text),
    };
    if begin.is_some() != end.is_some() {
        repairs.push(Repair::UnclosedTag);
    }
    let thinking = thinking.map(str::trim).filter(|thinking| !thinking.is_empty());
    if thinking.is_none() {
        repairs.push(Repair::NoThinking);
    }
    (thinking, rest)
}

/// What stands in the last `<answer>`, and whether it is closed.
fn answer_tag(text: &str) -> (Option<&str>, bool) {
    let inside = text.rfind("<answer>").map(|at| &text[at + "<answer>".len()..]);
    match inside.and_then(|inside| Some((inside, inside.find("</answer>")?))) {
        Some((inside, end)) => (Some(&inside[..end]), true),
        None => (inside, false),
    }
}

/// The objects of the last value that has any.
fn objects(text: &str, repairs: &mut Vec<Repair>) -> Option<Vec<Object>> {
    let mut last = None;
    let mut at = 0;
    // Values inside of one that was read are not looked at again.
    while let Some(start) = text[at..].find(['{', '[']) {
        let start = at + start;
        let value = strict(&text[start..]).or_else(|| nearly(&text[start..]));
        at = start + value.as_ref().map_or(1, |value| value.length.max(1));
        let found = value.and_then(|mut found| {
            let objects = objects_of(&found)?;
            if has_numbers_as_text(&found.value) {
                found.repairs.push(Repair::NumbersAsText);
            }
            Some((objects, found.repairs))
        });
        last = found.or(last);
    }
    let (objects, found) = last.or_else(|| Some((in_text(text)?, vec![Repair::NumbersInText])))?;
    repairs.extend(found);
    Some(objects)
}

/// A value in a text, and how many bytes of it it takes.
struct Found {
    value: Value,
    length: usize,
    repairs: Vec<Repair>,
}

fn strict(text: &str) -> Option<Found> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    Some(Found { value, length: values.byte_offset(), repairs: Vec::new() })
}

fn nearly(text: &str) -> Option<Found> {
    let read = relaxed::read(text)?;
    let mut repairs = Vec::new();
    if read.irregular {
        repairs.push(Repair::NotJson);
    }
    if read.cut_off {
        repairs.push(Repair::CutOff);
    }
    Some(Found { value: read.value, length: read.length, repairs })
}

/// Objects of a value: an object with a box, a list of such, a box, or a list of boxes; also under a
/// name (`{"objects": [...]}`). Those without a box stay, to be left out by name.
fn objects_of(found: &Found) -> Option<Vec<Object>> {
    let objects = match &found.value {
        Value::Object(members) => match object(&found.value) {
            Some(object) => vec![object],
            None => members.values().find_map(|value| match value {
                Value::Array(items) => some_objects(items),
                _ => None,
            })?,
        },
        Value::Array(items) => match numbers::<4>(&found.value) {
            Some(bbox) => vec![Object { bbox: Some(bbox), points: Vec::new() }],
            // An answer that nothing is there.
            None if items.is_empty() => Vec::new(),
            None => some_objects(items)?,
        },
        _ => return None,
    };
    Some(objects)
}

fn some_objects(items: &[Value]) -> Option<Vec<Object>> {
    let one = |item: &Value| match numbers::<4>(item) {
        Some(bbox) => Some(Object { bbox: Some(bbox), points: Vec::new() }),
        None => object(item),
    };
    let objects: Vec<Object> = items.iter().map(|item| one(item).unwrap_or_default()).collect();
    objects.iter().any(|object| object.bbox.is_some()).then_some(objects)
}

/// An object of members that are named after boxes and points.
fn object(value: &Value) -> Option<Object> {
    let members = value.as_object()?;
    let named = |part: &'static str| {
        members.iter().filter(move |(name, _)| name.to_lowercase().contains(part))
    };
    let bbox =
        named("box").find_map(|(_, value)| numbers::<4>(value).or_else(|| corners(value)))?;
    let mut points = Vec::new();
    for (_, value) in named("point") {
        match numbers::<2>(value) {
            Some(point) => points.push(point),
            None => points.extend(value.as_array().into_iter().flatten().filter_map(numbers::<2>)),
        }
    }
    Some(Object { bbox: Some(bbox), points })
}

/// `[[x1, y1], [x2, y2]]`.
fn corners(value: &Value) -> Option<[f64; 4]> {
    let [first, second] = &value.as_array()?[..] else { return None };
    let ([x1, y1], [x2, y2]) = (numbers::<2>(first)?, numbers::<2>(second)?);
    Some([x1, y1, x2, y2])
}

fn has_numbers_as_text(value: &Value) -> bool {
    let is_number = |item: &Value| item.as_str().is_some_and(|t| t.trim().parse::<f64>().is_ok());
    match value {
        Value::Array(items) => items.iter().any(|i| is_number(i) || has_numbers_as_text(i)),
        Value::Object(members) => members.values().any(has_numbers_as_text),
        _ => false,
    }
}

/// A list of `N` numbers, or of what reads as such.
fn numbers<const N: usize>(value: &Value) -> Option<[f64; N]> {
    let number = |value: &Value| match value {
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        value => value.as_f64(),
    };
    let numbers: Option<Vec<f64>> = value.as_array()?.iter().map(number).collect();
    numbers?.try_into().ok()
}

/// `(x1,y1),(x2,y2)`, as Qwen-VL and Seg-Zero's training set write boxes, and after them points.
fn in_text(text: &str) -> Option<Vec<Object>> {
    let mut pairs = Vec::new();
    for (at, _) in text.match_indices('(') {
        let Some((inside, _)) = text[at + 1..].split_once(')') else { continue };
        let numbers = inside.split(',').map(|number| number.trim().parse::<f64>());
        let numbers: Vec<f64> = numbers.collect::<Result<_, _>>().unwrap_or_default();
        match numbers[..] {
            [x, y] => pairs.push([x, y]),
            [x1, y1, x2, y2] => pairs.extend([[x1, y1], [x2, y2]]),
            _ => {}
        }
    }
    let [[x1, y1], [x2, y2], points @ ..] = &pairs[..] else { return None };
    Some(vec![Object { bbox: Some([*x1, *y1, *x2, *y2]), points: points.to_vec() }])
}

/// Objects with a box, upright and inside the image.
fn finished(
    found: Vec<Object>,
    [width, height]: [f64; 2],
    repairs: &mut Vec<Repair>,
) -> Result<Vec<Object>, Failure> {
    if found.is_empty() {
        return Err(Failure::NoObject);
    }
    let count = found.len();
    let mut objects: Vec<Object> = found
        .into_iter()
        .filter(|object| object.bbox.is_some_and(|bbox| bbox.iter().all(|x| x.is_finite())))
        .collect();
    if objects.len() < count {
        repairs.push(Repair::ObjectLeftOut);
    }
    let all = |object: &Object| object.bbox.iter().flatten().copied().collect::<Vec<f64>>();
    let numbers: Vec<f64> = objects.iter().flat_map(all).collect();
    // No box in pixels lies in the first pixel of all.
    let is_share = |x: &f64| (0.0..=1.0).contains(x);
    if !numbers.is_empty()
        && numbers.iter().all(is_share)
        && numbers.iter().any(|x| x.fract() > 0.0)
    {
        repairs.push(Repair::Normalised);
        for object in &mut objects {
            let [x1, y1, x2, y2] = object.bbox.unwrap_or_default();
            object.bbox = Some([x1 * width, y1 * height, x2 * width, y2 * height]);
            object.points.iter_mut().for_each(|[x, y]| (*x, *y) = (*x * width, *y * height));
        }
    }
    for object in &mut objects {
        upright(object, repairs);
        inside(object, [width, height], repairs);
    }
    if objects.is_empty() { Err(Failure::NoBox) } else { Ok(objects) }
}

fn upright(object: &mut Object, repairs: &mut Vec<Repair>) {
    let Some([x1, y1, x2, y2]) = object.bbox else { return };
    if x1 > x2 || y1 > y2 {
        repairs.push(Repair::ReversedCorners);
        object.bbox = Some([x1.min(x2), y1.min(y2), x1.max(x2), y1.max(y2)]);
    }
}

fn inside(object: &mut Object, [width, height]: [f64; 2], repairs: &mut Vec<Repair>) {
    let mut moved = false;
    let mut clamp = |x: &mut f64, side: f64| {
        let inside = x.clamp(0.0, side);
        moved |= inside != *x;
        *x = inside;
    };
    if let Some([x1, y1, x2, y2]) = &mut object.bbox {
        for (x, side) in [(x1, width), (y1, height), (x2, width), (y2, height)] {
            clamp(x, side);
        }
    }
    for [x, y] in &mut object.points {
        clamp(x, width);
        clamp(y, height);
    }
    if moved {
        repairs.push(Repair::OutOfFrame);
    }
}
