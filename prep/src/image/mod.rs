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
    /// `torchvision`'s `resize` of bytes, bilinear, antialiased, bit for bit as on processors with
    /// AVX2: what the SAM 2 processor of transformers uses.
    TorchBilinear,
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
        use convolution::Arithmetic::{Pillow, Torch};
        use convolution::Kernel::{Bicubic, Bilinear, Lanczos};
        let (kernel, arithmetic) = match filter {
            Filter::Area => return area::resize(image, size, out),
            Filter::PilBilinear => (Bilinear, Pillow),
            Filter::PilBicubic => (Bicubic, Pillow),
            Filter::PilLanczos => (Lanczos, Pillow),
            Filter::TorchBilinear => (Bilinear, Torch),
        };
        *out = convolution::resize(image, size, kernel, arithmetic);
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
