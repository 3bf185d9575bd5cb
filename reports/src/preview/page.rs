//! The page as a file.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Card, Picture, svg_path};

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

/// Where the images of a page are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Images {
    /// Inside it up to [`Images::INLINE_LIMIT`] bytes together, beside it beyond.
    #[default]
    Auto,
    /// Inside it, as data URIs.
    Inline,
    /// In a folder beside it, named after it.
    Beside,
}

impl Images {
    /// Bytes of JPEG that a browser still opens quickly.
    pub const INLINE_LIMIT: usize = 48 << 20;
}

/// A page that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A file cannot be written.
    #[error("could not write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The data cannot be put into the page.
    #[error("could not write the page's data: {0}")]
    Data(#[from] serde_json::Error),
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
        let total: usize = self.pictures.iter().map(|picture| picture.jpeg.len()).sum();
        let inline = match images {
            Images::Auto => total <= Images::INLINE_LIMIT,
            Images::Inline => true,
            Images::Beside => false,
        };
        let html = match inline {
            true => self.to_html()?,
            false => self.html(write_beside(path, &self.pictures)?)?,
        };
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
        // Inside a script element only `<` could end it; the others are for old parsers.
        let json = serde_json::to_string(&data)?
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026");
        let mut html = String::with_capacity(json.len() + 32_768);
        let mut rest = include_str!("page.html");
        // One pass over the frame, so that nothing in the data is taken for a placeholder.
        while let Some((before, after)) = rest.split_once("{{") {
            html.push_str(before);
            let Some((name, after)) = after.split_once("}}") else { break };
            match name {
                "title" => html.push_str(&escape(&self.title)),
                "style" => html.push_str(include_str!("page.css")),
                "script" => html.push_str(include_str!("page.js")),
                "data" => html.push_str(&json),
                _ => {}
            }
            rest = after;
        }
        html.push_str(rest);
        Ok(html)
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

/// Text that is safe between tags.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn data_uri(jpeg: &[u8]) -> String {
    format!("data:image/jpeg;base64,{}", base64(jpeg))
}

/// RFC 4648 base64, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let index = (bits >> (18 - 6 * i)) & 63;
            text.push(if i <= group.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    text
}

/// Writes images to `NAME_images/` beside `NAME.html`; their relative addresses.
fn write_beside(page: &Path, pictures: &[Picture]) -> Result<Vec<String>, PageError> {
    let stem = page.file_stem().map_or("page".into(), |stem| stem.to_string_lossy());
    let name = format!("{stem}_images");
    let folder = page.with_file_name(&name);
    std::fs::create_dir_all(&folder)
        .map_err(|source| PageError::Write { path: folder.clone(), source })?;
    let mut sources = Vec::with_capacity(pictures.len());
    for (index, picture) in pictures.iter().enumerate() {
        let file = format!("{index:06}.jpg");
        save(&folder.join(&file), &picture.jpeg)?;
        sources.push(format!("{}/{file}", url_escape(&name)));
    }
    Ok(sources)
}

/// A path segment of an address.
fn url_escape(segment: &str) -> String {
    let mut escaped = String::new();
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), PageError> {
    crate::write_whole(path, |out| out.write_all(bytes))
        .map_err(|source| PageError::Write { path: path.to_owned(), source })
}
