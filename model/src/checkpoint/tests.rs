//! Headers, names, offsets and conversions of small files written here byte by byte.

use std::path::{Path, PathBuf};

use half::{bf16, f16};

use super::*;

/// A safetensors file of a header as text and that many bytes of data 0, 1, 2, …
fn write(folder: &Path, name: &str, header: &str, bytes: usize) -> PathBuf {
    let path = folder.join(name);
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend((0..bytes).map(|i| i as u8));
    std::fs::write(&path, file).unwrap();
    path
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn fault(path: impl AsRef<Path>) -> String {
    Checkpoint::open(path).unwrap_err().to_string()
}

const A: &str = r#""a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}"#;

#[test]
fn names_of_every_layout_are_one() {
    let cases = [
        ("visual.blocks.0.attn.qkv.weight", "visual.blocks.0.attn.qkv.weight"),
        ("model.visual.blocks.0.attn.qkv.weight", "visual.blocks.0.attn.qkv.weight"),
        ("model.layers.3.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight"),
        ("model.language_model.layers.3.mlp.up_proj.weight", "model.layers.3.mlp.up_proj.weight"),
        ("language_model.model.norm.weight", "model.norm.weight"),
        ("language_model.lm_head.weight", "lm_head.weight"),
        ("lm_head.weight", "lm_head.weight"),
        ("model.lm_head.weight", "lm_head.weight"),
        ("module.model.embed_tokens.weight", "model.embed_tokens.weight"),
        ("model.model.embed_tokens.weight", "model.embed_tokens.weight"),
        ("module.model.model.language_model.norm.weight", "model.norm.weight"),
        ("module.module.visual.merger.ln_q.weight", "visual.merger.ln_q.weight"),
        ("image_encoder.trunk.pos_embed", "image_encoder.trunk.pos_embed"),
        ("modelling.weight", "modelling.weight"),
    ];
    for (on_disk, name) in cases {
        assert_eq!(canonical(on_disk), name, "{on_disk}");
        assert_eq!(canonical(name), name, "a canonical name stays");
        for layout in [Layout::Published, Layout::Nested] {
            assert_eq!(canonical(&layout.on_disk(name)), name);
        }
    }
    assert_eq!(Layout::Nested.on_disk("model.norm.weight"), "model.language_model.norm.weight");
    assert_eq!(Layout::Nested.on_disk("visual.x"), "model.visual.x");
    assert_eq!(Layout::Nested.on_disk("lm_head.weight"), "lm_head.weight");
}

#[test]
fn a_file_is_read_where_it_lies() {
    let folder = folder();
    let header = r#"{"__metadata__":{"format":"pt"},
        "model.language_model.norm.weight":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},
        "model.visual.x":{"dtype":"F32","shape":[2,1],"data_offsets":[6,14]}}"#;
    let path = write(folder.path(), SINGLE, header, 14);
    for path in [folder.path().to_owned(), path] {
        let checkpoint = Checkpoint::open(path).unwrap();
        let names: Vec<&str> = checkpoint.entries().map(|(name, _)| name).collect();
        assert_eq!(names, ["model.norm.weight", "visual.x"]);
        assert_eq!(checkpoint.folder, folder.path());
        assert_eq!(checkpoint.bytes(), 14);
        let view = checkpoint.get("visual.x").unwrap();
        assert_eq!((view.dtype(), view.shape()), (Dtype::F32, &[2, 1][..]));
        assert_eq!(view.bytes(), [6, 7, 8, 9, 10, 11, 12, 13]);
        assert_eq!(view.entry.disk_name, "model.visual.x");
        assert!(checkpoint.get("model.visual.x").is_none());
        let missing = checkpoint.require("lm_head.weight").unwrap_err();
        assert!(missing.to_string().ends_with("tensor `lm_head.weight`: is missing"), "{missing}");
        // The handle outlives the checkpoint.
        let bytes = checkpoint.require("model.norm.weight").unwrap().weight_bytes();
        drop(checkpoint);
        assert_eq!(*bytes.clone(), [0, 1, 2, 3, 4, 5]);
    }
}

#[test]
fn halves_convert_exactly_and_alignment_is_asked_for() {
    let folder = folder();
    let halves = 200_000; // several blocks, and a last one that is not whole
    let header = format!(
        r#"{{"b":{{"dtype":"BF16","shape":[{halves}],"data_offsets":[0,{end}]}},
            "h":{{"dtype":"F16","shape":[{halves}],"data_offsets":[{end},{twice}]}}}}"#,
        end = 2 * halves,
        twice = 4 * halves
    );
    let header = format!("{header:<0$}", header.len().next_multiple_of(8));
    let path = write(folder.path(), SINGLE, &header, 0);
    let mut file = std::fs::read(&path).unwrap();
    // Every pattern of 16 bits, infinities and NaNs among them.
    let patterns: Vec<u8> = (0..halves).flat_map(|i| (i as u16).to_le_bytes()).collect();
    file.extend(patterns.iter().chain(&patterns));
    std::fs::write(&path, file).unwrap();

    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let [b, h] = ["b", "h"].map(|name| checkpoint.get(name).unwrap());
    let [from_b, from_h] = [b, h].map(|view| view.to_f32().unwrap());
    assert_eq!((from_b.len(), from_h.len()), (halves, halves));
    for i in 0..halves {
        let (expected_b, expected_h) = (bf16::from_bits(i as u16), f16::from_bits(i as u16));
        assert_eq!(from_b[i].to_bits(), u32::from(i as u16) << 16);
        assert!(from_h[i] == f32::from(expected_h) || from_h[i].is_nan() && expected_h.is_nan());
        assert!(from_b[i] == f32::from(expected_b) || from_b[i].is_nan() && expected_b.is_nan());
    }
    assert_eq!(b.to_bf16().unwrap()[65_535].to_bits(), 65_535, "copied, not rounded");
    assert_eq!(h.to_f16().unwrap()[31_745].to_bits(), 31_745, "copied, not rounded");
    assert_eq!(b.weight_bytes().cast::<bf16>().unwrap()[0x3f80], bf16::ONE);
    b.release();
    assert_eq!(b.to_f32().unwrap()[0x3f80], 1.0, "released bytes are read again");

    // One byte of padding: the same numbers, which no processor may read as halves in place.
    write(folder.path(), SINGLE, r#"{"b":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}} "#, 4);
    let odd = Checkpoint::open(folder.path()).unwrap();
    let even = odd.get("b").unwrap().entry.range.start.is_multiple_of(2);
    assert_eq!(odd.get("b").unwrap().weight_bytes().cast::<bf16>().is_some(), even);
    assert_eq!(odd.get("b").unwrap().to_bf16().unwrap()[0].to_bits(), 0x0100);
}

#[test]
fn integers_are_named_and_not_read_as_numbers() {
    let folder = folder();
    write(folder.path(), SINGLE, r#"{"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#, 8);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let error = checkpoint.get("n").unwrap().to_f32().unwrap_err().to_string();
    assert!(error.contains("tensor `n`: has dtype I64"), "{error}");
}

#[test]
fn shards_are_found_by_the_index() {
    let folder = folder();
    let b = r#"{"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#;
    write(folder.path(), "model-00001-of-00002.safetensors", &format!("{{{A}}}"), 8);
    write(folder.path(), "model-00002-of-00002.safetensors", b, 3);
    let index = |a: &str| {
        let text = format!(
            r#"{{"metadata":{{"total_size":11}},"weight_map":{{"a":"{a}",
                "b":"model-00002-of-00002.safetensors"}}}}"#
        );
        std::fs::write(folder.path().join(INDEX), text).unwrap();
    };
    index("model-00001-of-00002.safetensors");
    let checkpoint = Checkpoint::open(folder.path().join(INDEX)).unwrap();
    assert_eq!(
        (checkpoint.shards.len(), checkpoint.entries().len(), checkpoint.bytes()),
        (2, 2, 11)
    );
    assert_eq!(checkpoint.get("b").unwrap().entry.shard, 1);
    assert_eq!(checkpoint.get("b").unwrap().bytes(), [0, 1, 2]);

    index("model-00002-of-00002.safetensors");
    let error = fault(folder.path());
    assert!(error.contains("00002.safetensors`: tensor `a`: is not in this file"), "{error}");
    index("model-00003-of-00002.safetensors");
    assert!(fault(folder.path()).contains("model-00003-of-00002.safetensors`: No such file"));
    index("../model.safetensors");
    assert!(fault(folder.path()).contains("`../model.safetensors`, which is not a file name"));
}

#[test]
fn one_parameter_under_two_names_is_refused() {
    let folder = folder();
    let header = r#"{"model.norm.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
        "model.language_model.norm.weight":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    write(folder.path(), SINGLE, header, 2);
    let error = fault(folder.path());
    assert!(error.contains("tensor `model.norm.weight`: is the same parameter as"), "{error}");
    assert!(error.contains("`model.language_model.norm.weight`"), "{error}");
}

#[test]
fn malformed_files_are_named_with_tensor_and_fault() {
    let folder = folder();
    let check = |header: &str, bytes: usize, expected: &str| {
        let path = write(folder.path(), SINGLE, header, bytes);
        let error = fault(&path);
        assert!(error.starts_with(&format!("`{}`", path.display())), "{error}");
        assert!(error.contains(expected), "{error}, not {expected}");
    };
    check(&format!("{{{A}}}"), 7, "tensor `a`: is cut off: the file ends at byte");
    check(&format!("{{{A}}}"), 9, "1 bytes after the last tensor belong to none");
    check("{\"a\":", 0, "the header is not that of a safetensors file");
    check("[1,2]", 0, "the header is not that of a safetensors file");
    check(r#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#, 4, "F31");
    check(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "F32 [3] takes 12");
    check(r#"{"a":{"dtype":"F32","shape":[-3],"data_offsets":[0,8]}}"#, 8, "safetensors file: ");
    check(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#, 8, "before it begins");
    let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#;
    check(huge, 8, "takes more than can be counted");
    let far = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551614,18446744073709551615]}}"#;
    check(far, 8, "should at 18446744073709551615 (1 tensors");
    let two = |b: &str| format!(r#"{{{A},"b":{{"dtype":"U8","shape":[4],"data_offsets":{b}}}}}"#);
    check(&two("[4,8]"), 8, "tensor `b`: shares bytes with tensor `a`");
    check(&two("[9,13]"), 13, "tensor `b`: 1 bytes before it belong to no tensor");
}

#[test]
fn what_is_not_weights_is_recognised() {
    let folder = folder();
    let path = folder.path().join(SINGLE);
    let check = |content: &[u8], expected: &str, hint: Option<&str>| {
        std::fs::write(&path, content).unwrap();
        let error = Checkpoint::open(&path).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}, not {expected}");
        match hint {
            None => assert!(error.hint().is_none()),
            Some(hint) => assert!(error.hint().unwrap().contains(hint)),
        }
    };
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
    check(pointer, "git-lfs pointer of 64 bytes", Some("git lfs pull"));
    check(b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a page of HTML", Some("token"));
    check(b"PK\x03\x04\0\0\0\0\0\0", "zip archive without its end", Some("again"));
    check(b"\x80\x02}q\0.", "PyTorch file of the form before torch 1.6", Some("weights_only"));
    check(b"", "0 bytes are too few", None);
    check(b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "header has 9223372036854775807", Some("again"));

    std::fs::remove_file(&path).unwrap();
    assert!(fault(folder.path()).ends_with("and no single .pt file here"));
    std::fs::write(folder.path().join("model.gguf"), b"").unwrap();
    assert!(fault(folder.path()).ends_with("here, only model.gguf"));
    let absent = Checkpoint::open(folder.path().join("absent")).unwrap_err();
    assert!(absent.hint().unwrap().contains("exists"), "{absent}");
}

#[test]
fn no_damage_makes_it_panic() {
    let folder = folder();
    let second = r#""b":{"dtype":"BF16","shape":[2,2],"data_offsets":[8,16]}"#;
    let path = write(folder.path(), SINGLE, &format!("{{{A},{second}}}"), 16);
    let sound = std::fs::read(&path).unwrap();
    let mut refused = 0;
    let mut check = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let all = verify(&path, None, Values::Finite(&|_| {}));
        match Checkpoint::open(&path) {
            // What is opened can be read whole.
            Ok(checkpoint) => {
                let sizes = checkpoint.views().map(|view| view.bytes().len() as u64);
                assert_eq!(sizes.sum::<u64>(), checkpoint.bytes());
            }
            Err(_) => {
                refused += 1;
                assert!(all.map_or(true, |all| !all.faults.is_empty()));
            }
        }
    };
    for_each_damage(&sound, &mut check);
    assert!(refused > sound.len(), "every cut and many a bit");
}

/// Every cut of a file, and every bit of it turned over.
pub(in crate::checkpoint) fn for_each_damage(sound: &[u8], mut check: impl FnMut(&[u8])) {
    for at in 0..sound.len() {
        check(&sound[..at]);
        for bit in 0..8 {
            let mut damaged = sound.to_vec();
            damaged[at] ^= 1 << bit;
            check(&damaged);
        }
    }
}
