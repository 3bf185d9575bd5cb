//! [`Recipe`]: which rewards, with which weights.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Keys, Reward, Solution};

/// Side of the images of Seg-Zero's training sets, in pixels.
const SEG_ZERO_FRAME: f64 = 840.0;

/// Rewards and how they are added up.
///
/// ```
/// use segzero_eval::reward::{Recipe, Reward, Solution};
/// let truth = "<box>(0,457),(374,672)</box><points>(50,592),(144,601)</points>";
/// let solution = Solution::parse(truth).unwrap();
/// let reply = r#"<think>The dog.</think>
/// <answer>{"bbox": [0, 457, 374, 672], "points_1": [50, 592], "points_2": [340, 601]}</answer>"#;
/// let rewards = Recipe::default().score(reply, &solution);
/// assert_eq!(rewards.get(Reward::PointL1), Some(1.0)); // off by 98 pixels in the mean
/// assert_eq!(rewards.total, 5.0);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Each reward once, in the order in which it is added and reported.
    pub rewards: Vec<Weighted>,
    /// Which names Seg-Zero's answers may give to box and points.
    #[serde(default)]
    pub keys: Keys,
    /// Where an error becomes too large, in images of 840 pixels.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// The longer side of the training set's images, in pixels. Thresholds in pixels are scaled with it.
    #[serde(default = "seg_zero_frame")]
    pub frame: f64,
}

fn seg_zero_frame() -> f64 {
    SEG_ZERO_FRAME
}

/// A reward and its weight in the sum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    /// The reward.
    pub reward: Reward,
    /// What it is multiplied by; 0 watches it without rewarding it.
    #[serde(default = "one")]
    pub weight: f64,
}

fn one() -> f64 {
    1.0
}

/// Limits that are strict: an IoU must be above its limit, a distance below.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// IoU of two boxes.
    pub bbox_iou: f64,
    /// Mean difference of the four coordinates of two boxes, in pixels.
    pub bbox_l1: f64,
    /// Mean distance of two points from two others, in pixels (Seg-Zero).
    pub point_l1: f64,
    /// Distance of an object's point from the true one, in pixels (VisionReasoner).
    pub object_point: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { bbox_iou: 0.5, bbox_l1: 10.0, point_l1: 100.0, object_point: 30.0 }
    }
}

/// A published recipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Seg-Zero's `seg_strict`, which the paper's models were trained with: five rewards, each 0 or 1.
    #[default]
    SegZero,
    /// Seg-Zero's `seg`: the same with forgiving names.
    SegZeroSoft,
    /// VisionReasoner's: thinking 1, format of objects 2, their accuracy 3, no repeats 1.
    VisionReasoner,
}

/// Why a recipe is none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RecipeError {
    /// Nothing to add up.
    #[error("the recipe has no reward")]
    Empty,
    /// Which weight counts?
    #[error("the recipe has `{0}` twice")]
    Twice(Reward),
    /// Sums would not be numbers.
    #[error("the weight of `{0}` is no number")]
    Weight(Reward),
    /// A threshold or the frame.
    #[error("`{0}` of the recipe must be a number above zero")]
    NotPositive(&'static str),
}

/// A solution that a recipe cannot judge by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Seg-Zero's rewards know one object.
    #[error("`{0}` needs one object, the solution has {1}")]
    Objects(Reward, usize),
    /// Two points each of one object, or one each of several.
    #[error("`{0}` needs {1} points of an object, the solution has {2}")]
    Points(Reward, usize, usize),
}

impl Preset {
    /// The recipe.
    pub fn recipe(self) -> Recipe {
        let (keys, rewards): (Keys, &[Reward]) = match self {
            Self::SegZero => (Keys::Strict, &Reward::SEG_ZERO),
            Self::SegZeroSoft => (Keys::Soft, &Reward::SEG_ZERO),
            Self::VisionReasoner => (Keys::Strict, &Reward::VISION_REASONER),
        };
        let rewards = rewards.iter().map(|&reward| Weighted { reward, weight: 1.0 }).collect();
        Recipe { rewards, keys, thresholds: Thresholds::default(), frame: SEG_ZERO_FRAME }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Preset::default().recipe()
    }
}

impl Recipe {
    /// Whether scores by it are numbers.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), RecipeError> {
        let Thresholds { bbox_iou, bbox_l1, point_l1, object_point } = self.thresholds;
        let limits = [
            ("bbox_iou", bbox_iou),
            ("bbox_l1", bbox_l1),
            ("point_l1", point_l1),
            ("object_point", object_point),
            ("frame", self.frame),
        ];
        let is_positive = |value: f64| value.is_finite() && value > 0.0;
        if let Some((name, _)) = limits.into_iter().find(|&(_, value)| !is_positive(value)) {
            return Err(RecipeError::NotPositive(name));
        }
        let mut seen = HashSet::new();
        for &Weighted { reward, weight } in &self.rewards {
            if !seen.insert(reward) {
                return Err(RecipeError::Twice(reward));
            }
            if !weight.is_finite() {
                return Err(RecipeError::Weight(reward));
            }
        }
        if seen.is_empty() { Err(RecipeError::Empty) } else { Ok(()) }
    }

    /// Whether every reward can be earned under a solution.
    ///
    /// # Errors
    /// The first that cannot: the recipe was made for another kind of training set.
    pub fn fits(&self, solution: &Solution) -> Result<(), Misfit> {
        let objects = &solution.objects;
        for reward in self.rewards.iter().map(|weighted| weighted.reward) {
            let points = match reward {
                Reward::Think | Reward::SegFormat | Reward::ObjectsFormat | Reward::NonRepeat => {
                    continue;
                }
                Reward::ObjectsAccuracy => Some(1),
                Reward::PointL1 | Reward::PointL1Soft => Some(2),
                Reward::BboxIou | Reward::BboxL1 | Reward::BboxIouSoft | Reward::BboxL1Soft => None,
            };
            let is_single = reward != Reward::ObjectsAccuracy;
            if objects.is_empty() || is_single && objects.len() > 1 {
                return Err(Misfit::Objects(reward, objects.len()));
            }
            let is_other = |&found: &usize| points.is_some_and(|points| points != found);
            if let Some(found) = objects.iter().map(|truth| truth.points.len()).find(is_other) {
                return Err(Misfit::Points(reward, points.unwrap_or_default(), found));
            }
        }
        Ok(())
    }

    /// Gives a reward this weight; one that is not in the recipe comes last.
    pub fn set_weight(&mut self, reward: Reward, weight: f64) {
        match self.rewards.iter_mut().find(|weighted| weighted.reward == reward) {
            Some(weighted) => weighted.weight = weight,
            None => self.rewards.push(Weighted { reward, weight }),
        }
    }

    /// The largest total.
    pub fn full_marks(&self) -> f64 {
        self.rewards.iter().map(|w| w.weight.max(0.0) * w.reward.largest()).sum()
    }

    /// The thresholds in pixels of this frame.
    pub(super) fn scaled_thresholds(&self) -> Thresholds {
        let scale = |pixels: f64| pixels * self.frame / SEG_ZERO_FRAME;
        let Thresholds { bbox_iou, bbox_l1, point_l1, object_point } = self.thresholds;
        Thresholds {
            bbox_iou,
            bbox_l1: scale(bbox_l1),
            point_l1: scale(point_l1),
            object_point: scale(object_point),
        }
    }
}
