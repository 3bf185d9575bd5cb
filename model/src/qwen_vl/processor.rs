//! Images to patches, bit for bit as transformers' PIL-based Qwen2-VL image processor makes them
//! (`Qwen2VLImageProcessorPil`, before version 5 the "slow" `Qwen2VLImageProcessor`).
//!
//! Four steps: sides to multiples of `patch_size * merge_size` with the pixels within bounds, PIL's
//! resampling, scaling of each sample, and patches in the order in which the merger takes them.

use super::InputError;
use crate::json::Fields;
use rayon::prelude::*;
use segzero_datasets::{Error, ErrorKind, Size};
use segzero_prep::image::{Filter, Rgb, resize};
use serde::Deserialize;
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// Beyond this ratio of its sides an image is refused, as upstream refuses it.
const MAX_ASPECT: f64 = 200.0;
const CHANNELS: usize = 3;
/// Mean and standard deviation with which CLIP, and then Qwen's vision tower, was trained.
const CLIP_MEAN: [f32; CHANNELS] = [0.48145466, 0.4578275, 0.40821073];
#[expect(clippy::excessive_precision)] // the digits that are published
const CLIP_STD: [f32; CHANNELS] = [0.26862954, 0.26130258, 0.27577711];

/// How images become patches: the settings of `preprocessor_config.json`.
#[derive(Clone, Debug)]
pub struct Processor {
    patch_size: u32,
    merge_size: u32,
    temporal_patch_size: usize,
    min_pixels: u64,
    max_pixels: u64,
    /// `None` where images keep their size.
    filter: Option<Filter>,
    /// What each sample of each channel becomes.
    scaled: Box<[[f32; 256]; CHANNELS]>,
}

/// An image as the vision tower takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Patches {
    /// `[t * h * w, 3 * temporal_patch_size * patch_size * patch_size]`, row-major. Four patches
    /// that will be merged follow one another; a row is ordered channel, frame, row, column.
    pub values: Vec<f32>,
    /// Patches along time, height and width.
    pub grid: [usize; 3],
    /// What the merger leaves of them: how often the image's placeholder stands in the prompt.
    pub tokens: usize,
    /// The image's size before and after resizing.
    pub view: View,
}

/// An image's size on disk and in the model's eyes. Qwen2.5-VL speaks of pixels of the latter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The size of the image that was given.
    pub original: Size,
    /// The size that the model sees.
    pub resized: Size,
}

impl View {
    /// A position (x, y) in the resized image, as one of the original; not rounded, not clamped.
    pub fn original_from_resized(self, [x, y]: [f64; 2]) -> [f64; 2] {
        let scale = |original: u32, resized: u32| f64::from(original) / f64::from(resized);
        [
            x * scale(self.original.width, self.resized.width),
            y * scale(self.original.height, self.resized.height),
        ]
    }
}

impl Processor {
    /// Reads `preprocessor_config.json` of a model folder, or else `image_processor` in its
    /// `processor_config.json`. What a file leaves out is as the class of transformers has it.
    ///
    /// # Errors
    /// When neither is there, a field is of the wrong type, or it asks for what we do not do
    /// (another processor, cropping, padding, another filter).
    pub fn load(folder: &Path) -> Result<Self, InputError> {
        let fields = read(folder).map_err(|error| match &error.kind {
            ErrorKind::Io(io) if io.kind() == io::ErrorKind::NotFound => InputError::folder(
                error,
                "a Qwen-VL folder holds `preprocessor_config.json`; one of a text-only model does \
                 not",
            ),
            _ => error.into(),
        })?;
        Ok(Self::from_fields(&fields)?)
    }

    /// The processor that Qwen2.5-VL and all that was made of it are published with: multiples of 28,
    /// from 3,136 to 12,845,056 pixels, bicubic.
    pub fn qwen2_5_vl() -> Self {
        Self {
            patch_size: 14,
            merge_size: 2,
            temporal_patch_size: 2,
            min_pixels: 56 * 56,
            max_pixels: 28 * 28 * 16384,
            filter: Some(Filter::PilBicubic),
            scaled: table(1.0 / 255.0, CLIP_MEAN, CLIP_STD),
        }
    }

    fn from_fields(fields: &Fields) -> Result<Self, Error> {
        refuse_what_we_do_not_do(fields)?;
        let (min_pixels, max_pixels) = pixel_bounds(fields)?;
        let side = |name: &str, default: u32| match fields.get(name)?.unwrap_or(default) {
            0 => Err(fields.unexpected(name, "a number of at least 1", 0)),
            side => Ok(side),
        };
        Ok(Self {
            patch_size: side("patch_size", 14)?,
            merge_size: side("merge_size", 2)?,
            temporal_patch_size: side("temporal_patch_size", 2)? as usize,
            min_pixels,
            max_pixels,
            filter: filter(fields)?,
            scaled: scaled(fields)?,
        })
    }

    /// The same processor with other bounds of the resized image, in pixels. Fewer pixels are fewer
    /// tokens, and a less detailed view.
    ///
    /// # Errors
    /// When `min` is 0 or above `max`.
    pub fn with_pixels(self, min: u64, max: u64) -> Result<Self, InputError> {
        if min == 0 || min > max {
            return Err(InputError::PixelBounds { min, max });
        }
        Ok(Self { min_pixels: min, max_pixels: max, ..self })
    }

    /// The least and the most pixels of a resized image.
    pub fn pixel_bounds(&self) -> (u64, u64) {
        (self.min_pixels, self.max_pixels)
    }

    /// The size at which the model sees an image: both sides multiples of
    /// `patch_size * merge_size`, the number of pixels within bounds where the aspect ratio allows
    /// it (the smaller side is never below one multiple), the aspect ratio nearly kept. It is
    /// `smart_resize` of transformers, which rounds half to even.
    ///
    /// # Errors
    /// When the image has no pixels, one side is more than 200 times the other, or sizes are kept
    /// (`do_resize` is false) and a side is no such multiple.
    pub fn view(&self, original: Size) -> Result<View, InputError> {
        let refused = |reason: String| InputError::Image { size: original, reason };
        let factor = self.patch_size * self.merge_size;
        let Size { width, height } = original;
        let (short, long) = (width.min(height), width.max(height));
        if short == 0 {
            return Err(refused("has no pixels".to_owned()));
        }
        if self.filter.is_none() {
            let fits = width.is_multiple_of(factor) && height.is_multiple_of(factor);
            let reason = || format!("is not resized, and its sides are not multiples of {factor}");
            return if fits {
                Ok(View { original, resized: original })
            } else {
                Err(refused(reason()))
            };
        }
        let aspect = f64::from(long) / f64::from(short);
        if aspect > MAX_ASPECT {
            let reason = format!(
                "has sides of {aspect:.0} to 1; beyond {MAX_ASPECT} to 1 nothing can be seen"
            );
            return Err(refused(reason));
        }
        Ok(View { original, resized: self.smart_resize(original, f64::from(factor)) })
    }

    /// Operations are those of Python's, in its order, for the sake of their rounding.
    fn smart_resize(&self, size: Size, factor: f64) -> Size {
        let (width, height) = (f64::from(size.width), f64::from(size.height));
        let (min, max) = (self.min_pixels as f64, self.max_pixels as f64);
        let nearest = |side: f64| (side / factor).round_ties_even() * factor;
        let resized = [nearest(width), nearest(height)];
        let pixels = resized[0] * resized[1];
        let resized = if pixels > max {
            let beta = (height * width / max).sqrt();
            [width, height].map(|side| factor.max((side / beta / factor).floor() * factor))
        } else if pixels < min {
            let beta = (min / (height * width)).sqrt();
            [width, height].map(|side| (side * beta / factor).ceil() * factor)
        } else {
            resized
        };
        Size::new(resized[0] as u32, resized[1] as u32)
    }

    /// The image at the size at which the model sees it.
    ///
    /// # Errors
    /// As [`Processor::view`].
    pub fn resized<'a>(&self, image: &'a Rgb) -> Result<(View, Cow<'a, Rgb>), InputError> {
        let view = self.view(image.size)?;
        Ok(match self.filter {
            Some(filter) if view.resized != image.size => {
                (view, Cow::Owned(resize(image, view.resized, filter)))
            }
            _ => (view, Cow::Borrowed(image)),
        })
    }

    /// Resizes, scales and cuts an image. A still image is one moment, so each patch holds it
    /// `temporal_patch_size` times.
    ///
    /// # Errors
    /// As [`Processor::view`].
    pub fn patches(&self, image: &Rgb) -> Result<Patches, InputError> {
        let (view, image) = self.resized(image)?;
        let (patch, merge) = (self.patch_size as usize, self.merge_size as usize);
        let grid = [1, image.size.height as usize / patch, image.size.width as usize / patch];
        let length = CHANNELS * self.temporal_patch_size * patch * patch;
        let mut values = vec![0.0; grid[1] * grid[2] * length];
        values.par_chunks_mut(merge * grid[2] * length).enumerate().for_each(|(row, band)| {
            for (index, out) in band.chunks_exact_mut(length).enumerate() {
                let (block, inside) = (index / (merge * merge), index % (merge * merge));
                let top = row * merge + inside / merge;
                let left = block * merge + inside % merge;
                self.cut(&image, [left * patch, top * patch], out);
            }
        });
        let tokens = grid[1] * grid[2] / (merge * merge);
        Ok(Patches { values, grid, tokens, view })
    }

    /// Writes the patch whose top left corner is at (x, y).
    fn cut(&self, image: &Rgb, [x, y]: [usize; 2], out: &mut [f32]) {
        let patch = self.patch_size as usize;
        let stride = image.size.width as usize * CHANNELS;
        let frames = out.chunks_exact_mut(self.temporal_patch_size * patch * patch);
        for (channel, frames) in frames.enumerate() {
            let (first, rest) = frames.split_at_mut(patch * patch);
            for (row, out) in first.chunks_exact_mut(patch).enumerate() {
                let start = (y + row) * stride + x * CHANNELS;
                let pixels = image.pixels[start..start + patch * CHANNELS].chunks_exact(CHANNELS);
                for (out, pixel) in out.iter_mut().zip(pixels) {
                    *out = self.scaled[channel][usize::from(pixel[channel])];
                }
            }
            for frame in rest.chunks_exact_mut(patch * patch) {
                frame.copy_from_slice(first);
            }
        }
    }
}

fn read(folder: &Path) -> Result<Fields, Error> {
    let older = folder.join("preprocessor_config.json");
    let newer = folder.join("processor_config.json");
    if !older.exists()
        && newer.exists()
        && let Some(fields) = Fields::read(&newer)?.object("image_processor")?
    {
        return Ok(fields);
    }
    Fields::read(&older)
}

fn refuse_what_we_do_not_do(fields: &Fields) -> Result<(), Error> {
    let name = "image_processor_type";
    if let Some(class) = fields.get::<String>(name)?
        && !class.starts_with("Qwen2VLImageProcessor")
        && !class.starts_with("Qwen2_5_VLImageProcessor")
    {
        return Err(fields.unexpected(name, "`Qwen2VLImageProcessor`", format!("`{class}`")));
    }
    for name in ["do_center_crop", "do_pad"] {
        if fields.get(name)? == Some(true) {
            return Err(fields.unexpected(name, "false (Qwen-VL sees whole images)", true));
        }
    }
    Ok(())
}

/// `min_pixels` and `max_pixels`, which newer files call the edges of `size`.
fn pixel_bounds(fields: &Fields) -> Result<(u64, u64), Error> {
    let size = fields.object("size")?;
    let bound = |name: &str, edge: &str, default: u64| -> Result<u64, Error> {
        if let Some(pixels) = fields.get(name)? {
            return Ok(pixels);
        }
        let Some(size) = &size else { return Ok(default) };
        let pixels = size.get(edge).transpose().or_else(|| size.get(name).transpose());
        pixels.unwrap_or_else(|| {
            let kind = ErrorKind::Missing { what: format!("`{edge}`, a number of pixels,") };
            Err(fields.error("size", kind))
        })
    };
    let min = bound("min_pixels", "shortest_edge", 56 * 56)?;
    let max = bound("max_pixels", "longest_edge", 28 * 28 * 1280)?;
    if min == 0 || min > max {
        let expected = format!("a number from 1 to `max_pixels` ({max})");
        return Err(fields.unexpected("min_pixels", &expected, min));
    }
    Ok((min, max))
}

fn filter(fields: &Fields) -> Result<Option<Filter>, Error> {
    if fields.get("do_resize")? == Some(false) {
        return Ok(None);
    }
    let name = "resample";
    match fields.get(name)?.unwrap_or(3) {
        1 => Ok(Some(Filter::PilLanczos)),
        2 => Ok(Some(Filter::PilBilinear)),
        3 => Ok(Some(Filter::PilBicubic)),
        other => Err(fields.unexpected(name, "1 (Lanczos), 2 (bilinear) or 3 (bicubic)", other)),
    }
}

/// One number for all channels, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
enum Channels {
    All(f32),
    Each([f32; CHANNELS]),
}

/// `(sample * rescale_factor - mean) / std` of all samples there are: the product in 64 bits, then
/// rounded to 32, in which the rest is computed. That is numpy's arithmetic in transformers.
fn scaled(fields: &Fields) -> Result<Box<[[f32; 256]; CHANNELS]>, Error> {
    let channels = |name: &str, default: [f32; CHANNELS]| -> Result<[f32; CHANNELS], Error> {
        Ok(match fields.get(name)? {
            Some(Channels::All(value)) => [value; CHANNELS],
            Some(Channels::Each(values)) => values,
            None => default,
        })
    };
    let factor = match fields.get("do_rescale")? {
        Some(false) => 1.0,
        _ => fields.get("rescale_factor")?.unwrap_or(1.0 / 255.0),
    };
    let (mean, std) = match fields.get("do_normalize")? {
        Some(false) => ([0.0; CHANNELS], [1.0; CHANNELS]),
        _ => (channels("image_mean", CLIP_MEAN)?, channels("image_std", CLIP_STD)?),
    };
    if let Some(zero) = std.iter().find(|&&std| std == 0.0) {
        return Err(fields.unexpected("image_std", "numbers other than 0", zero));
    }
    Ok(table(factor, mean, std))
}

/// `(sample * factor - mean) / std` of all samples there are.
fn table(factor: f64, mean: [f32; CHANNELS], std: [f32; CHANNELS]) -> Box<[[f32; 256]; CHANNELS]> {
    let mut table = Box::new([[0.0; 256]; CHANNELS]);
    for (channel, table) in table.iter_mut().enumerate() {
        for (sample, out) in table.iter_mut().enumerate() {
            *out = ((sample as f64 * factor) as f32 - mean[channel]) / std[channel];
        }
    }
    table
}
