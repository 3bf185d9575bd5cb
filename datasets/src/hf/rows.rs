//! Rows of a record batch, each made a [`Sample`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
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
    Ok(Sample {
        dataset: shared.dataset.clone(),
        split: shared.split.clone(),
        ann_ids: ann_id.parse().ok().into_iter().collect(),
        image: row.image(image_id, size, &shared.folder)?,
        queries: vec![Query { id: None, raw: text.clone(), text }],
        key,
        ref_id: None,
        categories: Vec::new(),
        category_ids: Vec::new(),
        is_crowd: false,
        distractors: None,
        is_sentence: None,
        geometry,
    })
}

/// One row of a batch whose columns have the kinds that [`super::schema::check`] checked.
struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl Row<'_> {
    /// A column that is there by the check of the schema; a null in it is a missing value.
    fn column(&self, name: &'static str) -> Result<&ArrayRef, Fault> {
        let missing = |what: &str| (name, ErrorKind::Missing { what: what.to_owned() });
        let column = self.batch.column_by_name(name).ok_or_else(|| missing("the column"))?;
        if column.is_null(self.row) { Err(missing("the value (null)")) } else { Ok(column) }
    }

    fn text(&self, name: &'static str) -> Result<String, Fault> {
        let column = self.column(name)?;
        let text = column.as_string_opt::<i32>().map(|texts| texts.value(self.row).to_owned());
        text.ok_or_else(|| mistyped(name, column))
    }

    fn id(&self, name: &'static str) -> Result<String, Fault> {
        match self.column(name)?.data_type() {
            DataType::Utf8 => self.text(name),
            _ => self.integer(name).map(|id| id.to_string()),
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

    fn size(&self) -> Result<Size, Fault> {
        let side = |name| {
            let value = self.integer(name)?;
            u32::try_from(value)
                .ok()
                .filter(|&side| side > 0)
                .ok_or_else(|| unexpected(name, "a number of pixels", value.to_string()))
        };
        Ok(Size::new(side("img_width")?, side("img_height")?))
    }

    /// The image of a row. `size` is the stated one: in the training schema that of the original,
    /// of which the embedded image is a resized copy.
    fn image(&self, id: String, size: Size, folder: &Path) -> Result<ImageRef, Fault> {
        let part = |name| {
            let image = self.batch.column_by_name("image")?.as_struct_opt()?;
            image.column_by_name(name).filter(|part| part.is_valid(self.row))
        };
        let bytes = part("bytes").and_then(|part| part.as_binary_opt::<i32>());
        let path = part("path").and_then(|part| part.as_string_opt::<i32>());
        let path = path.map(|paths| Path::new(paths.value(self.row)));
        let name = path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let source = match (bytes, path) {
            (Some(bytes), _) => ImageSource::Bytes(Bytes::copy_from_slice(bytes.value(self.row))),
            (None, Some(path)) if !self.skips_images() => ImageSource::File(folder.join(path)),
            _ => ImageSource::Absent,
        };
        Ok(ImageRef { file_name: name.unwrap_or_else(|| id.clone()), id, source, size: Some(size) })
    }

    /// Whether image bytes were left unread.
    fn skips_images(&self) -> bool {
        let image = self.batch.column_by_name("image").and_then(|image| image.as_struct_opt());
        image.is_none_or(|image| image.column_by_name("bytes").is_none())
    }
}

fn unexpected(name: &'static str, expected: &str, found: String) -> Fault {
    (name, ErrorKind::Unexpected { expected: expected.to_owned(), found })
}

fn mistyped(name: &'static str, column: &ArrayRef) -> Fault {
    unexpected(name, "a column as the schema says", column.data_type().to_string())
}
