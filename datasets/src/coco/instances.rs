//! [`Instances`]: COCO's `instances.json` in compact form.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ahash::RandomState;
use serde::Deserialize;

use super::elements::{Entry, OutlineError, elements, members, whole};
use super::segmentation::RawSegmentation;
use crate::{CocoSegmentation, Error, ErrorKind, Size};

/// What is kept of an `instances.json`: images and category names parsed, and the bytes of the
/// wanted annotations, which are parsed when they are asked for.
#[derive(Debug)]
pub(crate) struct Instances {
    path: PathBuf,
    images: HashMap<i64, Image>,
    categories: HashMap<i64, String>,
    /// JSON of the kept annotations, one after the other.
    text: Vec<u8>,
    annotations: Vec<Range<usize>>,
    index: HashMap<i64, usize>,
    /// Number of annotations of each image and category in the whole file.
    populations: HashMap<(i64, i64), u32, RandomState>,
    /// Records that could not be read; a caller reports them.
    pub(crate) bad: Vec<Error>,
}

/// One image of the file.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Image {
    id: i64,
    pub(crate) file_name: String,
    width: u32,
    height: u32,
}

impl Image {
    /// Size of the image.
    pub(crate) fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

/// One annotation, with its mask.
#[derive(Debug)]
pub(crate) struct Annotation {
    pub(crate) id: i64,
    pub(crate) image_id: i64,
    pub(crate) category_id: i64,
    pub(crate) is_crowd: bool,
    pub(crate) segmentation: CocoSegmentation,
}

#[derive(Deserialize)]
struct RawAnnotation {
    id: i64,
    image_id: i64,
    #[serde(default)]
    category_id: i64,
    #[serde(default)]
    iscrowd: u8,
    segmentation: RawSegmentation,
}

/// Which annotations to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep<'a> {
    /// All.
    All,
    /// Those with these ids: the referred ones are a quarter of RefCOCO's file.
    Ids(&'a HashSet<i64>),
}

impl Instances {
    /// Reads a file. A damaged image, category or annotation goes to [`Instances::bad`].
    ///
    /// # Errors
    /// When the file is unreadable, no JSON, or has no `images` or no `annotations`.
    pub(crate) fn read(path: &Path, keep: Keep<'_>) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(|e| Error::new(path, e))?;
        Self::parse(path, text, keep)
    }

    fn parse(path: &Path, text: Vec<u8>, keep: Keep<'_>) -> Result<Self, Error> {
        let outline = |e: OutlineError| Error::new(path, outline_kind(e));
        let mut instances = Self {
            path: path.to_owned(),
            images: HashMap::new(),
            categories: HashMap::new(),
            text,
            annotations: Vec::new(),
            index: HashMap::new(),
            populations: HashMap::default(),
            bad: Vec::new(),
        };
        let members: Result<Vec<Entry>, _> =
            members(&instances.text, whole(&instances.text)).collect();
        let members: Vec<(Vec<u8>, Range<usize>)> = members
            .map_err(outline)?
            .into_iter()
            .map(|entry| (instances.text[entry.name].to_vec(), entry.value))
            .collect();
        let range = |name: &str| {
            let found = members.iter().find(|(n, _)| n == name.as_bytes());
            found.map(|(_, range)| range.clone())
        };
        for name in ["images", "annotations"] {
            range(name).ok_or_else(|| {
                Error::new(path, ErrorKind::Missing { what: format!("the list `{name}`") })
            })?;
        }
        if let Some(range) = range("categories") {
            instances.read_categories(range).map_err(outline)?;
        }
        if let Some(range) = range("images") {
            instances.read_images(range).map_err(outline)?;
        }
        if let Some(range) = range("annotations") {
            instances.read_annotations(range, keep).map_err(outline)?;
        }
        if matches!(keep, Keep::Ids(_)) {
            instances.compact();
        }
        Ok(instances)
    }

    fn read_categories(&mut self, range: Range<usize>) -> Result<(), OutlineError> {
        for (position, element) in elements(&self.text, range).enumerate() {
            let json = &self.text[element?.value];
            match serde_json::from_slice::<Category>(json) {
                Ok(category) => drop(self.categories.insert(category.id, category.name)),
                Err(e) => {
                    let name = format!("categories[{position}]");
                    self.bad.push(json_error(&self.path, json, &e, name));
                }
            }
        }
        Ok(())
    }

    fn read_images(&mut self, range: Range<usize>) -> Result<(), OutlineError> {
        for (position, element) in elements(&self.text, range).enumerate() {
            let json = &self.text[element?.value];
            match serde_json::from_slice::<Image>(json) {
                Ok(image) => drop(self.images.insert(image.id, image)),
                Err(e) => {
                    let name = format!("images[{position}]");
                    self.bad.push(json_error(&self.path, json, &e, name));
                }
            }
        }
        Ok(())
    }

    fn read_annotations(
        &mut self,
        range: Range<usize>,
        keep: Keep<'_>,
    ) -> Result<(), OutlineError> {
        for (position, element) in elements(&self.text, range).enumerate() {
            let element = element?.value;
            let ids = Ids::of(&self.text, element.clone());
            if let Some(image) = ids.image {
                // As `RawAnnotation` has it, an annotation without a category is of category 0.
                let kind = (image, ids.category.unwrap_or(0));
                *self.populations.entry(kind).or_default() += 1;
            }
            let Some(id) = ids.annotation else {
                let kind = ErrorKind::Missing { what: "a whole number `id`".to_owned() };
                let record = format!("annotations[{position}]");
                self.bad.push(Error::new(&self.path, kind).record(record));
                continue;
            };
            if let Keep::Ids(ids) = keep
                && !ids.contains(&id)
            {
                continue;
            }
            self.index.insert(id, self.annotations.len());
            self.annotations.push(element);
        }
        Ok(())
    }

    /// Drops the bytes of everything but the kept annotations.
    fn compact(&mut self) {
        let mut end = 0;
        for range in &mut self.annotations {
            let length = range.len();
            self.text.copy_within(range.clone(), end);
            *range = end..end + length;
            end += length;
        }
        self.text.truncate(end);
        self.text.shrink_to_fit();
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Number of kept annotations.
    pub(crate) fn len(&self) -> usize {
        self.annotations.len()
    }

    /// The annotation at a position in the file (of the kept ones).
    ///
    /// # Errors
    /// A damaged annotation; the error names it.
    pub(crate) fn annotation_at(&self, position: usize) -> Result<Annotation, Error> {
        let Some(range) = self.annotations.get(position) else {
            return Err(self.missing(format!("annotations[{position}]")));
        };
        let bytes = &self.text[range.clone()];
        let name = || match Ids::of(&self.text, range.clone()).annotation {
            Some(id) => format!("annotation {id}"),
            None => format!("annotations[{position}]"),
        };
        let raw: RawAnnotation =
            serde_json::from_slice(bytes).map_err(|e| json_error(&self.path, bytes, &e, name()))?;
        let segmentation = raw
            .segmentation
            .into_geometry()
            .map_err(|kind| Error::new(&self.path, kind).record(name()).field("segmentation"))?;
        Ok(Annotation {
            id: raw.id,
            image_id: raw.image_id,
            category_id: raw.category_id,
            is_crowd: raw.iscrowd != 0,
            segmentation,
        })
    }

    /// The annotation of an id.
    ///
    /// # Errors
    /// No such annotation, or a damaged one.
    pub(crate) fn annotation(&self, id: i64) -> Result<Annotation, Error> {
        match self.index.get(&id) {
            Some(&position) => self.annotation_at(position),
            None => Err(self.missing(format!("annotation {id}"))),
        }
    }

    /// How many annotations of the image have the category of the first of these, crowds included,
    /// beside these themselves. `None` for no annotations.
    pub(crate) fn distractors(&self, annotations: &[Annotation]) -> Option<u32> {
        let kind = |annotation: &Annotation| (annotation.image_id, annotation.category_id);
        let first = kind(annotations.first()?);
        let own = annotations.iter().filter(|annotation| kind(annotation) == first).count() as u32;
        Some(self.populations.get(&first)?.saturating_sub(own))
    }

    /// The image of an id.
    ///
    /// # Errors
    /// No such image, or one without pixels.
    pub(crate) fn image(&self, id: i64) -> Result<&Image, Error> {
        let image = self.images.get(&id).ok_or_else(|| self.missing(format!("image {id}")))?;
        if image.size().pixels() == 0 {
            let expected = "a width and a height above 0".to_owned();
            let kind = ErrorKind::Unexpected { expected, found: image.size().to_string() };
            return Err(Error::new(&self.path, kind).record(format!("image {id}")));
        }
        Ok(image)
    }

    /// The name of a category.
    pub(crate) fn category(&self, id: i64) -> Option<&str> {
        self.categories.get(&id).map(String::as_str)
    }

    /// Any one image's file name, to find out how the files on disk are named.
    pub(crate) fn some_file_name(&self) -> Option<&str> {
        self.images.values().next().map(|image| image.file_name.as_str())
    }

    fn missing(&self, what: String) -> Error {
        Error::new(&self.path, ErrorKind::Missing { what })
    }
}

/// The ids in an annotation, each of them whether or not the rest of it can be read.
#[derive(Default)]
struct Ids {
    annotation: Option<i64>,
    image: Option<i64>,
    category: Option<i64>,
}

impl Ids {
    /// Those of the annotation at `range`.
    fn of(text: &[u8], range: Range<usize>) -> Self {
        let number = |value| std::str::from_utf8(&text[value]).ok()?.trim().parse().ok();
        let mut ids = Self::default();
        for member in members(text, range).map_while(Result::ok) {
            let id = match &text[member.name] {
                b"id" => &mut ids.annotation,
                b"image_id" => &mut ids.image,
                b"category_id" => &mut ids.category,
                _ => continue,
            };
            *id = id.or_else(|| number(member.value));
        }
        ids
    }
}

/// What is wrong with one element, by its name, its field, and what stands there. The parser's own
/// line and column count from the element's start, which is of no use in a file of 100 MB.
fn json_error(path: &Path, json: &[u8], error: &serde_json::Error, name: String) -> Error {
    let ends = json.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let line = std::iter::once(0).chain(ends).nth(error.line().saturating_sub(1));
    let at = (line.unwrap_or(0) + error.column().saturating_sub(1)).min(json.len());
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let rest = String::from_utf8_lossy(&json[at..]).chars().take(16).collect::<String>();
    let error = Error::new(
        path,
        ErrorKind::Unexpected {
            expected: "JSON of a known form".to_owned(),
            found: format!("`{rest}` ({message})"),
        },
    );
    let mut fields = members(json, 0..json.len()).map_while(Result::ok);
    match fields.find(|field| (field.value.start..field.value.end).contains(&at)) {
        Some(field) => error.record(name).field(String::from_utf8_lossy(&json[field.name])),
        None => error.record(name),
    }
}

/// An [`OutlineError`] as the crate's error.
pub(crate) fn outline_kind(error: OutlineError) -> ErrorKind {
    ErrorKind::Unexpected {
        expected: error.expected.to_owned(),
        found: format!("something else at byte {}", error.offset),
    }
}
