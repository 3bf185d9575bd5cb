//! [`Reader`]: predictions, read when their samples are scored.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufReader, Read};

use segzero_datasets::{Error, ErrorKind, FillRegime, Geometry, Mask, MaskError, Size};

use super::{Answer, AnswerFrame, Item, Prediction, Predictions, jsonl, reply};

/// Reads predictions, one at a time. Lines that follow each other in the file, as their samples
/// mostly do too, come from it many at once: a thread keeps its reader for as long as it can.
pub(crate) struct Reader<'a> {
    pub predictions: &'a Predictions,
    file: Option<BufReader<File>>,
    /// Where the file stands.
    at: u64,
    line: Vec<u8>,
    strings: Vec<u8>,
}

/// Bytes that are read at once: a few dozen lines.
const BUFFER: usize = 1 << 14;

impl<'a> Reader<'a> {
    pub fn new(predictions: &'a Predictions) -> Self {
        Self { predictions, file: None, at: 0, line: Vec::new(), strings: Vec::new() }
    }

    /// The prediction at a position, for an image of this size; `None` where it is a reply that
    /// holds no answer. Its mask has the size that it was written with; polygons and boxes are
    /// filled at the image's.
    ///
    /// # Errors
    /// A mask that cannot be read; names the file and line.
    pub fn get(&mut self, position: usize, size: Size) -> Result<Option<Prediction>, Error> {
        let all = self.predictions;
        let stored = &all.items[position];
        let prediction = if let Answer::Line(..) = stored.answer {
            let (_, item) = self.parse(stored)?;
            prediction(&item, &self.strings, all.answer_frame, size)
        } else {
            prediction(stored, &all.strings, all.answer_frame, size)
        };
        prediction.map_err(|error| all.named(stored.line, error))
    }

    /// The key at a position.
    pub fn key(&mut self, position: usize) -> String {
        if let Some(key) = self.predictions.keys.get(position) {
            return key.to_string();
        }
        let stored = &self.predictions.items[position];
        match self.parse(stored) {
            Ok((key, _)) => key.into_owned(),
            // The file is no longer what it was; the line's number names it still.
            Err(_) => format!("line {}", stored.line),
        }
    }

    /// The model's reply at a position.
    pub fn reply(&mut self, position: usize) -> Option<String> {
        let stored = &self.predictions.items[position];
        match stored.answer {
            Answer::Line(..) => self.parse(stored).ok()?.1.said?.text,
            _ => stored.said.as_ref()?.text.clone(),
        }
    }

    /// Key and content of a line. The item's string, if it has one, is then in `strings`.
    fn parse(&mut self, stored: &Item) -> Result<(Cow<'_, str>, Item), Error> {
        let &Item { line, ref answer, .. } = stored;
        let path = &self.predictions.path;
        if let Answer::Line(start, length) = *answer {
            let unread = |e| Error::new(path, e).record(format_args!("line {line}"));
            self.fetch(start, length as usize).map_err(unread)?;
        }
        self.strings.clear();
        let (key, answer, said) = jsonl::parse(&self.line, path, &mut self.strings)
            .map_err(|fault| fault.at(path, line))?;
        Ok((key, Item { line, answer, said }))
    }

    /// Reads bytes of the file into `line`.
    fn fetch(&mut self, start: u64, length: usize) -> io::Result<()> {
        self.line.resize(length, 0);
        if let Some(bytes) = &self.predictions.bytes {
            self.line.copy_from_slice(&bytes[start as usize..][..length]);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = File::open(&self.predictions.path)?;
                none.insert(BufReader::with_capacity(BUFFER, file))
            }
        };
        file.seek_relative(start as i64 - self.at as i64)?;
        file.read_exact(&mut self.line)?;
        self.at = start + length as u64;
        Ok(())
    }
}

fn prediction(
    item: &Item,
    strings: &[u8],
    frame: AnswerFrame,
    size: Size,
) -> Result<Option<Prediction>, Error> {
    let Item { answer, said, .. } = item;
    let said = said.as_deref();
    let mut boxes = said.map_or_else(Vec::new, |said| said.boxes.clone());
    let mut points = said.map_or_else(Vec::new, |said| said.points.clone());
    if boxes.is_empty()
        && points.is_empty()
        && let Some(text) = said.and_then(|said| said.text.as_deref())
    {
        match reply::read(text, frame, size) {
            Some(reply) => (boxes, points) = (reply.boxes, reply.points),
            None if matches!(answer, Answer::Reply) => return Ok(None),
            None => {}
        }
    }
    let mask = mask(answer, strings, &boxes, size)?;
    let no_target = said.and_then(|said| said.no_target);
    let filled_box = matches!(answer, Answer::Boxes | Answer::Reply);
    Ok(Some(Prediction { mask, no_target, boxes, points, filled_box }))
}

fn mask(answer: &Answer, strings: &[u8], boxes: &[[f64; 4]], size: Size) -> Result<Mask, Error> {
    match answer {
        Answer::Rle(size, at) => Mask::from_coco_string(*size, &strings[at.clone()])
            .map_err(|e| Error::new("", e).field("counts")),
        Answer::Geometry(Geometry::Mask(mask)) => Ok(mask.clone()),
        Answer::Geometry(Geometry::File(path)) => std::fs::read(path)
            .map_err(ErrorKind::Io)
            .and_then(|bytes| Mask::read_file(&bytes))
            .map_err(|e| Error::new(path, e)),
        Answer::Geometry(geometry) => {
            geometry.rasterize(size, FillRegime::default()).map(|masks| masks.target)
        }
        Answer::Boxes | Answer::Reply => fill_boxes(boxes, size).map_err(|e| Error::new("", e)),
        Answer::Union(parts) => parts
            .iter()
            .map(|part| mask(part, strings, boxes, size))
            .reduce(|sum, part| {
                let (sum, part) = (sum?, part?);
                // A part that stands for nothing has the image's size, whatever the others'.
                match (sum.is_empty(), part.is_empty()) {
                    (true, _) => Ok(part),
                    (_, true) => Ok(sum),
                    _ => sum.union(&part).map_err(|e| Error::new("", e)),
                }
            })
            .unwrap_or_else(|| Ok(Mask::empty(size))),
        Answer::Line(..) => {
            let what = "the content of the line".to_owned();
            Err(Error::new("", ErrorKind::Missing { what }))
        }
    }
}

/// The pixels whose centres lie in one of the boxes `[x1, y1, x2, y2]`, as COCO's rule fills a
/// rectangle.
///
/// # Errors
/// An image or boxes too large for a mask.
pub fn fill_boxes(boxes: &[[f64; 4]], size: Size) -> Result<Mask, MaskError> {
    let rectangle = |[x0, y0, x1, y1]: &[f64; 4]| [*x0, *y0, *x1, *y0, *x1, *y1, *x0, *y1];
    Mask::from_polygons(size, &boxes.iter().map(rectangle).collect::<Vec<_>>())
}
