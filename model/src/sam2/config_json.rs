//! What published weights are made of: as `config.json` of transformers says, or, for Meta's files,
//! which come without, by the names and shapes of their parameters.

use std::collections::BTreeSet;
use std::path::Path;

use segzero_datasets::{Error, ErrorKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::config::{Hiera, MaskDecoder, Neck, PromptEncoder, Stability, Stage};
use super::{Config, Family, OF_VIDEO, parameters};
use crate::checkpoint::Checkpoint;
use crate::json::Fields;

/// Values of `model_type` in `config.json`; of the second, only what an image needs is read.
pub const MODEL_TYPES: [&str; 2] = ["sam2", "sam2_video"];
/// The largest size that is taken for one.
const SIZE_MAX: usize = 1 << 16;
/// Differences that an error lists.
const LISTED: usize = 4;

impl Config {
    /// Of weights: by the `config.json` beside them where that is SAM 2's, else the published family
    /// that has exactly these parameters.
    ///
    /// # Errors
    /// A `config.json` of SAM 2 that cannot be; parameters of no family, with what does not fit the
    /// closest.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, Error> {
        let path = checkpoint.folder.join("config.json");
        if path.exists() {
            let fields = Fields::read(&path)?;
            if is_sam2(&fields)? {
                return Self::from_fields(&fields);
            }
        }
        recognised(checkpoint)
    }

    /// Reads `config.json` of a folder, as transformers writes it for `Sam2Model` and
    /// `Sam2VideoModel`. What it leaves out is as in the configuration classes of transformers.
    ///
    /// # Errors
    /// Unreadable; of another model; sizes that cannot be, or that no published SAM 2 has and this
    /// network does not compute.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let fields = Fields::read(&folder.join("config.json"))?;
        if !is_sam2(&fields)? {
            let found: Option<String> = fields.get("model_type")?;
            let found = found.unwrap_or_else(|| "none".to_owned());
            return Err(fields.unexpected("model_type", &MODEL_TYPES.join(" or "), found));
        }
        Self::from_fields(&fields)
    }

    /// The published family that is made of the same.
    pub fn family(&self) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.config() == *self)
    }

    fn from_fields(fields: &Fields) -> Result<Self, Error> {
        let (vision, prompt) =
            (fields.section("vision_config")?, fields.section("prompt_encoder_config")?);
        let image_size = side(&prompt, "image_size", 1024)?;
        let trunk = trunk(&vision.section("backbone_config")?, image_size)?;
        let neck = neck(&vision, &trunk)?;
        fixed(fields, "image_size", image_size)?;
        fixed(&prompt, "hidden_act", "gelu".to_owned())?;
        fixed(&prompt, "layer_norm_eps", 1e-6)?;
        fixed(&prompt, "num_point_embeddings", 4)?;
        agrees(&prompt, "hidden_size", 256, neck.width)?;
        let channels = size(&prompt, "mask_input_channels", 16)?;
        if channels % 4 != 0 {
            return Err(prompt.unexpected("mask_input_channels", "a multiple of 4", channels));
        }
        let patch = side(&prompt, "patch_size", 16)?;
        if patch != 4 * trunk.patch_stride {
            let expected = format!("{}, the third level's", 4 * trunk.patch_stride);
            return Err(prompt.unexpected("patch_size", &expected, patch));
        }
        let decoder = decoder(&fields.section("mask_decoder_config")?, neck.width)?;
        let prompt = PromptEncoder { mask_channels: channels, patch };
        Ok(Self { image_size, trunk, neck, prompt, decoder })
    }
}

/// Which SAM 2: the same network for images, with other weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// SAM 2, of July 2024.
    Two,
    /// SAM 2.1, of September 2024.
    TwoPointOne,
}

impl Release {
    /// That of published weights, by what they have for video; none where they have nothing for it.
    pub fn of(checkpoint: &Checkpoint) -> Option<Self> {
        let has = |start: &str| checkpoint.entries().any(|(name, _)| name.starts_with(start));
        match has("no_obj_embed_spatial") {
            true => Some(Self::TwoPointOne),
            false => has("memory_encoder.").then_some(Self::Two),
        }
    }

    /// As Meta calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Two => "SAM 2",
            Self::TwoPointOne => "SAM 2.1",
        }
    }
}

fn is_sam2(fields: &Fields) -> Result<bool, Error> {
    let name: Option<String> = fields.get("model_type")?;
    Ok(name.is_some_and(|name| MODEL_TYPES.contains(&name.as_str())))
}

fn trunk(fields: &Fields, image_size: usize) -> Result<Hiera, Error> {
    let widths = sizes(fields, "embed_dim_per_stage", [96, 192, 384, 768])?;
    let heads = sizes(fields, "num_attention_heads_per_stage", [1, 2, 4, 8])?;
    let blocks = sizes(fields, "blocks_per_stage", [1, 2, 7, 2])?;
    let windows = sizes(fields, "window_size_per_stage", [8, 4, 14, 7])?;
    agrees(fields, "hidden_size", 96, widths[0])?;
    fixed(fields, "num_channels", 3)?;
    fixed(fields, "num_query_pool_stages", 3)?;
    fixed(fields, "hidden_act", "gelu".to_owned())?;
    for (name, expected) in [("image_size", image_size), ("query_stride", 2)] {
        let found = side(fields, name, expected)?;
        if found != expected {
            return Err(fields.unexpected(name, &expected.to_string(), found));
        }
    }
    let stage = |i: usize| Stage {
        width: widths[i],
        heads: heads[i],
        blocks: blocks[i],
        window: windows[i],
    };
    let hiera = Hiera {
        stages: [stage(0), stage(1), stage(2), stage(3)],
        global_blocks: fields.get("global_attention_blocks")?.unwrap_or_else(|| vec![5, 7, 9]),
        background: sizes(fields, "window_positional_embedding_background_size", [7, 7])?,
        patch_kernel: side(fields, "patch_kernel_size", 7)?,
        patch_stride: side(fields, "patch_stride", 4)?,
        patch_padding: side(fields, "patch_padding", 3)?,
        pooled_stages: 3,
        mlp_ratio: fields.get("mlp_ratio")?.unwrap_or(4.0),
        norm_epsilon: fields.get("layer_norm_eps")?.unwrap_or(1e-6),
    };
    check_trunk(fields, &hiera, image_size)?;
    Ok(hiera)
}

fn check_trunk(fields: &Fields, hiera: &Hiera, image_size: usize) -> Result<(), Error> {
    for stage in hiera.stages {
        if !stage.width.is_multiple_of(stage.heads) {
            let expected = format!("a divisor of {}", stage.width);
            return Err(fields.unexpected("num_attention_heads_per_stage", &expected, stage.heads));
        }
    }
    // Windows of a stage are pooled two by two where the next begins.
    if let Some(odd) = hiera.stages[..3].iter().find(|stage| stage.window % 2 != 0) {
        let expected = "even sides before the last stage";
        return Err(fields.unexpected("window_size_per_stage", expected, odd.window));
    }
    let stride = hiera.patch_stride;
    if stride == 0 || !image_size.is_multiple_of(8 * stride) {
        let expected = format!("a divisor of an eighth of {image_size}, the image's side");
        return Err(fields.unexpected("patch_stride", &expected, stride));
    }
    let grid = image_size / stride;
    let reached = (image_size + 2 * hiera.patch_padding).checked_sub(hiera.patch_kernel);
    if reached.map(|pixels| pixels / stride + 1) != Some(grid) {
        let expected = format!("padding with which there are {grid} patches to a side");
        return Err(fields.unexpected("patch_padding", &expected, hiera.patch_padding));
    }
    if !grid.is_multiple_of(hiera.stages[0].window) {
        let expected = format!("a first window that divides {grid}");
        let window = hiera.stages[0].window;
        return Err(fields.unexpected("window_size_per_stage", &expected, window));
    }
    let blocks: usize = hiera.stages.iter().map(|stage| stage.blocks).sum();
    if let Some(block) = hiera.global_blocks.iter().find(|block| **block >= blocks) {
        let expected = format!("numbers below {blocks}");
        return Err(fields.unexpected("global_attention_blocks", &expected, block));
    }
    let wide = hiera.mlp_ratio * hiera.stages[3].width as f64;
    if !(1.0..=SIZE_MAX as f64).contains(&wide) {
        return Err(fields.unexpected("mlp_ratio", "a ratio such as 4", hiera.mlp_ratio));
    }
    Ok(())
}

fn neck(fields: &Fields, trunk: &Hiera) -> Result<Neck, Error> {
    fixed(fields, "fpn_kernel_size", 1)?;
    fixed(fields, "fpn_stride", 1)?;
    fixed(fields, "fpn_padding", 0)?;
    fixed(fields, "num_feature_levels", 3)?;
    let mut widths = trunk.stages.map(|stage| stage.width);
    widths.reverse();
    let stated = sizes(fields, "backbone_channel_list", [768, 384, 192, 96])?;
    if stated != widths {
        let expected = format!("the trunk's widths {widths:?}");
        return Err(fields.unexpected("backbone_channel_list", &expected, format!("{stated:?}")));
    }
    let width = size(fields, "fpn_hidden_size", 256)?;
    if width % 8 != 0 {
        return Err(fields.unexpected("fpn_hidden_size", "a multiple of 8", width));
    }
    let top_down = fields.get("fpn_top_down_levels")?.unwrap_or_else(|| vec![2, 3]);
    Ok(Neck { width, top_down })
}

fn decoder(fields: &Fields, width: usize) -> Result<MaskDecoder, Error> {
    agrees(fields, "hidden_size", 256, width)?;
    // transformers takes this for the layers of the blocks' MLP as well; and other depths of the head
    // would be called otherwise.
    fixed(fields, "num_hidden_layers", 2)?;
    fixed(fields, "iou_head_depth", 3)?;
    let heads = size(fields, "num_attention_heads", 8)?;
    let attention_downsample = size(fields, "attention_downsample_rate", 2)?;
    if !width.is_multiple_of(heads * attention_downsample) {
        let expected = format!("heads that divide {width} / {attention_downsample}");
        return Err(fields.unexpected("num_attention_heads", &expected, heads));
    }
    let is_dynamic = fields.get("dynamic_multimask_via_stability")?.unwrap_or(true);
    let stability = Stability {
        delta: fields.get("dynamic_multimask_stability_delta")?.unwrap_or(0.05),
        threshold: fields.get("dynamic_multimask_stability_thresh")?.unwrap_or(0.98),
    };
    Ok(MaskDecoder {
        blocks: 2,
        heads,
        mlp_width: size(fields, "mlp_dim", 2048)?,
        attention_downsample,
        iou_layers: 3,
        iou_width: size(fields, "iou_head_hidden_dim", 256)?,
        multimasks: size(fields, "num_multimask_outputs", 3)?,
        stability: is_dynamic.then_some(stability),
    })
}

/// A field that has one value in all that is published, and here.
fn fixed<T>(fields: &Fields, name: &str, expected: T) -> Result<(), Error>
where
    T: DeserializeOwned + PartialEq + std::fmt::Debug,
{
    match fields.get::<T>(name)? {
        Some(found) if found != expected => {
            Err(fields.unexpected(name, &format!("{expected:?}"), format!("{found:?}")))
        }
        _ => Ok(()),
    }
}

/// A width that must be that of its neighbour.
fn agrees(fields: &Fields, name: &str, default: usize, expected: usize) -> Result<(), Error> {
    let found = size(fields, name, default)?;
    match found == expected {
        true => Ok(()),
        false => Err(fields.unexpected(name, &format!("{expected}, as beside it"), found)),
    }
}

fn size(fields: &Fields, name: &str, default: usize) -> Result<usize, Error> {
    let size = fields.get(name)?.unwrap_or(default);
    match (1..=SIZE_MAX).contains(&size) {
        true => Ok(size),
        false => Err(fields.unexpected(name, &format!("a number from 1 to {SIZE_MAX}"), size)),
    }
}

fn sizes<const N: usize>(
    fields: &Fields,
    name: &str,
    default: [usize; N],
) -> Result<[usize; N], Error> {
    let Some(sizes) = fields.get::<Vec<usize>>(name)? else { return Ok(default) };
    let are_sizes = sizes.iter().all(|size| (1..=SIZE_MAX).contains(size));
    match <[usize; N]>::try_from(&sizes[..]) {
        Ok(sizes) if are_sizes => Ok(sizes),
        _ => {
            let expected = format!("{N} numbers from 1 to {SIZE_MAX}");
            Err(fields.unexpected(name, &expected, format!("{sizes:?}")))
        }
    }
}

/// The side of a square, stated once or as height and width.
fn side(fields: &Fields, name: &str, default: usize) -> Result<usize, Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Side {
        Once(usize),
        Twice([usize; 2]),
    }
    match fields.get(name)?.unwrap_or(Side::Once(default)) {
        Side::Once(side) if side <= SIZE_MAX => Ok(side),
        Side::Twice([height, width]) if height == width && height <= SIZE_MAX => Ok(height),
        Side::Once(side) | Side::Twice([side, _]) => {
            let expected = format!("one number of up to {SIZE_MAX}, or the same twice");
            Err(fields.unexpected(name, &expected, side))
        }
    }
}

/// The family that has exactly these parameters.
fn recognised(checkpoint: &Checkpoint) -> Result<Config, Error> {
    let mut closest: Option<(Family, Vec<String>)> = None;
    for family in Family::ALL {
        let config = family.config();
        let differences = differences(checkpoint, &parameters(&config));
        if differences.is_empty() {
            return Ok(config);
        }
        if closest.as_ref().is_none_or(|(_, least)| differences.len() < least.len()) {
            closest = Some((family, differences));
        }
    }
    let found = closest.map_or_else(String::new, |(family, differences)| {
        let listed = differences[..differences.len().min(LISTED)].join("; ");
        let more = match differences.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        format!("others, of which Hiera-{family} is closest: {listed}{more}")
    });
    let expected = "the parameters of a published SAM 2".to_owned();
    let path = checkpoint.shards.first().map_or(&checkpoint.folder, |shard| &shard.path);
    Err(Error::new(path, ErrorKind::Unexpected { expected, found }))
}

/// What is missing, of another shape, or left over.
fn differences(checkpoint: &Checkpoint, expected: &[(String, Vec<usize>)]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let mut differences = Vec::new();
    for (name, shape) in expected {
        known.insert(name.as_str());
        match checkpoint.get(name) {
            None => differences.push(format!("`{name}` is missing")),
            Some(view) if view.shape() != shape => {
                differences.push(format!("`{name}` has shape {:?}, not {shape:?}", view.shape()));
            }
            _ => {}
        }
    }
    let is_video = |name: &str| OF_VIDEO.iter().any(|start| name.starts_with(start));
    let names = checkpoint.entries().map(|(name, _)| name);
    let other = names.filter(|name| !known.contains(name) && !is_video(name));
    differences.extend(other.map(|name| format!("`{name}` is unknown")));
    differences
}
