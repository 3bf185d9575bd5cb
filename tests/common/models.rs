//! Tiny models of random weights, in folders as published.

use std::fs;
use std::path::Path;

use segzero_model::checkpoint::random::{self, Form};
use segzero_model::{qwen_vl, sam2};
use serde_json::{Value, json};

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("model/tests/fixtures")
}

/// A Qwen2.5-VL: weights in several shards, the tokenizer of the model crate's tests.
pub fn qwen_vl(folder: &Path) {
    let tokenizer = fixtures().join("tiny_tokenizer");
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(tokenizer.join(file), folder.join(file)).unwrap();
    }
    let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let mut config = read(&fixtures().join("qwen_vl/qwen2_5_vl_tiny/config.json"));
    let tokens = read(&tokenizer.join("tokenizer_config.json"));
    let id = |name: &str| {
        let tokens = tokens["added_tokens_decoder"].as_object().unwrap();
        let (id, _) = tokens.iter().find(|(_, token)| token["content"] == name).unwrap();
        id.parse::<u32>().unwrap()
    };
    config["vocab_size"] = json!(330);
    config["image_token_id"] = json!(id("<|image_pad|>"));
    let write =
        |name: &str, value: &Value| fs::write(folder.join(name), value.to_string()).unwrap();
    write("config.json", &config);
    let stop = json!({"eos_token_id": [id("<|im_end|>"), id("<|endoftext|>")]});
    write("generation_config.json", &stop);
    let mut processor = json!({"min_pixels": 3136, "max_pixels": 50_000, "patch_size": 14});
    processor["image_processor_type"] = json!("Qwen2VLImageProcessor");
    write("preprocessor_config.json", &processor);
    let config = qwen_vl::Config::open(folder).unwrap();
    let form = Form { shard_bytes: 250_000, ..Form::default() };
    random::write(folder, &qwen_vl::parameters(&config), &form, &[]).unwrap();
}

/// A SAM 2, as transformers writes it.
pub fn sam2(folder: &Path) {
    let config = fixtures().join("sam2/tiny/config.json");
    fs::copy(config, folder.join("config.json")).unwrap();
    let config = sam2::Config::open(folder).unwrap();
    random::write(folder, &sam2::parameters(&config), &Form::default(), &[]).unwrap();
}
