//! The reply that supervised training teaches, written by a template.

use std::fmt;
use std::str::FromStr;

use segzero_datasets::{Bbox, Point, Size};
use segzero_eval::reward::Truth;
use segzero_model::qwen_vl::Prompter;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::item::Item;

/// A reply with names in braces where a sample's own words and numbers go:
///
/// - `{question}`: what is looked for, in lower case;
/// - `{answer}`: the answer as Seg-Zero's strict format reward has it, or VisionReasoner's list where
///   there are several objects;
/// - `{list}`: VisionReasoner's list in any case;
/// - `{place}`: column and row, of twelve each, of the middle of the object's box, and the box;
/// - `{others}`: what else is asked about the image, in alphabetical order, each with its place.
///
/// ```
/// let template: segzero_train::ReplyTemplate =
///     "<think>I look for {question}.</think><answer>{answer}</answer>".parse()?;
/// assert!(!template.tells_of_others());
/// # Ok::<(), segzero_train::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReplyTemplate(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Slot(Slot),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Question,
    Answer,
    List,
    Place,
    Others,
}

impl Slot {
    const ALL: [Self; 5] = [Self::Question, Self::Answer, Self::List, Self::Place, Self::Others];

    fn name(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Answer => "answer",
            Self::List => "list",
            Self::Place => "place",
            Self::Others => "others",
        }
    }
}

/// What `{others}` is where nothing else is asked about an image.
const NOTHING: &str = "nothing";

/// Columns and rows that places are told in.
const CELLS: i64 = 12;

/// Supervised training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SftOptions {
    /// What is taught, at least one; samples take turns.
    pub replies: Vec<ReplyTemplate>,
    /// Samples computed at once.
    pub micro_batch: usize,
}

impl SftOptions {
    /// The replies to items before which so many others were taught, as tokens; the last is `stop`.
    pub(crate) fn taught(
        &self,
        items: &[Item],
        before: usize,
        prompter: &Prompter,
        stop: u32,
    ) -> Result<Vec<Vec<u32>>, TrainError> {
        let reply = |(index, item): (usize, &Item)| {
            let template = &self.replies[(before + index) % self.replies.len()];
            let encoded = prompter.tokenizer.encode(&template.fill(item));
            let mut tokens = encoded.map_err(|source| TrainError::input(&item.key, source))?;
            tokens.push(stop);
            Ok(tokens)
        };
        items.iter().enumerate().map(reply).collect()
    }
}

impl FromStr for ReplyTemplate {
    type Err = TrainError;

    /// # Errors
    /// A name in braces that means nothing. Braces around anything but a word are text.
    fn from_str(text: &str) -> Result<Self, TrainError> {
        let (mut pieces, mut said, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            said.push_str(before);
            let word: String = from[1..].chars().take_while(char::is_ascii_lowercase).collect();
            let is_named = !word.is_empty() && from[1 + word.len()..].starts_with('}');
            if !is_named {
                said.push('{');
                rest = &from[1..];
                continue;
            }
            let slot = Slot::ALL.into_iter().find(|slot| slot.name() == word);
            let slot = slot.ok_or_else(|| TrainError::Template { name: word.clone() })?;
            pieces.push(Piece::Text(std::mem::take(&mut said)));
            pieces.push(Piece::Slot(slot));
            rest = &from[word.len() + 2..];
        }
        said.push_str(rest);
        pieces.push(Piece::Text(said));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self(pieces))
    }
}

impl fmt::Display for ReplyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Slot(slot) => write!(f, "{{{}}}", slot.name()),
        })
    }
}

impl TryFrom<String> for ReplyTemplate {
    type Error = TrainError;

    fn try_from(text: String) -> Result<Self, TrainError> {
        text.parse()
    }
}

impl From<ReplyTemplate> for String {
    fn from(template: ReplyTemplate) -> Self {
        template.to_string()
    }
}

impl ReplyTemplate {
    /// Whether it needs to know what else is asked about an image ([`crate::acquaint`]).
    pub fn tells_of_others(&self) -> bool {
        self.0.contains(&Piece::Slot(Slot::Others))
    }

    /// The reply to a sample. Coordinates are of the image as the model sees it.
    pub fn fill(&self, item: &Item) -> String {
        let size = item.seen();
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Slot(Slot::Question) => named(&item.question),
            Piece::Slot(Slot::Answer) => answer(&item.solution.objects),
            Piece::Slot(Slot::List) => list(&item.solution.objects),
            Piece::Slot(Slot::Place) => places(&item.solution.objects, size),
            Piece::Slot(Slot::Others) if item.others.is_empty() => NOTHING.to_owned(),
            Piece::Slot(Slot::Others) => {
                let other = |(question, solution): &(String, segzero_eval::reward::Solution)| {
                    format!("{} {}", named(question), places(&solution.objects, size))
                };
                item.others.iter().map(other).collect::<Vec<_>>().join(", ")
            }
        };
        self.0.iter().map(piece).collect()
    }
}

/// A question within a reply: a tag in it must not end the thinking.
fn named(question: &str) -> String {
    question.to_lowercase().replace('<', " ")
}

fn boxed(b: &Bbox) -> String {
    format!("[{}, {}, {}, {}]", b.x0, b.y0, b.x1, b.y1)
}

fn pointed(p: &Point) -> String {
    format!("[{}, {}]", p.x, p.y)
}

fn answer(objects: &[Truth]) -> String {
    match objects {
        [one] if one.points.len() == 2 => format!(
            "{{\"bbox\": {}, \"points_1\": {}, \"points_2\": {}}}",
            boxed(&one.bbox),
            pointed(&one.points[0]),
            pointed(&one.points[1]),
        ),
        many => list(many),
    }
}

fn list(objects: &[Truth]) -> String {
    let object = |object: &Truth| {
        let point = object.points.first().map(pointed).unwrap_or_default();
        format!("{{\"bbox_2d\": {}, \"point_2d\": {point}}}", boxed(&object.bbox))
    };
    format!("[{}]", objects.iter().map(object).collect::<Vec<_>>().join(", "))
}

fn places(objects: &[Truth], size: Size) -> String {
    let place = |object: &Truth| {
        let Bbox { x0, y0, x1, y1 } = object.bbox;
        let cell = |low: i32, high: i32, side: u32| {
            let doubled = i64::from(low) + i64::from(high);
            (doubled * CELLS / (2 * i64::from(side.max(1)))).clamp(0, CELLS - 1)
        };
        let (column, row) = (cell(x0, x1, size.width), cell(y0, y1, size.height));
        format!("{column} {row} {x0} {y0} {x1} {y1}")
    };
    objects.iter().map(place).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests;
