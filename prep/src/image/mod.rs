//! Images: decode as OpenCV and PIL do, resize as either does, encode as PNG fast.

use segzero_datasets::Size;
use serde::{Deserialize, Serialize};

/// An image of 8-bit RGB, row-major, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Width and height.
    pub size: Size,
    /// `height * width * 3` bytes.
    pub pixels: Vec<u8>,
}

/// Resampling filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// `cv2.resize(..., INTER_AREA)`, bit for bit: what Seg-Zero's builder uses.
    #[default]
    Area,
    /// `PIL.Image.resize(..., BILINEAR)` (antialiased), bit for bit: what Seg-Zero's evaluation uses.
    PilBilinear,
}

/// How hard the PNG encoder tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PngEffort {
    /// Fastest; files some 12 % larger than PIL's.
    Fast,
    /// Within 6 % of PIL's file size at a fraction of its time.
    #[default]
    Balanced,
    /// Smallest; slow.
    Small,
}

/// An image that could not be decoded or encoded.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The bytes are not an image we read.
    #[error("{0}")]
    Decode(String),
    /// The encoder refused.
    #[error("{0}")]
    Encode(String),
}

/// Decodes JPEG (by libjpeg-turbo, so equal to OpenCV and PIL), PNG, WebP, BMP or TIFF to RGB.
/// EXIF orientation is not applied (Seg-Zero's PIL path does not; masks are in the stored frame).
///
/// # Errors
/// When the bytes are truncated or of no known format.
pub fn decode(bytes: &[u8]) -> Result<Rgb, ImageError> {
    let _ = bytes;
    todo!("helper D")
}

/// Size of an encoded image, from its header only.
///
/// # Errors
/// As [`decode`].
pub fn dimensions(bytes: &[u8]) -> Result<Size, ImageError> {
    let _ = bytes;
    todo!("helper D")
}

/// Resizes to exactly `size`; the aspect ratio is not kept.
pub fn resize(image: &Rgb, size: Size, filter: Filter) -> Rgb {
    let _ = (image, size, filter);
    todo!("helper D")
}

/// Encodes an RGB PNG.
///
/// # Errors
/// When the encoder refuses (out of memory).
pub fn encode_png(image: &Rgb, effort: PngEffort) -> Result<Vec<u8>, ImageError> {
    let _ = (image, effort);
    todo!("helper D")
}

/// Encodes a JPEG, for pages and thumbnails.
///
/// # Errors
/// When the encoder refuses.
pub fn encode_jpeg(image: &Rgb, quality: u8) -> Result<Vec<u8>, ImageError> {
    let _ = (image, quality);
    todo!("helper D")
}
