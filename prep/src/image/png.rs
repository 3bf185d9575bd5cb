//! A PNG writer for photographs.

use super::{ImageError, PngEffort, Rgb};
use libdeflater::{CompressionLvl, Compressor};

/// Encodes an RGB PNG.
///
/// # Errors
/// When the encoder refuses (out of memory).
pub fn encode_png(image: &Rgb, effort: PngEffort) -> Result<Vec<u8>, ImageError> {
    if effort == PngEffort::Fast {
        return fast(image);
    }
    let filtered = filter(image);
    let level = if effort == PngEffort::Small { 12 } else { 1 };
    let level = CompressionLvl::new(level)
        .map_err(|error| ImageError::Encode(format!("PNG of {}: {error:?}", image.size)))?;
    let mut compressor = Compressor::new(level);
    let mut body = vec![0; compressor.zlib_compress_bound(filtered.len())];
    let length = compressor
        .zlib_compress(&filtered, &mut body)
        .map_err(|error| ImageError::Encode(format!("PNG of {}: {error}", image.size)))?;
    body.truncate(length);
    let mut out = Vec::with_capacity(length + 64);
    out.extend(b"\x89PNG\r\n\x1a\n");
    let mut header = Vec::with_capacity(13);
    header.extend(image.size.width.to_be_bytes());
    header.extend(image.size.height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut out, *b"IHDR", &header);
    chunk(&mut out, *b"IDAT", &body);
    chunk(&mut out, *b"IEND", &[]);
    Ok(out)
}

fn fast(image: &Rgb) -> Result<Vec<u8>, ImageError> {
    let refused = |error| ImageError::Encode(format!("PNG of {}: {error}", image.size));
    let mut out = Vec::with_capacity(image.pixels.len() * 3 / 4);
    let mut encoder = png::Encoder::new(&mut out, image.size.width, image.size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(refused)?;
    writer.write_image_data(&image.pixels).map_err(refused)?;
    writer.finish().map_err(refused)?;
    Ok(out)
}

fn chunk(out: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    out.extend((data.len() as u32).to_be_bytes());
    let start = out.len();
    out.extend(name);
    out.extend(data);
    let sum = libdeflater::crc32(&out[start..]);
    out.extend(sum.to_be_bytes());
}

fn filter(image: &Rgb) -> Vec<u8> {
    let stride = image.size.width as usize * 3;
    let mut out = Vec::with_capacity(image.pixels.len() + image.size.height as usize);
    let mut above = vec![0; stride];
    for row in image.pixels.chunks_exact(stride) {
        out.push(4);
        for x in 0..stride {
            let left = if x < 3 { 0 } else { row[x - 3] };
            let corner = if x < 3 { 0 } else { above[x - 3] };
            out.push(row[x].wrapping_sub(paeth(left, above[x], corner)));
        }
        above.copy_from_slice(row);
    }
    out
}

fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, above, corner].map(i16::from);
    let (pa, pb, pc) = ((b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs());
    if pa <= pb && pa <= pc {
        left
    } else if pb <= pc {
        above
    } else {
        corner
    }
}
