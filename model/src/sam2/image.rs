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
    let is_empty = image.size.pixels() == 0;
    match preprocessing {
        Preprocessing::Meta if image.size == size => {
            by_sample(image, |sample, channel| (sample / 255.0 - MEAN[channel]) / STD[channel])
        }
        Preprocessing::Meta if !is_empty => antialias::resize(image, side),
        _ => {
            let image = resize(image, size, Filter::TorchBilinear);
            by_sample(&image, |sample, channel| {
                (sample - MEAN[channel] * 255.0) / (STD[channel] * 255.0)
            })
        }
    }
}

/// What each sample of an image becomes, in its channel.
fn by_sample(image: &Rgb, value: impl Fn(f32, usize) -> f32) -> Vec<f32> {
    let channels = |sample: usize| [0, 1, 2].map(|channel| value(sample as f32, channel));
    let table: [[f32; CHANNELS]; 256] = std::array::from_fn(channels);
    let pixels = image.pixels.as_chunks::<CHANNELS>().0.iter();
    pixels.flat_map(|pixel| [0, 1, 2].map(|c| table[usize::from(pixel[c])][c])).collect()
}
