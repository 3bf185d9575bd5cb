//! `segzero mask`: boxes and points in an image → masks, by SAM 2.

mod asked;
mod batch;
mod npy;
mod one;
mod part;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use segzero_model::device::DeviceName;
use segzero_model::packed::Format;
use segzero_model::sam2::{Choice, Preprocessing, Preset};
use segzero_prep::image::{Orientation, Rgb, decode_as};

use crate::failure::Failure;
use crate::progress::Verbosity;
use crate::segmenter::{self, Opened, Wanted};
use asked::{Asked, Corners, Place};

/// Flags of `segzero mask`.
#[derive(clap::Args)]
pub struct Args {
    /// A SAM 2 or 2.1: its folder or file as published (`.pt`, safetensors), or its name on the hub.
    #[arg(long, value_name = "DIR|FILE|NAME")]
    model: String,
    /// The image.
    #[arg(long, value_name = "FILE", required_unless_present = "prompts", help_heading = "Prompt")]
    image: Option<PathBuf>,
    /// A box around the object, in pixels of the image; several are several objects, whose masks are
    /// joined.
    #[arg(
        long = "box",
        value_name = "X1,Y1,X2,Y2",
        allow_hyphen_values = true,
        help_heading = "Prompt"
    )]
    boxes: Vec<Corners>,
    /// A point on the object.
    #[arg(long = "point", value_name = "X,Y", allow_hyphen_values = true, help_heading = "Prompt")]
    points: Vec<Place>,
    /// A point beside the object.
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true, help_heading = "Prompt")]
    background: Vec<Place>,
    /// Logits of a former answer, as `--logits` wrote them: a rough mask to improve.
    #[arg(long, value_name = "NPY", help_heading = "Prompt")]
    mask_input: Option<PathBuf>,
    /// Many prompts: lines of JSON with `image`, `box` or `boxes`, `points`, `labels`, `id`.
    #[arg(long, value_name = "JSONL", help_heading = "Prompt", conflicts_with_all =
          ["image", "boxes", "points", "background", "mask_input", "overlay", "logits"])]
    prompts: Option<PathBuf>,
    /// Ask as a published pipeline does: `seg-zero` has one box and two points, `vision-reasoner` a
    /// point for each box.
    #[arg(long, value_enum, help_heading = "Prompt")]
    preset: Option<Preset>,
    /// One mask for a prompt that leaves no doubt, in place of the best of three.
    #[arg(long, conflicts_with = "preset", help_heading = "Prompt")]
    single: bool,
    /// Whether an image is taken as it is stored, like the masks of data sets, or upright by its EXIF
    /// record, as viewers show it.
    #[arg(long, value_enum, default_value_t, help_heading = "Prompt")]
    orientation: Orientation,
    /// Where to write the mask, a PNG of 0 and 255; with `--prompts`, the predictions.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Where to draw mask, boxes and points on the image, a PNG.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    overlay: Option<PathBuf>,
    /// Where to write the masks' logits, `[objects, side, side]`, for `--mask-input`.
    #[arg(long, value_name = "NPY", help_heading = "Output")]
    logits: Option<PathBuf>,
    /// Print a line of JSON for each object: its mask as run lengths, and all scores.
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Leave out prompts whose image cannot be read, and name them, instead of stopping.
    #[arg(long, requires = "prompts", help_heading = "Run")]
    skip_bad: bool,
    /// Where to compute: `cpu`, `cuda:N` or `wgpu:N`.
    #[arg(long, default_value = "cpu", value_name = "DEVICE", help_heading = "Run")]
    device: DeviceName,
    /// How to keep the weights.
    #[arg(long, default_value = "f32", value_name = "FORMAT", help_heading = "Run")]
    format: Format,
    /// Whose way from images to pixels.
    #[arg(long, value_enum, default_value_t, help_heading = "Run")]
    preprocessing: Preprocessing,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match (&args.prompts, &args.image) {
        (Some(prompts), _) => batch::run(&args, prompts)?,
        (None, Some(image)) => one::run(&args, image)?,
        (None, None) => return Err(Failure::new("no image")),
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn asked(&self) -> Asked {
        use segzero_model::sam2::PointLabel::{Background, Foreground};
        let foreground = self.points.iter().map(|place| (place.0, Foreground));
        let background = self.background.iter().map(|place| (place.0, Background));
        Asked {
            boxes: self.boxes.iter().map(|corners| corners.0).collect(),
            points: foreground.chain(background).collect(),
        }
    }

    fn choice(&self) -> Choice {
        match self.preset {
            Some(preset) => preset.recipe().choice,
            None if self.single => Choice::Single,
            None => Choice::BestIou,
        }
    }

    fn open(&self) -> Result<Opened, Failure> {
        segmenter::open(&Wanted {
            model: &self.model,
            device: self.device,
            format: self.format,
            preprocessing: self.preprocessing,
            verbosity: Verbosity::Normal,
        })
    }
}

/// Reads an image.
fn read_image(path: &Path, orientation: Orientation) -> Result<Rgb, Failure> {
    let bytes = std::fs::read(path).map_err(|e| segzero_datasets::Error::new(path, e))?;
    decode_as(&bytes, orientation)
        .map_err(|e| Failure::new(format_args!("could not read `{}`: {e}", path.display())))
}
