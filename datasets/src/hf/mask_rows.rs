//! [`mask_rows`]: masks as nested booleans in any Parquet file, with what they are for.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ListArray, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;

use super::open;
use crate::{Error, ErrorKind, Mask, Size};

/// One row: the values of its key columns, as text, and its mask.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskRow {
    /// Name and value of every column of [`KEY_COLUMNS`] that is there.
    pub ids: Vec<(&'static str, String)>,
    /// The mask.
    pub mask: Mask,
}

/// Columns that may say what a mask is for.
pub const KEY_COLUMNS: [&str; 6] = ["key", "id", "ref_id", "sent_id", "ann_id", "image_id"];

/// Rows that are in memory at a time: a mask of nested booleans is a byte a pixel or more.
const BATCH: usize = 8;

/// The rows of a Parquet file with a column `mask`, a list of rows of booleans, in file order.
///
/// # Errors
/// A file that cannot be read, or without such a column. A row that cannot be read is an `Err` that
/// names it.
pub fn mask_rows(
    path: &Path,
) -> Result<impl Iterator<Item = Result<MaskRow, Error>> + use<>, Error> {
    let builder = open(path)?;
    let schema = builder.parquet_schema();
    let names: Vec<&str> = schema.root_schema().get_fields().iter().map(|f| f.name()).collect();
    if !names.contains(&"mask") {
        let what = format!("the column (there are: {})", names.join(", "));
        return Err(Error::new(path, ErrorKind::Missing { what }).field("mask"));
    }
    let wanted = names.iter().enumerate();
    let wanted = wanted.filter(|(_, name)| **name == "mask" || KEY_COLUMNS.contains(name));
    let wanted: Vec<usize> = wanted.map(|(position, _)| position).collect();
    let projection = ProjectionMask::roots(schema, wanted);
    let reader = builder
        .with_projection(projection)
        .with_batch_size(BATCH)
        .build()
        .map_err(|e| Error::new(path, e))?;
    let path = path.to_owned();
    let mut row = 0;
    Ok(reader.flat_map(move |batch| {
        let at = |kind: ErrorKind, row: usize| Error::new(&path, kind).record(format!("row {row}"));
        let batch = match batch {
            Ok(batch) => batch,
            Err(e) => {
                let found = e.to_string();
                let expected = "readable rows".to_owned();
                return vec![Err(at(ErrorKind::Unexpected { expected, found }, row))];
            }
        };
        let rows: Vec<Result<MaskRow, Error>> = (0..batch.num_rows())
            .map(|i| mask_row(&batch, i).map_err(|(field, kind)| at(kind, row + i).field(field)))
            .collect();
        row += batch.num_rows();
        rows
    }))
}

fn mask_row(batch: &RecordBatch, row: usize) -> Result<MaskRow, (&'static str, ErrorKind)> {
    let id = |name: &'static str| Some((name, text(batch.column_by_name(name)?, row)?));
    let ids = KEY_COLUMNS.into_iter().filter_map(id).collect();
    let mask = mask(batch, row).map_err(|kind| ("mask", kind))?;
    Ok(MaskRow { ids, mask })
}

/// A string or whole number as text; `None` for null and anything else.
fn text(column: &dyn Array, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row).to_owned()),
        DataType::Int32 => Some(column.as_primitive::<Int32Type>().value(row).to_string()),
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row).to_string()),
        _ => None,
    }
}

fn mask(batch: &RecordBatch, row: usize) -> Result<Mask, ErrorKind> {
    let shape = |found: &str| ErrorKind::Unexpected {
        expected: "a list of equally long lists of booleans".to_owned(),
        found: found.to_owned(),
    };
    let column = batch.column_by_name("mask").and_then(|column| column.as_list_opt::<i32>());
    let column: &ListArray = column.ok_or_else(|| shape("another type"))?;
    if column.is_null(row) {
        return Err(shape("null"));
    }
    let lines = column.value(row);
    let lines = lines.as_list_opt::<i32>().ok_or_else(|| shape("a list of something else"))?;
    let width = if lines.is_empty() { 0 } else { lines.value_length(0) as usize };
    let mut pixels = Vec::with_capacity(width * lines.len());
    for line in 0..lines.len() {
        let values = lines.value(line);
        let values = values.as_boolean_opt().ok_or_else(|| shape("lists of something else"))?;
        if lines.is_null(line) || values.null_count() > 0 || values.len() != width {
            return Err(shape("nulls or lists of several lengths"));
        }
        pixels.extend(values.values().iter().map(u8::from));
    }
    let side = |n: usize| u32::try_from(n).map_err(|_| shape("too many"));
    Ok(Mask::from_bitmap(Size::new(side(width)?, side(lines.len())?), &pixels)?)
}
