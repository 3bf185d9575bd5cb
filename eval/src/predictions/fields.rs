//! Fields that records of predictions share, as their JSON has them.

use std::borrow::Cow;
use std::path::Path;

use segzero_datasets::{CocoSegmentation, Error, ErrorKind, Geometry, Mask, MaskError, Size};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor, value};

use super::Answer;

/// What is wrong with a line.
pub(super) struct Fault {
    pub field: Option<&'static str>,
    pub kind: ErrorKind,
}

impl Fault {
    pub fn new(field: &'static str, kind: impl Into<ErrorKind>) -> Self {
        Self { field: Some(field), kind: kind.into() }
    }

    pub fn at(self, path: &Path, line: usize) -> Error {
        let error = Error::new(path, self.kind).record(format_args!("line {line}"));
        match self.field {
            Some(field) => error.field(field),
            None => error,
        }
    }
}

pub(super) fn unexpected(expected: impl ToString, found: impl ToString) -> ErrorKind {
    ErrorKind::Unexpected { expected: expected.to_string(), found: found.to_string() }
}

/// A field that may be absent, null, or there.
#[derive(Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    Null,
    Given(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<T>::deserialize(deserializer)?;
        Ok(value.map_or(Self::Null, Self::Given))
    }
}

/// A string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A string or an integer.
pub(super) struct Key<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or an integer as `key`")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_owned())))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_string())))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_string())))
            }
        }
        deserializer.deserialize_any(KeyVisitor)
    }
}

/// COCO counts: the compressed string, or the list of runs.
pub(super) enum Counts<'a> {
    String(Cow<'a, str>),
    Runs(Vec<u32>),
}

impl Counts<'_> {
    /// `size_field` is where the size should have stood.
    pub fn answer(
        self,
        size: Option<Size>,
        size_field: &'static str,
        strings: &mut Vec<u8>,
    ) -> Result<Answer, Fault> {
        let missing = || ErrorKind::Missing { what: "`size`, as [height, width]".to_owned() };
        let size = size.ok_or_else(|| Fault::new(size_field, missing()))?;
        if size.pixels() > u64::from(u32::MAX) {
            return Err(Fault::new(size_field, MaskError::TooLarge { size }));
        }
        let start = strings.len();
        match self {
            Self::String(string) => strings.extend_from_slice(string.as_bytes()),
            Self::Runs(runs) => {
                let mask = Mask::from_runs(size, &runs).map_err(|e| Fault::new("counts", e))?;
                strings.extend_from_slice(mask.to_coco_string().as_bytes());
            }
        }
        Ok(Answer::Rle(size, start..strings.len()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Counts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountsVisitor;
        impl<'de> Visitor<'de> for CountsVisitor {
            type Value = Counts<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a COCO string or a list of runs as `counts`")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Counts::String(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Counts::String(Cow::Owned(v.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                let runs = Vec::deserialize(value::SeqAccessDeserializer::new(seq))?;
                Ok(Counts::Runs(runs))
            }
        }
        deserializer.deserialize_any(CountsVisitor)
    }
}

/// COCO's `segmentation`: run lengths, a list of polygons, or a list of run lengths.
pub(super) enum Segmentation<'a> {
    Rle(Rle<'a>),
    Rles(Vec<Rle<'a>>),
    Polygons(Vec<Vec<f64>>),
}

/// Run lengths and their size.
#[derive(serde::Deserialize)]
pub(super) struct Rle<'a> {
    #[serde(default)]
    size: Option<[u32; 2]>,
    #[serde(borrow)]
    counts: Counts<'a>,
}

impl Rle<'_> {
    fn answer(self, size_of_line: Option<Size>, strings: &mut Vec<u8>) -> Result<Answer, Fault> {
        let size = self.size.map(|[height, width]| Size::new(width, height));
        self.counts.answer(size.or(size_of_line), "segmentation.size", strings)
    }
}

impl Segmentation<'_> {
    pub fn answer(
        self,
        size_of_line: Option<Size>,
        strings: &mut Vec<u8>,
    ) -> Result<Answer, Fault> {
        match self {
            Self::Rle(rle) => rle.answer(size_of_line, strings),
            Self::Rles(rles) => {
                let answers = rles.into_iter().map(|rle| rle.answer(size_of_line, strings));
                answers.collect::<Result<_, _>>().map(Answer::Union)
            }
            Self::Polygons(polygons) if polygons.is_empty() => {
                Ok(Answer::Geometry(Geometry::Coco(Vec::new())))
            }
            Self::Polygons(polygons) => {
                let parts = vec![CocoSegmentation::Polygons(polygons)];
                Ok(Answer::Geometry(Geometry::Coco(parts)))
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Segmentation<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SegmentationVisitor;
        impl<'de> Visitor<'de> for SegmentationVisitor {
            type Value = Segmentation<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an RLE object or a list of polygons as `segmentation`")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Rle::deserialize(value::MapAccessDeserializer::new(map)).map(Segmentation::Rle)
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
                    (_, true) => Ok(Segmentation::Polygons(polygons)),
                    (true, false) => Ok(Segmentation::Rles(rles)),
                    (false, false) => Err(A::Error::custom("polygons and run lengths in one list")),
                }
            }
        }
        deserializer.deserialize_any(SegmentationVisitor)
    }
}

/// One element of a list of polygons or of run lengths.
enum Part<'a> {
    Polygon(Vec<f64>),
    Rle(Rle<'a>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartVisitor;
        impl<'de> Visitor<'de> for PartVisitor {
            type Value = Part<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a polygon `[x0, y0, ...]` or an RLE object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Rle::deserialize(value::MapAccessDeserializer::new(map)).map(Part::Rle)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(value::SeqAccessDeserializer::new(seq)).map(Part::Polygon)
            }
        }
        deserializer.deserialize_any(PartVisitor)
    }
}
