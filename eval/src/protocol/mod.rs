//! [`Protocol`]: the rules of one evaluator, as data. The presets stand in `presets.json`, each with
//! where it was read; a protocol of one's own is such an object in a file.

mod frame;
mod overrides;

use segzero_datasets::FillRegime;
use serde::{Deserialize, Serialize};

pub use frame::Frame;
pub use overrides::Overrides;

/// The rules by which predictions become numbers. Every field is a choice in which published
/// evaluators differ; none of them is a matter of taste to a reader who compares two numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// `lisa`, `seg-zero`, ...; a preset with changed fields is no longer that preset, and is named
    /// after its changes: `lisa, ignore=background`.
    pub name: String,
    /// Where the rules were read.
    #[serde(default)]
    pub source: String,
    /// What is scored.
    pub unit: Unit,
    /// How COCO polygons become a target.
    pub raster: Raster,
    /// OpenCV's fill rule: for ReasonSeg's polygons, and for COCO's under [`Raster::Opencv`].
    pub fill: FillRegime,
    /// Pixels that two polygons of one annotation cover.
    pub overlap: Overlap,
    /// Pixels that the data set marks as neither right nor wrong (ReasonSeg's 255).
    pub ignore: Ignore,
    /// Size at which pixels are compared.
    pub frame: Frame,
    /// No target and an empty prediction.
    pub empty: Empty,
    /// Units without a target, and predictions that say so in words.
    pub no_target: NoTarget,
    /// Units without a usable prediction.
    pub missing: Missing,
    /// What gIoU is the mean over.
    pub mean: MeanOver,
    /// When an IoU counts at a threshold of Pr@.
    pub precision: Reach,
    /// The thresholds, in tenths.
    pub thresholds: Vec<u32>,
    /// Small numbers that the evaluator adds to its denominators.
    pub epsilon: Epsilon,
    /// Processes of a distributed sampler that repeats the first units until all have equally many.
    pub replicas: u32,
    /// The figures that are reported under it, the first first.
    pub headline: Vec<Metric>,
}

/// What one row of the scores is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Every query of every sample; of ReasonSeg, whose texts are rephrasings, the first. A
    /// prediction is found by the query's key, or else by the sample's.
    #[default]
    Query,
    /// The first query of every sample.
    FirstQuery,
    /// Every sample once, its queries joined. A prediction is found by the sample's key, or else by
    /// its first query's.
    Sample,
}

/// How COCO polygons become a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Raster {
    /// COCO's own rule (pycocotools).
    Coco,
    /// Vertices truncated to integers, filled by OpenCV, outline included.
    Opencv,
}

/// What pixels become that two polygons of one annotation cover (REFER's value 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// Target.
    Foreground,
    /// Not target: the evaluator compares with 1.
    Background,
}

/// What ignored pixels become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Ignore {
    /// They count on neither side.
    Exclude,
    /// Target.
    Foreground,
    /// Not target: a prediction there is wrong.
    Background,
}

/// What an empty union is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Empty {
    /// IoU 1: there was nothing to find.
    One,
    /// IoU 0.
    Zero,
    /// The unit is left out.
    Skip,
}

/// How units without a target are scored, and what a prediction's `no_target` flag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum NoTarget {
    /// The flag empties the mask; then masks decide.
    Flag,
    /// Masks decide. The flag is not looked at, unless there is no mask beside it.
    Mask,
    /// ReLA: the flag decides whether the answer is "nothing" (an empty mask where there is no
    /// flag). Right: IoU 1. Wrong "nothing": IoU 0, and the mask's pixels still join the union.
    Rela,
    /// As [`NoTarget::Rela`], but a wrong "nothing" still adds its intersection (GSVA).
    Gsva,
    /// Units without a target are left out; masks decide.
    Skip,
}

/// How units without a usable prediction are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// IoU 0, even where there is no target; the target joins the union.
    Wrong,
    /// As an empty mask, which is right where there is no target.
    Empty,
    /// IoU 0 in the mean, and nothing in the sums (Sa2VA).
    MeanOnly,
    /// The unit is left out.
    Skip,
}

/// What gIoU is the mean over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum MeanOver {
    /// Every unit counts once.
    Unit,
    /// Every sample counts once: the mean of its units' mean.
    Sample,
    /// Every image counts once (MLLMSeg).
    Image,
}

/// When an IoU counts at a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// At the threshold or above, of all units.
    AtLeast,
    /// Above it, of all units.
    Above,
    /// At the threshold or above, of the units with a target (gRefCOCO).
    AtLeastOfTargets,
}

/// Small numbers that an evaluator adds to its denominators, so that digits agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epsilon {
    /// To the union of one unit.
    pub iou: f64,
    /// To the number of units.
    pub mean: f64,
    /// To the sum of unions.
    pub cumulative: f64,
}

/// A figure of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Mean IoU (LISA's name; mIoU).
    Giou,
    /// Cumulative IoU (oIoU, overall IoU).
    Ciou,
    /// Share of units at a threshold (Pr@0.5 ...).
    Precision,
    /// N-acc.
    NoTargetAccuracy,
    /// T-acc.
    TargetAccuracy,
}

/// All presets, the default first.
///
/// # Errors
/// None in a released build: the file is part of the crate and a test reads it.
pub fn presets() -> Result<Vec<Protocol>, serde_json::Error> {
    serde_json::from_str(include_str!("presets.json"))
}

impl Protocol {
    /// The preset of this name.
    pub fn preset(name: &str) -> Option<Self> {
        presets().ok()?.into_iter().find(|protocol| protocol.name == name)
    }

    /// Name of [`Protocol::default`].
    pub const DEFAULT: &'static str = "default";
}

impl Default for Protocol {
    /// Ours: every query counts, at the image's own size, by integers; nothing is dropped.
    fn default() -> Self {
        Self {
            name: Self::DEFAULT.to_owned(),
            source: "segzero".to_owned(),
            unit: Unit::Query,
            raster: Raster::Coco,
            fill: FillRegime::OpencvB,
            overlap: Overlap::Foreground,
            ignore: Ignore::Exclude,
            frame: Frame::Native,
            empty: Empty::One,
            no_target: NoTarget::Flag,
            missing: Missing::Wrong,
            mean: MeanOver::Unit,
            precision: Reach::AtLeast,
            thresholds: vec![5, 6, 7, 8, 9],
            epsilon: Epsilon::default(),
            replicas: 1,
            headline: vec![Metric::Giou, Metric::Ciou],
        }
    }
}

#[cfg(test)]
mod tests;
