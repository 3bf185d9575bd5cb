//! Every choice of a preparation. The resolved options are written into the manifest.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use segzero_datasets::{FillRegime, Size};
use serde::{Deserialize, Serialize};

use crate::image::{Filter, PngEffort};
use crate::select::SelectOptions;
use crate::{BoxConvention, PrepError, Rounding, TargetOptions};

/// Every choice that changes a byte of the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PrepOptions {
    /// Which samples.
    pub select: SelectOptions,
    /// How box and circles are found, at the original resolution.
    pub target: TargetOptions,
    /// How scaled coordinates become integers.
    pub rounding: Rounding,
    /// What the box's right and bottom mean.
    pub bbox: BoxConvention,
    /// How ReasonSeg polygons are filled.
    pub fill: FillRegime,
    /// How the answer is written.
    pub solution: SolutionFormat,
    /// Size of the images, and the frame of the answer's coordinates.
    pub size: FrameSize,
    /// How images are resized.
    pub filter: Filter,
    /// How images are encoded.
    pub image: ImageEncoding,
    /// How the set is written.
    pub format: OutputFormat,
    /// Which columns it has.
    pub columns: Columns,
    /// Rows after which a new file (shard) begins; an image's rows stay together.
    pub shard_rows: usize,
}

impl Default for PrepOptions {
    fn default() -> Self {
        Self {
            select: SelectOptions::default(),
            target: TargetOptions::default(),
            rounding: Rounding::default(),
            bbox: BoxConvention::default(),
            fill: FillRegime::default(),
            solution: SolutionFormat::default(),
            size: FrameSize::default(),
            filter: Filter::default(),
            image: ImageEncoding::default(),
            format: OutputFormat::default(),
            columns: Columns::default(),
            shard_rows: 250,
        }
    }
}

impl PrepOptions {
    /// Checks that the options go together.
    ///
    /// # Errors
    /// [`PrepError::Options`] for the first pair that does not.
    pub fn check(&self) -> Result<(), PrepError> {
        let vision_reasoner = self.solution == SolutionFormat::VisionReasoner;
        let all_sentences = self.select.sentences == crate::select::Sentences::All;
        let fault = match () {
            () if self.target.circles == 0 => "`--circles` must be at least 1",
            () if self.shard_rows == 0 => "`--shard-rows` must be at least 1",
            () if vision_reasoner && self.target.circles != 1 => {
                "`--solution vision-reasoner` has one point an object; use `--circles 1`"
            }
            () if vision_reasoner && all_sentences => {
                "`--solution vision-reasoner` names each object once; choose `--sentences first`, \
                 `random` or `longest`"
            }
            () if self.image == ImageEncoding::Original && self.size != FrameSize::Keep => {
                "`--image original` copies the files' bytes; it needs `--size keep`"
            }
            () => return Ok(()),
        };
        Err(PrepError::Options(fault))
    }
}

/// How the answer is written into `solution`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SolutionFormat {
    /// `<box>(x1,y1),(x2,y2)</box><points>(x,y),(x,y)</points>`, one object an example.
    #[default]
    SegZero,
    /// JSON list of `bbox_2d` and `point_2d`, all objects of an image in one example.
    VisionReasoner,
}

/// Size of the written images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum FrameSize {
    /// All of this size, whatever their aspect ratio.
    Fixed(Size),
    /// As they are.
    Keep,
}

impl FrameSize {
    /// Size of an image that was `original`.
    pub fn of(self, original: Size) -> Size {
        match self {
            Self::Fixed(size) => size,
            Self::Keep => original,
        }
    }
}

impl Default for FrameSize {
    fn default() -> Self {
        Self::Fixed(Size::new(840, 840))
    }
}

impl Display for FrameSize {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(size) => size.fmt(f),
            Self::Keep => f.write_str("keep"),
        }
    }
}

impl FromStr for FrameSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "keep" {
            return Ok(Self::Keep);
        }
        let (width, height) = text.split_once('x').unwrap_or((text, text));
        let side = |s: &str| s.parse().ok().filter(|&n: &u32| (1..=16384).contains(&n));
        match (side(width), side(height)) {
            (Some(width), Some(height)) => Ok(Self::Fixed(Size::new(width, height))),
            _ => Err(format!("expected a side such as 840, WxH, or `keep`, found `{text}`")),
        }
    }
}

/// How the written images are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ImageEncoding {
    /// PNG, as the published sets are.
    Png(PngEffort),
    /// JPEG of this quality, 1 to 100; about a tenth of the size, with loss.
    Jpeg(u8),
    /// The original files' bytes.
    Original,
}

impl Default for ImageEncoding {
    fn default() -> Self {
        Self::Png(PngEffort::default())
    }
}

impl Display for ImageEncoding {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Png(PngEffort::Fast) => f.write_str("png:fast"),
            Self::Png(PngEffort::Balanced) => f.write_str("png:balanced"),
            Self::Png(PngEffort::Small) => f.write_str("png:small"),
            Self::Jpeg(quality) => write!(f, "jpeg:{quality}"),
            Self::Original => f.write_str("original"),
        }
    }
}

impl FromStr for ImageEncoding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let encoding = match text {
            "png" | "png:balanced" => Some(Self::Png(PngEffort::Balanced)),
            "png:fast" => Some(Self::Png(PngEffort::Fast)),
            "png:small" => Some(Self::Png(PngEffort::Small)),
            "original" => Some(Self::Original),
            _ => text
                .strip_prefix("jpeg:")
                .and_then(|quality| quality.parse().ok())
                .filter(|quality| (1..=100).contains(quality))
                .map(Self::Jpeg),
        };
        encoding.ok_or_else(|| {
            format!("expected png:fast, png:balanced, png:small, jpeg:1..100 or original, found `{text}`")
        })
    }
}

/// Spells an option as on the command line, in the manifest too.
macro_rules! as_text {
    ($name:ident) => {
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    };
}
as_text!(FrameSize);
as_text!(ImageEncoding);

/// How the set is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// `data/train-00000-of-000NN.parquet`, as the Hugging Face hub keeps data sets.
    #[default]
    Parquet,
    /// `train.jsonl`, and one file an image under `images/`.
    Jsonl,
}

/// Which columns the set has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Columns {
    /// Those of Seg-Zero's published sets.
    #[default]
    Exact,
    /// Also `dataset`, `split`, `image_id`, `file_name` and `provenance` (JSON).
    Extended,
}
