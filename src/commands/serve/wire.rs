//! What the page and the server say to each other, as JSON. Coordinates are continuous (x, y) in
//! pixels of the image as it stands upright; sizes are height and width, as COCO has them.

use std::path::Path;

use segzero_eval::answer::{self, Repair};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::routes::UPLOAD_BYTES;
use crate::pipeline::Asking;

/// Most objects, and most points of all of them, in one request.
const OBJECTS: usize = 64;
const POINTS: usize = 256;
/// Farthest coordinate.
const FARTHEST: f64 = 1e6;
/// Longest question, in characters.
const QUESTION: usize = 4000;

/// What a mask is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// x and y of the upper left and the lower right corner.
    #[serde(default)]
    pub bbox: Option<[f64; 4]>,
    /// Points on it.
    #[serde(default)]
    pub points: Vec<[f64; 2]>,
    /// Points beside it.
    #[serde(default)]
    pub background: Vec<[f64; 2]>,
}

/// Body of `POST /api/images/{id}/mask`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// What to find the mask of; it is the union of theirs.
    pub objects: Vec<Object>,
}

/// Body of `POST /api/images/{id}/ask`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What to look for. A recorded reply needs none.
    #[serde(default)]
    pub question: String,
    /// Name of the image without its ending, by which recorded replies are found.
    #[serde(default)]
    pub key: String,
}

/// Body of `POST /api/png`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// Height and width.
    pub size: [u32; 2],
    /// COCO's compressed run lengths.
    pub counts: String,
}

/// An image that is kept.
#[derive(Debug, Serialize)]
pub struct Uploaded {
    /// Its name in later requests.
    pub id: String,
    /// Columns, upright.
    pub width: u32,
    /// Rows, upright.
    pub height: u32,
}

/// A mask.
#[derive(Debug, Serialize)]
pub struct Masked {
    /// Height and width.
    pub size: [u32; 2],
    /// COCO's compressed run lengths.
    pub counts: String,
    /// Pixels of it.
    pub area: u64,
    /// Predicted IoU of each object; none where boxes are filled.
    pub ious: Vec<f32>,
    /// Time that the segmenter took, in milliseconds.
    pub milliseconds: f64,
}

/// A line of the answer to a question.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// Questions before this one.
    Queued { ahead: usize },
    /// The model reads image and question.
    Started,
    /// The next piece of the reply.
    Text { text: &'a str },
    /// The reply, read.
    Answer { text: &'a str, thinking: Option<&'a str>, objects: Vec<Object>, repairs: &'a [Repair] },
    /// The mask of what was answered.
    Mask(Masked),
    /// There is no mask.
    Error(Refusal),
}

/// Answer to `GET /api/options`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Options {
    /// Of segzero.
    pub version: &'static str,
    /// What writes replies.
    pub reasoner: Reasoner,
    /// Its name, without the folder in which it lies.
    pub reasoner_name: Option<String>,
    /// Name of the segmenter; none where boxes are filled.
    pub segmenter: Option<String>,
    /// Most bytes of an upload.
    pub upload_bytes: usize,
}

/// What writes replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reasoner {
    /// A model.
    Model,
    /// Replies that were given before.
    Recorded,
    /// Nobody: the user draws boxes and points.
    None,
}

impl Options {
    /// What the flags started.
    pub fn new(asking: &Asking) -> Self {
        let name = |model: &str| {
            let name = Path::new(model.trim_end_matches('/')).file_name();
            name.map(|name| name.to_string_lossy().into_owned())
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            reasoner: match (&asking.reasoner, &asking.reply) {
                (Some(_), _) => Reasoner::Model,
                (None, Some(_)) => Reasoner::Recorded,
                (None, None) => Reasoner::None,
            },
            reasoner_name: asking.reasoner.as_deref().and_then(|reasoner| {
                // Where an endpoint is, is nobody else's business.
                match reasoner.contains("://") {
                    true => asking.endpoint_model.clone().or(Some("an endpoint".to_owned())),
                    false => name(reasoner),
                }
            }),
            segmenter: asking.segmenter.as_deref().and_then(name),
            upload_bytes: UPLOAD_BYTES,
        }
    }
}

impl From<&answer::Object> for Object {
    fn from(object: &answer::Object) -> Self {
        Self { bbox: object.bbox, points: object.points.clone(), background: Vec::new() }
    }
}

impl Wanted {
    /// Refuses what could only be a mistake, or is too much.
    ///
    /// # Errors
    /// Nothing asked, too much asked, or a place far from every image.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.objects.is_empty() || self.objects.len() > OBJECTS {
            let count = self.objects.len();
            return Err(Refusal::bad(format!("{count} objects are asked for, not 1 to {OBJECTS}")));
        }
        let points = |object: &Object| object.points.len() + object.background.len();
        let count: usize = self.objects.iter().map(points).sum();
        if count > POINTS {
            return Err(Refusal::bad(format!("{count} points are more than {POINTS}")));
        }
        for (number, object) in (1..).zip(&self.objects) {
            if object.bbox.is_none() && points(object) == 0 {
                let refusal = Refusal::bad(format!("object {number} has neither box nor point"));
                return Err(refusal.hint("draw a box, or set a point on the object"));
            }
            let of_points = object.points.iter().chain(&object.background).flatten();
            let mut places = object.bbox.iter().flatten().chain(of_points);
            if let Some(place) = places.find(|place| place.abs() > FARTHEST) {
                return Err(Refusal::bad(format!("object {number}: {place} lies in no image")));
            }
        }
        Ok(())
    }
}

impl Question {
    /// The question without space around it.
    ///
    /// # Errors
    /// None, where one is needed, or one that is too long.
    pub fn text(&self, reasoner: Reasoner) -> Result<&str, Refusal> {
        let text = self.question.trim();
        match reasoner {
            Reasoner::None => {
                let refusal = Refusal::bad("no reasoner was given to answer questions");
                Err(refusal.hint("draw a box or set points; or start with `--reasoner`"))
            }
            Reasoner::Model if text.is_empty() => Err(Refusal::bad("the question is empty")),
            _ if text.chars().count() > QUESTION => {
                Err(Refusal::bad(format!("the question is longer than {QUESTION} characters")))
            }
            _ => Ok(text),
        }
    }
}
