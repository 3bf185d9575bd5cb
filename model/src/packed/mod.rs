//! Weight matrices of a model on the CPU, kept in fewer than 32 bits and multiplied where they lie.
//!
//! A token of a language model costs one pass over all weights, so the memory's bandwidth bounds
//! its speed and bits are time. Published weights (f32, bf16, f16) stay in their memory map,
//! unaligned as they may be; [`Packed::quantize`] makes 8.5 or 4.5 bits of them. No Burn here:
//! plain slices.
//!
//! A few inputs (the tokens of a small batch) are multiplied in one pass over the weights, many (a
//! prompt) by widening tiles of the matrix to f32 for the `gemm` crate.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod few;
mod many;
mod portable;
mod quantize;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use half::bf16;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use quantize::GROUP;

/// How the weights of a matrix are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// 32 bits, exact.
    F32,
    /// 16 bits with the exponent of f32: as most checkpoints are published, exact.
    Bf16,
    /// 16 bits of IEEE 754, exact.
    F16,
    /// 8.5 bits: whole numbers of -127..=127 and a scale for every 32 of them. The relative error of
    /// normally distributed weights is 0.55 %.
    Int8,
    /// 4.5 bits: 16 levels, denser around zero as weights are, and a scale for every 32 of them. The
    /// relative error of normally distributed weights is 7.5 %.
    Int4,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        })
    }
}

impl Format {
    /// Bytes of a row without its scales.
    fn row_bytes(self, columns: usize) -> usize {
        match self {
            Self::F32 => columns * 4,
            Self::Bf16 | Self::F16 => columns * 2,
            Self::Int8 => columns.div_ceil(GROUP) * GROUP,
            Self::Int4 => columns.div_ceil(GROUP) * GROUP / 2,
        }
    }

    /// Scales of a row.
    fn row_scales(self, columns: usize) -> usize {
        match self {
            Self::F32 | Self::Bf16 | Self::F16 => 0,
            Self::Int8 | Self::Int4 => columns.div_ceil(GROUP),
        }
    }
}

/// A matrix that cannot be kept so.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PackedError {
    /// The bytes are not those of a matrix of this size.
    #[error("{rows} x {columns} weights in {format} are {expected} bytes, but there are {found}")]
    Length {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
        /// Format of the bytes.
        format: Format,
        /// Bytes that such a matrix has.
        expected: u128,
        /// Bytes given.
        found: usize,
    },
    /// A weight that no scale can express.
    #[error(
        "the weight in row {row}, column {column} is {value}: only finite weights can be kept \
             in {format}; is the checkpoint intact?"
    )]
    NotFinite {
        /// Row of the first such weight of a row, from 0.
        row: usize,
        /// Its column, from 0.
        column: usize,
        /// The weight.
        value: f32,
        /// Format asked for.
        format: Format,
    },
    /// [`Packed::quantize`] makes [`Format::Int8`] and [`Format::Int4`] only.
    #[error(
        "weights are quantised to int8 or int4, not {0}; formats of floats stay where they lie"
    )]
    NotQuantized(Format),
}

/// A weight matrix `[rows = outputs, columns = inputs]`, row-major as published. Clones share it.
#[derive(Clone)]
pub struct Packed {
    format: Format,
    rows: usize,
    columns: usize,
    /// Rows of [`Format::row_bytes`] each.
    codes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    /// Rows of [`Format::row_scales`] each.
    scales: Arc<[bf16]>,
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({} x {} {})", self.rows, self.columns, self.format)
    }
}

impl Packed {
    /// Little-endian f32 where they lie: no copy, any alignment.
    ///
    /// # Errors
    /// [`PackedError::Length`].
    pub fn f32(
        rows: usize,
        columns: usize,
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
    ) -> Result<Self, PackedError> {
        Self::stored(rows, columns, Format::F32, bytes)
    }

    /// Little-endian bf16 where they lie: no copy, any alignment.
    ///
    /// # Errors
    /// [`PackedError::Length`].
    pub fn bf16(
        rows: usize,
        columns: usize,
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
    ) -> Result<Self, PackedError> {
        Self::stored(rows, columns, Format::Bf16, bytes)
    }

    /// Little-endian f16 where they lie: no copy, any alignment.
    ///
    /// # Errors
    /// [`PackedError::Length`].
    pub fn f16(
        rows: usize,
        columns: usize,
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
    ) -> Result<Self, PackedError> {
        Self::stored(rows, columns, Format::F16, bytes)
    }

    fn stored(
        rows: usize,
        columns: usize,
        format: Format,
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
    ) -> Result<Self, PackedError> {
        let expected = rows as u128 * format.row_bytes(columns) as u128;
        let found = bytes.as_ref().len();
        if found as u128 != expected {
            return Err(PackedError::Length { rows, columns, format, expected, found });
        }
        Ok(Self { format, rows, columns, codes: Arc::new(bytes), scales: Arc::new([]) })
    }

    /// Keeps in `format`, [`Format::Int8`] or [`Format::Int4`], the rows that `fill` writes when given
    /// the row's index and room for `columns` weights. Rows are made in parallel, and only one per
    /// thread is there in f32 at a time.
    ///
    /// # Errors
    /// [`PackedError::NotFinite`] for NaN or an infinite weight, [`PackedError::NotQuantized`].
    pub fn quantize(
        rows: usize,
        columns: usize,
        format: Format,
        fill: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Result<Self, PackedError> {
        let encode = quantize::encoder(format).ok_or(PackedError::NotQuantized(format))?;
        let (row_bytes, row_scales) = (format.row_bytes(columns), format.row_scales(columns));
        let mut codes = vec![0_u8; rows * row_bytes];
        let mut scales = vec![bf16::ZERO; rows * row_scales];
        codes
            .par_chunks_mut(row_bytes.max(1))
            .zip(scales.par_chunks_mut(row_scales.max(1)))
            .enumerate()
            .try_for_each_init(
                || vec![0.0_f32; row_scales * GROUP],
                |weights, (row, (codes, scales))| {
                    let weights_of_row = &mut weights[..columns];
                    fill(row, weights_of_row);
                    if let Some(column) = weights_of_row.iter().position(|w| !w.is_finite()) {
                        let value = weights_of_row[column];
                        return Err(PackedError::NotFinite { row, column, value, format });
                    }
                    encode(weights, codes, scales);
                    Ok(())
                },
            )?;
        Ok(Self { format, rows, columns, codes: Arc::new(codes), scales: scales.into() })
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How the weights are kept.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of the weights and their scales: what one product with a vector reads.
    pub fn bytes(&self) -> u64 {
        let row = self.format.row_bytes(self.columns) + 2 * self.format.row_scales(self.columns);
        self.rows as u64 * row as u64
    }

    /// Writes row `index` in f32, as embeddings are looked up.
    ///
    /// # Panics
    /// If there is no such row or `out` has not [`Packed::columns`] elements.
    pub fn row(&self, index: usize, out: &mut [f32]) {
        assert!(index < self.rows && out.len() == self.columns, "row {index} of {self:?}");
        let (codes, scales) = self.stored_row(index);
        portable::widen(self.format, codes, scales, out);
    }

    /// `out[n, rows] = input[n, columns] · Wᵀ + bias`, all row-major, on the threads of rayon.
    ///
    /// Up to eight inputs give each exactly what it gives alone. With int8 and int4, up to eight
    /// inputs are rounded to 16 bits in groups of 32 columns, which moves an output by some 2e-5 of
    /// the root mean square of outputs; an input that is not finite then makes all of its outputs NaN.
    ///
    /// # Panics
    /// If the lengths do not fit the matrix.
    pub fn multiply(&self, input: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
        let inputs = out.len().checked_div(self.rows).unwrap_or(0);
        assert!(
            self.rows == 0
                || input.len() == inputs * self.columns && out.len() == inputs * self.rows,
            "{self:?} times {} numbers into {}",
            input.len(),
            out.len()
        );
        assert!(bias.is_none_or(|bias| bias.len() == self.rows), "one bias for each row");
        if inputs == 0 {
        } else if inputs <= few::MOST {
            few::multiply(self, input, bias, out);
        } else {
            many::multiply(self, input, bias, out);
        }
    }

    /// Codes and scales of a row.
    fn stored_row(&self, index: usize) -> (&[u8], &[bf16]) {
        let row_bytes = self.format.row_bytes(self.columns);
        let row_scales = self.format.row_scales(self.columns);
        (
            &(*self.codes).as_ref()[index * row_bytes..][..row_bytes],
            &self.scales[index * row_scales..][..row_scales],
        )
    }
}
