//! Qwen2.5-VL-3B on the CPU: the vision tower, prefill and decoding, with weights in each format.
//!
//! Four of the 36 decoder layers and of the 32 vision blocks (one of which sees the whole image), at
//! full width: what a token costs is linear in the layers. `peers/qwen_vl.py` times transformers
//! on the same weights.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::{Tensor, TensorData};
use criterion::Criterion;
use segzero_model::checkpoint::random::{Form, Formula};
use segzero_model::checkpoint::{Checkpoint, random};
use segzero_model::device::DeviceName;
use segzero_model::packed::Format;
use segzero_model::qwen_vl::{Config, Options, Prompt, QwenVl, Sampling, parameters};
use serde_json::json;

/// Tokens of a prompt, and of a reply.
const PROMPT: usize = 512;
const REPLY: usize = 16;

fn config() -> serde_json::Value {
    json!({
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl",
        "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 4,
        "num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151_936,
        "rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": true,
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
        "image_token_id": 151_655, "video_token_id": 151_656, "vision_start_token_id": 151_652,
        "vision_end_token_id": 151_653, "hidden_act": "silu", "max_position_embeddings": 128_000,
        "vision_config": {
            "depth": 4, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
            "in_chans": 3, "out_hidden_size": 2048, "patch_size": 14, "spatial_merge_size": 2,
            "window_size": 112, "fullatt_block_indexes": [3], "temporal_patch_size": 2,
            "hidden_act": "silu", "spatial_patch_size": 14, "tokens_per_second": 2
        }
    })
}

/// Written once, where the peer's script finds it too.
fn checkpoint(folder: &Path) -> Config {
    let config = Config::parse(Path::new("config.json"), &config()).unwrap();
    if !folder.join("config.json").exists() {
        random::write(folder, &parameters(&config), &Form::default(), &[]).unwrap();
        std::fs::write(folder.join("config.json"), self::config().to_string()).unwrap();
    }
    config
}

fn report(what: &str, time: Duration, tokens: usize) {
    let rate = tokens as f64 / time.as_secs_f64();
    println!("{what}: {:.1} ms, {rate:.2} tokens/s", time.as_secs_f64() * 1e3);
}

/// Time of all tokens but the first.
fn decode(model: &QwenVl, prompt: &Prompt, samples: usize) -> Duration {
    let options =
        Options { max_new_tokens: REPLY + 1, sampling: Sampling::default(), stop: vec![], samples };
    let mut first = None;
    let mut last = Instant::now();
    let show = |_| {
        last = Instant::now();
        first.get_or_insert(last);
        ControlFlow::Continue(())
    };
    model.generate(std::slice::from_ref(prompt), &options, show).unwrap();
    last - first.unwrap()
}

fn main() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("qwen2.5-vl-3b-4-layers");
    let config = checkpoint(&folder);
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    // `cargo bench --bench qwen_vl -- bf16` loads that format only.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |format: &Format| match &filter {
        Some(filter) => filter.starts_with(&format.to_string()),
        None => true,
    };
    let formats = [Format::F32, Format::Bf16, Format::Int8, Format::Int4];
    for format in formats.into_iter().filter(wanted) {
        let start = Instant::now();
        let placement = DeviceName::Cpu.place(format).unwrap();
        let model = QwenVl::load(&checkpoint, config.clone(), placement).unwrap();
        println!("{format}: loaded in {:.1?}", start.elapsed());
        let ids = (0..PROMPT).map(|i| (i * 7919 % 150_000) as u32).collect();
        let prompt = Prompt { ids, images: vec![] };
        criterion.bench_function(&format!("{format}/prefill {PROMPT} tokens"), |b| {
            b.iter(|| black_box(model.prefill(&prompt, 0).unwrap()));
        });
        for samples in [1, 8] {
            let spent = (0..3).map(|_| decode(&model, &prompt, samples)).min().unwrap();
            report(&format!("{format}/decode, {samples} sequences"), spent, REPLY * samples);
        }
        let vision = &model.config().vision;
        let values = Formula::scaled("pixel_values/bench", 2.0).values(3600 * vision.patch_len());
        let data = TensorData::new(values, [3600, vision.patch_len()]);
        let patches: Tensor<2> = Tensor::from_data(data, &model.placement().device);
        criterion.bench_function(&format!("{format}/vision tower 840x840"), |b| {
            b.iter(|| black_box(model.vision.forward(patches.clone(), [1, 60, 60])));
        });
    }
}
