//! From an image to its mask.

use std::path::Path;

use segzero_datasets::{Mask, Size};
use segzero_eval::answer::{Answer, Object, Parser};
use segzero_eval::prompt::{PromptStyle, QUESTION, filled};
use segzero_model::qwen_vl::config::Attention;
use segzero_model::qwen_vl::{Content, Message, Options, Part, Role, Sampling, read_image};
use segzero_model::sam2::{Choice, ImagePrompt, PointLabel, Segmented};
use segzero_prep::image::{Filter, Rgb, resize};

use super::{Args, Coordinates, Hints};
use crate::failure::Failure;
use crate::masks::union;
use crate::output::{print, report};
use crate::progress::Verbosity;
use crate::reasoner::{Prompting, Reasoner};
use crate::segmenter::{self, Opened, Wanted};

/// Both models, and how they are asked.
pub(super) struct Asker<'a> {
    args: &'a Args,
    source: Source,
    segmenter: Option<Opened>,
    parser: Parser,
    coordinates: Coordinates,
    /// Side of the square that is asked about; none for the image as it is.
    side: Option<u32>,
}

/// Where replies come from.
enum Source {
    /// A model that is asked this text.
    Model { reasoner: Box<Reasoner>, text: String, options: Options },
    /// A reply that was given before.
    Recorded(String),
}

/// What was found in an image.
pub(super) struct Found {
    pub image: Rgb,
    pub text: String,
    /// In the frame that was asked about.
    pub answer: Answer,
    /// In pixels of the image.
    pub objects: Vec<Object>,
    /// Of each object; none where boxes are filled.
    pub segmented: Vec<Segmented>,
    pub mask: Mask,
}

impl Source {
    fn open(args: &Args) -> Result<Self, Failure> {
        match (&args.reasoner, &args.reply) {
            (_, Some(path)) => {
                let text = std::fs::read_to_string(path);
                Ok(Self::Recorded(text.map_err(|e| segzero_datasets::Error::new(path, e))?))
            }
            (Some(name), None) => Self::model(args, name),
            (None, None) => Err(Failure::new("no reasoner and no reply")),
        }
    }

    fn model(args: &Args, name: &str) -> Result<Self, Failure> {
        if !(args.temperature >= 0.0 && args.temperature.is_finite()) {
            let found = args.temperature;
            return Err(Failure::new(format_args!(
                "--temperature is {found}, and must be 0 or more"
            )));
        }
        let text = match &args.template {
            None => args.prompt.text(&args.question),
            Some(path) => template(path, &args.question)?,
        };
        let longest = if args.style() == Some(PromptStyle::VisionReasoner) { 2048 } else { 1024 };
        let reasoner = Prompting::open(name)?.load(args.device, args.format)?;
        let defaults = &reasoner.prompting.defaults;
        let sampling = Sampling {
            temperature: args.temperature,
            seed: args.seed,
            repetition_penalty: defaults.sampling.repetition_penalty,
            ..Sampling::default()
        };
        let options = Options {
            max_new_tokens: args.max_new_tokens.unwrap_or(longest),
            sampling,
            stop: defaults.stop.clone(),
            samples: 1,
        };
        Ok(Self::Model { reasoner: Box::new(reasoner), text, options })
    }

    /// Size of an image as the model sees it.
    fn seen(&self, size: Size) -> Result<Size, String> {
        match self {
            Self::Recorded(_) => Ok(size),
            Self::Model { reasoner, .. } => {
                let view = reasoner.prompting.prompter.processor.view(size);
                view.map(|view| view.resized).map_err(|error| error.to_string())
            }
        }
    }

    /// The reply about an image; a model's is shown as it grows.
    fn reply(
        &self,
        image: Rgb,
        show: impl Fn(&str) -> Result<(), Failure>,
    ) -> Result<String, Failure> {
        let (reasoner, text, options) = match self {
            Self::Recorded(text) => return Ok(text.clone()),
            Self::Model { reasoner, text, options } => (reasoner, text, options),
        };
        let parts = vec![Part::Image, Part::Text { text: text.clone() }];
        let message = Message { role: Role::User, content: Content::Parts(parts) };
        let prompt = reasoner.prompting.prompter.prompt(&[message], &[image])?;
        let (replies, clock) = reasoner.reply(prompt, options, &show)?;
        show("\n")?;
        report(format_args!("read in {:.1} s; {}", clock.read().as_secs_f64(), clock.rate()));
        Ok(replies.first().map(|reply| reasoner.text(reply)).unwrap_or_default())
    }

    /// Whether this is a Qwen2-VL, which was taught thousandths.
    fn is_relative(&self) -> bool {
        match self {
            Self::Recorded(_) => false,
            Self::Model { reasoner, .. } => {
                reasoner.prompting.config.vision.attention == Attention::Full
            }
        }
    }
}

impl<'a> Asker<'a> {
    pub fn open(args: &'a Args) -> Result<Self, Failure> {
        let segmenter = args.segmenter.as_deref().map(|model| {
            segmenter::open(&Wanted {
                model,
                device: args.device,
                format: args.segmenter_format,
                preprocessing: args.preprocessing,
                verbosity: Verbosity::Normal,
            })
        });
        let segmenter = segmenter.transpose()?;
        let source = Source::open(args)?;
        let is_box = args.style() == Some(PromptStyle::QwenBox);
        let coordinates = match args.coordinates {
            Some(coordinates) => coordinates,
            None if is_box && source.is_relative() => Coordinates::Thousandths,
            None => Coordinates::Pixels,
        };
        let side = args.side.unwrap_or(if is_box { 0 } else { 840 });
        let parser = args.parser.parser(args.prompt);
        Ok(Self { args, source, segmenter, parser, coordinates, side: (side > 0).then_some(side) })
    }

    pub fn ask(&self, path: &Path) -> Result<Found, Failure> {
        let about = |error: String| Failure::new(format_args!("`{}`: {error}", path.display()));
        let image = read_image(path)?;
        let asked = match self.side {
            Some(side) => resize(&image, Size::new(side, side), Filter::PilBilinear),
            None => image.clone(),
        };
        let seen = self.source.seen(asked.size).map_err(about)?;
        let show = |text: &str| if self.args.json { Ok(()) } else { print(text) };
        let text = self.source.reply(asked, show)?;
        let frame = match self.coordinates {
            Coordinates::Pixels => [f64::from(seen.width), f64::from(seen.height)],
            Coordinates::Thousandths => [1000.0; 2],
        };
        let answer = self.parser.read(&text, frame).map_err(|failure| {
            let failure = about(format!("{failure}; the model wrote: {}", text.trim()));
            failure.hint(match self.parser {
                Parser::Robust => "`--prompt` must be what the model was trained to answer",
                _ => "`--parser robust` reads more than the published evaluations do",
            })
        })?;
        let objects = self.in_pixels(&answer, frame, image.size);
        let (mask, segmented) = self.mask(&image, &objects).map_err(about)?;
        Ok(Found { image, text, answer, objects, segmented, mask })
    }

    /// Objects in pixels of the image, rounded as the parser's authors do.
    fn in_pixels(&self, answer: &Answer, frame: [f64; 2], size: Size) -> Vec<Object> {
        let factors = [f64::from(size.width) / frame[0], f64::from(size.height) / frame[1]];
        let scale = |i: usize, x: f64| self.parser.scaled(x, factors[i % 2]);
        let object = |object: &Object| Object {
            bbox: object.bbox.map(|bbox| std::array::from_fn(|i| scale(i, bbox[i]))),
            points: object
                .points
                .iter()
                .map(|point| std::array::from_fn(|i| scale(i, point[i])))
                .collect(),
        };
        answer.objects.iter().map(object).collect()
    }

    /// The pixels of any object.
    fn mask(&self, image: &Rgb, objects: &[Object]) -> Result<(Mask, Vec<Segmented>), String> {
        let Some(segmenter) = &self.segmenter else {
            let boxes: Vec<[f64; 4]> = objects.iter().filter_map(|object| object.bbox).collect();
            let mask = segzero_eval::fill_boxes(&boxes, image.size);
            return Ok((mask.map_err(|error| error.to_string())?, Vec::new()));
        };
        let prompts = objects.iter().map(|object| self.prompt(object));
        let prompts = prompts.collect::<Result<Vec<_>, _>>()?;
        let seen = segmenter.predictor.embed(image);
        let segmented = segmenter.predictor.predict(&seen, &prompts, Choice::BestIou);
        let segmented = segmented.map_err(|error| error.to_string())?;
        let mask = union(image.size, segmented.iter().map(|object| &object.mask));
        let mask = mask.map_err(|failure| failure.to_string())?;
        Ok((mask, segmented))
    }

    fn prompt(&self, object: &Object) -> Result<ImagePrompt, String> {
        let narrow = |x: f64| x as f32;
        let points = object.points.iter().map(|at| (at.map(narrow), PointLabel::Foreground));
        let bbox = object.bbox.map(|bbox| bbox.map(narrow));
        let (points, bbox) = match self.args.hints {
            Hints::All => (points.collect(), bbox),
            Hints::Box => (Vec::new(), bbox),
            Hints::Points => (points.collect(), None),
        };
        if points.is_empty() && bbox.is_none() {
            return Err("the answer has no points, and `--hints points` takes no box".to_owned());
        }
        Ok(ImagePrompt { points, bbox, mask: None })
    }
}

/// A template of one's own, with the question as it is.
fn template(path: &Path, question: &str) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| segzero_datasets::Error::new(path, e))?;
    if !text.contains(QUESTION) {
        let failure = Failure::new(format_args!("`{}` does not say where", path.display()));
        return Err(failure.hint("write {question} where the question goes"));
    }
    Ok(filled(text.trim_end_matches('\n'), question))
}
