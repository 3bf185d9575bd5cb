//! [`batch_samples`]: rows of an Arrow batch in memory, as the engines hand them over, and
//! [`MaskColumn`], masks in whatever form such a batch has them.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

use super::masks::mask_from_bits;
use super::rows::{Fault, Row, bytes_at, text_at};
use crate::{Error, ErrorKind, Geometry, Mask, Sample, Size};

/// Columns that may hold an object's key, the first that is there.
const KEYS: [&str; 3] = ["ann_id", "key", "id"];

/// The rows of a batch of the evaluation schema as samples of a data set, in their order. `mask` may
/// be of any form that [`MaskColumn`] reads; `image` a struct of `bytes` and `path`, or the encoded
/// bytes alone, or a path. Instead of `ann_id` there may be `key` or `id`; `image_id`, `img_height`
/// and `img_width` may be left out, and follow from the image's name and the mask.
///
/// # Errors
/// When `image`, `text`, `mask` or the key is not there. A row that cannot be read is an `Err` that
/// names it.
pub fn batch_samples<'a>(
    batch: &'a RecordBatch,
    dataset: &str,
    split: &str,
) -> Result<impl Iterator<Item = Result<Sample, Error>> + use<'a>, Error> {
    for name in ["image", "text"] {
        column(batch, name)?;
    }
    let masks = MaskColumn::new(batch, "mask")?;
    let key = KEYS.into_iter().find(|name| batch.column_by_name(name).is_some());
    let key = key.ok_or_else(|| missing(batch, KEYS[0]))?;
    let (dataset, split): (Arc<str>, Arc<str>) = (dataset.into(), split.into());
    Ok((0..batch.num_rows()).map(move |row| {
        let row = Row { batch, row };
        let sample = sample(&row, key, &masks, &dataset, &split);
        sample.map_err(|(field, kind)| row_error(row.row, field, kind))
    }))
}

fn sample(
    row: &Row<'_>,
    key: &'static str,
    masks: &MaskColumn<'_>,
    dataset: &Arc<str>,
    split: &Arc<str>,
) -> Result<Sample, Fault> {
    let (key, text) = (row.id(key)?, row.text("text")?);
    let size = stated_size(row)?;
    let mask = masks.get(row.row, size).and_then(|mask| {
        mask.ok_or_else(|| ErrorKind::Missing { what: "the value (null)".to_owned() })
    });
    let mask = mask.map_err(|kind| ("mask", kind))?;
    let size = size.unwrap_or(mask.size());
    let image_id = row.has("image_id").then(|| row.id("image_id")).transpose()?;
    let name = || row.image_name().unwrap_or_else(|| key.clone());
    let image = row.image(image_id.unwrap_or_else(name), size, Path::new(""), row.image_bytes());
    let ann_id = key.parse().ok();
    Ok(super::rows::assemble([dataset, split], (key, ann_id), text, image, Geometry::Mask(mask)))
}

fn stated_size(row: &Row<'_>) -> Result<Option<Size>, Fault> {
    (row.has("img_height") || row.has("img_width")).then(|| row.size()).transpose()
}

/// The size that a row of a batch states by `img_height` and `img_width`, where those are there.
///
/// # Errors
/// When one of the two is missing, or no number of pixels.
pub fn batch_size(batch: &RecordBatch, row: usize) -> Result<Option<Size>, Error> {
    stated_size(&Row { batch, row }).map_err(|(field, kind)| row_error(row, field, kind))
}

/// The value of a column of strings or integers, as text; `None` for null, and where there is no
/// such column.
pub fn batch_id(batch: &RecordBatch, name: &'static str, row: usize) -> Option<String> {
    Row { batch, row }.id(name).ok()
}

/// An error about a row of a batch.
pub fn row_error(row: usize, field: &str, kind: ErrorKind) -> Error {
    Error::new("batch", kind).record(format_args!("row {row}")).field(field)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, Error> {
    batch.column_by_name(name).ok_or_else(|| missing(batch, name))
}

fn missing(batch: &RecordBatch, name: &str) -> Error {
    let schema = batch.schema();
    let there: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let what = format!("the column (there are: {})", there.join(", "));
    Error::new("batch", ErrorKind::Missing { what }).field(name)
}

/// A column of masks: COCO's run lengths, as a struct of `size` (height, width) and `counts` or as the
/// string alone; lists of rows of booleans; or the bytes of a PNG or `.npy` file.
#[derive(Clone, Copy, Debug)]
pub struct MaskColumn<'a> {
    column: &'a ArrayRef,
}

impl<'a> MaskColumn<'a> {
    /// The column of this name.
    ///
    /// # Errors
    /// When it is not there, or of a type that holds no masks.
    pub fn new(batch: &'a RecordBatch, name: &str) -> Result<Self, Error> {
        let column = column(batch, name)?;
        let holds_masks = match column.data_type() {
            DataType::Struct(fields) => ["size", "counts"].iter().all(|f| fields.find(f).is_some()),
            // A column of nulls has no type of its own.
            DataType::List(_) | DataType::LargeList(_) | DataType::Null => true,
            other => is_text(other) || is_bytes(other),
        };
        if holds_masks {
            return Ok(Self { column });
        }
        let expected = "a struct of `size` and `counts`, a COCO string, lists of booleans, or the \
                        bytes of an image"
            .to_owned();
        let found = column.data_type().to_string();
        Err(Error::new("batch", ErrorKind::Unexpected { expected, found }).field(name))
    }

    /// The mask of a row, `None` for null. `size` is the stated one, which the mask must have; a
    /// string alone cannot do without.
    ///
    /// # Errors
    /// When there is no mask in the row, or one of another size.
    pub fn get(&self, row: usize, size: Option<Size>) -> Result<Option<Mask>, ErrorKind> {
        let column = self.column;
        if column.data_type() == &DataType::Null || column.is_null(row) {
            return Ok(None);
        }
        let mask = match column.data_type() {
            DataType::Struct(_) => coco(column, row)?,
            DataType::List(_) | DataType::LargeList(_) => nested(column, row)?,
            _ => match (text_at(column, row), bytes_at(column, row)) {
                (None, Some(bytes)) if is_file(&bytes) => Mask::read_file(&bytes)?,
                (Some(text), _) => Mask::from_coco_string(needed(size)?, text.as_bytes())?,
                (_, Some(bytes)) => Mask::from_coco_string(needed(size)?, &bytes)?,
                _ => return Err(unexpected("a mask", column.data_type())),
            },
        };
        Ok(Some(mask))
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_bytes(kind: &DataType) -> bool {
    matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// Whether bytes are of an image file; COCO's strings are of printable characters.
fn is_file(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|&first| first >= 0x80)
}

fn needed(size: Option<Size>) -> Result<Size, ErrorKind> {
    size.ok_or_else(|| ErrorKind::Missing { what: "the size (`img_height`, `img_width`)".into() })
}

fn unexpected(expected: &str, found: impl std::fmt::Display) -> ErrorKind {
    ErrorKind::Unexpected { expected: expected.to_owned(), found: found.to_string() }
}

/// A struct of `size` and `counts`.
fn coco(column: &ArrayRef, row: usize) -> Result<Mask, ErrorKind> {
    let part = |name: &str| {
        let part = column.as_struct_opt().and_then(|fields| fields.column_by_name(name));
        let missing = || ErrorKind::Missing { what: format!("`{name}`") };
        part.filter(|part| part.is_valid(row)).ok_or_else(missing)
    };
    let (sides, counts) = (integers(part("size")?, row)?, part("counts")?);
    let [height, width] = sides[..] else {
        return Err(unexpected("a `size` of height and width", format_args!("{sides:?}")));
    };
    let size = Size::new(width, height);
    let mask = match (text_at(counts, row), bytes_at(counts, row)) {
        (Some(text), _) => Mask::from_coco_string(size, text.as_bytes()),
        (_, Some(bytes)) => Mask::from_coco_string(size, &bytes),
        _ => Mask::from_runs(size, &integers(counts, row)?),
    };
    Ok(mask?)
}

/// Where the elements of a row of lists lie, and in what.
fn elements(column: &ArrayRef, row: usize) -> Option<(std::ops::Range<usize>, &ArrayRef)> {
    match column.data_type() {
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let offsets = lists.value_offsets();
            Some((offsets[row] as usize..offsets[row + 1] as usize, lists.values()))
        }
        DataType::LargeList(_) => {
            let lists = column.as_list::<i64>();
            let offsets = lists.value_offsets();
            Some((offsets[row] as usize..offsets[row + 1] as usize, lists.values()))
        }
        _ => None,
    }
}

/// A list of small numbers.
fn integers(column: &ArrayRef, row: usize) -> Result<Vec<u32>, ErrorKind> {
    let expected = "a list of whole numbers";
    let (range, values) =
        elements(column, row).ok_or_else(|| unexpected(expected, column.data_type()))?;
    macro_rules! all {
        ($kind:ty) => {
            values.as_primitive::<$kind>().values()[range]
                .iter()
                .map(|&n| u32::try_from(n).map_err(|_| unexpected("a number below 2^32", n)))
                .collect()
        };
    }
    match values.data_type() {
        DataType::Int32 => all!(Int32Type),
        DataType::Int64 => all!(Int64Type),
        DataType::UInt32 => all!(UInt32Type),
        DataType::UInt64 => all!(UInt64Type),
        other => Err(unexpected(expected, other)),
    }
}

/// A list of equally long lists of booleans, whose bits lie one row after the other.
fn nested(column: &ArrayRef, row: usize) -> Result<Mask, ErrorKind> {
    let shape = |found: &str| unexpected("a list of equally long lists of booleans", found);
    let (lines, rows) = elements(column, row).ok_or_else(|| shape("another type"))?;
    let size = |width: usize, height: usize| {
        let side = |n: usize| u32::try_from(n).map_err(|_| shape("too many"));
        Ok::<_, ErrorKind>(Size::new(side(width)?, side(height)?))
    };
    if lines.is_empty() {
        return Ok(Mask::empty(size(0, 0)?));
    }
    let line = |at: usize| elements(rows, at).ok_or_else(|| shape("a list of something else"));
    let (first, values) = line(lines.start)?;
    let pixels = values.as_boolean_opt().ok_or_else(|| shape("lists of something else"))?;
    for at in lines.clone() {
        let inside = line(at)?.0;
        let has_null = rows.is_null(at)
            || pixels.nulls().is_some_and(|nulls| inside.clone().any(|i| nulls.is_null(i)));
        if has_null || inside.len() != first.len() {
            return Err(shape("nulls or lists of several lengths"));
        }
    }
    let bits = pixels.values();
    let size = size(first.len(), lines.len())?;
    Ok(mask_from_bits(bits.values(), bits.offset() + first.start, size)?)
}
