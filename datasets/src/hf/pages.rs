//! The mask column, read page by page straight into runs.
//!
//! The general reader of nested lists keeps two 16-bit levels and several offsets for each of the
//! 300,000 pixels of a mask. Here a mask is the bits of its pages, laid end to end; the levels are
//! looked at as runs, to find where rows and masks begin.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_buffer::BooleanBufferBuilder;
use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::levels::Runs;
use super::masks::mask_from_bits;
use crate::{ErrorKind, Mask, Size};

/// Repetition levels of a list of lists: 0 begins a mask, 1 a row, 2 goes on in a row.
const WIDTH_OF_REPETITION: u8 = 2;

/// The masks of a file in order.
pub(super) struct MaskReader {
    file: Arc<File>,
    metadata: Arc<ParquetMetaData>,
    /// The column's position among the leaves.
    leaf: usize,
    /// Definition level of a pixel that is neither null nor missing.
    present: u8,
    next_group: usize,
    pages: Option<SerializedPageReader<File>>,
    page: DataPage,
}

/// What is left of a page.
#[derive(Default)]
struct DataPage {
    repetition: Runs,
    definition: Runs,
    pixels: Pixels,
}

/// Booleans as they are encoded.
enum Pixels {
    /// Bits, and the position of the next.
    Plain(Bytes, usize),
    Runs(Runs),
}

impl Default for Pixels {
    fn default() -> Self {
        Self::Plain(Bytes::new(), 0)
    }
}

impl MaskReader {
    /// A reader of the column `leaf`, which the schema says is a list of lists of booleans.
    pub(super) fn open(
        path: &Path,
        metadata: Arc<ParquetMetaData>,
        leaf: usize,
    ) -> Result<Self, ParquetError> {
        let column = metadata.file_metadata().schema_descr().column(leaf);
        let present =
            u8::try_from(column.max_def_level()).map_err(|_| broken("levels too deep"))?;
        if column.max_rep_level() != 2 {
            return Err(broken("a mask that is not a list of lists"));
        }
        let file = Arc::new(File::open(path)?);
        let page = DataPage::default();
        Ok(Self { file, metadata, leaf, present, next_group: 0, pages: None, page })
    }

    /// The next mask, of which `size` is stated; the inner error is this mask's alone.
    pub(super) fn next(&mut self, size: Size) -> Result<Result<Mask, ErrorKind>, ParquetError> {
        let mut mask = Collected::new(size);
        loop {
            if self.page.repetition.is_done() && !self.load_page(mask.lengths.is_empty())? {
                break;
            }
            let (level, run) = self.page.repetition.peek().ok_or_else(ended)?;
            let count = match level {
                0 if mask.lengths.is_empty() => 1,
                0 => break,
                _ if mask.lengths.is_empty() => return Err(broken("a page begins within a mask")),
                _ => run,
            };
            self.page.repetition.consume(count);
            mask.rows(level, count)?;
            self.page.take(count, self.present, &mut mask)?;
        }
        Ok(mask.finish())
    }

    /// Goes on to the next page that has data; past the end of a row group only if a mask may begin
    /// there. False where the mask being read has ended.
    fn load_page(&mut self, may_begin: bool) -> Result<bool, ParquetError> {
        loop {
            if let Some(pages) = self.pages.as_mut() {
                match pages.get_next_page()? {
                    Some(Page::DictionaryPage { .. }) => continue,
                    Some(page) => {
                        self.page = DataPage::new(page, self.present)?;
                        if !self.page.repetition.is_done() {
                            return Ok(true);
                        }
                        continue;
                    }
                    None => self.pages = None,
                }
            }
            if !may_begin {
                return Ok(false);
            }
            if self.next_group == self.metadata.num_row_groups() {
                return Err(broken("fewer masks than rows"));
            }
            let group = self.metadata.row_group(self.next_group);
            let rows = usize::try_from(group.num_rows()).unwrap_or(0);
            let column = group.column(self.leaf);
            self.pages = Some(SerializedPageReader::new(self.file.clone(), column, rows, None)?);
            self.next_group += 1;
        }
    }
}

impl DataPage {
    fn new(page: Page, present: u8) -> Result<Self, ParquetError> {
        let width = (u8::BITS - present.leading_zeros()) as u8;
        let (repetition, definition, mut values, encoding, count) = match page {
            Page::DataPage {
                mut buf,
                num_values,
                encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                ..
            } => {
                let repetition = prefixed(&mut buf)?;
                (repetition, prefixed(&mut buf)?, buf, encoding, num_values)
            }
            Page::DataPageV2 {
                mut buf,
                num_values,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let repetition = split_to(&mut buf, rep_levels_byte_len)?;
                let definition = split_to(&mut buf, def_levels_byte_len)?;
                (repetition, definition, buf, encoding, num_values)
            }
            _ => return Err(broken("an encoding of levels that no writer uses any more")),
        };
        let count = count as usize;
        let pixels = match encoding {
            Encoding::PLAIN => Pixels::Plain(values, 0),
            Encoding::RLE => Pixels::Runs(Runs::new(prefixed(&mut values)?, 1, count)),
            other => return Err(broken(&format!("booleans encoded as {other}"))),
        };
        Ok(Self {
            repetition: Runs::new(repetition, WIDTH_OF_REPETITION, count),
            definition: Runs::new(definition, width, count),
            pixels,
        })
    }

    /// Moves `count` entries over; an entry that is not a pixel only leaves a mark.
    fn take(
        &mut self,
        mut count: usize,
        present: u8,
        mask: &mut Collected,
    ) -> Result<(), ParquetError> {
        while count > 0 {
            let (level, run) = self.definition.peek().ok_or_else(ended)?;
            let run = run.min(count);
            if run == 0 {
                return Err(ended());
            }
            self.definition.consume(run);
            if level == present {
                self.pixels.take(run, mask)?;
            } else {
                mask.has_null = true;
            }
            count -= run;
        }
        Ok(())
    }
}

impl Pixels {
    fn take(&mut self, mut count: usize, mask: &mut Collected) -> Result<(), ParquetError> {
        match self {
            Self::Plain(bytes, at) => {
                let end = at.checked_add(count).filter(|&end| end <= bytes.len() * 8);
                let range = *at..end.ok_or_else(ended)?;
                *at = range.end;
                mask.bits.append_packed_range(range.start..range.start + mask.room(count), bytes);
            }
            Self::Runs(runs) => {
                while count > 0 {
                    let (value, run) = runs.peek().ok_or_else(ended)?;
                    let run = run.min(count);
                    if run == 0 {
                        return Err(ended());
                    }
                    runs.consume(run);
                    mask.bits.append_n(mask.room(run), value != 0);
                    count -= run;
                }
            }
        }
        Ok(())
    }
}

/// A mask as it is put together.
struct Collected {
    size: Size,
    /// No more bits than `size` has pixels, whatever a file claims.
    bits: BooleanBufferBuilder,
    /// Length of each row so far, not more of them than the first that is too many.
    lengths: Vec<u64>,
    /// Number of rows.
    rows: u64,
    has_null: bool,
}

impl Collected {
    fn new(size: Size) -> Self {
        // Room grows with the data: the stated size may be a lie.
        let bits = BooleanBufferBuilder::new(size.pixels().min(1 << 20) as usize);
        Self { size, bits, lengths: Vec::new(), rows: 0, has_null: false }
    }

    /// How many of `count` pixels are still wanted.
    fn room(&self, count: usize) -> usize {
        let left = self.size.pixels().saturating_sub(self.bits.len() as u64);
        usize::try_from(left).map_or(count, |left| left.min(count))
    }

    /// Notes `count` entries of a repetition level: each begins a row, or all go on in one.
    fn rows(&mut self, level: u8, count: usize) -> Result<(), ParquetError> {
        match level {
            0 | 1 => {
                self.rows += count as u64;
                let wanted = u64::from(self.size.height) + 1;
                let room = wanted.saturating_sub(self.lengths.len() as u64).min(count as u64);
                self.lengths.extend((0..room).map(|_| 1));
            }
            2 => {
                if self.rows == self.lengths.len() as u64
                    && let Some(last) = self.lengths.last_mut()
                {
                    *last += count as u64;
                }
            }
            _ => return Err(broken("a repetition level of 3")),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Mask, ErrorKind> {
        let unexpected =
            |expected: String, found: String| Err(ErrorKind::Unexpected { expected, found });
        if self.has_null {
            let found = "null or an empty list".to_owned();
            return unexpected("true or false in every pixel".into(), found);
        }
        let Size { width, height } = self.size;
        if self.rows != u64::from(height) {
            return unexpected(format!("img_height = {height} rows"), self.rows.to_string());
        }
        if let Some(y) = self.lengths.iter().position(|&length| length != u64::from(width)) {
            let found = format!("{} in row {y}", self.lengths[y]);
            return unexpected(format!("img_width = {width} pixels"), found);
        }
        Ok(mask_from_bits(self.bits.finish().values(), 0, self.size)?)
    }
}

/// The bytes after a 32-bit length.
fn prefixed(buffer: &mut Bytes) -> Result<Bytes, ParquetError> {
    let length = buffer.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(ended)?;
    split_to(buffer, 4)?;
    split_to(buffer, length)
}

fn split_to(buffer: &mut Bytes, length: u32) -> Result<Bytes, ParquetError> {
    let length = length as usize;
    if length <= buffer.len() { Ok(buffer.split_to(length)) } else { Err(ended()) }
}

fn ended() -> ParquetError {
    broken("a page that ends too early")
}

fn broken(what: &str) -> ParquetError {
    ParquetError::General(format!("mask column: {what}"))
}
