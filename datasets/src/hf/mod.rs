//! Hugging Face Parquet, evaluation and training schema (`protocols.md` §3, `seg-zero.md` §1.6).
//!
//! Streamed: one file is open at a time, and of it a handful of rows are decoded at a time, however
//! large its row groups are. Masks are read by [`pages`], the other columns by Arrow's reader.

mod batch;
mod find;
mod levels;
mod mask_rows;
mod masks;
mod pages;
mod rows;
mod schema;

pub use batch::{MaskColumn, batch_id, batch_samples, batch_size, row_error};
pub(crate) use find::find;
pub use mask_rows::{KEY_COLUMNS, MaskRow, mask_rows};

use std::collections::HashMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::{Error, ErrorKind, Format, ReadOptions, Sample, SampleIter, Size, Source};
use find::Shard;
use pages::MaskReader;
use rows::Shared;
use schema::Kind;

/// Rows in a batch; images are a few hundred kB each.
const BATCH_ROWS: usize = 16;

/// Reads one. Shards in name order, rows in file order. A row that cannot be read is an error that
/// names it (counted from 0 in its file), and the next one follows; a file that cannot be read
/// further is an error, and the next file follows.
///
/// The key of an evaluation row is its `ann_id`, of a training row its `id`; where one repeats in a
/// split, `#2`, `#3`, ... are appended.
pub(crate) fn samples(source: &Source, options: &ReadOptions) -> Result<SampleIter, Error> {
    let mut shards = find::shards(source)?;
    shards.retain(|shard| options.split.as_ref().is_none_or(|wanted| *wanted == shard.split));
    let dataset: Arc<str> = source.name.as_str().into();
    let (format, options) = (source.format, options.clone());
    let mut seen: HashMap<(Arc<str>, String), u32> = HashMap::new();
    let read = move |shard: Shard| Rows::open(&shard, &dataset, format, &options);
    let rows = shards.into_iter().flat_map(move |shard| match read(shard) {
        Ok(rows) => Box::new(rows) as SampleIter,
        Err(error) => Box::new(std::iter::once(Err(error))),
    });
    Ok(Box::new(rows.map(move |sample| {
        let mut sample = sample?;
        let count = seen.entry((sample.split.clone(), sample.key.clone())).or_default();
        *count += 1;
        if *count > 1 {
            sample.key = format!("{}#{count}", sample.key);
        }
        Ok(sample)
    })))
}

/// Opens a Parquet file. Types are taken from Parquet's own schema: what Arrow types the writer had
/// in memory (large lists, views, dictionaries) does not matter then.
fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, Error> {
    let file = File::open(path).map_err(|e| Error::new(path, e))?;
    let length = file.metadata().map_err(|e| Error::new(path, e))?.len();
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|e| Error::new(path, e))?;
    check_extents(builder.metadata(), length).map_err(|kind| Error::new(path, kind))?;
    Ok(builder)
}

/// Checks that every column chunk lies inside the file: the crate takes the footer's word for it,
/// and panics on a negative extent.
fn check_extents(metadata: &ParquetMetaData, length: u64) -> Result<(), ErrorKind> {
    let groups = metadata.row_groups().iter().enumerate();
    for (i, column) in groups.flat_map(|(i, g)| g.columns().iter().map(move |c| (i, c))) {
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
        let parts = [start, column.data_page_offset(), column.compressed_size()];
        let inside = |[start, page, size]: [u64; 3]| {
            page <= length && start.checked_add(size).is_some_and(|end| end <= length)
        };
        let unsigned =
            || parts.iter().map(|&part| u64::try_from(part).ok()).collect::<Option<Vec<_>>>();
        if !unsigned().is_some_and(|parts| inside([parts[0], parts[1], parts[2]])) {
            return Err(ErrorKind::Unexpected {
                expected: format!("column chunks inside the file's {length} bytes"),
                found: format!("`{}` of row group {i} outside", column.column_path()),
            });
        }
    }
    Ok(())
}

/// The rows of one file.
struct Rows {
    path: PathBuf,
    shared: Shared,
    batches: Option<ParquetRecordBatchReader>,
    /// The mask column, which goes along with the batches.
    masks: Option<MaskReader>,
    batch: Option<RecordBatch>,
    /// Next row in the batch.
    next: usize,
    /// Next row in the file.
    row: usize,
}

impl Rows {
    fn open(
        shard: &Shard,
        dataset: &Arc<str>,
        format: Format,
        options: &ReadOptions,
    ) -> Result<Self, Error> {
        let path = shard.path.clone();
        let builder = open(&path)?;
        schema::check(builder.schema(), format)
            .map_err(|(column, kind)| Error::new(&path, kind).field(column))?;
        let (projection, mask) = projection(&builder, format, options);
        let metadata = builder.metadata().clone();
        let masks = mask.map(|leaf| MaskReader::open(&path, metadata, leaf)).transpose();
        let masks = masks.map_err(|e| Error::new(&path, e).field("mask"))?;
        let batches = builder.with_projection(projection).with_batch_size(BATCH_ROWS).build();
        let shared = Shared {
            dataset: dataset.clone(),
            split: shard.split.as_str().into(),
            format,
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        };
        let batches = Some(batches.map_err(|e| Error::new(&path, e))?);
        Ok(Self { path, shared, batches, masks, batch: None, next: 0, row: 0 })
    }
}

impl Iterator for Rows {
    type Item = Result<Sample, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        // Damaged pages make the crate `parquet` (60.1) panic in some seven places, among them a
        // dictionary page that is not there, a page of no values, and levels that end early. One
        // damaged shard must not end a run over many, so a panic becomes the error it should have
        // been. The readers are dropped after any error: nobody sees their broken state.
        let next = catch_unwind(AssertUnwindSafe(|| self.read_next()))
            .unwrap_or_else(|_| Err(ParquetError::General("a page is damaged".into())));
        next.unwrap_or_else(|error| {
            (self.batches, self.batch) = (None, None);
            let error = Error::new(&self.path, error);
            Some(Err(error.record(format_args!("row {} and later", self.row))))
        })
    }
}

impl Rows {
    /// The next row; the outer error ends the file.
    fn read_next(&mut self) -> Result<Option<Result<Sample, Error>>, ParquetError> {
        while self.batch.as_ref().is_none_or(|batch| self.next == batch.num_rows()) {
            let Some(batch) = self.batches.as_mut().and_then(Iterator::next) else {
                return Ok(None);
            };
            (self.batch, self.next) = (Some(batch?), 0);
        }
        let Some(batch) = self.batch.as_ref() else { return Ok(None) };
        let (row, number) = (self.next, self.row);
        let size = rows::size(batch, row);
        // A mask is passed over even where its size is unknown.
        let any = size.as_ref().map_or(Size::new(0, 0), |size| *size);
        let mask = self.masks.as_mut().map(|masks| masks.next(any)).transpose()?;
        (self.next, self.row) = (row + 1, number + 1);
        let sample = size
            .and_then(|_| mask.transpose().map_err(|kind| ("mask", kind)))
            .and_then(|mask| rows::sample(&self.shared, batch, row, mask));
        Ok(Some(sample.map_err(|(column, kind)| {
            Error::new(&self.path, kind).record(format_args!("row {number}")).field(column)
        })))
    }
}

/// The columns for the general reader: those of the format, image bytes only if wanted; and the
/// mask's, which is read on its own.
fn projection(
    builder: &ParquetRecordBatchReaderBuilder<File>,
    format: Format,
    options: &ReadOptions,
) -> (ProjectionMask, Option<usize>) {
    let schema = builder.parquet_schema();
    let mut leaves = Vec::new();
    let mut mask = None;
    for leaf in 0..schema.num_columns() {
        let column = schema.column(leaf);
        let parts = column.path().parts();
        let kind = schema::columns(format).iter().find(|(name, _)| *name == parts[0]);
        let is_bytes = parts.get(1).is_some_and(|part| part == "bytes");
        match kind.map(|(_, kind)| kind) {
            None => {}
            Some(Kind::Image) if is_bytes && options.skip_images => {}
            Some(Kind::Mask) => mask = Some(leaf),
            Some(_) => leaves.push(leaf),
        }
    }
    (ProjectionMask::leaves(schema, leaves), mask)
}
