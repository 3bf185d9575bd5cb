//! What is asked about one image: by flags, or by a line of a file.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use segzero_datasets::{Error, ErrorKind};
use segzero_model::sam2::{ImagePrompt, PointLabel, Preset};
use segzero_reports::Marks;
use serde::Deserialize;

use crate::failure::Failure;

/// Two corners of a box, the first left of and above the second or on a line with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corners(pub [f32; 4]);

/// A place in an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place(pub [f32; 2]);

impl FromStr for Corners {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        upright(numbers(text, "x1,y1,x2,y2")?).map(Self)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        numbers(text, "x,y").map(Self)
    }
}

/// Finite numbers between commas.
fn numbers<const N: usize>(text: &str, form: &str) -> Result<[f32; N], String> {
    let numbers = text.split(',').map(|number| number.trim().parse::<f32>().ok());
    let numbers: Option<Vec<f32>> = numbers.collect();
    let numbers = numbers.filter(|numbers| numbers.iter().all(|number| number.is_finite()));
    let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
    numbers.ok_or_else(|| format!("expected {form}, {N} finite numbers"))
}

fn upright(bbox: [f32; 4]) -> Result<[f32; 4], String> {
    let [x1, y1, x2, y2] = bbox;
    if x1 > x2 || y1 > y2 {
        return Err(format!(
            "the corners of {x1},{y1},{x2},{y2} are reversed: the upper left comes first"
        ));
    }
    Ok(bbox)
}

/// Boxes and points in one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Boxes, upright.
    pub boxes: Vec<[f32; 4]>,
    /// Points and what they say.
    pub points: Vec<([f32; 2], PointLabel)>,
}

impl Asked {
    /// The places that say where the object is, or where it is not.
    fn places(&self, wanted: PointLabel) -> impl Iterator<Item = [f32; 2]> {
        self.points.iter().filter(move |point| point.1 == wanted).map(|point| point.0)
    }

    /// The places that say where the object is.
    pub fn foreground(&self) -> Vec<[f32; 2]> {
        self.places(PointLabel::Foreground).collect()
    }

    /// What to draw.
    pub fn marks(&self) -> Marks {
        let wide = |places: Vec<[f32; 2]>| places.iter().map(|at| at.map(f64::from)).collect();
        Marks {
            boxes: self.boxes.iter().map(|bbox| bbox.map(f64::from)).collect(),
            foreground: wide(self.foreground()),
            background: wide(self.places(PointLabel::Background).collect()),
        }
    }

    /// A prompt for each object.
    ///
    /// # Errors
    /// Nothing is asked; or it is not clear which points belong to which box.
    pub fn prompts(&self, preset: Option<Preset>) -> Result<Vec<ImagePrompt>, String> {
        if let Some(preset) = preset {
            if self.places(PointLabel::Background).next().is_some() {
                return Err("a preset takes no background points".to_owned());
            }
            let prompts = preset.prompts(&self.boxes, &self.foreground());
            return prompts.map_err(|error| error.to_string());
        }
        match (&self.boxes[..], &self.points[..]) {
            ([], []) => Err("nothing is asked: no box and no point".to_owned()),
            ([_, _, ..], [_, ..]) => Err("several boxes and points: which point belongs to which \
                                          box is for `--preset vision-reasoner` to say"
                .to_owned()),
            ([] | [_], points) => Ok(vec![ImagePrompt {
                points: points.to_vec(),
                bbox: self.boxes.first().copied(),
                mask: None,
            }]),
            (boxes, []) => {
                let object = |&bbox| ImagePrompt { bbox: Some(bbox), ..ImagePrompt::default() };
                Ok(boxes.iter().map(object).collect())
            }
        }
    }
}

/// One line of a file of prompts.
#[derive(Clone, Debug)]
pub struct Record {
    /// What the prediction is for.
    pub key: String,
    /// The image.
    pub image: PathBuf,
    /// What is asked.
    pub asked: Asked,
    /// A prompt for each object.
    pub prompts: Vec<ImagePrompt>,
}

/// The private mirror of a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    image: PathBuf,
    id: Option<Id>,
    #[serde(rename = "box")]
    bbox: Option<Vec<f32>>,
    #[serde(default)]
    boxes: Vec<Vec<f32>>,
    #[serde(default)]
    points: Vec<Vec<f32>>,
    labels: Option<Vec<u8>>,
}

/// A key as text or as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

/// Reads a file of prompts. Images are looked for beside it.
///
/// # Errors
/// The first line that is not as it must be, by its number and field.
pub fn read(path: &Path, preset: Option<Preset>) -> Result<Vec<Record>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::new(path, e))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let records = lines.map(|(number, line)| {
        record(line, folder, preset).map_err(|error| {
            let failed = Failure::new(format_args!(
                "could not read `{}`: line {number}: {error}",
                path.display()
            ));
            failed.hint("docs/mask.md describes the fields of a line")
        })
    });
    let records = records.collect::<Result<Vec<_>, _>>()?;
    if records.is_empty() {
        let kind = ErrorKind::Missing { what: "a line with a prompt".to_owned() };
        return Err(Error::new(path, kind).into());
    }
    Ok(records)
}

fn record(line: &str, folder: &Path, preset: Option<Preset>) -> Result<Record, String> {
    let not_a_line =
        |error: serde_json::Error| error.to_string().replace("line 1 column", "column");
    let line: Line = serde_json::from_str(line).map_err(not_a_line)?;
    let bbox = line.bbox.iter().map(|bbox| ("box", bbox));
    let boxes = bbox.chain(line.boxes.iter().map(|bbox| ("boxes", bbox)));
    let boxes = boxes.map(|(field, bbox)| at(field, exactly(bbox).and_then(upright)));
    let labels = line.labels.unwrap_or_else(|| vec![1; line.points.len()]);
    if labels.len() != line.points.len() {
        let counts = format!("{} labels for {} points", labels.len(), line.points.len());
        return at("labels", Err(counts));
    }
    let points = line.points.iter().zip(&labels);
    let points = points
        .map(|(place, &number)| Ok((at("points", exactly(place))?, at("labels", label(number))?)));
    let asked = Asked {
        boxes: boxes.collect::<Result<_, _>>()?,
        points: points.collect::<Result<_, String>>()?,
    };
    let prompts = asked.prompts(preset)?;
    let key = match line.id {
        Some(Id::Text(text)) => text,
        Some(Id::Number(number)) => number.to_string(),
        None => line.image.to_string_lossy().into_owned(),
    };
    Ok(Record { key, image: folder.join(line.image), asked, prompts })
}

/// An error with the field that it is about.
fn at<T>(field: &str, result: Result<T, String>) -> Result<T, String> {
    result.map_err(|error| format!("field `{field}`: {error}"))
}

/// So many finite numbers.
fn exactly<const N: usize>(numbers: &[f32]) -> Result<[f32; N], String> {
    let array: Result<[f32; N], _> = numbers.try_into();
    let array = array.map_err(|_| format!("{} numbers in place of {N}", numbers.len()))?;
    match array.iter().find(|number| !number.is_finite()) {
        Some(number) => Err(format!("{number} is no finite number")),
        None => Ok(array),
    }
}

fn label(number: u8) -> Result<PointLabel, String> {
    match number {
        0 => Ok(PointLabel::Background),
        1 => Ok(PointLabel::Foreground),
        other => Err(format!("{other} is neither 0 nor 1")),
    }
}
