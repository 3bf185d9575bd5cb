//! `segzero model` on random weights of a tiny architecture.
#![allow(clippy::unwrap_used)] // helpers of tests may

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{segzero, text};
use serde_json::Value;

fn tiny() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("model/tests/fixtures/qwen_vl/qwen2_5_vl_tiny")
}

/// The tiny Qwen2.5-VL with random weights in f16, in files of at most 60 kB.
fn written(folder: &Path) -> PathBuf {
    let config = folder.join("config");
    fs::create_dir(&config).unwrap();
    fs::copy(tiny().join("config.json"), config.join("config.json")).unwrap();
    let model = folder.join("model");
    let [from, to] = [&config, &model].map(|path| path.to_str().unwrap());
    let form = ["--dtype", "f16", "--layout", "nested", "--shard-bytes", "60000"];
    let output = segzero([&["model", "random", from, to][..], &form].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(" tensors, "), "{}", text(&output.stdout));
    model
}

fn model(words: &[&str], folder: &Path) -> Output {
    segzero([&["model"][..], words, &[folder.to_str().unwrap()]].concat())
}

#[test]
fn a_sound_model_is_found_sound() {
    let folder = tempfile::tempdir().unwrap();
    let model_folder = written(folder.path());
    let output = model(&["verify"], &model_folder);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let first = text(&output.stdout);
    assert!(first.starts_with("sound: "), "{first}");
    assert!(first.ends_with("; names and shapes against Qwen2.5-VL\n"), "{first}");

    let output = model(&["verify", "--values"], &model_folder);
    assert!(text(&output.stdout).starts_with(&first), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("\nevery value read: "));

    fs::remove_file(model_folder.join("config.json")).unwrap();
    let stdout = text(&model(&["verify"], &model_folder).stdout);
    assert!(stdout.ends_with("names and shapes not checked: no config.json\n"), "{stdout}");
    fs::write(model_folder.join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
    let stdout = text(&model(&["verify"], &model_folder).stdout);
    assert!(stdout.ends_with("names and shapes not checked: `llama` is not known here\n"));
}

#[test]
fn every_fault_is_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let model_folder = written(folder.path());
    let mut shards: Vec<PathBuf> =
        fs::read_dir(&model_folder).unwrap().map(|file| file.unwrap().path()).collect();
    shards.retain(|path| path.extension().is_some_and(|e| e == "safetensors"));
    shards.sort();
    assert!(shards.len() > 2);
    let whole = fs::metadata(&shards[1]).unwrap().len();
    fs::File::options().write(true).open(&shards[1]).unwrap().set_len(whole - 10).unwrap();
    fs::write(&shards[2], "version https://git-lfs.github.com/spec/v1\noid sha256:0\n").unwrap();
    let config = fs::read_to_string(model_folder.join("config.json")).unwrap();
    let changed = config.replace("\"intermediate_size\": 64", "\"intermediate_size\": 65");
    assert_ne!(config, changed);
    fs::write(model_folder.join("config.json"), changed).unwrap();

    let output = model(&["verify", "--values", "--quiet"], &model_folder);
    assert_eq!(output.status.code(), Some(1));
    let stdout = text(&output.stdout);
    let has = |path: &Path, what: &str| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = stdout.lines().any(|line| line.contains(name) && line.contains(what));
        assert!(found, "no line of {name} says {what}:\n{stdout}");
    };
    has(&shards[1], "is cut off: the file ends at byte");
    has(&shards[2], "is a git-lfs pointer");
    has(&shards[0], "has shape [");
    assert!(stdout.contains(" faults: "), "{stdout}");

    // What would use the model refuses it at once, with the first of them.
    let output = model(&["info"], &model_folder);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("error: could not read `"));
}

#[test]
fn info_counts_parameters_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let model_folder = written(folder.path());
    let output = model(&["info", "--json"], &model_folder);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let info: Value = serde_json::from_slice(&output.stdout).unwrap();
    let count = |name: &str| info["parameters"][name].as_u64().unwrap();
    // By hand: 160 tokens of 64 numbers, in and out; three layers of two norms, attention with 2 of 4
    // heads of 16 for keys and values, and an MLP of 128; a last norm.
    assert_eq!(count("embeddings"), 2 * 160 * 64);
    let attention = 64 * 64 + 64 + 2 * (32 * 64 + 32) + 64 * 64;
    assert_eq!(count("decoder"), 3 * (2 * 64 + attention + 3 * 64 * 128) + 64);
    assert!(info["parameters"]["other"].is_null());
    let total = count("embeddings") + count("decoder") + count("vision");
    assert_eq!(info["dtypes"]["F16"].as_u64(), Some(2 * total));
    assert_eq!(info["bytes"].as_u64(), Some(2 * total));
    assert_eq!(info["kv_cache_bytes_per_token"].as_u64(), Some(2 * 3 * 2 * 16 * 4));
    let memory = info["memory"].as_array().unwrap();
    let weights = |device: &str, format: &str| {
        let found = memory.iter().find(|row| row["device"] == device && row["format"] == format);
        found.unwrap()["weights"].as_u64().unwrap()
    };
    assert_eq!(weights("cpu", "f32"), 4 * total);
    assert_eq!(weights("gpu", "bf16"), 2 * total);
    assert!(weights("cpu", "bf16") > 2 * total, "norms and biases stay f32");
    assert!(weights("cpu", "int4") < weights("cpu", "int8"));
    let kv = memory[0]["kv_cache"].as_u64().unwrap();
    assert_eq!(kv, 2048 * info["kv_cache_bytes_per_token"].as_u64().unwrap());

    let table = text(&model(&["info"], &model_folder).stdout);
    for line in ["architecture  Qwen2.5-VL", "KV cache", "  cpu     int4", "  gpu     bf16"] {
        assert!(table.contains(line), "{table}");
    }
}

#[test]
fn sam_2_is_known_by_its_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("tiny");
    let path = out.to_str().unwrap();
    let output = segzero(["model", "random", "sam2-tiny", path, "--layout", "transformers"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stdout = text(&model(&["verify", "--values", "--quiet"], &out).stdout);
    let first = stdout.lines().next().unwrap();
    assert!(first.starts_with("sound: 1 files, "), "{stdout}");
    assert!(first.ends_with("; names and shapes against SAM 2 or 2.1 Hiera-T"), "{stdout}");

    let output = model(&["info", "--json"], &out);
    let info: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(info["architecture"], "SAM 2 or 2.1 Hiera-T");
    let count = |part: &str| info["parameters"][part].as_u64().unwrap();
    // By hand: four points, two embeddings, 2 x 128 frequencies, and three convolutions with norms.
    let convolutions = (4 * 4 + 4) + 2 * 4 + (16 * 4 * 4 + 16) + 2 * 16 + (256 * 16 + 256);
    assert_eq!(count("prompt-encoder"), 6 * 256 + 2 * 128 + convolutions);
    let total = count("image-encoder") + count("prompt-encoder") + count("mask-decoder");
    assert_eq!(info["bytes"].as_u64(), Some(2 * total));
    assert!(info["kv_cache_bytes_per_token"].is_null());
    let memory = info["memory"].as_array().unwrap();
    assert_eq!(memory.len(), 5, "int4 is for decoders of text");
    assert_eq!(memory[0]["weights"].as_u64(), Some(4 * total));
    let table = text(&model(&["info"], &out).stdout);
    for line in ["mask decoder 4.2 M", "memory, for an image of 1024x1024", "  cpu     int8"] {
        assert!(table.contains(line), "{table}");
    }

    // A configuration that cannot be.
    let config = folder.path().join("config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("config.json"), r#"{"model_type": "sam2", "vision_config": 3}"#).unwrap();
    let output = segzero(["model", "random", config.to_str().unwrap(), path]);
    assert!(text(&output.stderr).contains("field `vision_config`: invalid type"));
}

#[test]
fn files_of_torch_are_verified_without_executing_them() {
    let file = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("model/tests/fixtures/torch").join(name)
    };
    let output = model(&["verify", "--values"], &file("model.pt"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let stdout = text(&output.stdout);
    let first =
        "sound: 1 files, 10 tensors, 0.1 kB; names and shapes not checked: no config.json\n";
    assert!(stdout.starts_with(first), "{stdout}");
    let output = model(&["verify"], &file("command.pt"));
    assert_eq!(output.status.code(), Some(1));
    let stdout = text(&output.stdout);
    assert!(stdout.contains("the Python object `posix.system`; it was not executed"), "{stdout}");
    let output = model(&["info"], &file("legacy.pt"));
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("torch 1.6") && stderr.contains("hint: save it again"), "{stderr}");
}

#[test]
fn names_that_are_not_there_say_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_segzero"));
        command.arg("model").args(words).env("HF_HUB_OFFLINE", "1");
        command.env("HF_HUB_CACHE", cache.path()).output().unwrap()
    };
    for verb in ["info", "verify", "fetch"] {
        let output = run(&[verb, "org/model@v2"]);
        assert_eq!(output.status.code(), Some(2));
        let stderr = text(&output.stderr);
        assert!(stderr.contains("`org/model@v2` is not in the cache"), "{stderr}");
        assert!(stderr.contains("hint: unset HF_HUB_OFFLINE"), "{stderr}");
        let stderr = text(&run(&[verb, "./no/such/folder"]).stderr);
        assert!(stderr.contains("is neither a folder nor the name of a model"), "{stderr}");
    }
    let output = run(&["random", cache.path().to_str().unwrap(), "out"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("names no architecture that is known"));
}

fn trained(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("model/tests/fixtures/fsdp").join(case)
}

#[test]
fn what_the_ranks_of_a_training_saved_becomes_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (trained("easyr1"), folder.path().join("model"));
    let [from, to] = [&run, &out].map(|path| path.to_str().unwrap());
    let output = segzero(["model", "import", from, "--out", to]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    let start = format!("{to}: 33 tensors, ");
    let end = " in 1 file, from 2 ranks in ";
    assert!(stdout.starts_with(&start) && stdout.contains(end), "{stdout}");
    assert!(stdout.ends_with("global_step_2/actor, the last step being 2\n"), "{stdout}");

    let stdout = text(&model(&["verify", "--values", "--quiet"], &out).stdout);
    assert!(stdout.starts_with("sound: 1 files, 33 tensors, "), "{stdout}");
    assert!(stdout.contains("names and shapes against Qwen2.5-VL"), "{stdout}");
    let stdout = text(&model(&["info"], &out).stdout);
    assert!(stdout.contains(" in 1 file: BF16 "), "{stdout}");

    // Nothing is overwritten.
    let output = segzero(["model", "import", from, "--out", to]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("exists and is not empty") && stderr.contains("\nhint: "), "{stderr}");

    let kept = folder.path().join("kept");
    let step = run.join("global_step_2");
    let [from, to] = [&step, &kept].map(|path| path.to_str().unwrap());
    let output = segzero(["model", "import", from, "--out", to, "--dtype", "keep", "--quiet"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("global_step_2/actor\n"), "no step was chosen");
    let stdout = text(&model(&["info"], &kept).stdout);
    assert!(stdout.contains(" in 1 file: F32 "), "{stdout}");
}

#[test]
fn commands_that_take_a_model_say_how_pieces_become_one() {
    let actor = trained("easyr1/global_step_2/actor");
    let path = actor.to_str().unwrap();
    let commands: [&[&str]; 3] = [
        &["model", "info", path],
        &["model", "verify", path],
        &["ask", "--model", path, "What is it?"],
    ];
    for words in commands {
        let output = segzero(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let stderr = text(&output.stderr);
        assert!(stderr.contains("a file for each rank, not a model"), "{words:?}: {stderr}");
        let hint = format!("hint: `segzero model import {path} --out DIR` joins the pieces");
        assert!(stderr.contains(&hint), "{words:?}: {stderr}");
    }
    let output = segzero(["model", "import", "no/such/run", "--out", "out"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("hint: check that `no/such/run` exists"));
}
