//! A PNG writer for photographs.

use super::deflate::{Deflater, Search};
use super::simd::for_best_processor;
use super::{ImageError, PngEffort, Rgb};
use libdeflater::{Adler32, CompressionLvl, Compressor};

/// The Paeth filter's number. It is the best of the five for photographs, by far; choosing among
/// all five in each row would gain half a percent for five times the work.
const PAETH: u8 = 4;

/// Encodes an RGB PNG.
///
/// # Errors
/// When the image has no pixels, or when the encoder refuses (out of memory).
pub fn encode_png(image: &Rgb, effort: PngEffort) -> Result<Vec<u8>, ImageError> {
    let stride = image.size.width as usize * 3;
    let refused = |reason: &str| ImageError::Encode(format!("PNG of {}: {reason}", image.size));
    if stride == 0 || image.pixels.len() != stride * image.size.height as usize {
        return Err(refused("no pixels, or not as many as the size says"));
    }
    let mut out = Vec::with_capacity(image.pixels.len() / 8 * 5);
    out.extend(b"\x89PNG\r\n\x1a\n");
    let mut header = Vec::with_capacity(13);
    header.extend(image.size.width.to_be_bytes());
    header.extend(image.size.height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]); // 8 bits, RGB, deflate, the five filters, not interlaced
    out = chunk(out, *b"IHDR", |mut out| {
        out.extend(&header);
        Ok(out)
    })?;
    out = chunk(out, *b"IDAT", |out| match effort {
        PngEffort::Fast => Ok(compress_runs(image, Search::CURSORY, out)),
        PngEffort::Balanced => Ok(compress_runs(image, Search::CLOSE, out)),
        PngEffort::Small => compress_fully(image, out).map_err(|error| refused(&error)),
    })?;
    chunk(out, *b"IEND", Ok)
}

/// Appends a chunk whose content `fill` appends.
fn chunk(
    mut out: Vec<u8>,
    name: [u8; 4],
    fill: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, ImageError>,
) -> Result<Vec<u8>, ImageError> {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(name);
    let mut out = fill(out)?;
    let length = u32::try_from(out.len() - start - 8)
        .map_err(|_| ImageError::Encode("PNG: more than 4 GiB in one chunk".into()))?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    let sum = libdeflater::crc32(&out[start + 4..]);
    out.extend(sum.to_be_bytes());
    Ok(out)
}

/// The zlib stream of the filtered image, block by block, so that it is never held as a whole.
fn compress_runs(image: &Rgb, search: Search, mut out: Vec<u8>) -> Vec<u8> {
    let stride = image.size.width as usize * 3;
    let rows = search.block_bytes.div_ceil(stride + 1);
    out.extend([0x78, 0x01]);
    let mut deflater = Deflater::new(out, search);
    let mut sum = Adler32::new();
    let black = vec![0; stride];
    let mut above = black.as_slice();
    let mut filtered = vec![0; rows.min(image.size.height as usize) * (stride + 1)];
    for block in image.pixels.chunks(rows * stride) {
        let filtered = &mut filtered[..block.len() / stride * (stride + 1)];
        for (row, out) in block.chunks_exact(stride).zip(filtered.chunks_exact_mut(stride + 1)) {
            filter(row, above, out);
            above = row;
        }
        sum.update(filtered);
        deflater.write(filtered);
    }
    let mut out = deflater.finish();
    out.extend(sum.sum().to_be_bytes());
    out
}

/// The zlib stream of the filtered image, with libdeflate's best search for repeats.
fn compress_fully(image: &Rgb, mut out: Vec<u8>) -> Result<Vec<u8>, String> {
    let stride = image.size.width as usize * 3;
    let mut filtered = vec![0; image.pixels.len() + image.size.height as usize];
    let black = vec![0; stride];
    let mut above = black.as_slice();
    let rows = image.pixels.chunks_exact(stride);
    for (row, out) in rows.zip(filtered.chunks_exact_mut(stride + 1)) {
        filter(row, above, out);
        above = row;
    }
    let level = CompressionLvl::new(12).map_err(|error| format!("{error:?}"))?;
    let mut compressor = Compressor::new(level);
    let start = out.len();
    out.resize(start + compressor.zlib_compress_bound(filtered.len()), 0);
    let length = compressor
        .zlib_compress(&filtered, &mut out[start..])
        .map_err(|error| error.to_string())?;
    out.truncate(start + length);
    Ok(out)
}

/// The filter's number and the differences of a row from its prediction.
fn filter(row: &[u8], above: &[u8], out: &mut [u8]) {
    out[0] = PAETH;
    // Left of the first pixel all is 0, and of (0, above, 0) Paeth picks above.
    for ((out, &value), &above) in out[1..4].iter_mut().zip(row).zip(above) {
        *out = value.wrapping_sub(above);
    }
    paeth_row(&row[3..], row, &above[3..], above, &mut out[4..]);
}

for_best_processor! {
    /// Differences from the prediction.
    pub(super) fn paeth_row(row: &[u8], left: &[u8], above: &[u8], corner: &[u8], out: &mut [u8]) =
        paeth_row_portable;
}

#[inline(always)]
pub(super) fn paeth_row_portable(
    row: &[u8],
    left: &[u8],
    above: &[u8],
    corner: &[u8],
    out: &mut [u8],
) {
    let neighbours = left.iter().zip(above).zip(corner);
    for ((out, &value), ((&left, &above), &corner)) in out.iter_mut().zip(row).zip(neighbours) {
        *out = value.wrapping_sub(paeth(left, above, corner));
    }
}

/// The neighbour nearest to `left + above - corner`, ties in that order. With the distances to
/// left and above at hand, the distance to the corner is their sum or difference, by the side on
/// which each lies; this needs no more than 8 bits.
#[inline(always)]
pub(super) fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let to_left = above.abs_diff(corner);
    let to_above = left.abs_diff(corner);
    let is_between = (left < corner) != (above < corner);
    let to_corner = to_left.abs_diff(to_above);
    let nearest = if to_left <= to_above { left } else { above };
    if is_between && to_corner < to_left.min(to_above) { corner } else { nearest }
}
