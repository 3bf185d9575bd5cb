//! [`KeyPattern`]: where the key stands in a file's name.

use std::borrow::Cow;
use std::str::FromStr;

use super::keys::Ids;

/// A pattern of file names without their extension, such as `{ref_id}-iou=*-{text}`: `{key}`,
/// `{ref_id}`, `{sent_id}`, `{text}`, `{ann_id}`, `{image_id}` stand for what a prediction is for,
/// `*` for anything. With a slash in it, it is matched with the path inside the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Any,
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Key,
    RefId,
    SentId,
    Text,
    AnnId,
    ImageId,
}

const FIELDS: [(&str, Field); 6] = [
    ("key", Field::Key),
    ("ref_id", Field::RefId),
    ("sent_id", Field::SentId),
    ("text", Field::Text),
    ("ann_id", Field::AnnId),
    ("image_id", Field::ImageId),
];

impl FromStr for KeyPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix('*') {
                parts.push(Part::Any);
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or("`{` without `}`")?;
                let known = FIELDS.iter().find(|(known, _)| *known == name);
                let (_, field) = known.ok_or_else(|| {
                    let names: Vec<String> =
                        FIELDS.iter().map(|(n, _)| format!("{{{n}}}")).collect();
                    format!("`{{{name}}}` is none of {}", names.join(", "))
                })?;
                parts.push(Part::Field(*field));
                rest = after;
            } else {
                let end = rest.find(['*', '{']).unwrap_or(rest.len()).max(first.len_utf8());
                parts.push(Part::Literal(rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
        let pattern = Self(parts);
        let names_something = pattern.0.iter().any(|part| {
            matches!(part, Part::Field(field) if !matches!(field, Field::SentId | Field::Text))
        });
        if names_something {
            Ok(pattern)
        } else {
            Err("it must hold one of {key}, {ref_id}, {ann_id}, {image_id}".to_owned())
        }
    }
}

impl KeyPattern {
    /// Names as CRIS writes them: the ref, the IoU that it found, the sentence.
    pub(super) fn cris() -> Self {
        let literal = |text: &str| Part::Literal(text.to_owned());
        Self(vec![
            Part::Field(Field::RefId),
            literal("-iou="),
            Part::Any,
            literal("-"),
            Part::Field(Field::Text),
        ])
    }

    /// Whether paths are matched, rather than file names.
    pub(super) fn is_of_paths(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Literal(text) if text.contains('/')))
    }

    /// What a name says; `None` where the pattern does not fit it. Every part takes as little as it
    /// can.
    pub(super) fn ids(&self, name: &str) -> Option<Ids<'static>> {
        let mut ids = Ids::default();
        fits(&self.0, name, &mut ids).then_some(ids)
    }
}

fn fits(parts: &[Part], name: &str, ids: &mut Ids<'static>) -> bool {
    let Some((part, rest)) = parts.split_first() else { return name.is_empty() };
    let field = match part {
        Part::Literal(text) => {
            return name.strip_prefix(text.as_str()).is_some_and(|name| fits(rest, name, ids));
        }
        Part::Any => None,
        Part::Field(field) => Some(*field),
    };
    let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
    for end in ends {
        let taken = &name[..end];
        let allowed = field.is_none_or(|field| field.admits(taken));
        if allowed && fits(rest, &name[end..], ids) {
            if let Some(field) = field {
                field.put(taken, ids);
            }
            return true;
        }
    }
    false
}

impl Field {
    fn admits(self, text: &str) -> bool {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            Self::RefId | Self::SentId => !text.is_empty() && is_number,
            Self::Key | Self::Text | Self::AnnId | Self::ImageId => !text.is_empty(),
        }
    }

    fn put(self, text: &str, ids: &mut Ids<'static>) {
        let slot = match self {
            Self::Key => &mut ids.key,
            Self::RefId => &mut ids.ref_id,
            Self::SentId => &mut ids.sent_id,
            Self::Text => &mut ids.text,
            Self::AnnId => &mut ids.ann_id,
            Self::ImageId => &mut ids.image_id,
        };
        *slot = Some(Cow::Owned(text.to_owned()));
    }
}
