//! Checkpoints written, opened and verified: the formula against numpy and torch, every parameter of
//! the published models, and faults that are put into sound files.
#![allow(clippy::unwrap_used)] // clippy lets `#[test]` functions unwrap, but not their helpers

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use half::{bf16, f16};
use segzero_model::checkpoint::random::{self, Form, Formula};
use segzero_model::checkpoint::{Checkpoint, Dtype, INDEX, Layout, SINGLE, Values, verify};

type Parameters = Vec<(String, Vec<usize>)>;

fn parameters() -> Parameters {
    let list: [(&str, &[usize]); 6] = [
        ("lm_head.weight", &[160, 64]),
        ("model.embed_tokens.weight", &[160, 64]),
        ("model.layers.0.self_attn.q_proj.bias", &[64]),
        ("model.norm.weight", &[64]),
        ("visual.merger.ln_q.weight", &[32]),
        ("visual.patch_embed.proj.weight", &[32, 3, 2, 14, 14]),
    ];
    list.map(|(name, shape)| (name.to_owned(), shape.to_vec())).to_vec()
}

/// Two files, the second with the last tensor.
fn sharded(folder: &Path) -> Parameters {
    let form = Form { dtype: Dtype::F32, shard_bytes: 83_000, ..Form::default() };
    random::write(folder, &parameters(), &form, &[]).unwrap();
    parameters()
}

fn faults(
    path: &Path,
    expected: Option<&[(String, Vec<usize>)]>,
    values: Values<'_>,
) -> Vec<String> {
    let verified = verify(path, expected, values).unwrap();
    verified.faults.iter().map(ToString::to_string).collect()
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn the_formula_is_that_of_python() {
    let path = segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), "checkpoint/formula.json");
    let cases: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 17);
    for case in cases {
        let numbers = |key: &str| -> Vec<usize> {
            case[key].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
        };
        let name = case["name"].as_str().unwrap();
        let formula = Formula::weight(name, &numbers("shape"));
        // Exact: one rounding of a product and a sum in f64.
        for (n, at) in numbers("at").into_iter().enumerate() {
            let value = formula.value(at);
            assert_eq!(formula.integer(at) as usize, numbers("integers")[n], "{name}");
            assert_eq!(value.to_bits() as usize, numbers("f32")[n], "{name}");
            assert_eq!(f16::from_f32(value).to_bits() as usize, numbers("f16")[n], "{name}");
            assert_eq!(bf16::from_f32(value).to_bits() as usize, numbers("bf16")[n], "{name}");
            assert_eq!(formula.values(at + 1)[at], value);
        }
    }
}

#[test]
fn what_is_written_is_read() {
    for layout in [Layout::Published, Layout::Nested] {
        for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
            for shard_bytes in [1, 60_000, u64::MAX] {
                let folder = tempfile::tempdir().unwrap();
                let form = Form { dtype, layout, shard_bytes };
                random::write(folder.path(), &parameters(), &form, &[]).unwrap();
                check_written(folder.path(), &form);
            }
        }
    }
}

fn check_written(folder: &Path, form: &Form) {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let files = checkpoint.shards.len();
    assert_eq!(
        files,
        match form.shard_bytes {
            1 => 6,
            u64::MAX => 1,
            _ if form.dtype == Dtype::F32 => 3,
            _ => 2,
        }
    );
    assert_eq!(folder.join(SINGLE).exists(), files == 1);
    assert_eq!(folder.join(INDEX).exists(), files > 1);
    let expected = parameters();
    assert!(checkpoint.entries().map(|(name, _)| name).eq(expected.iter().map(|p| &p.0)));
    for (view, (name, shape)) in checkpoint.views().zip(&expected) {
        assert_eq!((view.dtype(), view.shape()), (form.dtype, &shape[..]));
        assert_eq!(view.entry.disk_name, form.layout.on_disk(name));
        let values = Formula::weight(name, shape).values(shape.iter().product());
        let rounded: Vec<f32> = match form.dtype {
            Dtype::F16 => values.iter().map(|v| f16::from_f32(*v).to_f32()).collect(),
            Dtype::BF16 => values.iter().map(|v| bf16::from_f32(*v).to_f32()).collect(),
            _ => values,
        };
        assert_eq!(view.to_f32().unwrap(), rounded, "{name}");
    }
    assert!(faults(folder, Some(&expected), Values::Finite(&|_| {})).is_empty());
}

#[test]
fn other_files_go_along_and_other_dtypes_do_not() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = from.path().join("config.json");
    fs::write(&config, "{}").unwrap();
    random::write(to.path(), &parameters(), &Form::default(), &[config]).unwrap();
    assert_eq!(fs::read_to_string(to.path().join("config.json")).unwrap(), "{}");
    let form = Form { dtype: Dtype::I64, ..Form::default() };
    let error = random::write(to.path(), &parameters(), &form, &[]).unwrap_err().to_string();
    assert!(error.contains("has dtype I64"), "{error}");
}

/// Headers of more than 65,535 bytes, which no width of a formatted string can be.
#[test]
fn many_parameters_go_into_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let list: Parameters = (0..1000).map(|i| (format!("blocks.{i}.norm.bias"), vec![1])).collect();
    random::write(folder.path(), &list, &Form::default(), &[]).unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().entries().count(), 1000);
}

/// The published lists, with few elements: names and ranks as they are, every axis of size 1 or 2.
#[test]
fn every_published_name_is_written_and_found() {
    let Some(data) = segzero_test_support::shared_data() else { return };
    for (model, count) in [("qwen2.5-vl-3b", 824), ("qwen2.5-vl-7b", 729)] {
        let text = fs::read_to_string(data.join(format!("model-shapes/{model}.tsv"))).unwrap();
        let parse = |line: &str| {
            let (name, shape) = line.split_once('\t').unwrap();
            let shape: Vec<usize> = serde_json::from_str(shape).unwrap();
            (name.to_owned(), shape.into_iter().map(|size| size.min(2)).collect())
        };
        let list: Parameters = text.lines().map(parse).collect();
        assert_eq!(list.len(), count);
        let folder = tempfile::tempdir().unwrap();
        let form = Form { layout: Layout::Nested, shard_bytes: 1000, ..Form::default() };
        random::write(folder.path(), &list, &form, &[]).unwrap();
        assert!(faults(folder.path(), Some(&list), Values::Unread).is_empty());
    }
}

#[test]
fn faults_of_the_index_are_all_listed() {
    let folder = tempfile::tempdir().unwrap();
    let expected = sharded(folder.path());
    let index = folder.path().join(INDEX);
    let text = fs::read_to_string(&index).unwrap();
    let size: usize = expected.iter().map(|(_, shape)| 4 * shape.iter().product::<usize>()).sum();
    let broken = text
        .replace(&size.to_string(), "7")
        .replace("\"model.norm.weight\"", "\"model.norm.wait\"");
    fs::write(&index, broken).unwrap();
    fs::copy(
        folder.path().join("model-00001-of-00002.safetensors"),
        folder.path().join("model-00009-of-00009.safetensors"),
    )
    .unwrap();
    let found = faults(folder.path(), Some(&expected), Values::Unread);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("tensor `model.norm.wait`: is not in this file"), "{found:#?}");
    assert!(
        found[1].contains("tensor `model.norm.weight`: is not in model.safetensors.index.json")
    );
    assert!(found[2].contains("model-00009-of-00009.safetensors`: is not named by"), "{found:#?}");

    fs::write(&index, text.replace(&size.to_string(), "7.0")).unwrap();
    fs::remove_file(folder.path().join("model-00009-of-00009.safetensors")).unwrap();
    let found = faults(folder.path(), None, Values::Unread);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains(&format!("total_size is 7, but the tensors have {size} bytes")));
}

#[test]
fn missing_and_truncated_shards_are_named_together() {
    let folder = tempfile::tempdir().unwrap();
    let expected = sharded(folder.path());
    let [first, second] =
        [1, 2].map(|n| folder.path().join(format!("model-0000{n}-of-00002.safetensors")));
    let whole = fs::metadata(&second).unwrap().len();
    OpenOptions::new().write(true).open(&second).unwrap().set_len(whole - 1).unwrap();
    fs::remove_file(&first).unwrap();
    let found = faults(folder.path(), Some(&expected), Values::Finite(&|_| {}));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with(&format!("`{}`: No such file", first.display())), "{found:#?}");
    let cut = format!(
        "`{}`: tensor `visual.patch_embed.proj.weight`: is cut off: the file ends at byte {} and \
         should at {whole} (1 tensors are incomplete)",
        second.display(),
        whole - 1
    );
    assert_eq!(found[1], cut);
    assert!(Checkpoint::open(folder.path()).is_err());
}

#[test]
fn the_architecture_is_held_against_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = sharded(folder.path());
    expected[0].1 = vec![64, 160];
    expected[1].0 = "model.embed_tokens.bias".to_owned();
    let found = faults(folder.path(), Some(&expected), Values::Unread);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("has shape [160, 64], but the architecture has [64"));
    assert!(found[1].ends_with("tensor `model.embed_tokens.bias`: is missing"), "{found:#?}");
    assert!(found[2].contains("tensor `model.embed_tokens.weight`: is no parameter"), "{found:#?}");
}

#[test]
fn values_that_are_not_finite_are_counted() {
    for (dtype, nan, infinity) in [
        (Dtype::F32, f32::NAN.to_le_bytes().to_vec(), f32::NEG_INFINITY.to_le_bytes().to_vec()),
        (Dtype::F16, f16::NAN.to_le_bytes().to_vec(), f16::INFINITY.to_le_bytes().to_vec()),
        (Dtype::BF16, bf16::NAN.to_le_bytes().to_vec(), bf16::INFINITY.to_le_bytes().to_vec()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        // More than one task of the scan.
        let list = [("a.weight".to_owned(), vec![1000, 1000]), ("b.weight".to_owned(), vec![8])];
        random::write(folder.path(), &list, &Form { dtype, ..Form::default() }, &[]).unwrap();
        let size = dtype.bitsize() as u64 / 8;
        let path = folder.path().join(SINGLE);
        let start = Checkpoint::open(&path).unwrap().get("a.weight").unwrap().entry.range.start;
        overwrite(&path, start as u64 + 999_998 * size, &nan);
        overwrite(&path, start as u64 + 700_000 * size, &infinity);
        overwrite(&path, start as u64 + 700_001 * size, &infinity);
        assert!(faults(&path, None, Values::Unread).is_empty());
        let read = AtomicU64::new(0);
        let progress = |bytes| _ = read.fetch_add(bytes, Ordering::Relaxed);
        let found = faults(&path, None, Values::Finite(&progress));
        assert_eq!(found.len(), 1, "{found:#?}");
        let says = "tensor `a.weight`: 1 values are NaN and 2 infinite, the first at index 700000";
        assert!(found[0].ends_with(says), "{found:#?}");
        assert_eq!(read.into_inner(), 1_000_008 * size);
    }
}
