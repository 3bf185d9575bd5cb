//! Encoded bytes to RGB, by the rules of PIL's `convert("RGB")`.

use super::{ImageError, Rgb, jpeg};
use image::metadata::Orientation as Exif;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use segzero_datasets::Size;
use std::io::Cursor;

/// The largest image that is decoded, in pixels. It is the limit at which PIL refuses what may be a
/// decompression bomb (twice its `MAX_IMAGE_PIXELS`).
pub const MAX_PIXELS: u64 = 2 * (1024 * 1024 * 1024 / 4 / 3);

/// What to do with the orientation that a camera noted in the EXIF record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Orientation {
    /// Keep the pixels as they are stored, as `PIL.Image.open` does.
    #[default]
    Stored,
    /// Turn and mirror the image so that it stands upright, as `cv2.imread` does.
    Upright,
}

/// Decodes JPEG (by libjpeg-turbo, so equal to OpenCV and PIL), PNG, WebP, BMP or TIFF to RGB.
/// Alpha is dropped and grey repeated, as PIL's `convert("RGB")` has it; 16 bits become the upper
/// 8, as OpenCV has it (PIL turns most of 16-bit grey white).
/// EXIF orientation is not applied (masks are in the stored frame); [`decode_as`] can.
///
/// # Errors
/// When the bytes are truncated, of no known format, or hold more than [`MAX_PIXELS`].
pub fn decode(bytes: &[u8]) -> Result<Rgb, ImageError> {
    let mut out = Rgb::default();
    decode_into(bytes, &mut out)?;
    Ok(out)
}

/// As [`decode`], in place of what `out` held, whose memory is used again for a JPEG.
///
/// # Errors
/// As [`decode`]; then `out` has no pixels.
pub fn decode_into(bytes: &[u8], out: &mut Rgb) -> Result<(), ImageError> {
    let decoded = fill(bytes, out);
    if decoded.is_err() {
        *out = Rgb::default();
    }
    decoded
}

fn fill(bytes: &[u8], out: &mut Rgb) -> Result<(), ImageError> {
    let format = format(bytes)?;
    bounded(size(bytes, format)?)?;
    if format == ImageFormat::Jpeg {
        return jpeg::decode(bytes, out);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.no_limits(); // the number of pixels is bounded above
    let image = reader.decode().map_err(|error| broken(format, &error))?;
    *out = to_rgb(image)?;
    Ok(())
}

/// As [`decode`], with a choice about the EXIF orientation.
///
/// # Errors
/// As [`decode`].
pub fn decode_as(bytes: &[u8], orientation: Orientation) -> Result<Rgb, ImageError> {
    let image = decode(bytes)?;
    match orientation {
        Orientation::Stored => Ok(image),
        Orientation::Upright => Ok(upright(image, exif(bytes))),
    }
}

/// The EXIF orientation, 1 (as stored) to 8, of an encoded image; 1 where it has none.
pub fn orientation(bytes: &[u8]) -> u8 {
    exif(bytes).to_exif()
}

/// Size of an encoded image as stored, from its header only.
///
/// # Errors
/// When the header is broken or of no known format.
pub fn dimensions(bytes: &[u8]) -> Result<Size, ImageError> {
    size(bytes, format(bytes)?)
}

fn format(bytes: &[u8]) -> Result<ImageFormat, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Decode("the image is empty (0 bytes)".into()));
    }
    image::guess_format(bytes).map_err(|_| {
        let start = &bytes[..bytes.len().min(8)];
        ImageError::Decode(format!(
            "not an image: starts with {start:02x?} (JPEG, PNG, WebP, BMP and TIFF are read)"
        ))
    })
}

fn size(bytes: &[u8], format: ImageFormat) -> Result<Size, ImageError> {
    if format == ImageFormat::Jpeg {
        return jpeg::dimensions(bytes);
    }
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let (width, height) = reader.into_dimensions().map_err(|error| broken(format, &error))?;
    Ok(Size { width, height })
}

fn bounded(size: Size) -> Result<(), ImageError> {
    if size.pixels() == 0 {
        return Err(ImageError::Decode(format!("the image has no pixels ({size})")));
    }
    if size.pixels() > MAX_PIXELS {
        return Err(ImageError::Decode(format!(
            "the image claims {size}, more than {MAX_PIXELS} pixels: perhaps a decompression bomb"
        )));
    }
    Ok(())
}

fn broken(format: ImageFormat, error: &image::ImageError) -> ImageError {
    ImageError::Decode(format!("{}: {error}", format!("{format:?}").to_uppercase()))
}

fn to_rgb(image: DynamicImage) -> Result<Rgb, ImageError> {
    let size = Size::new(image.width(), image.height());
    let upper = |samples: Vec<u16>| samples.into_iter().map(|v| (v >> 8) as u8).collect();
    let pixels: Vec<u8> = match image {
        DynamicImage::ImageRgb8(image) => image.into_raw(),
        DynamicImage::ImageLuma8(image) => repeat(&image),
        DynamicImage::ImageLumaA8(image) => image.pixels().flat_map(|p| [p.0[0]; 3]).collect(),
        DynamicImage::ImageRgba8(image) => drop_alpha(&image),
        DynamicImage::ImageRgb16(image) => upper(image.into_raw()),
        DynamicImage::ImageRgba16(image) => {
            let samples: Vec<u8> = upper(image.into_raw());
            drop_alpha(&samples)
        }
        DynamicImage::ImageLuma16(image) => {
            let samples: Vec<u8> = upper(image.into_raw());
            repeat(&samples)
        }
        DynamicImage::ImageLumaA16(image) => {
            image.pixels().flat_map(|p| [(p.0[0] >> 8) as u8; 3]).collect()
        }
        other => {
            let message = format!("{:?} samples are not read; save as 8 bits", other.color());
            return Err(ImageError::Decode(message));
        }
    };
    Ok(Rgb { size, pixels })
}

fn repeat(grey: &[u8]) -> Vec<u8> {
    grey.iter().flat_map(|&v| [v; 3]).collect()
}

fn drop_alpha(rgba: &[u8]) -> Vec<u8> {
    rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect()
}

fn exif(bytes: &[u8]) -> Exif {
    let found = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()
        .and_then(|reader| reader.into_decoder().ok())
        .and_then(|mut decoder| decoder.orientation().ok());
    found.unwrap_or(Exif::NoTransforms)
}

fn upright(image: Rgb, orientation: Exif) -> Rgb {
    let Size { width, height } = image.size;
    if orientation == Exif::NoTransforms {
        return image;
    }
    let Some(buffer) = image::RgbImage::from_raw(width, height, image.pixels) else {
        return Rgb { size: Size::new(0, 0), pixels: Vec::new() };
    };
    let mut image = DynamicImage::ImageRgb8(buffer);
    image.apply_orientation(orientation);
    let size = Size::new(image.width(), image.height());
    Rgb { size, pixels: image.into_rgb8().into_raw() }
}
