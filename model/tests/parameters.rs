//! The parameters that the networks ask for, against the published lists.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::path::Path;

use segzero_model::qwen_vl::{Config, parameters};
use serde_json::{Value, json};

/// `config.json` of Qwen2.5-VL as published, with the sizes of 3B and 7B.
fn config(
    hidden: usize,
    inner: usize,
    layers: usize,
    heads: [usize; 2],
    vocabulary: usize,
) -> Value {
    json!({
        "model_type": "qwen2_5_vl", "hidden_size": hidden, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1], "vocab_size": vocabulary, "rms_norm_eps": 1e-6,
        "rope_theta": 1e6, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
        "tie_word_embeddings": hidden == 2048, "image_token_id": 151655,
        "vision_config": {
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
            "in_chans": 3, "out_hidden_size": hidden, "patch_size": 14, "spatial_merge_size": 2,
            "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "temporal_patch_size": 2
        }
    })
}

#[test]
fn the_published_lists_are_asked_for_whole() {
    let Some(data) = segzero_test_support::shared_data() else { return };
    let models = [
        ("3b", config(2048, 11008, 36, [16, 2], 151_936)),
        ("7b", config(3584, 18944, 28, [28, 4], 152_064)),
    ];
    for (name, config) in models {
        let path = data.join(format!("model-shapes/qwen2.5-vl-{name}.tsv"));
        let list = std::fs::read_to_string(path).unwrap();
        let config = Config::parse(Path::new("config.json"), &config).unwrap();
        let mut found: Vec<String> =
            parameters(&config).iter().map(|(name, shape)| format!("{name}\t{shape:?}")).collect();
        let mut expected: Vec<&str> = list.lines().filter(|line| !line.is_empty()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn both_spellings_of_a_config_mean_the_same() {
    for name in ["qwen2_5_vl_tiny", "qwen2_vl_tiny"] {
        let read = |file: &str| -> Config {
            let path = common::fixture(name).join(file);
            let value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            Config::parse(&path, &value).unwrap()
        };
        assert_eq!(read("config.json"), read("config_v5.json"));
    }
}

#[test]
fn a_config_that_cannot_be_is_refused_by_field() {
    let good = config(2048, 11008, 2, [16, 2], 151_936);
    Config::parse(Path::new("config.json"), &good).unwrap();
    for (pointer, value, expected) in [
        ("/model_type", json!("llama"), "field `model_type`: expected qwen2_vl or qwen2_5_vl"),
        ("/num_attention_heads", json!(7), "`num_attention_heads`: expected a divisor of 2048"),
        ("/num_key_value_heads", json!(0), "`num_key_value_heads`"),
        ("/hidden_size", json!("wide"), "hidden_size"),
        ("/hidden_act", json!("relu"), "`hidden_act`: expected silu, found relu"),
        ("/rope_scaling/mrope_section", json!([1, 2, 3]), "`mrope_section`: expected three counts"),
        ("/rope_scaling/type", json!("yarn"), "`rope_type`: expected mrope or default, found yarn"),
        ("/vision_config/out_hidden_size", json!(5), "`out_hidden_size`: expected the decoder's"),
        ("/vision_config/window_size", json!(1), "`window_size`: expected at least 28"),
        ("/vision_config/patch_size", json!(0), "`patch_size`"),
        ("/vision_config", json!([]), "`vision_config`"),
        ("/image_token_id", json!(200_000), "`image_token_id`: expected an id below"),
        ("/use_sliding_window", json!(true), "`use_sliding_window`"),
    ] {
        let mut bad = good.clone();
        match bad.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => bad[pointer.trim_start_matches('/')] = value,
        }
        let error = Config::parse(Path::new("config.json"), &bad).unwrap_err().to_string();
        assert!(error.contains(expected), "{pointer}: {error}");
    }
}
