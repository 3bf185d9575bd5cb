//! Weights to begin with, and weights as they are published.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use half::bf16;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use safetensors::{Dtype, View};
use segzero_model::checkpoint::{Checkpoint, Layout};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::TrainError;
use crate::lora::{ADAPTER, Lora, merged};
use crate::saved::{WEIGHTS, side_files};
use crate::weights::write;

/// How weights are drawn: norms are 1, biases 0 unless said otherwise, all else normal.
#[derive(clap::Args, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beginning {
    /// Standard deviation of embeddings.
    #[arg(long, default_value_t = 0.5, value_name = "X")]
    pub embedding_std: f64,
    /// Standard deviation of the output layer, where it is not the embeddings.
    #[arg(long, default_value_t = 0.02, value_name = "X")]
    pub head_std: f64,
    /// Standard deviation of a matrix's output, for an input of deviation 1.
    #[arg(long, default_value_t = 1.0, value_name = "X")]
    pub gain: f64,
    /// The same of matrices that add to the residual stream, before it is divided by the root of their
    /// number.
    #[arg(long, default_value_t = 1.0, value_name = "X")]
    pub residual_gain: f64,
    /// Standard deviation of the biases of a Qwen-VL's queries and keys. With rotary positions, they
    /// are what lets an untrained head look at a place, whatever is there.
    #[arg(long, default_value_t = 0.0, value_name = "X")]
    pub query_bias_std: f64,
    /// Seed of the draws; each parameter has its own.
    #[arg(long, default_value_t = 42, value_name = "N")]
    pub seed: u64,
}

/// Draws the weights of a network whose parameters have those canonical names and shapes, and copies what
/// else belongs to the model. Gives their number.
///
/// # Errors
/// A disk that is full.
pub fn begin(
    parameters: Vec<(String, Vec<usize>)>,
    from: &Path,
    out: &Path,
    beginning: &Beginning,
) -> Result<usize, TrainError> {
    let depth = |start: &str| {
        let is_residual = |(name, _): &&(String, Vec<usize>)| name.starts_with(start) && adds(name);
        parameters.iter().filter(is_residual).count().max(1) as f64
    };
    let depths = ["visual.", "model.", "image_encoder."].map(|start| (start, depth(start)));
    let count = parameters.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let drawn = parameters.into_iter().map(|(name, shape)| {
        let depth = depths.iter().find(|(start, _)| name.starts_with(start));
        let scale = scale(&name, &shape, beginning, depth.map_or(1.0, |(_, depth)| *depth));
        let (seed, drawn_as) = (beginning.seed, Places::drawn_as(&name));
        (name, Drawn { name: drawn_as, shape, scale, seed })
    });
    publish(from, out, drawn)?;
    Ok(count)
}

/// Whether what a matrix gives is added to the residual stream.
fn adds(name: &str) -> bool {
    [
        "attn.proj.weight",
        "o_proj.weight",
        "down_proj.weight",
        "mlp.fc2.weight",
        "mlp.layers.1.weight",
    ]
    .iter()
    .any(|end| name.ends_with(end))
}

/// Whether it is the bias of queries or keys of a Qwen-VL; the vision tower has those of values behind.
fn asks_by(name: &str) -> bool {
    let is_of_qwen = name.starts_with("visual.") || name.starts_with("model.");
    is_of_qwen
        && [".q_proj.bias", ".k_proj.bias", ".qkv.bias"].iter().any(|end| name.ends_with(end))
}

/// How SAM 2 begins so that it learns which prompt belongs to which part of an image. Where places are is
/// what both have in common, so queries between them are large, keys are as queries, and all that is added
/// to places is small. The shipped SAM 2 began so. This alone does not keep training from masks that no
/// prompt has a say in; an image encoder that learns later and slowly does (`docs/train.md`).
struct Places;

impl Places {
    /// Times the usual weights of queries and keys between prompts and image.
    const QUERIES: f64 = 2.0;
    /// Times the usual weights of the image's features.
    const NECK: f64 = 0.25;
    /// Times the deviation of embeddings, for the vectors of prompts.
    const PROMPTS: f64 = 0.5;
    /// The weight of norms in the two-way transformer.
    const NORMS: f32 = 0.4;

    /// Whether it is a query or a key between prompts and image.
    fn are_asked_by(name: &str) -> bool {
        let is_across = name.contains(".cross_attn_") || name.contains(".final_attn_");
        is_across && (name.ends_with(".q_proj.weight") || name.ends_with(".k_proj.weight"))
    }

    /// Under which name a parameter is drawn.
    fn drawn_as(name: &str) -> String {
        match Self::are_asked_by(name) {
            true => name.replace(".k_proj.", ".q_proj."),
            false => name.to_owned(),
        }
    }

    /// Whether it is one of the vectors for points, or of the decoder's own tokens.
    fn are_beside(name: &str) -> bool {
        let tokens = [".iou_token.weight", ".mask_tokens.weight", ".obj_score_token.weight"];
        tokens.iter().any(|end| name.ends_with(end))
            || name.contains(".point_embeddings.")
            || name.contains(".not_a_point_embed.")
    }
}

/// Constant or standard deviation.
#[derive(Clone, Copy, Debug)]
enum Scale {
    Constant(f32),
    Normal(f64),
    /// A share of the numbers are drawn with a deviation; those behind are 0.
    NormalAtFirst(f64, f64),
}

fn scale(name: &str, shape: &[usize], beginning: &Beginning, depth: f64) -> Scale {
    if shape.len() == 1 && asks_by(name) && beginning.query_bias_std != 0.0 {
        let share = if name.ends_with("qkv.bias") { 2.0 / 3.0 } else { 1.0 };
        return Scale::NormalAtFirst(beginning.query_bias_std, share);
    }
    if shape.len() == 1 {
        let is_two_way = name.starts_with("sam_mask_decoder.transformer.");
        let norm = if is_two_way { Places::NORMS } else { 1.0 };
        return Scale::Constant(if name.ends_with(".weight") { norm } else { 0.0 });
    }
    let inputs = shape[1..].iter().product::<usize>() as f64;
    Scale::Normal(match name {
        "model.embed_tokens.weight" => beginning.embedding_std,
        "lm_head.weight" => beginning.head_std,
        _ if name.ends_with("positional_encoding_gaussian_matrix") => 1.0,
        _ if Places::are_beside(name) => Places::PROMPTS * beginning.embedding_std,
        _ if Places::are_asked_by(name) => Places::QUERIES * beginning.gain / inputs.sqrt(),
        _ if name.starts_with("image_encoder.neck.") => {
            Places::NECK * beginning.gain / inputs.sqrt()
        }
        _ if adds(name) => beginning.residual_gain / (inputs * depth).sqrt(),
        _ => beginning.gain / inputs.sqrt(),
    })
}

struct Drawn {
    name: String,
    shape: Vec<usize>,
    scale: Scale,
    seed: u64,
}

impl View for Drawn {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let count = self.shape.iter().product();
        let numbers: Vec<f32> = match self.scale {
            Scale::Constant(value) => vec![value; count],
            Scale::Normal(deviation) => normal(&self.name, self.seed, count, deviation),
            Scale::NormalAtFirst(deviation, share) => {
                let drawn = (count as f64 * share).round() as usize;
                let mut numbers = normal(&self.name, self.seed, drawn, deviation);
                numbers.resize(count, 0.0);
                numbers
            }
        };
        Cow::Owned(bytemuck::cast_slice(&numbers).to_vec())
    }

    fn data_len(&self) -> usize {
        4 * self.shape.iter().product::<usize>()
    }
}

/// Numbers in (0, 1], so that their logarithm is finite, that depend on name and seed alone.
fn keyed(name: &str, seed: u64) -> impl FnMut() -> f64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    let mut random = ChaCha8Rng::from_seed(hash.finalize().into());
    move || ((random.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// Numbers from -bound to bound.
pub(crate) fn uniform_of(name: &str, seed: u64, count: usize, bound: f64) -> Vec<f32> {
    let mut uniform = keyed(name, seed);
    (0..count).map(|_| (bound * (2.0 * uniform() - 1.0)) as f32).collect()
}

/// Normal numbers, by Box and Muller's transform.
fn normal(name: &str, seed: u64, count: usize, deviation: f64) -> Vec<f32> {
    let mut uniform = keyed(name, seed);
    let mut numbers = Vec::with_capacity(count + 1);
    while numbers.len() < count {
        let (radius, angle) =
            ((-2.0 * uniform().ln()).sqrt(), 2.0 * std::f64::consts::PI * uniform());
        numbers.push((deviation * radius * angle.cos()) as f32);
        numbers.push((deviation * radius * angle.sin()) as f32);
    }
    numbers.truncate(count);
    numbers
}

/// In what a model is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ExportDtype {
    /// As Qwen's models are.
    #[default]
    Bf16,
    /// As they were trained.
    F32,
}

/// What SAM 2 projects places by, and its second name: transformers draws what it does not find.
const PLACES: &str = "shared_image_embedding.positional_embedding";
const PLACES_OF_PROMPTS: &str = "prompt_encoder.shared_embedding.positional_embedding";

/// Writes a model without what only training needs, with adapters, if any, in its weights. Gives the
/// bytes of the weights.
///
/// # Errors
/// A checkpoint that is damaged; a disk that is full.
pub fn export(
    model: &Path,
    adapters: Option<&Path>,
    out: &Path,
    dtype: ExportDtype,
) -> Result<u64, TrainError> {
    let opened = Checkpoint::open(model)?;
    let adapters = match adapters {
        Some(folder) => Some((Lora::open(folder)?, Checkpoint::open(folder.join(ADAPTER))?)),
        None => None,
    };
    // SAM 2 is published for transformers under its names; a Qwen-VL's are the same everywhere.
    let is_sam2 = opened.views().any(|view| view.name.starts_with("sam_mask_decoder."));
    let layout = if is_sam2 { Layout::Transformers } else { Layout::Published };
    let mut weights: Vec<(String, Exported)> = Vec::new();
    let mut bytes = 0;
    for view in opened.views() {
        let mut numbers = view.to_f32()?;
        if let (Some((lora, adapters)), &[outputs, inputs]) = (&adapters, view.shape()) {
            let layer = view.name.trim_end_matches(".weight");
            numbers = merged(numbers, [outputs, inputs], layer, lora, adapters)?;
        }
        let data: Vec<u8> = match dtype {
            ExportDtype::F32 => bytemuck::cast_slice(&numbers).to_vec(),
            ExportDtype::Bf16 => {
                numbers.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect()
            }
        };
        bytes += data.len() as u64;
        let (name, shape) = (layout.on_disk(view.name), view.shape().to_vec());
        match weights.last_mut() {
            // What has one name there is a row there.
            Some((last, rows)) if *last == name => {
                rows.shape[0] += shape[0];
                rows.data.extend(data);
            }
            _ => {
                if name == PLACES {
                    let copy = Exported { shape: shape.clone(), data: data.clone(), dtype };
                    weights.push((PLACES_OF_PROMPTS.to_owned(), copy));
                }
                weights.push((name, Exported { shape, data, dtype }));
            }
        }
    }
    publish(model, out, weights.into_iter())?;
    Ok(bytes)
}

struct Exported {
    shape: Vec<usize>,
    data: Vec<u8>,
    dtype: ExportDtype,
}

impl View for Exported {
    fn dtype(&self) -> Dtype {
        match self.dtype {
            ExportDtype::Bf16 => Dtype::BF16,
            ExportDtype::F32 => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// A model's folder: the small files of another, and weights.
fn publish<V: View>(
    from: &Path,
    out: &Path,
    weights: impl Iterator<Item = (String, V)>,
) -> Result<(), TrainError> {
    let failed = |reason: String| TrainError::Write { path: out.to_owned(), reason };
    fs::create_dir_all(out).map_err(|error| failed(error.to_string()))?;
    for file in side_files(from)? {
        let to = out.join(file.file_name().unwrap_or_default());
        if to != file {
            fs::copy(&file, to).map_err(|error| failed(error.to_string()))?;
        }
    }
    write(&out.join(WEIGHTS), weights)
}
