//! COCO's `segmentation` field in all its spellings, read into [`CocoSegmentation`].

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor, value};

use crate::{CocoSegmentation, ErrorKind, Mask, MaskError, Size};

/// The field as it stands in the file.
#[derive(Debug)]
pub(crate) enum RawSegmentation {
    /// `[[x, y, ...], ...]`.
    Polygons(Vec<Vec<f64>>),
    /// `{size, counts}`, or RefCLEF's list of them.
    Rles(Vec<RawRle>),
}

/// `{"size": [height, width], "counts": [...] or "..."}`.
#[derive(Debug, Deserialize)]
pub(crate) struct RawRle {
    size: [u32; 2],
    counts: Counts,
}

#[derive(Debug)]
enum Counts {
    Runs(Vec<u32>),
    Compressed(String),
}

impl RawSegmentation {
    /// Polygons as they are; runs as a mask, the union of all where there are several.
    pub(crate) fn into_geometry(self) -> Result<CocoSegmentation, ErrorKind> {
        let rles = match self {
            Self::Polygons(polygons) => return Ok(CocoSegmentation::Polygons(polygons)),
            Self::Rles(rles) => rles,
        };
        let mut union: Option<Mask> = None;
        for rle in rles {
            let mask = rle.mask()?;
            union = Some(match union {
                Some(sum) => sum.union(&mask)?,
                None => mask,
            });
        }
        union
            .map(CocoSegmentation::Rle)
            .ok_or_else(|| ErrorKind::Missing { what: "a run-length mask".to_owned() })
    }
}

impl RawRle {
    fn mask(&self) -> Result<Mask, MaskError> {
        let [height, width] = self.size;
        let size = Size::new(width, height);
        match &self.counts {
            Counts::Runs(runs) => Mask::from_runs(size, runs),
            Counts::Compressed(text) => Mask::from_coco_string(size, text.as_bytes()),
        }
    }
}

impl<'de> Deserialize<'de> for RawSegmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SegmentationVisitor)
    }
}

struct SegmentationVisitor;

impl<'de> Visitor<'de> for SegmentationVisitor {
    type Value = RawSegmentation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of polygons, or run lengths with their size")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (mut polygons, mut rles) = (Vec::new(), Vec::new());
        while let Some(part) = seq.next_element()? {
            match part {
                Part::Polygon(polygon) => polygons.push(polygon),
                Part::Rle(rle) => rles.push(rle),
            }
        }
        match (polygons.is_empty(), rles.is_empty()) {
            (_, true) => Ok(RawSegmentation::Polygons(polygons)),
            (true, false) => Ok(RawSegmentation::Rles(rles)),
            (false, false) => Err(A::Error::custom("polygons and run lengths in one list")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let rle = RawRle::deserialize(value::MapAccessDeserializer::new(map))?;
        Ok(RawSegmentation::Rles(vec![rle]))
    }
}

/// One element of a list of polygons or of run lengths.
enum Part {
    Polygon(Vec<f64>),
    Rle(RawRle),
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a polygon `[x, y, ...]` or run lengths with their size")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Part, A::Error> {
        Vec::deserialize(value::SeqAccessDeserializer::new(seq)).map(Part::Polygon)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Part, A::Error> {
        RawRle::deserialize(value::MapAccessDeserializer::new(map)).map(Part::Rle)
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = Counts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of run lengths or COCO's compressed string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Counts, E> {
        Ok(Counts::Compressed(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Counts, A::Error> {
        Vec::deserialize(value::SeqAccessDeserializer::new(seq)).map(Counts::Runs)
    }
}
