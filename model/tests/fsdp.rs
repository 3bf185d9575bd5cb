//! Checkpoints of real FSDP against the networks before they were wrapped (`tests/fixtures/fsdp/generate.py`).
#![allow(clippy::unwrap_used)] // clippy lets `#[test]` functions unwrap, but not their helpers

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use segzero_model::checkpoint::sharded::{self, ImportDtype, Imported, Sharded};
use segzero_model::checkpoint::{Checkpoint, Dtype, Error, Values, verify};
use segzero_model::info::Architecture;
use segzero_model::packed::Format;
use segzero_model::qwen_vl::{Config, Prompt, QwenVl};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), &format!("fsdp/{name}"))
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    keep: String,
    bf16: String,
}

fn expected(case: &str) -> BTreeMap<String, Tensor> {
    let text = fs::read(fixture("expected.json")).unwrap();
    let mut cases: BTreeMap<String, BTreeMap<String, Tensor>> =
        serde_json::from_slice(&text).unwrap();
    cases.remove(case).unwrap()
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A copy of the ranks' files of a case, to damage.
fn copy(case: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = fixture(case).join("global_step_2/actor");
    fs::create_dir(folder.path().join("huggingface")).unwrap();
    for file in fs::read_dir(&from).unwrap().map(|file| file.unwrap().path()) {
        if file.is_file() {
            fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
    }
    let config = Path::new("huggingface/config.json");
    fs::copy(from.join(config), folder.path().join(config)).unwrap();
    folder
}

fn rank(folder: &Path, world: usize, rank: usize) -> PathBuf {
    folder.join(format!("model_world_size_{world}_rank_{rank}.pt"))
}

fn import(folder: &Path, out: &Path, dtype: ImportDtype) -> Result<Imported, Error> {
    sharded::import(&Sharded::open(folder)?, out, dtype, &|_| ())
}

fn message(folder: &TempDir) -> (String, String) {
    let error = Sharded::open(folder.path()).unwrap_err();
    (error.to_string(), error.hint().unwrap_or_default())
}

/// The same bytes elsewhere: of equal length, so that nothing else in the archive moves.
fn patched(path: &Path, from: &[u8], nth: usize, to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let mut file = fs::read(path).unwrap();
    let mut places = (0..file.len() - from.len()).filter(|&at| file[at..].starts_with(from));
    let at = places.nth(nth).unwrap();
    file[at..at + to.len()].copy_from_slice(to);
    fs::write(path, file).unwrap();
}

#[test]
fn every_tensor_is_that_of_the_network_before_it_was_wrapped() {
    for (case, world) in [("easyr1", 2), ("fsdp2", 3), ("hybrid", 4), ("older", 3)] {
        let step = sharded::locate(&fixture(case)).unwrap();
        assert_eq!(step.chosen, Some(2));
        let sharded = Sharded::open(&step.folder).unwrap();
        assert_eq!(sharded.world, world);
        let expected = expected(case);
        for (dtype, is_kept) in [(ImportDtype::Keep, true), (ImportDtype::Bf16, false)] {
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("model");
            let imported = sharded::import(&sharded, &out, dtype, &|_| ()).unwrap();
            assert_eq!((imported.tensors, imported.files), (expected.len(), 1));
            assert!(!folder.path().join(".model.segzero-part").exists());
            let checkpoint = Checkpoint::open(&out).unwrap();
            assert_eq!(checkpoint.entries().len(), expected.len(), "{case}");
            for (name, tensor) in &expected {
                let name = segzero_model::checkpoint::canonical(name);
                let view = checkpoint.require(&name).unwrap();
                let is_float = tensor.dtype != "I64";
                let of = if is_kept || !is_float { &tensor.dtype } else { "BF16" };
                assert_eq!(view.dtype().to_string(), of, "{case}: {name}");
                assert_eq!(view.shape(), tensor.shape, "{case}: {name}");
                let digest_of = if is_kept { &tensor.keep } else { &tensor.bf16 };
                assert_eq!(&digest(view.bytes()), digest_of, "{case}: {name}");
            }
        }
    }
}

#[test]
fn pieces_are_uneven_empty_whole_and_along_other_axes() {
    let sharded = Sharded::open(&fixture("fsdp2/global_step_2/actor")).unwrap();
    let wholes: BTreeMap<&str, _> = sharded.wholes().collect();
    let sizes = |name: &str, axis: usize| -> Vec<usize> {
        sharded.pieces("", wholes[name]).iter().map(|piece| piece.shape()[axis]).collect()
    };
    assert_eq!(sizes("matrix", 0), [2, 2, 1]);
    assert_eq!((wholes["cube"].axis, sizes("cube", 1)), (Some(1), vec![2, 2, 2]));
    assert_eq!(sizes("single", 0), [1], "two ranks have nothing of it");
    assert_eq!((wholes["edges"].axis, sizes("edges", 0)), (None, vec![7]));
    assert_eq!(wholes["short"].dtype, Dtype::F16);
}

#[test]
fn a_model_of_easyr1_is_sound_under_its_published_names() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    let actor = fixture("easyr1/global_step_2/actor");
    import(&actor, &out, ImportDtype::default()).unwrap();
    let Architecture::QwenVl(config) = Architecture::open(&out).unwrap() else { panic!("Qwen-VL") };
    let parameters = segzero_model::qwen_vl::parameters(&config);
    let verified = verify(&out, Some(&parameters), Values::Finite(&|_| ())).unwrap();
    assert!(verified.faults.is_empty(), "{:?}", verified.faults);
    let config = |folder: &Path| -> serde_json::Value {
        serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
    };
    let (before, after) = (config(&actor.join("huggingface")), config(&out));
    assert_eq!([&before["dtype"], &after["dtype"]], ["float32", "bfloat16"]);
    assert_eq!(after["text_config"]["dtype"], "bfloat16");
    assert_eq!(before["text_config"]["vocab_size"], after["text_config"]["vocab_size"]);
    assert!(out.join("generation_config.json").is_file());
    let names = Checkpoint::open(&out).unwrap();
    let mut names = names.entries().map(|(_, entry)| entry.disk_name.as_str());
    assert!(names.any(|name| name == "visual.patch_embed.proj.weight"), "as published");
}

#[test]
fn an_imported_model_says_what_the_trained_one_said() {
    #[derive(Deserialize)]
    struct Said {
        tokens: Vec<u32>,
        logits: Vec<f32>,
    }

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    import(&fixture("easyr1/global_step_2/actor"), &out, ImportDtype::Keep).unwrap();
    let said: Said = serde_json::from_slice(&fs::read(fixture("logits.json")).unwrap()).unwrap();
    let config = Config::open(&out).unwrap();
    let checkpoint = Checkpoint::open(&out).unwrap();
    let model = QwenVl::load(&checkpoint, config, common::cpu(Format::F32)).unwrap();
    let prompt = Prompt { ids: said.tokens, images: Vec::new() };
    let embedded = model.embed(&prompt).unwrap();
    let mut cache = model.cache(1, prompt.ids.len());
    let rotation = model.rotation(&[embedded.positions.tokens]);
    let hidden = model.decoder.forward(embedded.embeddings, &rotation, &mut cache);
    let logits = model.decoder.logits(hidden).into_data();
    let logits: Vec<f32> = logits.iter::<f32>().collect();
    // In 32 bits, as in `qwen_vl.rs`: another value of one weight moves more.
    let error = common::error(&logits[logits.len() - said.logits.len()..], &said.logits);
    assert!(error <= 1e-4, "{error:.1e}");
}

#[test]
fn ranks_that_are_missing_or_not_of_one_checkpoint_are_refused() {
    let folder = copy("fsdp2");
    fs::remove_file(rank(folder.path(), 3, 1)).unwrap();
    let (text, hint) = message(&folder);
    assert!(text.ends_with(": of 3 ranks, rank 1 is missing"), "{text}");
    assert!(hint.contains("bring the files of all ranks together"), "{hint}");

    fs::copy(rank(folder.path(), 3, 2), rank(folder.path(), 3, 1)).unwrap();
    let (text, _) = message(&folder);
    assert!(text.contains("rank_2.pt`: tensor `bias`: has its piece 2 in rank 1 too"), "{text}");

    fs::copy(rank(folder.path(), 3, 2), rank(folder.path(), 4, 2)).unwrap();
    assert!(message(&folder).0.ends_with(": holds checkpoints of 3 and of 4 ranks"));
    fs::remove_file(rank(folder.path(), 4, 2)).unwrap();
    fs::copy(rank(folder.path(), 3, 2), rank(folder.path(), 3, 3)).unwrap();
    assert!(
        message(&folder).0.ends_with("_rank_3.pt`: is of rank 3, but there are 3 ranks from 0")
    );
    fs::remove_file(rank(folder.path(), 3, 3)).unwrap();

    fs::write(folder.path().join("fsdp_config.json"), r#"{"world_size": 8}"#).unwrap();
    let (text, _) = message(&folder);
    assert!(text.ends_with("says that there are 8 ranks, but the files are of 3"), "{text}");

    // Another network's file among them.
    let folder = copy("fsdp2");
    let other = rank(&fixture("easyr1/global_step_2/actor"), 2, 1);
    fs::copy(other, rank(folder.path(), 3, 1)).unwrap();
    let (text, hint) = message(&folder);
    assert!(text.contains("rank_1.pt`: tensor `bias`: is not here, but rank 0 has it"), "{text}");
    assert!(hint.contains("not of one checkpoint"), "{hint}");
}

#[test]
fn replicas_need_not_all_be_there() {
    let folder = copy("hybrid");
    let out = folder.path().join("all");
    import(folder.path(), &out, ImportDtype::Keep).unwrap();
    let all = fs::read(out.join("model.safetensors")).unwrap();
    for keep in [[0, 1], [2, 3], [0, 3], [2, 1]] {
        let folder = copy("hybrid");
        for gone in (0..4).filter(|rank| !keep.contains(rank)) {
            fs::remove_file(rank(folder.path(), 4, gone)).unwrap();
        }
        let out = folder.path().join("some");
        import(folder.path(), &out, ImportDtype::Keep).unwrap();
        assert_eq!(fs::read(out.join("model.safetensors")).unwrap(), all, "{keep:?}");
    }
    // Both are the second piece.
    for gone in [0, 2] {
        fs::remove_file(rank(folder.path(), 4, gone)).unwrap();
    }
    let (text, hint) = message(&folder);
    assert!(text.ends_with("tensor `bias`: has 1 of [2] along axis 0 in the pieces of all ranks"));
    assert!(hint.contains("bring the files of all ranks together"), "{hint}");
}

#[test]
fn ranks_that_disagree_are_refused() {
    let second = |folder: &TempDir| rank(folder.path(), 3, 1);
    // A value of a buffer that every rank has whole; the first that holds 1.00390625.
    let folder = copy("fsdp2");
    patched(&second(&folder), &0x3F80_8000_u32.to_le_bytes(), 0, &0_u32.to_le_bytes());
    let (text, _) = message(&folder);
    assert!(text.contains("rank_1.pt`: tensor `edges`: is whole in every rank, but has"), "{text}");

    // The first size that is stated of `matrix`: [5, 6].
    let folder = copy("fsdp2");
    patched(&second(&folder), b"K\x05K\x06\x86", 0, b"K\x04K\x06\x86");
    let (text, _) = message(&folder);
    let expected = "tensor `matrix`: is F32 [4, 6] along axis 0 here, and F32 [5, 6] along axis 0 in \
        rank 0";
    assert!(text.ends_with(expected), "{text}");

    // All three say that it is larger than what they have.
    let folder = copy("fsdp2");
    for number in 0..3 {
        let path = rank(folder.path(), 3, number);
        patched(&path, b"K\x05K\x06\x86", 0, b"K\x07K\x06\x86");
    }
    let (text, _) = message(&folder);
    assert!(text.contains("`matrix`: has 5 of [7, 6] along axis 0 in the pieces"), "{text}");

    // A name that another rank does not have.
    let folder = copy("fsdp2");
    patched(&second(&folder), b"matrix", 0, b"matrox");
    let (text, _) = message(&folder);
    assert!(text.contains("rank_1.pt`: tensor `matrix`: is not here, but rank 0 has it"), "{text}");
    patched(&rank(folder.path(), 3, 0), b"matrix", 0, b"lora_A");
    let (text, hint) = message(&folder);
    assert!(text.contains("tensor `lora_A`: is part of a LoRA adapter"), "{text}");
    assert!(hint.contains("merge the adapter"), "{hint}");
}

#[test]
fn what_is_not_understood_is_refused_and_not_executed() {
    let first = |folder: &TempDir| rank(folder.path(), 3, 0);
    let folder = copy("fsdp2");
    patched(&first(&folder), b"torch.distributed.device_mesh\nDeviceMesh", 0, {
        b"torch.distributed.device_mess\nDeviceMesh"
    });
    let (text, hint) = message(&folder);
    let expected =
        "the Python object `torch.distributed.device_mess.DeviceMesh`; it was not executed";
    assert!(
        text.contains("rank_0.pt`: its `data.pkl`, byte ") && text.contains(expected),
        "{text}"
    );
    assert!(hint.contains("nothing is executed"), "{hint}");

    let folder = copy("hybrid");
    patched(&rank(folder.path(), 4, 0), b"placement_types\nReplicate", 0, {
        b"placement_types\nReplicat3"
    });
    assert!(message(&folder).0.contains("`torch.distributed.tensor.placement_types.Replicat3`"));

    // The dimension of the first placement, and this rank's place.
    let folder = copy("older");
    patched(&first(&folder), b"\x03\0\0\0dim", 0, b"\x03\0\0\0dom");
    let (text, _) = message(&folder);
    assert!(
        text.contains("is not described as torch describes a tensor: its placements"),
        "{text}"
    );
    let folder = copy("older");
    patched(&first(&folder), b"_coordinate_on_dim", 0, b"_coordinate_on_dam");
    let (text, _) = message(&folder);
    assert!(text.contains("rank_0.pt`: tensor `") && text.ends_with(": the place of its rank"));

    // A file that is cut off, one that is none, and a pointer of git.
    let folder = copy("fsdp2");
    let sound = fs::read(first(&folder)).unwrap();
    fs::write(first(&folder), &sound[..sound.len() / 2]).unwrap();
    assert!(message(&folder).0.ends_with("is a zip archive without its end: it was cut off"));
    fs::write(first(&folder), "version https://git-lfs.github.com/spec/v1\n").unwrap();
    assert!(message(&folder).0.contains("is a git-lfs pointer"));
    fs::write(first(&folder), "something else").unwrap();
    assert!(message(&folder).0.ends_with("rank_0.pt`: is no file of torch.save"));
}

#[test]
fn damaged_ranks_are_joined_or_refused() {
    let folder = copy("fsdp2");
    let path = rank(folder.path(), 3, 1);
    let sound = fs::read(&path).unwrap();
    let mut joined = 0;
    for at in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x80;
        fs::write(&path, damaged).unwrap();
        let out = folder.path().join("model");
        match import(folder.path(), &out, ImportDtype::Keep) {
            Err(error) => {
                assert!(error.to_string().contains("model_world_size_3_rank_"), "{error}");
            }
            Ok(_) => {
                joined += 1;
                fs::remove_dir_all(out).unwrap();
            }
        }
    }
    assert!((1..sound.len()).contains(&joined), "{joined}: values have no form to break");
}

#[test]
fn a_tied_output_layer_is_written_once() {
    let folder = copy("fsdp2");
    let config = folder.path().join("huggingface/config.json");
    for (stated, is_there) in [
        (r#"{"tie_word_embeddings": true}"#, false),
        (r#"{"tie_word_embeddings": false}"#, true),
        (r#"{"text_config": {"tie_word_embeddings": true}}"#, false),
        ("{}", true),
    ] {
        fs::write(&config, stated).unwrap();
        let out = folder.path().join(format!("model {stated}"));
        import(folder.path(), &out, ImportDtype::Keep).unwrap();
        let checkpoint = Checkpoint::open(&out).unwrap();
        assert!(checkpoint.get("model.embed_tokens.weight").is_some());
        assert_eq!(checkpoint.get("lm_head.weight").is_some(), is_there, "{stated}");
    }
}

#[test]
fn nothing_is_overwritten_and_no_half_model_is_left() {
    let folder = copy("fsdp2");
    let out = folder.path().join("model");
    fs::create_dir(&out).unwrap();
    fs::create_dir(folder.path().join(".model.segzero-part")).unwrap();
    fs::write(folder.path().join(".model.segzero-part/model.safetensors"), "half").unwrap();
    import(folder.path(), &out, ImportDtype::F32).unwrap();
    assert!(!folder.path().join(".model.segzero-part").exists());
    assert_eq!(Checkpoint::open(&out).unwrap().get("short").unwrap().dtype(), Dtype::F32);
    let error = import(folder.path(), &out, ImportDtype::F32).unwrap_err();
    assert!(error.to_string().ends_with("model`: exists and is not empty"), "{error}");
    let error = import(folder.path(), Path::new("."), ImportDtype::F32).unwrap_err();
    assert!(error.to_string().contains("not a name for a folder"), "{error}");

    let config = folder.path().join("huggingface/config.json");
    fs::remove_file(config).unwrap();
    let error = import(folder.path(), &folder.path().join("other"), ImportDtype::F32).unwrap_err();
    assert!(error.to_string().contains("huggingface/config.json`: is not there"), "{error}");
    assert!(error.hint().unwrap().contains("tokenizer"));
    assert!(
        !folder.path().join("other").exists()
            && !folder.path().join(".other.segzero-part").exists()
    );
}

#[test]
fn what_is_kept_is_stated_and_files_beside_may_be_read_only() {
    let folder = copy("fsdp2");
    let config = folder.path().join("huggingface/config.json");
    let mut stated: serde_json::Value =
        serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    stated["dtype"] = "float32".into();
    fs::write(&config, stated.to_string()).unwrap();
    let mut permissions = fs::metadata(&config).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&config, permissions).unwrap();
    for (dtype, name) in [(ImportDtype::F16, "float16"), (ImportDtype::Bf16, "bfloat16")] {
        let out = folder.path().join(name);
        import(folder.path(), &out, dtype).unwrap();
        let written = fs::read(out.join("config.json")).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["dtype"], name);
    }
}

#[test]
fn where_a_model_is_asked_for_pieces_are_refused_with_the_way_out() {
    let run = fixture("easyr1");
    let actor = run.join("global_step_2/actor");
    for path in [&run, &run.join("global_step_2"), &actor, &actor.join("huggingface")] {
        let error = Checkpoint::open(path).unwrap_err();
        assert!(error.to_string().ends_with("a file for each rank, not a model"), "{error}");
        let named = if path.ends_with("huggingface") { &actor } else { path };
        let hint = format!("`segzero model import {} --out DIR`", named.display());
        assert!(error.hint().unwrap().starts_with(&hint), "{:?}", error.hint());
    }
    let error = Checkpoint::open(rank(&actor, 2, 0)).unwrap_err();
    assert!(error.to_string().contains("is one rank's piece of a tensor"), "{error}");
    assert!(error.hint().unwrap().contains("segzero model import"), "{error}");
}

#[test]
fn a_run_says_which_step_is_its_last() {
    let folder = tempfile::tempdir().unwrap();
    let locate = || sharded::locate(folder.path());
    let error = locate().unwrap_err();
    assert!(error.to_string().ends_with("no model_world_size_W_rank_R.pt here"), "{error}");
    assert!(error.hint().unwrap().contains("global_step_N"));
    for step in [40, 5] {
        let actor = folder.path().join(format!("global_step_{step}/actor"));
        fs::create_dir_all(&actor).unwrap();
        fs::write(rank(&actor, 1, 0), "").unwrap();
    }
    let error = locate().unwrap_err();
    assert!(error.to_string().ends_with("here, but global_step_5, global_step_40"), "{error}");
    let tracker = folder.path().join("checkpoint_tracker.json");
    fs::write(&tracker, r#"{"best_global_step": 5}"#).unwrap();
    assert!(locate().unwrap_err().to_string().ends_with("tracker.json`: names no step"));
    fs::write(&tracker, r#"{"best_global_step": 5, "last_global_step": 40}"#).unwrap();
    let step = locate().unwrap();
    assert_eq!(step.chosen, Some(40));
    assert_eq!(step.folder, folder.path().join("global_step_40/actor"));
    let latest = folder.path().join("latest_checkpointed_iteration.txt");
    fs::write(&latest, "5\n").unwrap();
    assert_eq!(locate().unwrap().chosen, Some(5));
    fs::write(&latest, "7").unwrap();
    assert!(locate().unwrap_err().to_string().contains("global_step_7`: no model_world_size_W"));
    fs::write(&latest, "seven").unwrap();
    assert!(locate().unwrap_err().to_string().ends_with("iteration.txt`: names no step"));
    let named = sharded::locate(&folder.path().join("global_step_5")).unwrap();
    assert_eq!((named.chosen, named.folder.ends_with("actor")), (None, true));
}
