//! [`Figure`]: one published number with what a reader needs to judge it.

use clap::ValueEnum;
use segzero_eval::protocol::Ignore;
use serde::Serialize;

use super::Percent;

/// One number of one method on one part of one set: a line of the CSV files (docs/leaderboard.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// `refcoco`, `refcoco+`, `refcocog`, `grefcoco`, `reasonseg`.
    pub set: String,
    /// REFER's partition (`unc`, `umd`, `google`); `None` where there is one only or none is stated.
    pub split_by: Option<String>,
    /// `val`, `testA`, `testB` or `test`.
    pub split: String,
    /// Which queries of the split.
    pub part: Part,
    /// The method. Rows under one name are the same method, whoever printed them.
    pub method: String,
    /// Year of publication.
    pub year: Option<u16>,
    /// Language model or backbone, as printed.
    pub backbone: Option<String>,
    /// What the number measures, whatever its source calls it.
    pub metric: Metric,
    /// The number as printed, percent.
    pub value: Percent,
    /// What the sources call it, in their order, separated by `;`.
    pub printed_as: Option<String>,
    /// The preset that scores alike (`lisa`, `seg-zero`, ...); `None` where nobody states it.
    pub protocol: Option<String>,
    /// What one averaged sample is.
    pub unit: Option<SampleUnit>,
    /// What becomes of ReasonSeg's ignored pixels.
    pub ignore: Option<Ignore>,
    /// Splits of this set that the model was trained on, joined by `+`; `none`.
    pub trained_on: Option<String>,
    /// The table of the Seg-Zero paper, where it is one: `1` ... `7`, `v2-kl`, ...
    pub table: Option<String>,
    /// Anything else that matters.
    pub note: Option<String>,
    /// Where the number was read; several sources agree.
    pub source: String,
    /// How far it can be trusted.
    pub status: FigureStatus,
}

/// Which queries of a split, in the order of the tables' columns.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// ReasonSeg's short phrases.
    Short,
    /// ReasonSeg's full sentences.
    Long,
    /// All of them; empty in the files.
    #[default]
    #[serde(rename = "")]
    All,
}

/// What a number measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Mean IoU over the samples: LISA's gIoU, also printed as mIoU.
    Giou,
    /// Sum of intersections over sum of unions: cIoU, also printed as oIoU or overall IoU.
    Ciou,
    /// Share of the samples without a target that get an empty answer.
    NAcc,
    /// Share of the samples with a target that get an answer.
    TAcc,
}

impl Metric {
    /// The name at the head of a column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Giou => "gIoU",
            Self::Ciou => "cIoU",
            Self::NAcc => "N-acc",
            Self::TAcc => "T-acc",
        }
    }

    /// What a printed name means; `None` where it may mean either (plain "IoU").
    pub fn of_printed(name: &str) -> Option<Self> {
        match name.trim().to_lowercase().as_str() {
            "giou" | "miou" | "mean iou" => Some(Self::Giou),
            "ciou" | "oiou" | "overall iou" => Some(Self::Ciou),
            "n-acc" => Some(Self::NAcc),
            "t-acc" => Some(Self::TAcc),
            _ => None,
        }
    }
}

/// What one averaged sample is (protocols differ in it most).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SampleUnit {
    /// Every sentence of every ref.
    Sentence,
    /// The first sentence of each ref.
    FirstSentence,
    /// One sentence of each ref, chosen by whoever uploaded the set.
    OneSentence,
    /// All sentences of a ref, joined into one query.
    JoinedSentences,
    /// At most three random sentences of each image.
    SampledSentences,
    /// One query of each image: ReasonSeg.
    OneQuery,
}

impl SampleUnit {
    /// In words, after "scores".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Sentence => "every sentence of every ref",
            Self::FirstSentence => "the first sentence of each ref",
            Self::OneSentence => "one sentence per ref",
            Self::JoinedSentences => "one query per ref, all its sentences joined",
            Self::SampledSentences => "at most three random sentences per image",
            Self::OneQuery => "one query per image",
        }
    }
}

/// How far a figure can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
pub enum FigureStatus {
    /// Measured by `segzero eval`.
    #[serde(rename = "O")]
    #[value(name = "O")]
    Own,
    /// Seen in the method's own paper, page or repository.
    #[serde(rename = "P")]
    #[value(name = "P")]
    Primary,
    /// Seen in another work's table.
    #[serde(rename = "S")]
    #[value(name = "S")]
    Secondary,
    /// Said by secondary notes, or in a table whose place was not kept.
    #[serde(rename = "U")]
    #[value(name = "U")]
    Unverified,
}

impl FigureStatus {
    /// The letter in the files.
    pub fn letter(self) -> char {
        match self {
            Self::Own => 'O',
            Self::Primary => 'P',
            Self::Secondary => 'S',
            Self::Unverified => 'U',
        }
    }
}
