//! Images to the pixels that SAM 2 sees: a square, whatever the aspect ratio, normalised.

use segzero_datasets::Size;
use segzero_prep::image::{Filter, Rgb, resize};
use serde::{Deserialize, Serialize};

use super::antialias;

const CHANNELS: usize = 3;
/// Mean and standard deviation of ImageNet's red, green and blue, of samples from 0 to 1.
pub(super) const MEAN: [f32; CHANNELS] = [0.485, 0.456, 0.406];
pub(super) const STD: [f32; CHANNELS] = [0.229, 0.224, 0.225];

/// Whose way from bytes to numbers. They differ by up to a level of 255, half a level on average
/// where the image is resized, and by rounding where it is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preprocessing {
    /// Meta's `SAM2Transforms`: samples / 255 in f32, resized as f32 by torchvision (bilinear,
    /// antialiased), normalised. What Seg-Zero and VisionReasoner ran.
    #[default]
    Meta,
    /// `Sam2ImageProcessor` of transformers: resized as bytes by torchvision (bilinear,
    /// antialiased), then scaled and normalised in one step.
    Transformers,
}

/// The pixels of an image as the network takes them: `[side, side, 3]`, row-major. An image without
/// pixels is black. Bit for bit what torch computes on a processor with AVX2 (`antialias` says in
/// which order its sums are rounded).
pub fn pixels(image: &Rgb, side: usize, preprocessing: Preprocessing) -> Vec<f32> {
    let size = Size::new(side as u32, side as u32);
    if image.size.pixels() == 0 || preprocessing == Preprocessing::Transformers {
        return normalised(&resize(image, size, Filter::TorchBilinear));
    }
    antialias::resize(image, side)
}

/// `(sample - 255 mean) / (255 std)`, all in f32.
fn normalised(image: &Rgb) -> Vec<f32> {
    let mut table = [[0.0; CHANNELS]; 256];
    for (sample, out) in table.iter_mut().enumerate() {
        for (channel, out) in out.iter_mut().enumerate() {
            *out = (sample as f32 - MEAN[channel] * 255.0) / (STD[channel] * 255.0);
        }
    }
    let pixels = image.pixels.as_chunks::<CHANNELS>().0.iter();
    pixels.flat_map(|pixel| [0, 1, 2].map(|c| table[usize::from(pixel[c])][c])).collect()
}
