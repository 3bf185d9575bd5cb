//! Seg-Zero's way from an image and a question to a mask, as every command takes it.
//!
//! ```text
//! image ──▶ View ──▶ reply (text) ──▶ Found: answer, objects in pixels ──┐
//!   └─────▶ Embedded ────────────────────────────────────────────────────┴──▶ Segmented, mask
//! ```

mod asking;
mod remote;
mod replies;

use std::fmt::Display;

use segzero_datasets::{Mask, Size};
use segzero_eval::answer::{self, Answer, Object, Parser};
use segzero_eval::prompt::QUESTION;
use segzero_model::sam2::{self, Choice, ImagePrompt, PointLabel, Segmented};
use segzero_prep::Segmenter;
use segzero_prep::image::{Filter, Rgb, resize};
use serde_json::{Value, json};

pub use asking::{Asking, Coordinates, Hints};

use crate::failure::Failure;
use crate::masks::union;
use crate::progress::Verbosity;
use crate::reasoner::Clock;
use crate::segmenter::{self, Opened, Wanted};
use asking::Wording;
use replies::Replies;

/// Both models, and how they are asked.
pub struct Pipeline {
    replies: Option<Replies>,
    segmenter: Option<Opened>,
    wording: Wording,
    parser: Parser,
    coordinates: Coordinates,
    hints: Hints,
    /// Side of the square that is asked about; none for the image as it is.
    square: Option<u32>,
}

/// An image as it is asked about.
pub struct View {
    /// The pixels that a model is given.
    pub image: Rgb,
    /// Size of the image itself.
    pub size: Size,
    /// What the coordinates of a reply run to, horizontally and vertically.
    pub frame: [f64; 2],
}

/// What is asked.
pub struct Question<'a> {
    /// By which recorded replies are found.
    pub key: &'a str,
    /// What to look for.
    pub text: &'a str,
    /// Where.
    pub view: &'a View,
}

/// What a reply says.
#[derive(Clone, Debug)]
pub struct Found {
    /// In the frame of the view.
    pub answer: Answer,
    /// In pixels of the image.
    pub objects: Vec<Object>,
}

/// An image as the segmenter saw it; it can be asked many times.
#[derive(Clone, Debug)]
pub struct Embedded {
    size: Size,
    features: Option<sam2::Embedded>,
}

/// Why there is no mask.
#[derive(Clone, Debug)]
pub struct Miss {
    /// The reason as reports count it.
    pub name: String,
    /// The reason in words.
    pub message: String,
    hint: Option<&'static str>,
}

impl Miss {
    /// A reason without a hint.
    pub fn new(name: &str, message: impl Display) -> Self {
        Self { name: name.to_owned(), message: message.to_string(), hint: None }
    }
}

impl From<answer::Failure> for Miss {
    fn from(failure: answer::Failure) -> Self {
        let name = serde_json::to_value(failure).ok();
        let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or("no-answer");
        Self::new(name, failure)
    }
}

impl From<Miss> for Failure {
    fn from(miss: Miss) -> Self {
        let failure = Self::new(miss.message);
        match miss.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl Pipeline {
    /// Loads what the flags name.
    ///
    /// # Errors
    /// A model that is not there, is damaged or is another network; flags that cannot be meant.
    pub fn open(asking: &Asking) -> Result<Self, Failure> {
        let wording = asking.wording()?;
        let segmenter = asking.segmenter.as_deref().map(|model| {
            segmenter::open(&Wanted {
                model,
                device: asking.device,
                format: asking.segmenter_format,
                preprocessing: asking.preprocessing,
                verbosity: Verbosity::Normal,
            })
        });
        let segmenter = segmenter.transpose()?;
        let replies = Replies::open(asking)?;
        let usual = replies.as_ref().map(|replies| replies.coordinates(asking));
        let coordinates = asking.coordinates.or(usual).unwrap_or(Coordinates::Pixels);
        Ok(Self {
            replies,
            segmenter,
            wording,
            parser: asking.reader(),
            coordinates,
            hints: asking.hints,
            square: asking.square(),
        })
    }

    /// What was chosen where the flags leave it open, and what the models are.
    pub fn describe(&self) -> Value {
        json!({
            "coordinates": self.coordinates,
            "parser": self.parser,
            "side": self.square,
            "template": self.wording.text(QUESTION),
            "reasoner": self.replies.as_ref().map(Replies::describe),
            "segmenter": self.segmenter.as_ref().map(Segmenter::describe),
        })
    }

    /// Whether those who are asked are elsewhere.
    pub fn is_remote(&self) -> bool {
        self.replies.as_ref().is_some_and(Replies::is_remote)
    }

    /// The image as it is asked about.
    ///
    /// # Errors
    /// One that the model cannot see, such as a line of pixels.
    pub fn view(&self, image: &Rgb) -> Result<View, Miss> {
        let asked = match self.square {
            Some(side) => resize(image, Size::new(side, side), Filter::PilBilinear),
            None => image.clone(),
        };
        let (asked, seen) = match &self.replies {
            Some(replies) => replies.seen(asked)?,
            None => {
                let size = asked.size;
                (asked, size)
            }
        };
        let sides = |size: Size| [f64::from(size.width), f64::from(size.height)];
        let frame = match self.coordinates {
            Coordinates::Pixels => sides(seen),
            Coordinates::Thousandths => [1000.0; 2],
            Coordinates::Original => sides(image.size),
        };
        Ok(View { image: asked, size: image.size, frame })
    }

    /// One reply, shown as it grows, and how fast that went where a model wrote it.
    ///
    /// # Errors
    /// What `show` fails with; a reply that there is not.
    pub fn stream(
        &self,
        question: &Question,
        show: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(String, Option<Clock>), Failure> {
        self.replies()?.stream(question, &self.wording.text(question.text), show)
    }

    /// At least one and at most so many replies to each question. Randomness depends on `round`, and on
    /// where a question stands among the others.
    pub fn ask(
        &self,
        questions: &[Question],
        samples: usize,
        round: u64,
    ) -> Vec<Result<Vec<String>, Miss>> {
        let texts: Vec<String> = questions.iter().map(|q| self.wording.text(q.text)).collect();
        match self.replies() {
            Ok(replies) => replies.ask(questions, &texts, samples, round),
            Err(miss) => questions.iter().map(|_| Err(miss.clone())).collect(),
        }
    }

    fn replies(&self) -> Result<&Replies, Miss> {
        self.replies.as_ref().ok_or_else(|| Miss::new("no-reply", "there is no reasoner"))
    }

    /// What a reply says, in pixels rounded as the parser's authors do.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn read(&self, view: &View, text: &str) -> Result<Found, answer::Failure> {
        let answer = self.parser.read(text, view.frame)?;
        let [width, height] = view.frame;
        let factors = [f64::from(view.size.width) / width, f64::from(view.size.height) / height];
        let scale = |i: usize, x: f64| self.parser.scaled(x, factors[i % 2]);
        let object = |object: &Object| Object {
            bbox: object.bbox.map(|bbox| std::array::from_fn(|i| scale(i, bbox[i]))),
            points: object
                .points
                .iter()
                .map(|point| std::array::from_fn(|i| scale(i, point[i])))
                .collect(),
        };
        let objects = answer.objects.iter().map(object).collect();
        Ok(Found { answer, objects })
    }

    /// What to do where a reply could not be read.
    pub fn hint(&self) -> &'static str {
        match self.parser {
            Parser::Robust => "`--prompt` must be what the model was trained to answer",
            _ => "`--parser robust` reads more than the published evaluations do",
        }
    }

    /// The image as the segmenter sees it.
    pub fn embed(&self, image: &Rgb) -> Embedded {
        let features = self.segmenter.as_ref().map(|opened| opened.predictor.embed(image));
        Embedded { size: image.size, features }
    }

    /// The pixels of any object, and what the segmenter says of each. Without a segmenter boxes are
    /// filled, and nothing is said.
    ///
    /// # Errors
    /// An object without what the segmenter is to be given.
    pub fn mask(
        &self,
        image: &Embedded,
        objects: &[Object],
    ) -> Result<(Mask, Vec<Segmented>), Miss> {
        if self.segmenter.is_none() {
            let boxes: Vec<[f64; 4]> = objects.iter().filter_map(|object| object.bbox).collect();
            return Ok((filled(&boxes, image.size)?, Vec::new()));
        }
        let prompts = objects.iter().map(|object| self.prompt(object));
        self.segment(image, &prompts.collect::<Result<Vec<_>, _>>()?)
    }

    /// As [`Self::mask`], for prompts of any kind.
    ///
    /// # Errors
    /// A prompt that the segmenter refuses.
    pub fn segment(
        &self,
        image: &Embedded,
        prompts: &[ImagePrompt],
    ) -> Result<(Mask, Vec<Segmented>), Miss> {
        let (Some(opened), Some(features)) = (&self.segmenter, &image.features) else {
            let boxes = prompts.iter().filter_map(|prompt| prompt.bbox);
            let boxes: Vec<[f64; 4]> = boxes.map(|bbox| bbox.map(f64::from)).collect();
            return Ok((filled(&boxes, image.size)?, Vec::new()));
        };
        let segmented = opened.predictor.predict(features, prompts, Choice::BestIou);
        let segmented = segmented.map_err(no_mask)?;
        let mask = union(image.size, segmented.iter().map(|object| &object.mask));
        Ok((mask.map_err(no_mask)?, segmented))
    }

    fn prompt(&self, object: &Object) -> Result<ImagePrompt, Miss> {
        let narrow = |x: f64| x as f32;
        let points = object.points.iter().map(|at| (at.map(narrow), PointLabel::Foreground));
        let bbox = object.bbox.map(|bbox| bbox.map(narrow));
        let (points, bbox) = match self.hints {
            Hints::All => (points.collect(), bbox),
            Hints::Box => (Vec::new(), bbox),
            Hints::Points => (points.collect(), None),
        };
        if points.is_empty() && bbox.is_none() {
            let lacks = "the answer has nothing of what `--hints` gives to the segmenter";
            return Err(Miss::new("no-hint", lacks));
        }
        Ok(ImagePrompt { points, bbox, mask: None })
    }
}

fn filled(boxes: &[[f64; 4]], size: Size) -> Result<Mask, Miss> {
    segzero_eval::fill_boxes(boxes, size).map_err(no_mask)
}

fn no_mask(error: impl Display) -> Miss {
    Miss::new("no-mask", error)
}
