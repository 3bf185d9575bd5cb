//! Rows of a record batch, each made a [`Sample`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_schema::DataType;
use bytes::Bytes;

use crate::{ErrorKind, Format, Geometry, ImageRef, ImageSource, Mask, Query, Sample, Size};

/// A column and what is wrong in one row of it.
pub(super) type Fault = (&'static str, ErrorKind);

/// What all rows of a file share.
pub(super) struct Shared {
    pub dataset: Arc<str>,
    pub split: Arc<str>,
    pub format: Format,
    /// Folder that images stored as a path are relative to.
    pub folder: PathBuf,
}

/// The size that a row states.
pub(super) fn size(batch: &RecordBatch, row: usize) -> Result<Size, Fault> {
    Row { batch, row }.size()
}

/// One row as a sample; `mask` for the evaluation schema.
pub(super) fn sample(
    shared: &Shared,
    batch: &RecordBatch,
    row: usize,
    mask: Option<Mask>,
) -> Result<Sample, Fault> {
    let row = Row { batch, row };
    let size = row.size()?;
    let train = shared.format == Format::HfTrain;
    let (key, text, geometry) = match mask {
        None => (row.id("id")?, row.text("problem")?, Geometry::Solution(row.text("solution")?)),
        Some(mask) => (row.id("ann_id")?, row.text("text")?, Geometry::Mask(mask)),
    };
    let image_id = if train { key.clone() } else { row.id("image_id")? };
    // `refcocog_16521`: the number is the COCO annotation id (`seg-zero.md` §1.6).
    let ann_id = if train { key.rsplit_once('_').map_or("", |(_, id)| id) } else { &key };
    let ann_id = ann_id.parse().ok();
    // Copied: a sample that is kept must not keep the images of its neighbours.
    let bytes = row.image_bytes().map(|bytes| Bytes::copy_from_slice(&bytes));
    let image = row.image(image_id, size, &shared.folder, bytes);
    Ok(assemble([&shared.dataset, &shared.split], (key, ann_id), text, image, geometry))
}

/// A sample of one text, of data set and split, with its key and annotation.
pub(super) fn assemble(
    [dataset, split]: [&Arc<str>; 2],
    (key, ann_id): (String, Option<i64>),
    text: String,
    image: ImageRef,
    geometry: Geometry,
) -> Sample {
    Sample {
        dataset: dataset.clone(),
        split: split.clone(),
        ann_ids: ann_id.into_iter().collect(),
        image,
        queries: vec![Query { id: None, raw: text.clone(), text }],
        key,
        ref_id: None,
        categories: Vec::new(),
        category_ids: Vec::new(),
        is_crowd: false,
        distractors: None,
        is_sentence: None,
        geometry,
    }
}

/// One row of a batch whose columns have the kinds that [`super::schema::check`] checked.
pub(super) struct Row<'a> {
    pub batch: &'a RecordBatch,
    pub row: usize,
}

impl Row<'_> {
    /// A column that is there by the check of the schema; a null in it is a missing value.
    fn column(&self, name: &'static str) -> Result<&ArrayRef, Fault> {
        let missing = |what: &str| (name, ErrorKind::Missing { what: what.to_owned() });
        let column = self.batch.column_by_name(name).ok_or_else(|| missing("the column"))?;
        if column.is_null(self.row) { Err(missing("the value (null)")) } else { Ok(column) }
    }

    /// Whether there is such a column.
    pub(super) fn has(&self, name: &str) -> bool {
        self.batch.column_by_name(name).is_some()
    }

    pub(super) fn text(&self, name: &'static str) -> Result<String, Fault> {
        let column = self.column(name)?;
        let text = text_at(column, self.row).map(str::to_owned);
        text.ok_or_else(|| mistyped(name, column))
    }

    pub(super) fn id(&self, name: &'static str) -> Result<String, Fault> {
        match text_at(self.column(name)?, self.row) {
            Some(text) => Ok(text.to_owned()),
            None => self.integer(name).map(|id| id.to_string()),
        }
    }

    fn integer(&self, name: &'static str) -> Result<i64, Fault> {
        let column = self.column(name)?;
        macro_rules! value {
            ($kind:ty) => {
                column.as_primitive_opt::<$kind>().and_then(|c| c.value(self.row).try_into().ok())
            };
        }
        let value = match column.data_type() {
            DataType::Int8 => value!(Int8Type),
            DataType::Int16 => value!(Int16Type),
            DataType::Int32 => value!(Int32Type),
            DataType::Int64 => value!(Int64Type),
            DataType::UInt8 => value!(UInt8Type),
            DataType::UInt16 => value!(UInt16Type),
            DataType::UInt32 => value!(UInt32Type),
            DataType::UInt64 => value!(UInt64Type),
            _ => None,
        };
        value.ok_or_else(|| mistyped(name, column))
    }

    pub(super) fn size(&self) -> Result<Size, Fault> {
        let side = |name| {
            let value = self.integer(name)?;
            u32::try_from(value)
                .ok()
                .filter(|&side| side > 0)
                .ok_or_else(|| unexpected(name, "a number of pixels", value.to_string()))
        };
        Ok(Size::new(side("img_width")?, side("img_height")?))
    }

    /// A part of the image's struct, where it has that and it is not null.
    fn image_part(&self, name: &str) -> Option<&ArrayRef> {
        let image = self.batch.column_by_name("image")?;
        let part = match image.as_struct_opt() {
            Some(parts) => parts.column_by_name(name)?,
            // A batch in memory may hold the bytes, or the path, alone.
            None => image,
        };
        part.is_valid(self.row).then_some(part)
    }

    fn image_path(&self) -> Option<&Path> {
        text_at(self.image_part("path")?, self.row).map(Path::new)
    }

    /// The image's file name.
    pub(super) fn image_name(&self) -> Option<String> {
        let name = self.image_path()?.file_name()?;
        Some(name.to_string_lossy().into_owned())
    }

    /// The image of a row. `size` is the stated one: in the training schema that of the original,
    /// of which the embedded image is a resized copy.
    pub(super) fn image(
        &self,
        id: String,
        size: Size,
        folder: &Path,
        bytes: Option<Bytes>,
    ) -> ImageRef {
        let source = match (bytes, self.image_path()) {
            (Some(bytes), _) => ImageSource::Bytes(bytes),
            (None, Some(path)) if !self.skips_images() => ImageSource::File(folder.join(path)),
            _ => ImageSource::Absent,
        };
        let file_name = self.image_name().unwrap_or_else(|| id.clone());
        ImageRef { file_name, id, source, size: Some(size) }
    }

    /// The encoded image, which shares the batch's memory.
    pub(super) fn image_bytes(&self) -> Option<Bytes> {
        bytes_at(self.image_part("bytes")?, self.row)
    }

    /// Whether image bytes were left unread.
    fn skips_images(&self) -> bool {
        let image = self.batch.column_by_name("image");
        image.is_none_or(|image| {
            image.as_struct_opt().is_some_and(|parts| parts.column_by_name("bytes").is_none())
        })
    }
}

/// The string of a row, in any of Arrow's layouts of strings.
pub(super) fn text_at(column: &ArrayRef, row: usize) -> Option<&str> {
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        _ => None,
    }
}

/// The bytes of a row, in any of Arrow's layouts of bytes; where they lie, if that lets them be shared.
pub(super) fn bytes_at(column: &ArrayRef, row: usize) -> Option<Bytes> {
    let shared = |values: &Buffer, start: usize, length: i64| {
        Bytes::from_owner(values.slice_with_length(start, length as usize))
    };
    match column.data_type() {
        DataType::Binary => {
            let (values, offsets) =
                (column.as_binary::<i32>(), column.as_binary::<i32>().offsets());
            let length = offsets[row + 1] - offsets[row];
            Some(shared(values.values(), offsets[row] as usize, i64::from(length)))
        }
        DataType::LargeBinary => {
            let (values, offsets) =
                (column.as_binary::<i64>(), column.as_binary::<i64>().offsets());
            Some(shared(values.values(), offsets[row] as usize, offsets[row + 1] - offsets[row]))
        }
        DataType::BinaryView => Some(Bytes::copy_from_slice(column.as_binary_view().value(row))),
        _ => None,
    }
}

fn unexpected(name: &'static str, expected: &str, found: String) -> Fault {
    (name, ErrorKind::Unexpected { expected: expected.to_owned(), found })
}

fn mistyped(name: &'static str, column: &ArrayRef) -> Fault {
    unexpected(name, "a column as the schema says", column.data_type().to_string())
}
