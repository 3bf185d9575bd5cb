//! `generation_config.json`, with transformers' meaning of what it says and leaves out.
#![allow(clippy::unwrap_used)] // helpers of tests

use segzero_model::qwen_vl::{Defaults, Sampling};
use serde_json::{Value, json};

fn load(generation: Option<Value>, config: &Value) -> Result<Defaults, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    if let Some(generation) = generation {
        let path = folder.path().join("generation_config.json");
        std::fs::write(path, generation.to_string()).unwrap();
    }
    Defaults::load(folder.path()).map_err(|error| error.to_string())
}

#[test]
fn what_is_not_said_is_as_transformers_has_it() {
    let config = json!({"eos_token_id": 7});
    // As published with Qwen2.5-VL: top-k is 50 for want of another.
    let published = json!({
        "do_sample": true, "eos_token_id": [151_645, 151_643], "repetition_penalty": 1.05,
        "temperature": 0.000_001
    });
    let found = load(Some(published), &config).unwrap();
    let sampling =
        Sampling { temperature: 1e-6, top_k: 50, top_p: 1.0, repetition_penalty: 1.05, seed: 0 };
    assert_eq!(found, Defaults { sampling, stop: vec![151_645, 151_643] });
    // Without sampling the rest of its settings say nothing, and the penalty does.
    let greedy = json!({"eos_token_id": 5, "temperature": 0.7, "repetition_penalty": 1.3});
    let found = load(Some(greedy), &config).unwrap();
    let sampling = Sampling { repetition_penalty: 1.3, ..Sampling::default() };
    assert_eq!(found, Defaults { sampling, stop: vec![5] });
    // Without the file, config.json says what ends a reply.
    let found = load(None, &config).unwrap();
    assert_eq!(found, Defaults { sampling: Sampling::default(), stop: vec![7] });
    assert!(load(None, &json!({})).unwrap().stop.is_empty());
}

#[test]
fn what_cannot_be_meant_is_refused_by_field() {
    let config = json!({});
    for (field, value) in [
        ("temperature", json!("hot")),
        ("temperature", json!(0)),
        ("top_p", json!(-0.5)),
        ("repetition_penalty", json!(0)),
        ("top_k", json!(1.5)),
        ("eos_token_id", json!("end")),
        ("eos_token_id", json!([-1])),
    ] {
        let mut generation = json!({"do_sample": true});
        generation[field] = value;
        let error = load(Some(generation), &config).unwrap_err();
        assert!(error.contains("generation_config.json") && error.contains(field), "{error}");
    }
}
