//! What a model wrote, read as boxes and points.
//!
//! Two readers are the authors' own, with their quirks ([`Parser::SegZero`],
//! [`Parser::VisionReasoner`]); the third gets the answer out of whatever models really write and says
//! what it had to repair ([`Parser::Robust`]). Whether a reader finds anything is its whole difference:
//! a reply that cannot be read scores nothing.

mod reference;
mod relaxed;
mod robust;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use reference::first_braces;

/// Who reads a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Parser {
    /// Seg-Zero's evaluation: the first `{...}` of the whole reply, strict JSON, a box and two points,
    /// and a `<think>` without `<` inside.
    SegZero,
    /// VisionReasoner's evaluation: strict JSON between `<answer>` and `</answer>`, a list of objects
    /// with a box and a point each.
    VisionReasoner,
    /// Every form that is known, and what is broken repaired where that is safe.
    #[default]
    Robust,
}

/// Boxes and points, in the frame in which the model was asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    /// What was pointed out, in the order of the reply.
    pub objects: Vec<Object>,
    /// What stands between `<think>` and `</think>`.
    pub thinking: Option<String>,
    /// What had to be repaired, each kind once.
    pub repairs: Vec<Repair>,
}

/// One thing that was pointed out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Object {
    /// x and y of the upper left and the lower right corner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bbox: Option<[f64; 4]>,
    /// (x, y) of points inside.
    pub points: Vec<[f64; 2]>,
}

/// What was wrong with a reply that could be read all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// There is no `<think>`.
    NoThinking,
    /// `<think>` or `<answer>` is not closed, or closed and never opened.
    UnclosedTag,
    /// The answer is outside of `<answer>`.
    OutsideAnswer,
    /// Not JSON: other quotes, names without quotes, commas too many, comments.
    NotJson,
    /// The reply ends inside the answer.
    CutOff,
    /// Not JSON at all: numbers in parentheses or in words.
    NumbersInText,
    /// Numbers written as strings.
    NumbersAsText,
    /// The lower right corner stands before the upper left one.
    ReversedCorners,
    /// Shares of the image rather than pixels.
    Normalised,
    /// Outside of the image.
    OutOfFrame,
    /// An object without a box, or one whose box is no box, was left out.
    ObjectLeftOut,
}

/// Why a reply has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[derive(thiserror::Error)]
pub enum Failure {
    /// Nothing was written.
    #[error("the reply is empty")]
    Empty,
    /// There is nothing like an answer in it.
    #[error("the reply holds no answer")]
    NoAnswer,
    /// The answer is not JSON, which this reader asks for.
    #[error("the answer is not JSON")]
    NotJson,
    /// There is no box, or none of four numbers.
    #[error("the answer has no box")]
    NoBox,
    /// There are no points, or not as many as this reader asks for.
    #[error("the answer has no points")]
    NoPoints,
    /// There is no thinking that this reader can find.
    #[error("the reply has no thinking")]
    NoThinking,
    /// The answer is a list of nothing.
    #[error("the answer names no object")]
    NoObject,
}

impl Parser {
    /// Reads a reply to a question about an image that the model saw as `width` x `height` pixels.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn read(self, text: &str, [width, height]: [f64; 2]) -> Result<Answer, Failure> {
        match self {
            Self::SegZero => reference::seg_zero(text),
            Self::VisionReasoner => reference::vision_reasoner(text),
            Self::Robust => robust::read(text, [width, height]),
        }
    }

    /// A coordinate in another frame, `factor` times as large, as this reader rounds it.
    pub fn scaled(self, coordinate: f64, factor: f64) -> f64 {
        match self {
            // Python's `round` takes the even neighbour of a half.
            Self::SegZero => (coordinate * factor).round_ties_even(),
            Self::VisionReasoner => (coordinate * factor + 0.5).trunc(),
            Self::Robust => coordinate * factor,
        }
    }
}
