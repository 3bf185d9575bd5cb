//! JPEG by libjpeg-turbo, whose arithmetic OpenCV and PIL share: their pixels are ours.

use super::{ImageError, Rgb};
use segzero_datasets::Size;
use turbojpeg::{Colorspace, Compressor, Decompressor, Image, PixelFormat, Subsamp};

/// Size from the header.
pub(super) fn dimensions(bytes: &[u8]) -> Result<Size, ImageError> {
    let header = Decompressor::new().and_then(|mut d| d.read_header(bytes)).map_err(broken)?;
    Ok(Size::new(header.width as u32, header.height as u32))
}

/// Decodes to RGB. Grey is repeated; CMYK is converted as PIL's `convert("RGB")` does. After an
/// error `out` is of no use.
pub(super) fn decode(bytes: &[u8], out: &mut Rgb) -> Result<(), ImageError> {
    let mut decompressor = Decompressor::new().map_err(broken)?;
    let header = decompressor.read_header(bytes).map_err(broken)?;
    let (width, height) = (header.width, header.height);
    let format = match header.colorspace {
        Colorspace::CMYK | Colorspace::YCCK => PixelFormat::CMYK,
        _ => PixelFormat::RGB,
    };
    let pitch = width * format.size();
    out.size = Size::new(width as u32, height as u32);
    out.pixels.resize(pitch * height, 0);
    let target = Image { pixels: out.pixels.as_mut_slice(), width, pitch, height, format };
    match decompressor.decompress(bytes, target) {
        Err(error) if !is_harmless(&error, bytes) => return Err(broken(error)),
        _ => {}
    }
    if format == PixelFormat::CMYK {
        out.pixels = out.pixels.chunks_exact(4).flat_map(rgb_from_inverted_cmyk).collect();
    }
    Ok(())
}

/// Encodes a JPEG with 4:2:0 chroma, for pages and thumbnails. `quality` is 1 to 100.
///
/// # Errors
/// When the encoder refuses: an image without pixels, or a side above 65,500.
pub fn encode_jpeg(image: &Rgb, quality: u8) -> Result<Vec<u8>, ImageError> {
    let (width, height) = (image.size.width as usize, image.size.height as usize);
    let refused =
        |error: turbojpeg::Error| ImageError::Encode(format!("JPEG of {}: {error}", image.size));
    let mut compressor = Compressor::new().map_err(refused)?;
    compressor.set_quality(i32::from(quality.clamp(1, 100))).map_err(refused)?;
    compressor.set_subsamp(Subsamp::Sub2x2).map_err(refused)?;
    let source = Image {
        pixels: image.pixels.as_slice(),
        width,
        pitch: width * 3,
        height,
        format: PixelFormat::RGB,
    };
    compressor.compress_to_vec(source).map_err(refused)
}

/// libjpeg-turbo also reports warnings as errors, after all pixels are written. PIL and OpenCV
/// accept stray bytes between segments, and so do we; an image that ends too early is refused.
fn is_harmless(error: &turbojpeg::Error, bytes: &[u8]) -> bool {
    let turbojpeg::Error::TurboJpegError(message) = error else { return false };
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    let is_complete = matches!((last(0xd9), last(0xda)), (Some(end), Some(scan)) if end > scan);
    message.contains("extraneous bytes") && is_complete
}

/// Adobe stores inks inverted, so that 255 means no ink. The product is rounded as PIL rounds it.
fn rgb_from_inverted_cmyk(cmyk: &[u8]) -> [u8; 3] {
    let white = u32::from(cmyk[3]);
    [0, 1, 2].map(|channel| {
        let product = (255 - u32::from(cmyk[channel])) * white + 128;
        (white.saturating_sub((product + (product >> 8)) >> 8)) as u8
    })
}

fn broken(error: turbojpeg::Error) -> ImageError {
    match error {
        turbojpeg::Error::TurboJpegError(message) => ImageError::Decode(format!("JPEG: {message}")),
        other => ImageError::Decode(format!("JPEG: {other}")),
    }
}
