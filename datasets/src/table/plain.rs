//! JSONL rows of the usual form, read without a [`serde_json::Value`].

use std::borrow::Cow;

use serde::Deserialize;

use super::row::{Row, Target};
use crate::{Mask, Size};

/// A line with one text and a compressed mask, every field a string.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    image: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow, default)]
    split: Option<Text<'a>>,
    #[serde(borrow, default)]
    category: Option<Text<'a>>,
    #[serde(borrow)]
    rle: Rle<'a>,
}

/// COCO's compressed mask.
#[derive(Deserialize)]
struct Rle<'a> {
    size: [u32; 2],
    #[serde(borrow)]
    counts: Text<'a>,
}

/// A string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    /// The string without the white space around it; `None` where it is empty.
    fn trimmed(self) -> Option<String> {
        let trimmed = self.0.trim();
        match trimmed.len() {
            0 => None,
            whole if whole == self.0.len() => Some(self.0.into_owned()),
            _ => Some(trimmed.to_owned()),
        }
    }
}

/// The row of a line of the usual form. `None` for any other, right or wrong: [`Row::parse`] reads
/// every form, and says what is wrong.
pub(super) fn row(line: u64, text: &[u8]) -> Option<Row> {
    let plain: Plain<'_> = serde_json::from_slice(text).ok()?;
    if plain.text.0.trim().is_empty() {
        return None;
    }
    let [height, width] = plain.rle.size;
    let mask = Mask::from_coco_string(Size::new(width, height), plain.rle.counts.0.as_bytes());
    let mask = mask.ok()?;
    Some(Row {
        line,
        id: plain.id.and_then(Text::trimmed),
        split: plain.split.and_then(Text::trimmed),
        texts: vec![plain.text.0.into_owned()],
        image: plain.image.trimmed(),
        category: plain.category.and_then(Text::trimmed),
        size: Some(mask.size()),
        target: Some(Target::Runs(mask)),
    })
}
