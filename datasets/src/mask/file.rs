//! Masks as PNG and `.npy` files.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{Cursor, Write};

use npyz::TypeChar;

use super::bitmap::FromRows;
use super::crossings::RunsFromPositions;
use super::{Mask, MaskError, check_size};
use crate::{ErrorKind, Size};

impl Mask {
    /// Reads a PNG or `.npy` mask, whichever the first bytes announce.
    ///
    /// # Errors
    /// Another format, or as [`Mask::read_png`] and [`Mask::read_npy`].
    pub fn read_file(bytes: &[u8]) -> Result<Self, ErrorKind> {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => Self::read_png(bytes),
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Self::read_npy(bytes),
            _ => Err(ErrorKind::Unexpected {
                expected: "a PNG or .npy mask".into(),
                found: "neither signature".into(),
            }),
        }
    }

    /// Reads a PNG of any colour type and depth. A pixel is foreground if its colour is neither
    /// black nor fully transparent; palettes are looked up, so the order of their entries does not
    /// matter. Memory is taken for the runs and a row, not for the image (except interlaced ones).
    ///
    /// # Errors
    /// A damaged file, or 2^32 pixels or more.
    pub fn read_png(bytes: &[u8]) -> Result<Self, ErrorKind> {
        let mut decoder = png::Decoder::new(Cursor::new(bytes));
        let header = decoder.read_header_info().map_err(not_png)?;
        let size = Size::new(header.width, header.height);
        check_size(size)?;
        if size.pixels() / 8 / MAX_DEFLATE_RATIO > bytes.len() as u64 {
            return Err(unexpected("a complete PNG", format!("{size} in {} bytes", bytes.len())));
        }
        let is_packed = header.color_type == png::ColorType::Grayscale
            && header.bit_depth == png::BitDepth::One
            && !header.interlaced;
        if !is_packed {
            decoder.set_transformations(png::Transformations::EXPAND);
        }
        let mut png = decoder.read_info().map_err(not_png)?;
        let (color, depth) = png.output_color_type();
        let mut mask = FromRows::new(size, [0, 0]);
        if png.info().interlaced {
            let length = png.output_buffer_size().ok_or(MaskError::TooLarge { size })?;
            let mut pixels = vec![0; length];
            let frame = png.next_frame(&mut pixels).map_err(not_png)?;
            for row in pixels.chunks_exact(frame.line_size) {
                mask.push(&foreground_bytes(row, color, depth));
            }
            return Ok(mask.finish());
        }
        while let Some(row) = png.next_row().map_err(not_png)? {
            if is_packed {
                mask.push_packed(row.data());
            } else {
                mask.push(&foreground_bytes(row.data(), color, depth));
            }
        }
        Ok(mask.finish())
    }

    /// Reads a two-dimensional `.npy` array of booleans or integers, `[height, width]`, in either
    /// memory order; what is not zero is foreground.
    ///
    /// # Errors
    /// A damaged file, another shape or element type (scores need a threshold first), or 2^32
    /// pixels or more.
    pub fn read_npy(bytes: &[u8]) -> Result<Self, ErrorKind> {
        let NpyArray { size, order, element, data } = npy_array(bytes)?;
        if size.pixels() == 0 {
            return Ok(Self::empty(size));
        }
        let is_set = |element: &[u8]| element.iter().any(|&byte| byte != 0);
        if order == npyz::Order::Fortran {
            let mut runs = RunsFromPositions::new(size, 0);
            let mut inside = false;
            for (position, element) in (0..).zip(data.chunks_exact(element)) {
                if is_set(element) != inside {
                    inside = !inside;
                    runs.toggle(position);
                }
            }
            return Ok(runs.finish());
        }
        let mut mask = FromRows::new(size, [0, 0]);
        let mut wide = Vec::new();
        for row in data.chunks_exact(size.width as usize * element) {
            if element == 1 {
                mask.push(row);
            } else {
                wide.clear();
                wide.extend(row.chunks_exact(element).map(|e| u8::from(is_set(e))));
                mask.push(&wide);
            }
        }
        Ok(mask.finish())
    }

    /// Writes an 8-bit grey PNG of 0 and 255, which every tool reads alike.
    ///
    /// # Errors
    /// A writer that fails, or an image without pixels, which PNG cannot hold.
    pub fn write_png(&self, out: impl Write) -> std::io::Result<()> {
        let mut encoder = png::Encoder::new(out, self.size.width, self.size.height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        let mut pixels = self.to_bitmap();
        pixels.iter_mut().for_each(|pixel| *pixel *= 255);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels)?;
        Ok(writer.finish()?)
    }
}

/// Deflate turns one byte into at most 1032, so a header that promises more is not to be trusted
/// with memory.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// A `.npy` header of a plain 2-D array has 118 bytes. Longer ones describe something else, and
/// their parser recurses.
const MAX_NPY_HEADER: usize = 512;

/// A 2-D array of booleans or integers.
struct NpyArray<'a> {
    size: Size,
    order: npyz::Order,
    /// Bytes per element.
    element: usize,
    data: &'a [u8],
}

fn npy_array(bytes: &[u8]) -> Result<NpyArray<'_>, ErrorKind> {
    let header_length = match bytes {
        [_, _, _, _, _, _, 1, _, a, b, ..] => u32::from(u16::from_le_bytes([*a, *b])),
        [_, _, _, _, _, _, 2 | 3, _, a, b, c, d, ..] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => return Err(unexpected("a .npy array", "another format")),
    };
    if header_length as usize > MAX_NPY_HEADER {
        return Err(unexpected("a 2-D array", format!("a header of {header_length} bytes")));
    }
    let mut data = bytes;
    let file = npyz::NpyFile::new(&mut data)?;
    let (order, dtype, shape) = (file.order(), file.dtype(), file.shape().to_vec());
    let [height, width] = shape[..] else {
        return Err(unexpected("a 2-D array", format!("shape {shape:?}")));
    };
    let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(unexpected("an image", format!("shape {shape:?}")));
    };
    let size = Size::new(width, height);
    check_size(size)?;
    let element = match &dtype {
        npyz::DType::Plain(plain) => match (plain.type_char(), plain.num_bytes()) {
            (TypeChar::Bool | TypeChar::Int | TypeChar::Uint, Some(n @ 1..=8)) => n,
            _ => return Err(unexpected("booleans or integers", plain)),
        },
        _ => return Err(unexpected("booleans or integers", dtype.descr())),
    };
    let length = size.pixels() as usize * element;
    if data.len() < length {
        return Err(unexpected(format!("{length} bytes of data"), data.len()));
    }
    Ok(NpyArray { size, order, element, data: &data[..length] })
}

/// One byte a pixel, non-zero where the pixel is foreground, from a decoded row of a PNG.
fn foreground_bytes(row: &[u8], color: png::ColorType, depth: png::BitDepth) -> Cow<'_, [u8]> {
    let has_alpha = matches!(color, png::ColorType::GrayscaleAlpha | png::ColorType::Rgba);
    let sample = if depth == png::BitDepth::Sixteen { 2 } else { 1 };
    let pixel = color.samples() * sample;
    if pixel == 1 {
        return Cow::Borrowed(row);
    }
    let is_set = |pixel: &[u8]| {
        let (color, alpha) = pixel.split_at(pixel.len() - if has_alpha { sample } else { 0 });
        let opaque = !has_alpha || alpha.iter().any(|&byte| byte != 0);
        opaque && color.iter().any(|&byte| byte != 0)
    };
    row.chunks_exact(pixel).map(|pixel| u8::from(is_set(pixel))).collect()
}

fn unexpected(expected: impl Display, found: impl Display) -> ErrorKind {
    ErrorKind::Unexpected { expected: expected.to_string(), found: found.to_string() }
}

fn not_png(error: png::DecodingError) -> ErrorKind {
    match error {
        png::DecodingError::IoError(error) => ErrorKind::Io(error),
        error => unexpected("a PNG image", error),
    }
}
