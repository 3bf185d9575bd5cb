//! The page as a file.

use std::path::Path;

use serde::Serialize;

use super::{Card, Picture, svg_path};
use crate::frame::{COMMON, PageError, escape, filled, json_in_script, save};
use crate::pictures::{Images, data_uri, place};

/// A page of samples.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Title, in the head and at the top.
    pub title: String,
    /// Name and value, under the title: number of samples, gIoU, ...
    pub facts: Vec<(String, String)>,
    /// The samples, in their order.
    pub cards: Vec<Card>,
    /// The images that cards refer to.
    pub pictures: Vec<Picture>,
}

/// What the script gets; names are short because they repeat for every card.
#[derive(Serialize)]
struct Data<'a> {
    title: &'a str,
    facts: &'a [(String, String)],
    pictures: Vec<String>,
    cards: Vec<CardData<'a>>,
}

#[derive(Serialize)]
struct CardData<'a> {
    key: &'a str,
    split: &'a str,
    picture: usize,
    size: [u32; 2],
    original: [u32; 2],
    said: Vec<SaidData<'a>>,
    mask: Option<String>,
    ignore: Option<String>,
    /// `[x, y, width, height]`, pixel edges.
    boxes: Vec<[i32; 4]>,
    /// `[x, y, radius]`, pixel edges; one list an object.
    circles: Vec<Vec<[f64; 3]>>,
    facts: &'a [(&'static str, String)],
    flags: &'a [&'static str],
    area: Option<u64>,
    iou: Option<f64>,
    ratio: Option<f64>,
}

#[derive(Serialize)]
struct SaidData<'a> {
    text: &'a str,
    iou: Option<f64>,
    path: Option<String>,
}

impl Page {
    /// Writes the page to `path` and, where [`Images`] says so, its images to a folder beside it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, path: &Path, images: Images) -> Result<(), PageError> {
        let sources = place(&self.pictures, images, path, "images")?;
        let html = self.html(sources)?;
        save(path, html.as_bytes())
    }

    /// The page with its images inside.
    ///
    /// # Errors
    /// When the data cannot be put into the page.
    pub fn to_html(&self) -> Result<String, PageError> {
        self.html(self.pictures.iter().map(|picture| data_uri(&picture.jpeg)).collect())
    }

    fn html(&self, pictures: Vec<String>) -> Result<String, PageError> {
        let cards = self.cards.iter().map(|card| self.card_data(card)).collect();
        let data = Data { title: &self.title, facts: &self.facts, pictures, cards };
        let (title, data) = (escape(&self.title), json_in_script(&data)?);
        let script = [COMMON, include_str!("page.js")].concat();
        Ok(filled(include_str!("page.html"), |name| match name {
            "title" => &title,
            "style" => include_str!("page.css"),
            "script" => &script,
            "data" => &data,
            _ => "",
        }))
    }

    fn card_data<'a>(&'a self, card: &'a Card) -> CardData<'a> {
        let said = |said: &'a super::Said| {
            let prediction = said.prediction.as_ref();
            SaidData {
                text: &said.text,
                iou: prediction.map(|prediction| prediction.iou),
                path: prediction.and_then(|p| p.mask.as_ref()).map(svg_path),
            }
        };
        let original = self.pictures.get(card.picture).map_or(card.frame, |p| p.original);
        CardData {
            key: &card.key,
            split: &card.split,
            picture: card.picture,
            size: [card.frame.width, card.frame.height],
            original: [original.width, original.height],
            said: card.said.iter().map(said).collect(),
            mask: card.mask.as_ref().map(svg_path),
            ignore: card.ignore.as_ref().map(svg_path),
            boxes: card.targets.iter().map(|t| rectangle(t.bbox)).collect(),
            circles: card.targets.iter().map(|t| t.circles.iter().map(disc).collect()).collect(),
            facts: &card.facts,
            flags: &card.flags,
            area: card.area(),
            iou: card.iou(),
            ratio: card.radius_ratio(),
        }
    }
}

/// Pixel indices as pixel edges.
fn rectangle(bbox: segzero_datasets::Bbox) -> [i32; 4] {
    [bbox.x0, bbox.y0, bbox.width(), bbox.height()]
}

/// A circle's centre in pixel edges, and the radius that just reaches the nearest background pixel.
fn disc(circle: &segzero_prep::Circle) -> [f64; 3] {
    let radius = ((circle.radius_squared as f64).sqrt() - 0.5).max(0.0);
    let [x, y] = [circle.center.x, circle.center.y].map(|v| f64::from(v) + 0.5);
    [x, y, (radius * 100.0).round() / 100.0]
}
