//! `segzero train mask`: SAM 2 learns masks from prompts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use rayon::prelude::*;
use segzero_datasets::{Mask, Masks};
use segzero_model::checkpoint::Checkpoint;
use segzero_model::checkpoint::hub::Freshness;
use segzero_model::device::DeviceName;
use segzero_model::load::Placement;
use segzero_model::packed::Format;
use segzero_model::sam2::{Choice, Config, ImagePrompt, Predictor, Preprocessing, Preset, Sam2};
use segzero_prep::{Target, TargetOptions};
use segzero_train::mask::{DrawOptions, Draws, MaskLossOptions, MaskTrainer, Scene, View, scenes};
use segzero_train::{
    AdamW, Decay, FirstStep, Moving, Schedule, SchedulerType, last, restore, rows_of, save,
};
use serde::Serialize;
use serde_json::json;

use super::folder::{self, agree};
use super::log::Log;
use super::settings::device;
use super::view::View as Shown;
use crate::failure::Failure;
use crate::model_source;
use crate::output::report;
use crate::progress::Verbosity;
use crate::source_args::{SourceArgs, Wanted};

/// Flags of `segzero train mask`.
#[derive(clap::Args, Clone, Debug, Serialize)]
pub struct Args {
    #[command(flatten)]
    set: SourceArgs,
    /// The SAM 2 to begin with: its folder, or its name on the hub.
    #[arg(long, value_name = "DIR|NAME")]
    model: String,
    /// Folder of the run. A run that was interrupted goes on.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: PathBuf,
    /// Where to compute: `cpu`, `cuda:N` or `wgpu:N`.
    #[arg(long, default_value = "cpu", value_name = "DEVICE", help_heading = "Model")]
    #[serde(with = "device")]
    device: DeviceName,
    /// Parts that stay as they are.
    #[arg(long, value_enum, value_delimiter = ',', help_heading = "Model")]
    freeze: Vec<Part>,
    /// Steps in all.
    #[arg(long, default_value_t = 1000, value_name = "N", help_heading = "Training",
          value_parser = clap::value_parser!(u64).range(1..))]
    max_steps: u64,
    /// Images of a step.
    #[arg(long, default_value_t = 8, value_name = "N", help_heading = "Training",
          value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Images computed at once; changes memory and speed, not the result.
    #[arg(long, default_value_t = 8, value_name = "N", help_heading = "Training",
          value_parser = clap::value_parser!(u32).range(1..))]
    images_at_once: u32,
    #[command(flatten)]
    draw: DrawOptions,
    #[command(flatten)]
    loss: MaskLossOptions,
    /// Highest learning rate.
    #[arg(long, default_value_t = 1e-4, value_name = "X", help_heading = "Training")]
    learning_rate: f64,
    /// What it is multiplied by for the image encoder. One that nobody has trained had best stay as it is
    /// (`--freeze image`) until the decoder heeds its prompts, and then go slower.
    #[arg(long, default_value_t = 1.0, value_name = "X", help_heading = "Training")]
    image_rate: f64,
    /// How it goes after the warm-up.
    #[arg(long, value_enum, default_value_t = SchedulerType::Cosine, help_heading = "Training")]
    lr_scheduler_type: SchedulerType,
    /// Steps over which it rises.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Training")]
    warmup_steps: u64,
    /// Share of the matrices, times the learning rate, that a step takes off.
    #[arg(long, default_value_t = 0.1, value_name = "X", help_heading = "Training")]
    weight_decay: f64,
    /// Norm that gradients are scaled down to; 0 leaves them.
    #[arg(long, default_value_t = 0.1, value_name = "X", help_heading = "Training")]
    max_grad_norm: f64,
    /// Where randomness comes from.
    #[arg(long, default_value_t = 42, value_name = "N", help_heading = "Training")]
    seed: u64,
    /// Split to validate on, of the same data set.
    #[arg(long, value_name = "NAME", help_heading = "Validation")]
    val_split: Option<String>,
    /// So many images of it; 0 is all.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Validation")]
    val_limit: u32,
    /// Steps between two checkpoints, each of which is validated if there is something to validate on.
    #[arg(long, default_value_t = 100, value_name = "N", help_heading = "Output",
          value_parser = clap::value_parser!(u64).range(1..))]
    save_steps: u64,
    /// Checkpoints that are kept, beside the best; 0 is all.
    #[arg(long, default_value_t = 3, value_name = "N", help_heading = "Output")]
    save_total_limit: usize,
    /// Print nothing while training.
    #[arg(long, help_heading = "Output")]
    quiet: bool,
}

/// A part of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The image encoder: trunk and neck.
    Image,
    /// The prompt encoder.
    Prompts,
    /// The mask decoder.
    Decoder,
}

impl Part {
    /// Whether a parameter belongs to it, by its canonical name.
    fn holds(self, name: &str) -> bool {
        match self {
            Self::Image => name.starts_with("image_encoder.") || name == "no_mem_embed",
            Self::Prompts => name.starts_with("sam_prompt_encoder."),
            Self::Decoder => name.starts_with("sam_mask_decoder."),
        }
    }
}

impl Args {
    fn moving(&self) -> Moving {
        Moving {
            optimizer: AdamW {
                weight_decay: self.weight_decay,
                decay: Decay::Matrices,
                max_grad_norm: self.max_grad_norm,
                vision_rate: self.image_rate,
                ..AdamW::default()
            },
            schedule: Schedule {
                learning_rate: self.learning_rate,
                lr_scheduler_type: self.lr_scheduler_type,
                warmup_steps: self.warmup_steps,
                first_step: FirstStep::Counts,
            },
            steps: self.max_steps,
        }
    }

    /// The images of a split that have objects.
    fn scenes(&self, split: Option<&String>) -> Result<Vec<Scene>, Failure> {
        let set = SourceArgs { split: split.cloned(), ..self.set.clone() };
        let source = set.source(Wanted::WithMasks)?;
        let found = scenes(source.samples(&set.read_options())?)?;
        if found.is_empty() {
            return Err(Failure::new(format_args!("`{}` holds no samples", set.root.display()))
                .hint("`segzero inspect` lists data sets and splits"));
        }
        Ok(found)
    }
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let scenes = args.scenes(args.set.split.as_ref())?;
    let images = args.batch_size as usize;
    if scenes.len() < images {
        let count = scenes.len();
        return Err(Failure::new(format_args!(
            "a step takes {images} images, and the data set has {count}"
        ))
        .hint("choose a smaller `--batch-size`"));
    }
    let mut held_out = match &args.val_split {
        Some(_) => args.scenes(args.val_split.as_ref())?,
        None => Vec::new(),
    };
    if args.val_limit > 0 {
        held_out.truncate(args.val_limit as usize);
    }
    let settings = json!({
        "draw": args.draw, "loss": args.loss, "batch-size": args.batch_size, "seed": args.seed,
    });
    let about = json!({
        "training": "mask", "settings": settings, "moving": args.moving(), "args": args,
        "model": { "name": args.model, "freeze": args.freeze },
    });
    agree(&args.out, &about)?;
    let model = model_source::resolve(&args.model, Freshness::Cached, Verbosity::Normal)?;
    let found = last(&args.out)?;
    let begin = found.as_ref().map_or(&model, |(path, _)| path).clone();
    let checkpoint = Checkpoint::open(&begin)?;
    let placement = Placement { packs: false, ..args.device.place(Format::F32)? };
    let config = Config::of(&checkpoint)?;
    let (network, named) = Sam2::load_named(&checkpoint, config, placement)?;
    let trains = |name: &str| !args.freeze.iter().any(|part| part.holds(name));
    let mut trainer = MaskTrainer::new(network, named, trains, args.moving());
    if let Some((path, state)) = &found {
        let device = trainer.weights().network().device().clone();
        restore(trainer.weights_mut(), path, &device)?;
        trainer.resume_at(state.step);
        report(format_args!("goes on behind step {}", state.step));
    }
    Run { args, scenes, held_out, model, begin, trainer }.go()
}

struct Run {
    args: Args,
    scenes: Vec<Scene>,
    held_out: Vec<Scene>,
    model: PathBuf,
    /// The checkpoint that it goes on behind, or the model.
    begin: PathBuf,
    trainer: MaskTrainer,
}

impl Run {
    /// All steps that are left.
    fn go(mut self) -> Result<ExitCode, Failure> {
        let verbosity = if self.args.quiet { Verbosity::Quiet } else { Verbosity::Normal };
        let out = self.args.out.clone();
        let [trained, all] = self.trainer.weights().counts();
        let mut log = Log::open(&out, self.trainer.step())?;
        let mut shown = Shown::new(self.trainer.step(), self.args.max_steps, verbosity);
        let (images, steps) = (self.args.batch_size, self.args.max_steps);
        shown.say(&format!(
            "{trained} of {all} numbers are trained, on {} images, {images} a step, {steps} steps",
            self.scenes.len()
        ));
        if !log.is_validated() {
            self.validate(&self.begin, &mut log, &shown)?;
        }
        let start = Instant::now();
        while self.trainer.step() < steps {
            let views = self.views()?;
            let at_once = self.args.images_at_once as usize;
            let mut figures = self.trainer.learn(&views, at_once, &self.args.loss)?;
            let done = self.trainer.step();
            let epoch = done as f64 * f64::from(images) / self.scenes.len() as f64;
            figures.insert("epoch".to_owned(), epoch);
            shown.step(done, &figures);
            log.step(done, &figures, &[])?;
            if done.is_multiple_of(self.args.save_steps) || done == steps {
                let path = save(self.trainer.weights(), done, &out, &self.model, None)?;
                self.validate(&path, &mut log, &shown)?;
                folder::thin_out(&out, self.args.save_total_limit)?;
            }
        }
        shown.finish();
        let taken = start.elapsed().as_secs_f64();
        report(format_args!("{} steps, {taken:.0} s", self.trainer.step()));
        if let Some((path, _)) = last(&out)? {
            crate::output::print(&format!("{}\n", path.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What the next step is shown.
    fn views(&self) -> Result<Vec<View>, Failure> {
        let step = self.trainer.step() + 1;
        let (images, seed) = (self.args.batch_size as usize, self.args.seed);
        let (draw, config) = (self.args.draw, self.trainer.weights().network().config());
        let rows = rows_of(step, images, self.scenes.len(), seed);
        let view = |(index, row): (usize, usize)| -> Result<View, Failure> {
            Ok(self.scenes[row].view(config, &draw, &mut Draws::new(seed, step, index))?)
        };
        rows.into_par_iter().enumerate().map(view).collect()
    }

    /// Notes what a checkpoint is worth, and whether it is the best.
    fn validate(&self, checkpoint: &Path, log: &mut Log, shown: &Shown) -> Result<(), Failure> {
        if self.held_out.is_empty() {
            return Ok(());
        }
        let opened = Checkpoint::open(checkpoint)?;
        let config = Config::of(&opened)?;
        let network = Sam2::load(&opened, config, self.args.device.place(Format::F32)?)?;
        let predictor = Predictor::new(network, Preprocessing::default());
        let [mut ious, mut predicted, mut both, mut either, mut count] = [0.0; 5];
        for scene in &self.held_out {
            for worth in masks(&predictor, scene)? {
                ious += worth.iou();
                predicted += (f64::from(worth.predicted) - worth.iou()).abs();
                both += worth.both;
                either += worth.either;
                count += 1.0;
            }
        }
        let step = self.trainer.step();
        let count = f64::max(count, 1.0);
        let (giou, ciou) = (ious / count, both / f64::max(either, 1.0));
        let figures = [
            ("val/giou", giou),
            ("val/ciou", ciou),
            ("val/iou_error", predicted / count),
            ("val/samples", count),
        ];
        shown.say(&format!("step {step}: gIoU {giou:.4}, cIoU {ciou:.4} on {count} objects"));
        // The line says that all of this was done, so it comes last.
        folder::note(&self.args.out, step, checkpoint, giou)?;
        log.step(step, &figures.map(|(name, value)| (name.to_owned(), value)).into(), &[])
    }
}

/// How a mask fits the true one, in pixels of the image.
struct Worth {
    both: f64,
    either: f64,
    predicted: f32,
}

impl Worth {
    fn iou(&self) -> f64 {
        if self.either > 0.0 { self.both / self.either } else { 0.0 }
    }
}

/// Each object of a scene, asked for as Seg-Zero asks, by its true box and its two points.
fn masks(predictor: &Predictor, scene: &Scene) -> Result<Vec<Worth>, Failure> {
    let (image, truths) = scene.open(&(0..scene.count()).collect::<Vec<_>>())?;
    let seen = predictor.embed(&image);
    let prompts = truths.iter().map(asked).collect::<Result<Vec<_>, Failure>>()?;
    let found = predictor.predict(&seen, &prompts, Choice::BestIou)?;
    let worth = found.iter().zip(&truths).map(|(found, truth)| {
        let both = found.mask.intersection_area(truth).map_err(Failure::new)?;
        let either = found.mask.area() + truth.area() - both;
        Ok(Worth { both: both as f64, either: either as f64, predicted: found.iou() })
    });
    worth.collect()
}

fn asked(truth: &Mask) -> Result<ImagePrompt, Failure> {
    let target = Target::from_masks(&Masks::whole(truth.clone()), &TargetOptions::default());
    let Some(target) = target else { return Ok(ImagePrompt::default()) };
    let b = target.bbox;
    let points: Vec<[f32; 2]> =
        target.circles.iter().map(|c| [c.center.x as f32, c.center.y as f32]).collect();
    let bbox = [b.x0, b.y0, b.x1, b.y1].map(|edge| edge as f32);
    let prompts = Preset::SegZero.prompts(&[bbox], &points).map_err(Failure::new)?;
    Ok(prompts.into_iter().next().unwrap_or_default())
}
