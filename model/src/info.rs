//! What a checkpoint is and what it needs, without loading it.
//!
//! Memory = weights + KV cache + activations, for a prompt of [`PROMPT_TOKENS`] tokens with one image
//! of [`PATCHES`] patches (840x840):
//!
//! - weights: the sum over parameters of their bytes as [`crate::load`] keeps them. On the CPU
//!   matrices are of the format and all else is f32 (int4 only in the decoder's layers, int8
//!   elsewhere); on a GPU everything is of the format.
//! - KV cache: tokens x 2 x layers x key-value heads x head width x bytes of an activation.
//! - activations: what the widest layer holds at once, an estimate: rows x (6 x hidden + 3 x
//!   intermediate) x bytes of an activation, rows being tokens in the decoder and patches in the
//!   vision tower, whichever is larger. Attention scores are never held whole.
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

/// Tokens of the prompt that memory is stated for.
pub const PROMPT_TOKENS: u64 = 2048;
/// Patches of the image that memory is stated for: 60 x 60 of 14 pixels.
pub const PATCHES: u64 = 3600;

/// What `config.json` says the network is.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// One that this crate computes.
    QwenVl(Box<Config>),
    /// Another, by its `model_type`.
    Other(String),
    /// There is no `config.json`.
    Unstated,
}

impl Architecture {
    /// Reads the `config.json` of a folder.
    ///
    /// # Errors
    /// Not JSON; or of Qwen-VL, and not as it must be.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("config.json");
        if !path.exists() {
            return Ok(Self::Unstated);
        }
        let text = std::fs::read(&path).map_err(|e| Error::new(&path, ErrorKind::Io(e)))?;
        let value: Value = serde_json::from_slice(&text).map_err(|e| Error::new(&path, e))?;
        match value.get("model_type").and_then(Value::as_str) {
            Some(other) if !["qwen2_vl", "qwen2_5_vl"].contains(&other) => {
                Ok(Self::Other(other.to_owned()))
            }
            _ => Ok(Self::QwenVl(Box::new(Config::parse(&path, &value)?))),
        }
    }

    /// Name and shape of each parameter, where the architecture is known.
    pub fn parameters(&self) -> Option<Vec<(String, Vec<usize>)>> {
        match self {
            Self::QwenVl(config) => Some(parameters(config)),
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
            Self::Other(name) => name.clone(),
            Self::Unstated => "unstated (no config.json)".to_owned(),
        }
    }
}

/// What a checkpoint is and needs.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// Its folder.
    pub folder: PathBuf,
    /// The architecture's name.
    pub architecture: String,
    /// Numbers in its parameters.
    pub parameters: Parameters,
    /// Bytes of weights on disk by dtype.
    pub dtypes: BTreeMap<String, u64>,
    /// Bytes of all weights on disk.
    pub bytes: u64,
    /// Its files with their bytes.
    pub shards: BTreeMap<String, u64>,
    /// Bytes that each token adds to the KV cache with activations of 32 bits (16 bits: half);
    /// none where the architecture is not known.
    pub kv_cache_bytes_per_token: Option<u64>,
    /// What it needs by device and format; empty where the architecture is not known.
    pub memory: Vec<Memory>,
}

/// How many numbers are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// The vision tower.
    pub vision: u64,
    /// The decoder's layers and last norm.
    pub decoder: u64,
    /// Embeddings of tokens, and the output layer where it is not the same.
    pub embeddings: u64,
    /// Parts of no Qwen-VL.
    pub other: u64,
}

impl Parameters {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.vision + self.decoder + self.embeddings + self.other
    }

    fn add(&mut self, name: &str, count: u64) {
        let part = match name {
            _ if name.starts_with("visual.") => &mut self.vision,
            "model.embed_tokens.weight" | "lm_head.weight" => &mut self.embeddings,
            _ if name.starts_with("model.") => &mut self.decoder,
            _ => &mut self.other,
        };
        *part += count;
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
        let activation = match (device, format) {
            (Place::Gpu, Format::Bf16 | Format::F16) => 2,
            _ => 4,
        };
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
        let mut parameters = Parameters::default();
        let mut dtypes: BTreeMap<String, u64> = BTreeMap::new();
        for (name, entry) in checkpoint.entries() {
            parameters.add(name, product(&entry.shape));
            *dtypes.entry(entry.dtype.to_string()).or_default() += entry.range.len() as u64;
        }
        let file =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let shards = checkpoint.shards.iter();
        let shards = shards.map(|shard| (file(&shard.path), shard.map.len() as u64)).collect();
        let config = match architecture {
            Architecture::QwenVl(config) => Some(config.as_ref()),
            _ => None,
        };
        Self {
            folder: checkpoint.folder.clone(),
            architecture: architecture.name(),
            parameters,
            dtypes,
            bytes: checkpoint.bytes(),
            shards,
            kv_cache_bytes_per_token: config.map(|config| 4 * kv_numbers(config)),
            memory: config.map(memory).unwrap_or_default(),
        }
    }
}

/// Each format on each device that has it.
fn memory(config: &Config) -> Vec<Memory> {
    let on = |device, format| Memory::of(config, device, format);
    vec![
        on(Place::Cpu, Format::F32),
        on(Place::Cpu, Format::Bf16),
        on(Place::Cpu, Format::Int8),
        on(Place::Cpu, Format::Int4),
        on(Place::Gpu, Format::F32),
        on(Place::Gpu, Format::Bf16),
    ]
}
