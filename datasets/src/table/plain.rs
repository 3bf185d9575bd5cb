//! JSONL rows of the usual form, read without a [`serde_json::Value`].

use super::row::{Row, Target};
use crate::scan::{Raw, Scanner};
use crate::{Mask, Size};

/// A line with one text and a compressed mask, every field a string.
#[derive(Default)]
struct Plain<'a> {
    id: Option<Raw<'a>>,
    image: Option<Raw<'a>>,
    text: Option<Raw<'a>>,
    split: Option<Raw<'a>>,
    category: Option<Raw<'a>>,
    size: Option<[u32; 2]>,
    counts: Option<Raw<'a>>,
}

impl<'a> Plain<'a> {
    fn scan(line: &'a [u8]) -> Option<Self> {
        let mut plain = Self::default();
        let mut scanner = Scanner::new(line);
        scanner.object(|name, value| {
            let field = match name {
                b"id" => &mut plain.id,
                b"image" => &mut plain.image,
                b"text" => &mut plain.text,
                b"split" => &mut plain.split,
                b"category" => &mut plain.category,
                b"rle" if plain.counts.is_none() => {
                    return value.object(|name, value| match name {
                        b"size" if plain.size.is_none() => {
                            plain.size = Some(value.pair()?);
                            Some(())
                        }
                        b"counts" => set(&mut plain.counts, value.string()?),
                        _ => None,
                    });
                }
                _ => return None,
            };
            set(field, value.string()?)
        })?;
        scanner.end()?;
        Some(plain)
    }
}

/// Sets a field that was not there yet.
fn set<'a>(field: &mut Option<Raw<'a>>, value: Raw<'a>) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

/// The string without the white space around it; `Some(None)` where it is empty or not there.
fn trimmed(field: Option<Raw<'_>>) -> Option<Option<String>> {
    let Some(raw) = field else { return Some(None) };
    let text = raw.text()?.trim();
    Some((!text.is_empty()).then(|| text.to_owned()))
}

/// The row of a line of the usual form. `None` for any other, right or wrong: [`Row::parse`] reads
/// every form, and says what is wrong. `counts` is memory to use.
pub(super) fn row(line: u64, text: &[u8], counts: &mut Vec<u8>) -> Option<Row> {
    let plain = Plain::scan(text)?;
    let text = plain.text?.text()?;
    if text.trim().is_empty() {
        return None;
    }
    let [height, width] = plain.size?;
    counts.clear();
    plain.counts?.unescape(counts)?;
    let mask = Mask::from_coco_string(Size::new(width, height), counts).ok()?;
    plain.image?;
    Some(Row {
        line,
        id: trimmed(plain.id)?,
        split: trimmed(plain.split)?,
        texts: vec![text.to_owned()],
        image: trimmed(plain.image)?,
        category: trimmed(plain.category)?,
        size: Some(mask.size()),
        target: Some(Target::Runs(mask)),
    })
}
