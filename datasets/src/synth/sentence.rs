//! What people say of an object. Every sentence is true of exactly one object of its image: colours
//! do not repeat within one.

use crate::{Bbox, Size};

use super::dice::Dice;
use super::scene::{Object, Relation, Sentence};

/// One to three sentences about `objects[index]`, whose visible pixels fill `bbox`.
pub(super) fn of(
    objects: &[Object],
    index: usize,
    bbox: Bbox,
    size: Size,
    dice: &mut Dice,
) -> Vec<Sentence> {
    let object = &objects[index];
    let (color, noun) = (object.color.name, object.kind.noun());
    let nickname = object.kind.nickname();
    let place = place(bbox, size);
    let name =
        |other: usize| format!("{} {}", objects[other].color.name, objects[other].kind.noun());
    let mut raws = vec![match object.relation {
        Some(Relation::Around(o)) => format!("the {color} {noun} around the {}", name(o)),
        Some(Relation::Inside(o)) => format!("{color} {noun} inside the {}", name(o)),
        Some(Relation::HiddenBy(o)) => {
            format!("the {color} {noun} that's partly hidden by the {}", name(o))
        }
        Some(Relation::InFrontOf(o)) => format!("the {color} {noun} in front of the {}", name(o)),
        Some(Relation::Touching(o)) => format!("the {color} {noun} touching the {}", name(o)),
        Some(Relation::CutOffAt(side)) => {
            format!("the {color} {noun}, cut off at the {side} edge")
        }
        None => format!("the {}{color} {noun} {place}", adjective(bbox, size)),
    }];
    let others = [
        format!("{color} {noun} {place}"),
        format!("it's the \"{nickname}\" {place}, the {color} one"),
        format!("the {color} {nickname} — {place}"),
        format!("{noun}, {color}"),
    ];
    let more = dice.below(3);
    let mut order = [0, 1, 2, 3];
    dice.shuffle(&mut order);
    raws.extend(order[..more].iter().map(|&i| others[i].clone()));
    raws.into_iter()
        .map(|raw| {
            let raw = if dice.chance(0.6) { polish(&raw) } else { raw };
            Sentence { id: 0, sent: clean(&raw), raw }
        })
        .collect()
}

/// What an object is and which, and nothing of where.
pub(super) fn plain(object: &Object) -> Sentence {
    let raw = format!("{} {}", object.color.name, object.kind.noun());
    Sentence { id: 0, sent: clean(&raw), raw }
}

/// A capital and a full stop.
fn polish(raw: &str) -> String {
    let mut chars = raw.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// REFER's `sent`: lower case, no punctuation, single spaces.
fn clean(raw: &str) -> String {
    let lower = raw.to_lowercase().replace('\'', "");
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

fn adjective(bbox: Bbox, size: Size) -> &'static str {
    let longer = f64::from(bbox.width().max(bbox.height()));
    match longer / f64::from(size.width.min(size.height)) {
        share if share < 0.2 => "small ",
        share if share > 0.42 => "large ",
        _ => "",
    }
}

/// Where the middle of the box is, in ninths of the image.
fn place(bbox: Bbox, size: Size) -> &'static str {
    let third = |low: i32, high: i32, length: u32| {
        let middle = f64::from(low + high) / 2.0 / f64::from(length.max(1));
        ((middle * 3.0) as usize).min(2)
    };
    const PLACES: [[&str; 3]; 3] = [
        ["in the top left corner", "at the top", "in the top right corner"],
        ["on the left", "in the middle", "on the right"],
        ["in the bottom left corner", "at the bottom", "in the bottom right corner"],
    ];
    PLACES[third(bbox.y0, bbox.y1, size.height)][third(bbox.x0, bbox.x1, size.width)]
}
