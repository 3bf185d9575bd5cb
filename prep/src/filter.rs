//! [`MaskFilter`]: only objects that a model finds by their box and point.
//!
//! VisionReasoner's builder asks SAM 2.1 for the mask of each object's box and first point, and keeps
//! the object where the mask's IoU with the annotation is 0.6 or more (`seg-zero.md` §1.5). The model
//! itself is behind [`Segmenter`], so that nothing here depends on networks.

use std::fmt::Debug;
use std::path::PathBuf;

use segzero_datasets::Mask;
use serde::{Deserialize, Serialize};

use crate::error::sample_name;
use crate::image::Rgb;
use crate::options::PrepOptions;
use crate::render::{Group, image_file, load, target_of};
use crate::{BadRecord, Target};

/// A model that masks objects.
pub trait Segmenter: Debug + Sync {
    /// What it is. Two runs are the same only where this is: it is written into the manifest.
    fn describe(&self) -> serde_json::Value;

    /// A mask of the image's size for each target: by its box and its first circle's centre, which are
    /// in pixels of the image.
    ///
    /// # Errors
    /// What the model says.
    fn masks(&self, image: &Rgb, targets: &[Target]) -> Result<Vec<Mask>, String>;
}

/// Keeps the objects of which a model's mask overlaps the annotation enough.
#[derive(Clone, Copy, Debug)]
pub struct MaskFilter<'a> {
    /// The model.
    pub segmenter: &'a dyn Segmenter,
    /// Least IoU of its mask with the annotation, 0 to 1.
    pub min_iou: f64,
}

/// An object that was left out by a [`MaskFilter`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filtered {
    /// The image.
    pub file: PathBuf,
    /// The sample, in the data set's own terms.
    pub record: String,
    /// Why it is not there.
    pub reason: String,
    /// IoU of the model's mask with the annotation; 0 where both are empty.
    pub iou: f64,
}

/// What a filter took from an image.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub filtered: Vec<Filtered>,
    pub bad: Vec<BadRecord>,
}

impl MaskFilter<'_> {
    /// Takes the objects that the model, which `ask` asks, does not find out of `group`. Those that
    /// cannot be judged, because the image or the mask cannot be read, stay: they will be found again
    /// where the image is rendered.
    pub(crate) fn apply(
        &self,
        group: &mut Group,
        options: &PrepOptions,
        source: &segzero_datasets::Source,
        ask: impl FnOnce(&Rgb, &[Target]) -> Result<Vec<Mask>, String>,
    ) -> Taken {
        let mut image = Rgb::default();
        if load(group, &source.annotations, &mut image).is_err() {
            return Taken::default();
        }
        let found: Vec<Option<(Target, Mask)>> = group
            .members
            .iter()
            .map(|member| target_of(member, image.size, options, source).ok())
            .map(|found| found.map(|(target, masks)| (target, masks.target)))
            .collect();
        let targets: Vec<Target> = found.iter().flatten().map(|found| found.0.clone()).collect();
        if targets.is_empty() {
            return Taken::default();
        }
        let file = image_file(group, &source.annotations);
        let masks = match ask(&image, &targets) {
            Ok(masks) => masks,
            Err(reason) => {
                let bad = |sample| BadRecord {
                    file: file.clone(),
                    record: sample_name(sample),
                    reason: reason.clone(),
                    hint: None,
                };
                let members = std::mem::take(&mut group.members);
                let bad = members.iter().map(|member| bad(&member.sample)).collect();
                return Taken { bad, ..Taken::default() };
            }
        };
        let mut ious = found.iter().flatten().zip(&masks).map(|((_, mask), seen)| iou(mask, seen));
        let mut found = found.iter();
        let mut filtered = Vec::new();
        group.members.retain(|member| {
            let judged = found.next().is_some_and(Option::is_some);
            let Some(iou) = judged.then(|| ious.next()).flatten() else { return true };
            if iou < self.min_iou {
                let reason = format!("the model's mask has IoU {iou:.4} with the annotation");
                let record = sample_name(&member.sample);
                filtered.push(Filtered { file: file.clone(), record, reason, iou });
            }
            iou >= self.min_iou
        });
        Taken { filtered, ..Taken::default() }
    }
}

/// Intersection over union; 0 where both masks are empty or they differ in size.
fn iou(a: &Mask, b: &Mask) -> f64 {
    let Ok(both) = a.intersection_area(b) else { return 0.0 };
    let either = a.area() + b.area() - both;
    if either == 0 { 0.0 } else { both as f64 / either as f64 }
}
