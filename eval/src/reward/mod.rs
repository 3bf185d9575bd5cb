//! What reinforcement learning is told of a reply: rewards of Seg-Zero and VisionReasoner, by the
//! same bits as theirs. `docs/reward.md` states every rule.
//!
//! A [`Recipe`] is a list of rewards with weights. [`Recipe::score`] is a pure function of a reply and
//! a [`Solution`]; it never fails: a reply that cannot be read earns nothing.

mod assignment;
mod python;
mod recipe;
mod seg_zero;
mod solution;
#[cfg(test)]
mod tests;
mod vision_reasoner;

use std::cell::LazyCell;
use std::fmt::{Display, Formatter};

use serde::{Deserialize, Serialize};

pub use recipe::{Misfit, Preset, Recipe, RecipeError, Thresholds, Weighted};
pub use seg_zero::Keys;
pub use solution::{NoSolution, Solution, Truth};

use python::Value;
use seg_zero::Answer;

/// One reward. Those named `soft` are of the paper's Table 3, which no published code computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum Reward {
    /// 1 if the whole reply is `<think>...</think><answer>...</answer>`.
    Think,
    /// 1 if the answer has a box of four and two points of two.
    SegFormat,
    /// 1 if the boxes' IoU is above 0.5.
    BboxIou,
    /// 1 if the boxes' coordinates differ by less than 10 pixels in the mean.
    BboxL1,
    /// 1 if both points are inside the answer's box and less than 100 pixels off in the mean.
    PointL1,
    /// The boxes' IoU, 0 to 1.
    BboxIouSoft,
    /// 1 - the boxes' mean difference over the image's longer side, 0 to 1.
    BboxL1Soft,
    /// 1 - the points' mean distance over the image's longer side, 0 to 1; 0 where one of them is
    /// outside the answer's box.
    PointL1Soft,
    /// Mean over objects of how many of box and point they have, 0 to 2.
    ObjectsFormat,
    /// Marks for IoU, box and point under the best assignment of objects, per object: 0 to 3.
    ObjectsAccuracy,
    /// 1 unless two sentences repeat what was said.
    NonRepeat,
}

impl Reward {
    /// Seg-Zero's five.
    pub const SEG_ZERO: [Self; 5] =
        [Self::Think, Self::SegFormat, Self::BboxIou, Self::BboxL1, Self::PointL1];
    /// VisionReasoner's.
    pub const VISION_REASONER: [Self; 4] =
        [Self::Think, Self::ObjectsFormat, Self::ObjectsAccuracy, Self::NonRepeat];

    /// The largest value it has.
    pub fn largest(self) -> f64 {
        match self {
            Self::ObjectsFormat => 2.0,
            Self::ObjectsAccuracy => 3.0,
            _ => 1.0,
        }
    }

    /// Its name in flags, files and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Think => "think",
            Self::SegFormat => "seg_format",
            Self::BboxIou => "bbox_iou",
            Self::BboxL1 => "bbox_l1",
            Self::PointL1 => "point_l1",
            Self::BboxIouSoft => "bbox_iou_soft",
            Self::BboxL1Soft => "bbox_l1_soft",
            Self::PointL1Soft => "point_l1_soft",
            Self::ObjectsFormat => "objects_format",
            Self::ObjectsAccuracy => "objects_accuracy",
            Self::NonRepeat => "non_repeat",
        }
    }
}

impl Display for Reward {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a reply earned.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewards {
    /// Each reward of the recipe, in its order, without its weight.
    pub parts: Vec<(Reward, f64)>,
    /// Sum of parts times weights, added in that order.
    pub total: f64,
}

impl Rewards {
    /// What it earned by one reward, where the recipe has that.
    pub fn get(&self, reward: Reward) -> Option<f64> {
        self.parts.iter().find(|(name, _)| *name == reward).map(|(_, value)| *value)
    }
}

impl Recipe {
    /// Scores a reply: the decoded text up to the end of the reply, special tokens removed, not
    /// stripped. Where the recipe does not fit the solution ([`Recipe::fits`]), nothing is earned.
    pub fn score(&self, reply: &str, solution: &Solution) -> Rewards {
        let limits = self.scaled_thresholds();
        let one = LazyCell::new(|| Answer::read(reply, self.keys));
        let several = LazyCell::new(|| vision_reasoner::answer(reply).unwrap_or(Value::Null));
        // Of several objects none is the one.
        let truth = match &solution.objects[..] {
            [truth] => Some(truth),
            _ => None,
        };
        let iou = || one.iou(truth?);
        let bbox = || one.bbox_distance(truth?);
        let points = || one.point_distance(truth?);
        let is = |holds: bool| f64::from(u8::from(holds));
        let near = |distance: Option<f64>| soft(distance.map(|d| 1.0 - d / self.frame));
        let value = |reward: Reward| match reward {
            Reward::Think => is(seg_zero::think(reply)),
            Reward::SegFormat => is(one.has_format()),
            Reward::BboxIou => is(iou().is_some_and(|iou| iou > limits.bbox_iou)),
            Reward::BboxL1 => is(bbox().is_some_and(|distance| distance < limits.bbox_l1)),
            Reward::PointL1 => is(points().is_some_and(|distance| distance < limits.point_l1)),
            Reward::BboxIouSoft => soft(iou()),
            Reward::BboxL1Soft => near(bbox()),
            Reward::PointL1Soft => near(points()),
            Reward::ObjectsFormat => vision_reasoner::objects_format(&several),
            Reward::ObjectsAccuracy => {
                vision_reasoner::objects_accuracy(&several, &solution.objects, &limits)
            }
            Reward::NonRepeat => is(vision_reasoner::is_without_repeats(reply)),
        };
        let parts: Vec<_> = self.rewards.iter().map(|w| (w.reward, value(w.reward))).collect();
        let weighted = self.rewards.iter().zip(&parts).map(|(w, (_, value))| w.weight * value);
        Rewards { total: weighted.fold(0.0, |sum, part| sum + part), parts }
    }
}

/// A share from 0 to 1; what is no number is 0.
fn soft(value: Option<f64>) -> f64 {
    value.filter(|&value| value > 0.0).map_or(0.0, |value| value.min(1.0))
}
