//! The authors' two readers, quirks and all (`evaluation.py` of either generation).

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{Answer, Failure, Object};

/// Seg-Zero: the first `{`, something without `}`, and `}` of the whole reply, thinking included.
pub(super) fn seg_zero(text: &str) -> Result<Answer, Failure> {
    let braces = first_braces(text).ok_or(Failure::NoAnswer)?;
    let Members(members) = serde_json::from_str(braces).map_err(|_| Failure::NotJson)?;
    let has = |part: &str| {
        let named = |(name, _): &&(String, Value)| name.to_lowercase().contains(part);
        members.iter().filter(named).map(|(_, value)| value).collect::<Vec<_>>()
    };
    let boxes = has("bbox");
    let bbox = boxes.first().and_then(|bbox| whole_numbers(bbox)).ok_or(Failure::NoBox)?;
    let bbox: [f64; 4] = bbox.try_into().map_err(|_| Failure::NoBox)?;
    let [first, second, ..] = has("points")[..] else { return Err(Failure::NoPoints) };
    // Of a point the first two numbers count, and only they need be numbers.
    let point = |value: &Value| {
        let numbers = [elements(value)?.first().and_then(whole)?, whole(elements(value)?.get(1)?)?];
        Some(numbers)
    };
    let points = [point(first), point(second)].into_iter().collect::<Option<Vec<_>>>();
    let points = points.ok_or(Failure::NoPoints)?;
    let thinking = thinking_without_tags(text).ok_or(Failure::NoThinking)?;
    let objects = vec![Object { bbox: Some(bbox), points }];
    Ok(Answer { objects, thinking: Some(thinking.to_owned()), repairs: Vec::new() })
}

/// VisionReasoner: a list between the first `<answer>` and the `</answer>` after it. Each object must
/// have a box and a point; of either, what is more than four and two numbers does not count.
pub(super) fn vision_reasoner(text: &str) -> Result<Answer, Failure> {
    let (_, rest) = text.split_once("<answer>").ok_or(Failure::NoAnswer)?;
    let (answer, _) = rest.split_once("</answer>").ok_or(Failure::NoAnswer)?;
    let answer: Value = serde_json::from_str(answer.trim()).map_err(|_| Failure::NotJson)?;
    let objects = answer.as_array().ok_or(Failure::NoBox)?;
    let object = |object: &Value| {
        let bbox = object.get("bbox_2d").and_then(first_numbers).ok_or(Failure::NoBox)?;
        let point = object.get("point_2d").and_then(first_numbers).ok_or(Failure::NoPoints)?;
        Ok(Object { bbox: Some(bbox), points: vec![point] })
    };
    let objects = objects.iter().map(object).collect::<Result<_, _>>()?;
    let thinking = thinking_without_tags(text).map(str::to_owned);
    Ok(Answer { objects, thinking, repairs: Vec::new() })
}

/// `{`, one or more characters that are not `}`, and `}`.
pub(crate) fn first_braces(text: &str) -> Option<&str> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find('{')?;
        let end = start + text[start..].find('}')?;
        if end > start + 1 {
            return Some(&text[start..=end]);
        }
        from = end;
    }
}

/// `<think>`, one or more characters that are not `<`, and `</think>`.
fn thinking_without_tags(text: &str) -> Option<&str> {
    text.match_indices("<think>").find_map(|(start, tag)| {
        let inside = &text[start + tag.len()..];
        let length = inside.find('<')?;
        (length > 0 && inside[length..].starts_with("</think>")).then(|| &inside[..length])
    })
}

/// What Python's indexing finds in a list or a string.
fn elements(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items.clone()),
        Value::String(text) => Some(text.chars().map(|c| Value::String(c.into())).collect()),
        _ => None,
    }
}

/// Python's `int`: floats cut off, integers in strings, and truth as 1.
fn whole(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().replace('_', "").parse::<i64>().ok().map(|i| i as f64),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        value => value.as_f64().map(f64::trunc),
    }
}

fn whole_numbers(value: &Value) -> Option<Vec<f64>> {
    elements(value)?.iter().map(whole).collect()
}

/// The first `N` elements of a list, which must be numbers.
fn first_numbers<const N: usize>(value: &Value) -> Option<[f64; N]> {
    let numbers: Option<Vec<f64>> = value.as_array()?.iter().take(N).map(Value::as_f64).collect();
    numbers?.try_into().ok()
}

/// The members of an object as a Python dict keeps them: a name that comes again has its first place
/// and its last value.
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
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    match members.iter_mut().find(|(known, _)| *known == name) {
                        Some(member) => member.1 = value,
                        None => members.push((name, value)),
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}
