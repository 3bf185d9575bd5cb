//! What a checkpoint is and what it needs, without loading it.
//!
//! Memory = weights + KV cache + activations; for Qwen-VL, with a prompt of [`PROMPT_TOKENS`] tokens and
//! one image of [`PATCHES`] patches (840x840); for SAM 2, with one image:
//!
//! - weights: the sum over parameters of their bytes as [`crate::load`] keeps them. On the CPU
//!   matrices are of the format and all else is f32 (int4 only in the decoder's layers, int8
//!   elsewhere); on a GPU everything is of the format.
//! - KV cache, of which SAM 2 has none: tokens x 2 x layers x key-value heads x head width x bytes of
//!   an activation.
//! - activations: what the widest layer holds at once, an estimate: rows x (6 x hidden + 3 x
//!   intermediate) x bytes of an activation, rows being tokens in the decoder and patches in the
//!   vision tower, whichever is larger. Attention scores are never held whole. In SAM 2 that is the
//!   first stage of the image encoder: cells x (6 x width + hidden width of the MLP).
//!
//! An activation has 4 bytes on the CPU and the format's on a GPU.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use segzero_datasets::{Error, ErrorKind};
use serde::Serialize;
use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::packed::Format;
use crate::qwen_vl::{Config, parameters};
use crate::sam2::{self, Release};

/// Tokens of the prompt that memory is stated for.
pub const PROMPT_TOKENS: u64 = 2048;
/// Patches of the image that memory is stated for: 60 x 60 of 14 pixels.
pub const PATCHES: u64 = 3600;

/// What the network is.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// Qwen-VL, by `config.json`.
    QwenVl(Box<Config>),
    /// SAM 2, by `config.json` or by its parameters; and which release, where they tell.
    Sam2(Box<sam2::Config>, Option<Release>),
    /// Another, by its `model_type`.
    Other(String),
    /// There is no `config.json`.
    Unstated,
}

impl Architecture {
    /// Reads the `config.json` of a folder.
    ///
    /// # Errors
    /// Not JSON; or of a network that is known here, and not as it must be.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("config.json");
        if !path.exists() {
            return Ok(Self::Unstated);
        }
        let text = std::fs::read(&path).map_err(|e| Error::new(&path, ErrorKind::Io(e)))?;
        let value: Value = serde_json::from_slice(&text).map_err(|e| Error::new(&path, e))?;
        match value.get("model_type").and_then(Value::as_str) {
            Some(name) if sam2::MODEL_TYPES.contains(&name) => {
                Ok(Self::Sam2(Box::new(sam2::Config::open(folder)?), None))
            }
            Some(other) if !["qwen2_vl", "qwen2_5_vl"].contains(&other) => {
                Ok(Self::Other(other.to_owned()))
            }
            _ => Ok(Self::QwenVl(Box::new(Config::parse(&path, &value)?))),
        }
    }

    /// Of a checkpoint: as the `config.json` beside it says, or by its parameters where they are those
    /// of SAM 2.
    ///
    /// # Errors
    /// As [`Architecture::open`]; and SAM 2 of no published family without `config.json`.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, Error> {
        let mut names = checkpoint.entries().map(|(name, _)| name);
        if names.any(|name| name.starts_with("image_encoder.trunk.")) {
            let config = Box::new(sam2::Config::of(checkpoint)?);
            return Ok(Self::Sam2(config, Release::of(checkpoint)));
        }
        Self::open(&checkpoint.folder)
    }

    /// Name and shape of each parameter, where the architecture is known.
    pub fn parameters(&self) -> Option<Vec<(String, Vec<usize>)>> {
        match self {
            Self::QwenVl(config) => Some(parameters(config)),
            Self::Sam2(config, _) => Some(sam2::parameters(config)),
            _ => None,
        }
    }

    /// In a word or two.
    pub fn name(&self) -> String {
        match self {
            Self::QwenVl(config) => match config.vision.attention {
                crate::qwen_vl::config::Attention::Full => "Qwen2-VL".to_owned(),
                crate::qwen_vl::config::Attention::Windowed { .. } => "Qwen2.5-VL".to_owned(),
            },
            Self::Sam2(config, release) => {
                let release = release.map_or("SAM 2 or 2.1", Release::name);
                match config.family() {
                    Some(family) => format!("{release} Hiera-{family}"),
                    None => format!("{release}, of no published size"),
                }
            }
            Self::Other(name) => name.clone(),
            Self::Unstated => "unstated (no config.json)".to_owned(),
        }
    }

    /// What it needs, each format on each device that has it; nothing where it is not known.
    pub fn memory(&self) -> Vec<Memory> {
        let on = |(place, format)| match self {
            Self::QwenVl(config) => Some(Memory::of(config, place, format)),
            // Four bits are for decoders of text.
            Self::Sam2(..) if format == Format::Int4 => None,
            Self::Sam2(config, _) => Some(Memory::of_sam2(config, place, format)),
            _ => None,
        };
        KEPT.into_iter().filter_map(on).collect()
    }
}

/// Where and how weights are kept.
const KEPT: [(Place, Format); 6] = [
    (Place::Cpu, Format::F32),
    (Place::Cpu, Format::Bf16),
    (Place::Cpu, Format::Int8),
    (Place::Cpu, Format::Int4),
    (Place::Gpu, Format::F32),
    (Place::Gpu, Format::Bf16),
];

/// What a checkpoint is and needs.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// Its folder.
    pub folder: PathBuf,
    /// The architecture's name.
    pub architecture: String,
    /// Numbers in its parameters, by part.
    pub parameters: BTreeMap<Part, u64>,
    /// Bytes of weights on disk by dtype.
    pub dtypes: BTreeMap<String, u64>,
    /// Bytes of all weights on disk.
    pub bytes: u64,
    /// Its files with their bytes.
    pub shards: BTreeMap<String, u64>,
    /// Side of the square image that a SAM 2 sees, in pixels.
    pub image_size: Option<usize>,
    /// Bytes that each token adds to the KV cache with activations of 32 bits (16 bits: half);
    /// none where the architecture is not known.
    pub kv_cache_bytes_per_token: Option<u64>,
    /// What it needs by device and format; empty where the architecture is not known.
    pub memory: Vec<Memory>,
}

/// A part of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Qwen-VL's vision tower.
    Vision,
    /// Qwen-VL's decoder: its layers and last norm.
    Decoder,
    /// Embeddings of tokens, and the output layer where it is not the same.
    Embeddings,
    /// SAM 2's image encoder: trunk, neck, and what is added to an image that has none before it.
    ImageEncoder,
    /// SAM 2's prompt encoder.
    PromptEncoder,
    /// SAM 2's mask decoder.
    MaskDecoder,
    /// What SAM 2 needs for video only, which is not loaded.
    Video,
    /// Parts of no network that is known here.
    Other,
}

impl Part {
    /// That of a parameter, by its canonical name.
    pub fn of(name: &str) -> Self {
        let parts = [
            ("visual.", Self::Vision),
            ("model.embed_tokens.weight", Self::Embeddings),
            ("lm_head.weight", Self::Embeddings),
            ("model.", Self::Decoder),
            ("image_encoder.", Self::ImageEncoder),
            ("no_mem_embed", Self::ImageEncoder),
            ("sam_prompt_encoder.", Self::PromptEncoder),
            ("sam_mask_decoder.", Self::MaskDecoder),
        ];
        let video = sam2::OF_VIDEO.map(|start| (start, Self::Video));
        let mut parts = parts.iter().chain(&video);
        parts.find(|(start, _)| name.starts_with(start)).map_or(Self::Other, |(_, part)| *part)
    }

    /// As it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Decoder => "decoder",
            Self::Embeddings => "embeddings",
            Self::ImageEncoder => "image encoder",
            Self::PromptEncoder => "prompt encoder",
            Self::MaskDecoder => "mask decoder",
            Self::Video => "video",
            Self::Other => "other",
        }
    }
}

/// Where a network runs, as far as memory goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Matrices are kept in the format, activations are f32.
    Cpu,
    /// Everything is of the format.
    Gpu,
}

/// Bytes that a network needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Where.
    pub device: Place,
    /// How weights are kept.
    pub format: Format,
    /// Bytes of the weights.
    pub weights: u64,
    /// Bytes of keys and values of the prompt.
    pub kv_cache: u64,
    /// Bytes of the widest layer's intermediate results, an estimate.
    pub activations: u64,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.kv_cache + self.activations
    }

    /// What an architecture needs.
    pub fn of(config: &Config, device: Place, format: Format) -> Self {
        let activation = activation_bytes(device, format);
        let bytes = |(name, shape): (String, Vec<usize>)| match device {
            Place::Cpu => on_cpu(&name, &shape, format),
            Place::Gpu => activation * product(&shape),
        };
        let (text, vision) = (&config.text, &config.vision);
        let layer = |rows: u64, hidden: usize, intermediate: usize| {
            rows * (6 * hidden + 3 * intermediate) as u64 * activation
        };
        Self {
            device,
            format,
            weights: parameters(config).into_iter().map(bytes).sum(),
            kv_cache: PROMPT_TOKENS * kv_numbers(config) * activation,
            activations: layer(PROMPT_TOKENS, text.hidden_size, text.intermediate_size).max(layer(
                PATCHES,
                vision.hidden_size,
                vision.intermediate_size,
            )),
        }
    }

    /// What a SAM 2 needs for one image.
    pub fn of_sam2(config: &sam2::Config, device: Place, format: Format) -> Self {
        let activation = activation_bytes(device, format);
        // What is added to activations, and kernels whose order is changed, are not packed.
        let dense = ["pos_embed", "_token", "point_embed", "no_m", "gaussian", "output_upscaling"];
        let bytes = |(name, shape): (String, Vec<usize>)| match device {
            Place::Cpu if dense.iter().any(|part| name.contains(part)) => 4 * product(&shape),
            Place::Cpu => on_cpu(&name, &shape, format),
            Place::Gpu => activation * product(&shape),
        };
        let [first, ..] = config.trunk.stages;
        let cells = (config.image_size / config.trunk.patch_stride).pow(2);
        let hidden = (first.width as f64 * config.trunk.mlp_ratio) as usize;
        Self {
            device,
            format,
            weights: sam2::parameters(config).into_iter().map(bytes).sum(),
            kv_cache: 0,
            activations: (cells * (6 * first.width + hidden)) as u64 * activation,
        }
    }
}

/// Bytes of an activation.
fn activation_bytes(device: Place, format: Format) -> u64 {
    match (device, format) {
        (Place::Gpu, Format::Bf16 | Format::F16) => 2,
        _ => 4,
    }
}

fn product(shape: &[usize]) -> u64 {
    shape.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64))
}

/// Keys and values of one token.
fn kv_numbers(config: &Config) -> u64 {
    let text = &config.text;
    (2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim()) as u64
}

/// Bytes of a parameter as the loader keeps it on the CPU: vectors as f32; rows of int8 and int4 in
/// groups of 32 with a scale of 16 bits each.
fn on_cpu(name: &str, shape: &[usize], format: Format) -> u64 {
    let [rows, ref columns @ ..] = *shape else { return 4 };
    if columns.is_empty() {
        return 4 * rows as u64;
    }
    let columns = product(columns);
    let row = match format {
        Format::F32 => 4 * columns,
        Format::Bf16 | Format::F16 => 2 * columns,
        Format::Int4 if name.starts_with("model.layers.") => columns.div_ceil(32) * (16 + 2),
        Format::Int8 | Format::Int4 => columns.div_ceil(32) * (32 + 2),
    };
    rows as u64 * row
}

impl Info {
    /// Of an opened checkpoint and the architecture in its folder.
    pub fn new(checkpoint: &Checkpoint, architecture: &Architecture) -> Self {
        let mut parameters: BTreeMap<Part, u64> = BTreeMap::new();
        let mut dtypes: BTreeMap<String, u64> = BTreeMap::new();
        for (name, entry) in checkpoint.entries() {
            *parameters.entry(Part::of(name)).or_default() += product(&entry.shape);
            *dtypes.entry(entry.dtype.to_string()).or_default() += entry.range.len() as u64;
        }
        let file =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let shards = checkpoint.shards.iter();
        let shards = shards.map(|shard| (file(&shard.path), shard.map.len() as u64)).collect();
        let (config, image_size) = match architecture {
            Architecture::QwenVl(config) => (Some(config.as_ref()), None),
            Architecture::Sam2(config, _) => (None, Some(config.image_size)),
            _ => (None, None),
        };
        Self {
            folder: checkpoint.folder.clone(),
            architecture: architecture.name(),
            parameters,
            dtypes,
            bytes: checkpoint.bytes(),
            shards,
            image_size,
            kv_cache_bytes_per_token: config.map(|config| 4 * kv_numbers(config)),
            memory: architecture.memory(),
        }
    }
}
