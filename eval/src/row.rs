//! [`Row`]: one scored unit.

use serde::{Deserialize, Serialize};

use crate::Iou;

/// One scored unit. Areas are pixels of the protocol's frame outside the ignored region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Data set name.
    pub dataset: String,
    /// Split, as the data set spells it.
    pub split: String,
    /// The sample's key.
    pub key: String,
    /// The query's id, where queries have one and are scored one by one.
    pub query: Option<i64>,
    /// The query's text.
    pub text: String,
    /// The image's id in the data set's own terms.
    pub image: String,
    /// How the numbers below came about.
    pub status: Status,
    /// What joins the sum of intersections, pixels.
    pub intersection: u64,
    /// What joins the sum of unions, pixels.
    pub union: u64,
    /// Pixels of the target; unknown where somebody else counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_area: Option<u64>,
    /// Pixels of the prediction; unknown where somebody else counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction_area: Option<u64>,
    /// The IoU: `intersection / union`, or what the protocol says of this [`Status`].
    pub iou: f64,
    /// Whether the answer was taken as "there is no such object".
    #[serde(default, skip_serializing_if = "is_false")]
    pub said_nothing: bool,
    /// Pixels of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_area: Option<u64>,
    /// COCO category of the object, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Other objects of the same category in the image, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distractors: Option<u32>,
    /// ReasonSeg's kind of query: a sentence is a long one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_sentence: Option<bool>,
    /// IoU of the predicted box (the best of several; the mask's where none is stated) with the
    /// target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub box_iou: Option<f64>,
    /// The predicted points that lie on the target, and all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<[u32; 2]>,
    /// Boundary IoU's intersection and union, pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<[u64; 2]>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// How a row came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// There is a target and a prediction, which may be empty.
    Scored,
    /// There is no target, and the answer is that there is none. IoU 1 by most protocols.
    BothEmpty,
    /// There is no target, but the answer is that there is one: IoU 0, and its pixels join the
    /// union.
    NoTarget,
    /// There is a target, but the answer is in words that there is none: IoU 0.
    Denied,
    /// There is no prediction.
    #[default]
    Missing,
    /// The prediction's size is neither the image's nor the protocol's.
    SizeMismatch,
    /// The prediction cannot be read and bad records are skipped.
    Unreadable,
    /// The protocol leaves this unit out; it is in no number.
    Skipped,
}

impl Status {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scored => "scored",
            Self::BothEmpty => "both-empty",
            Self::NoTarget => "no-target",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::SizeMismatch => "size-mismatch",
            Self::Unreadable => "unreadable",
            Self::Skipped => "skipped",
        }
    }

    /// Whether the prediction took part in the score.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Scored | Self::BothEmpty | Self::NoTarget | Self::Denied)
    }
}

impl Row {
    /// The IoU as an exact fraction.
    pub fn exact_iou(&self) -> Iou {
        match self.status {
            Status::Scored => Iou::new(self.intersection, self.union),
            _ if self.iou > 0.0 => Iou::ONE,
            _ => Iou::ZERO,
        }
    }

    /// The key by which a prediction for this row is found: `key:query`, or `key` alone.
    pub fn query_key(&self) -> String {
        match self.query {
            Some(query) => format!("{}:{query}", self.key),
            None => self.key.clone(),
        }
    }

    /// Number of words of the query, separated by white space.
    pub fn words(&self) -> usize {
        self.text.split_whitespace().count()
    }
}
