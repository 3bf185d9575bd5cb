//! Images: decode as OpenCV and PIL do, resize as either does, encode as PNG fast.

mod area;
mod convolution;
mod decode;
mod deflate;
mod huffman;
mod jpeg;
mod png;
mod simd;
#[cfg(test)]
mod tests;

use segzero_datasets::Size;
use serde::{Deserialize, Serialize};

pub use decode::{
    MAX_PIXELS, Orientation, decode, decode_as, decode_into, dimensions, orientation,
};
pub use jpeg::encode_jpeg;
pub use png::encode_png;

/// An image of 8-bit RGB, row-major, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Width and height.
    pub size: Size,
    /// `height * width * 3` bytes.
    pub pixels: Vec<u8>,
}

impl Default for Rgb {
    /// No pixels.
    fn default() -> Self {
        Self { size: Size::new(0, 0), pixels: Vec::new() }
    }
}

/// Resampling filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// `cv2.resize(..., INTER_AREA)`, bit for bit: what Seg-Zero's builder uses.
    #[default]
    Area,
    /// `PIL.Image.resize(..., BILINEAR)` (antialiased), bit for bit: what Seg-Zero's evaluation
    /// uses.
    PilBilinear,
    /// `PIL.Image.resize(..., BICUBIC)` (antialiased), bit for bit: what Qwen-VL's processor uses.
    PilBicubic,
    /// `PIL.Image.resize(..., LANCZOS)`, bit for bit.
    PilLanczos,
}

/// How hard the PNG encoder tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PngEffort {
    /// Fastest; files of photographs some 3 % larger than PIL's.
    Fast,
    /// Within 3 % of PIL's file size for photographs at a fraction of its time. Smaller than
    /// [`PngEffort::Fast`] where flat regions leave short runs. Pictures that repeat patterns are
    /// larger than PIL's.
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

/// Resizes to exactly `size`; the aspect ratio is not kept. An image of no pixels becomes black.
pub fn resize(image: &Rgb, size: Size, filter: Filter) -> Rgb {
    let mut out = Rgb::default();
    resize_into(image, size, filter, &mut out);
    out
}

/// As [`resize`], in place of what `out` held. [`Filter::Area`] uses its memory again: the system
/// takes about as long to hand out pages for a new image as the resizing itself.
pub fn resize_into(image: &Rgb, size: Size, filter: Filter, out: &mut Rgb) {
    if image.size == size {
        out.clone_from(image);
    } else if image.size.pixels() == 0 || size.pixels() == 0 {
        *out = Rgb { size, pixels: vec![0; size.pixels() as usize * 3] };
    } else {
        match filter {
            Filter::Area => area::resize(image, size, out),
            Filter::PilBilinear => {
                *out = convolution::resize(image, size, convolution::Kernel::Bilinear);
            }
            Filter::PilBicubic => {
                *out = convolution::resize(image, size, convolution::Kernel::Bicubic);
            }
            Filter::PilLanczos => {
                *out = convolution::resize(image, size, convolution::Kernel::Lanczos);
            }
        }
    }
}

/// A copy no larger than `max_side` on either side, aspect ratio kept, by area averaging: for pages
/// and contact sheets. A smaller image is returned as it is.
pub fn thumbnail(image: &Rgb, max_side: u32) -> Rgb {
    let Size { width, height } = image.size;
    let longest = width.max(height);
    if longest <= max_side {
        return image.clone();
    }
    let scaled = |side: u32| {
        let exact = u64::from(side) * u64::from(max_side) + u64::from(longest) / 2;
        ((exact / u64::from(longest)) as u32).max(1)
    };
    resize(image, Size::new(scaled(width), scaled(height)), Filter::Area)
}
