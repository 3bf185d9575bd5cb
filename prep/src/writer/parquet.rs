//! Parquet as the Hugging Face hub keeps data sets: the columns of Seg-Zero's published sets, with
//! the features in the file's metadata so that `datasets` decodes the image column.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::Extended;
use crate::options::Columns;
use crate::{Example, PrepError};

/// Rows of a row group; the `datasets` library's choice for images.
const ROW_GROUP_ROWS: usize = 100;
/// A row group ends sooner when it has grown to this many bytes.
const ROW_GROUP_BYTES: usize = 128 << 20;
/// Rows converted at once, which bounds the copy of their images.
const BATCH_ROWS: usize = 16;

fn image_fields() -> Fields {
    Fields::from(vec![
        Field::new("bytes", DataType::Binary, true),
        Field::new("path", DataType::Utf8, true),
    ])
}

/// The Arrow schema of a set.
pub fn schema(columns: Columns) -> Schema {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let mut fields = vec![
        text("id"),
        text("problem"),
        text("solution"),
        Field::new("image", DataType::Struct(image_fields()), true),
        Field::new("img_height", DataType::Int64, true),
        Field::new("img_width", DataType::Int64, true),
    ];
    if columns == Columns::Extended {
        fields.extend(Extended::NAMES.map(text));
    }
    Schema::new(fields)
}

/// The value of the metadata key `huggingface`, from which `datasets` takes the features.
pub fn features_json(columns: Columns) -> String {
    // Put together by hand: the order of the features is that of the columns.
    let feature = |field: &Arc<Field>| {
        let kind = match field.data_type() {
            DataType::Struct(_) => r#"{"_type": "Image"}"#,
            DataType::Int64 => r#"{"dtype": "int64", "_type": "Value"}"#,
            _ => r#"{"dtype": "string", "_type": "Value"}"#,
        };
        format!("\"{}\": {kind}", field.name())
    };
    let features: Vec<String> = schema(columns).fields().iter().map(feature).collect();
    format!("{{\"info\": {{\"features\": {{{}}}}}}}", features.join(", "))
}

/// Writes rows into one Parquet file.
pub(crate) struct ParquetRows<W: Write + Send> {
    writer: ArrowWriter<Sink<W>>,
    schema: SchemaRef,
    columns: Columns,
    /// Named in errors.
    path: PathBuf,
}

impl<W: Write + Send> ParquetRows<W> {
    pub fn new(inner: W, path: PathBuf, columns: Columns) -> Result<Self, PrepError> {
        let schema = Arc::new(schema(columns));
        // Images are compressed already, and no two rows of a group need share one.
        let bytes = ColumnPath::new(vec!["image".to_owned(), "bytes".to_owned()]);
        let features = KeyValue::new("huggingface".to_owned(), features_json(columns));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_column_compression(bytes.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(bytes.clone(), false)
            .set_column_statistics_enabled(bytes, EnabledStatistics::None)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_key_value_metadata(Some(vec![features]))
            .build();
        let options =
            ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Sink(Some(inner)), schema.clone(), options)
            .map_err(|e| PrepError::write(&path, io_error(e)))?;
        Ok(Self { writer, schema, columns, path })
    }

    pub fn write(&mut self, examples: &[Example]) -> Result<(), PrepError> {
        for rows in examples.chunks(BATCH_ROWS) {
            let batch = self.batch(rows).map_err(|e| PrepError::write(&self.path, e))?;
            self.writer.write(&batch).map_err(|e| PrepError::write(&self.path, io_error(e)))?;
        }
        Ok(())
    }

    /// Writes the footer and gives the writer underneath back.
    pub fn finish(mut self) -> Result<W, PrepError> {
        // `ArrowWriter::into_inner` would turn a full disk into a text, `finish` keeps it.
        self.writer.finish().map_err(|e| PrepError::write(&self.path, io_error(e)))?;
        self.writer.inner_mut().0.take().ok_or_else(|| PrepError::write(&self.path, taken()))
    }

    fn batch(&self, rows: &[Example]) -> io::Result<RecordBatch> {
        let rows: Vec<Option<&Example>> = rows.iter().map(Some).collect();
        let columns = arrays(&rows, self.columns)?;
        RecordBatch::try_new(self.schema.clone(), columns).map_err(io::Error::other)
    }
}

/// The columns of [`schema`] for these rows; all null where there is no example.
pub(crate) fn arrays(rows: &[Option<&Example>], columns: Columns) -> io::Result<Vec<ArrayRef>> {
    fn text<'a>(rows: &[Option<&'a Example>], value: fn(&'a Example) -> &'a str) -> ArrayRef {
        Arc::new(rows.iter().map(|row| row.map(value)).collect::<StringArray>())
    }
    fn side(rows: &[Option<&Example>], value: fn(&Example) -> u32) -> ArrayRef {
        let sides = rows.iter().map(|row| row.map(|row| i64::from(value(row))));
        Arc::new(sides.collect::<Int64Array>())
    }
    let bytes = rows.iter().map(|row| row.map(|row| &row.image.bytes));
    let image: Vec<ArrayRef> =
        vec![Arc::new(bytes.collect::<BinaryArray>()), text(rows, |row| &row.image.name)];
    let image = StructArray::try_new(image_fields(), image, None).map_err(io::Error::other)?;
    let mut arrays = vec![
        text(rows, |row| &row.id),
        text(rows, |row| &row.problem),
        text(rows, |row| &row.solution),
        Arc::new(image),
        side(rows, |row| row.original.height),
        side(rows, |row| row.original.width),
    ];
    if columns == Columns::Extended {
        let extended = rows.iter().map(|row| row.map(Extended::of).transpose());
        let extended: Vec<Option<Extended>> = extended.collect::<Result<_, _>>()?;
        for column in 0..Extended::NAMES.len() {
            let cells = extended.iter().map(|row| row.as_ref().map(|row| row.values()[column]));
            arrays.push(Arc::new(cells.collect::<StringArray>()));
        }
    }
    Ok(arrays)
}

/// A writer that can be taken back from the [`ArrowWriter`] that owns it.
struct Sink<W>(Option<W>);

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.as_mut().ok_or_else(taken)?.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().ok_or_else(taken)?.flush()
    }
}

fn taken() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the file was finished already")
}

/// The operating system's error inside a Parquet error, so that a full disk is known as one.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(inner) => *inner,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for `left` bytes.
    struct FullDisk {
        left: usize,
    }

    impl Write for FullDisk {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            if buffer.len() > self.left {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.left -= buffer.len();
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn full_disk_is_named_with_a_hint() {
        let path = PathBuf::from("out/data/train-00000-of-00001.parquet");
        let rows = ParquetRows::new(FullDisk { left: 10 }, path, Columns::Exact).unwrap();
        let Err(error) = rows.finish() else { panic!("the footer does not fit 10 bytes") };
        assert!(error.to_string().contains("train-00000-of-00001.parquet"), "{error}");
        assert!(error.hint().unwrap().contains("free some space"), "{error}");
    }
}
