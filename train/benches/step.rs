//! A step of a small Qwen2.5-VL on the CPU: likelihoods alone, and forward and backward.
//!
//! Four prompts of an image (256 patches) and 32 words, eight replies of 64 tokens to each.
//! `peers/step.py` times transformers on the same weights and tokens. `RAYON_NUM_THREADS=1` for one
//! thread.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::Path;

use burn::tensor::Device;
use criterion::Criterion;
use safetensors::Dtype;
use segzero_datasets::Size;
use segzero_model::checkpoint::random::{Form, Formula};
use segzero_model::checkpoint::{Checkpoint, random};
use segzero_model::load::Placement;
use segzero_model::packed::Format;
use segzero_model::qwen_vl::{Config, Patches, Prompt, QwenVl, View, parameters};
use segzero_train::{
    Accumulated, Batch, Checkpointing, Likelihood, Policy, PolicyOptions, Pull, Timing, likelihoods,
};
use serde_json::json;

const PROMPTS: usize = 4;
const EACH: usize = 8;
const REPLY: usize = 64;
const GRID: [usize; 3] = [1, 16, 16];

fn config() -> serde_json::Value {
    json!({
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl",
        "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 2048,
        "rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": true,
        "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]},
        "image_token_id": 2040, "video_token_id": 2041, "vision_start_token_id": 2042,
        "vision_end_token_id": 2043, "hidden_act": "silu", "max_position_embeddings": 4096,
        "vision_config": {
            "depth": 4, "hidden_size": 128, "intermediate_size": 384, "num_heads": 4,
            "in_chans": 3, "out_hidden_size": 256, "patch_size": 14, "spatial_merge_size": 2,
            "window_size": 112, "fullatt_block_indexes": [1, 3], "temporal_patch_size": 2,
            "hidden_act": "silu", "spatial_patch_size": 14, "tokens_per_second": 2
        }
    })
}

/// Written where the peer's script finds it too.
fn model(folder: &Path) -> QwenVl {
    let config = Config::parse(Path::new("config.json"), &config()).unwrap();
    let form = Form { dtype: Dtype::F32, ..Form::default() };
    random::write(folder, &parameters(&config), &form, &[]).unwrap();
    std::fs::write(folder.join("config.json"), self::config().to_string()).unwrap();
    let placement = Placement { device: Device::flex(), packs: false, format: Format::F32 };
    QwenVl::load(&Checkpoint::open(folder).unwrap(), config, placement).unwrap()
}

fn prompt(number: usize) -> Prompt {
    let [_, height, width] = GRID;
    let mut ids: Vec<u32> = (0..16).map(|i| ((i + number) * 7919 % 2000) as u32).collect();
    ids.push(2042);
    ids.extend(vec![2040; height * width / 4]);
    ids.push(2043);
    ids.extend((0..16).map(|i| ((i + number) * 6007 % 2000) as u32));
    let values = Formula::scaled(&format!("pixel_values/step/{number}"), 2.0);
    let size = Size::new(width as u32 * 14, height as u32 * 14);
    let image = Patches {
        values: values.values(height * width * 1176),
        grid: GRID,
        tokens: height * width / 4,
        view: View { original: size, resized: size },
    };
    Prompt { ids, images: vec![image] }
}

/// As GRPO's first step does, with advantages of either sign.
fn judge(found: &[Likelihood]) -> Vec<Pull> {
    let weight = 1.0 / (found.len() * REPLY) as f64;
    let pull = |(at, one): (usize, &Likelihood)| Pull {
        log_probs: vec![if at % 2 == 0 { weight } else { -weight }; one.log_probs.len()],
        entropies: vec![0.0; one.log_probs.len()],
    };
    found.iter().enumerate().map(pull).collect()
}

fn main() {
    let model = model(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("step"));
    let prompts: Vec<Prompt> = (0..PROMPTS).map(prompt).collect();
    let reply = |number: usize| (0..REPLY).map(move |i| ((i + number) * 4999 % 2000) as u32);
    let replies: Vec<Vec<u32>> = (0..PROMPTS * EACH).map(|n| reply(n).collect()).collect();
    let batch = Batch {
        prompts: prompts.iter().collect(),
        replies: replies.iter().map(Vec::as_slice).collect(),
    };
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    for checkpointing in [Checkpointing::Off, Checkpointing::Blocks] {
        let options = PolicyOptions { checkpointing, logits_chunk: 4096, ..Default::default() };
        let policy = Policy::new(model.clone(), &BTreeSet::new(), options);
        if checkpointing == Checkpointing::Off {
            criterion.bench_function("likelihoods", |b| {
                b.iter(|| {
                    black_box(likelihoods(policy.model(), &batch, policy.options()).unwrap())
                });
            });
        }
        let mut last = Timing::default();
        criterion.bench_function(&format!("learn, checkpointing {checkpointing:?}"), |b| {
            b.iter(|| {
                let mut gradients = Accumulated::default();
                last = policy.learn(&batch, &mut gradients, judge).unwrap();
                black_box(gradients)
            });
        });
        println!("forward {:.0?}, backward {:.0?}", last.forward, last.backward);
    }
}
