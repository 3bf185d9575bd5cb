//! SAM 2 as commands open and ask it.

use std::path::Path;

use segzero_datasets::Mask;
use segzero_model::checkpoint::Checkpoint;
use segzero_model::checkpoint::hub::Freshness;
use segzero_model::device::DeviceName;
use segzero_model::packed::Format;
use segzero_model::sam2::{
    Choice, Config, ImagePrompt, PointLabel, Predictor, Preprocessing, Sam2,
};
use segzero_prep::image::Rgb;
use segzero_prep::{Segmenter, Target};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::model_source;
use crate::progress::Verbosity;

/// Which SAM 2, and how it runs.
pub struct Wanted<'a> {
    /// A folder, a file or a name on the hub.
    pub model: &'a str,
    /// Where to compute.
    pub device: DeviceName,
    /// How to keep the weights.
    pub format: Format,
    /// Whose way from images to pixels.
    pub preprocessing: Preprocessing,
    /// Whether fetching shows its progress.
    pub verbosity: Verbosity,
}

/// SAM 2, and what it is.
#[derive(Debug)]
pub struct Opened {
    /// The network.
    pub predictor: Predictor,
    description: Value,
}

/// Loads a SAM 2.
///
/// # Errors
/// A model that is not there, is damaged or is another network; a device that this build lacks.
pub fn open(wanted: &Wanted) -> Result<Opened, Failure> {
    let path = model_source::resolve(wanted.model, Freshness::Cached, wanted.verbosity)?;
    let placement = wanted.device.place(wanted.format)?;
    let checkpoint = Checkpoint::open(&path)?;
    let config = Config::of(&checkpoint)?;
    let description = json!({
        "model": Path::new(wanted.model).file_name().map(|name| name.to_string_lossy()),
        "weights-bytes": checkpoint.bytes(),
        "format": wanted.format.to_string(),
        "preprocessing": wanted.preprocessing,
        "choice": Choice::Single,
    });
    let network = Sam2::load(&checkpoint, config, placement)?;
    Ok(Opened { predictor: Predictor::new(network, wanted.preprocessing), description })
}

/// As VisionReasoner's builder asks: the box and the first point of an object, and one mask of it
/// (`multimask_output=False`).
impl Segmenter for Opened {
    fn describe(&self) -> Value {
        self.description.clone()
    }

    fn masks(&self, image: &Rgb, targets: &[Target]) -> Result<Vec<Mask>, String> {
        let prompts: Vec<ImagePrompt> = targets.iter().map(prompt).collect();
        let image = self.predictor.embed(image);
        let objects = self.predictor.predict(&image, &prompts, Choice::Single);
        let objects = objects.map_err(|error| error.to_string())?;
        Ok(objects.into_iter().map(|object| object.mask).collect())
    }
}

/// The box's inclusive edges and the circle's centre as they are, as the builder passes them.
fn prompt(target: &Target) -> ImagePrompt {
    let b = target.bbox;
    let first = target.circles.first().map(|circle| circle.center);
    let point = |x: i32, y: i32| ([x as f32, y as f32], PointLabel::Foreground);
    ImagePrompt {
        points: first.map(|center| point(center.x, center.y)).into_iter().collect(),
        bbox: Some([b.x0, b.y0, b.x1, b.y1].map(|edge| edge as f32)),
        mask: None,
    }
}
