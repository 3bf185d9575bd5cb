//! Files of `torch.save` against what torch reads from them (`tests/fixtures/torch/generate.py`).
#![allow(clippy::unwrap_used)] // clippy lets `#[test]` functions unwrap, but not their helpers

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use segzero_model::checkpoint::{Checkpoint, Dtype, Values, verify};
use serde::Deserialize;

fn fixture(name: &str) -> PathBuf {
    segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), &format!("torch/{name}"))
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    bytes: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn tensors_are_those_that_torch_reads() {
    let text = fs::read(fixture("expected.json")).unwrap();
    let files: BTreeMap<String, BTreeMap<String, Tensor>> = serde_json::from_slice(&text).unwrap();
    assert_eq!(files.len(), 5);
    for (file, expected) in files {
        let checkpoint = Checkpoint::open(fixture(&file)).unwrap();
        assert!(checkpoint.entries().map(|(name, _)| name).eq(expected.keys()), "{file}");
        for (view, (name, tensor)) in checkpoint.views().zip(&expected) {
            assert_eq!(view.dtype().to_string(), tensor.dtype, "{file}: {name}");
            assert_eq!(view.shape(), tensor.shape, "{file}: {name}");
            assert_eq!(hex(view.bytes()), tensor.bytes, "{file}: {name}");
        }
        let verified = verify(&fixture(&file), None, Values::Finite(&|_| {})).unwrap();
        assert_eq!(verified.tensors, expected.len());
        assert!(verified.faults.is_empty(), "{file}: {:?}", verified.faults);
    }
}

#[test]
fn numbers_are_read_where_they_lie() {
    let checkpoint = Checkpoint::open(fixture("model.pt")).unwrap();
    let [whole, rows] = ["whole", "rows"].map(|name| checkpoint.get(name).unwrap());
    assert_eq!(rows.to_f32().unwrap(), whole.to_f32().unwrap()[4..]);
    assert_eq!(rows.entry.range.start, whole.entry.range.start + 16, "one storage");
    assert_eq!(checkpoint.get("bf16").unwrap().to_f32().unwrap(), [1.5, -2.0]);
    assert_eq!(checkpoint.get("half").unwrap().to_f32().unwrap(), [1.5, -2.0]);
    assert_eq!(checkpoint.get("scalar").unwrap().to_f32().unwrap(), [3.5]);
    // torch aligns storages, so that they can be computed with in place.
    assert!(whole.weight_bytes().cast::<f32>().is_some());
}

#[test]
fn a_folder_may_hold_one_such_file() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Checkpoint::open(folder.path());
    for name in ["sam2_hiera_large.pt", "weights.pth", "pytorch_model.bin"] {
        fs::copy(fixture("bare.pt"), folder.path().join(name)).unwrap();
        let checkpoint = open().unwrap();
        assert_eq!((checkpoint.folder.as_path(), checkpoint.entries().len()), (folder.path(), 7));
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    fs::copy(fixture("bare.pt"), folder.path().join("optimizer.bin")).unwrap();
    assert!(open().unwrap_err().to_string().ends_with("here, only optimizer.bin"));
    for name in ["a.pt", "b.pt"] {
        fs::copy(fixture("bare.pt"), folder.path().join(name)).unwrap();
    }
    let error = open().unwrap_err();
    assert!(error.to_string().ends_with("here, only a.pt, b.pt, optimizer.bin"), "{error}");
    assert!(error.hint().unwrap().contains("name one of the files"), "{error}");
    // safetensors go first.
    fs::write(folder.path().join("model.safetensors"), b"\x02\0\0\0\0\0\0\0{}").unwrap();
    assert_eq!(open().unwrap().entries().len(), 0);
}

#[test]
fn what_is_not_tensors_by_name_is_refused() {
    let cases = [
        (
            "legacy.pt",
            "this is a PyTorch file of the form before torch 1.6",
            "torch.save(torch.load",
        ),
        (
            "transposed.pt",
            "tensor `b`: is not contiguous: [3, 2] with strides [1, 3]",
            "contiguous",
        ),
        (
            "command.pt",
            "its `data.pkl`, byte 169: the pickle asks for the Python object `posix.system`; it was \
             not executed",
            "state_dict",
        ),
        ("complex.pt", "the Python object `torch.ComplexFloatStorage`", "state_dict"),
        ("deflated.pt", "its entry `archive/data.pkl` is compressed (method 8)", "as they are"),
    ];
    for (file, message, hint) in cases {
        let error = Checkpoint::open(fixture(file)).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("`{}`: ", fixture(file).display())), "{text}");
        assert!(text.contains(message), "{text}, not {message}");
        assert!(error.hint().unwrap().contains(hint), "{file}: {:?}", error.hint());
    }
    let message = |file| Checkpoint::open(fixture(file)).unwrap_err().to_string();
    assert!(message("list.pt").ends_with(": holds a list, no parameters by name"));
    // verify lists what is wrong with each, and sees the others.
    let faults = verify(&fixture("optimizer.pt"), None, Values::Unread).unwrap().faults;
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("tensor `epoch`: is an integer, not a tensor"), "{faults:?}");
    assert!(faults[1].contains("tensor `net`: is what a call makes, not a tensor"), "{faults:?}");
    let verified = verify(&fixture("transposed.pt"), None, Values::Unread).unwrap();
    assert_eq!((verified.faults.len(), verified.tensors), (1, 1));
}

#[test]
fn check_sums_are_compared_where_values_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    let mut file = fs::read(fixture("model.pt")).unwrap();
    let at = Checkpoint::open(fixture("model.pt")).unwrap().get("whole").unwrap().entry.range.start;
    file[at + 20] ^= 1;
    fs::write(&path, &file).unwrap();
    assert!(verify(&path, None, Values::Unread).unwrap().faults.is_empty());
    let faults = verify(&path, None, Values::Finite(&|_| {})).unwrap().faults;
    assert_eq!(faults.len(), 1);
    let expected = "model.pt`: its entry `archive/data/0` has other bytes than were saved: its check \
        sum differs";
    assert!(faults[0].to_string().ends_with(expected), "{}", faults[0]);
    assert!(faults[0].hint().unwrap().contains("again"));
    // torch may be told to compute none, and writes 0.
    let sum = crc32fast::hash(&fs::read(fixture("model.pt")).unwrap()[at..at + 48]).to_le_bytes();
    for start in 0..file.len() - 4 {
        if file[start..start + 4] == sum {
            file[start..start + 4].fill(0);
        }
    }
    fs::write(&path, &file).unwrap();
    assert!(verify(&path, None, Values::Finite(&|_| {})).unwrap().faults.is_empty());
}

#[test]
fn integers_stay_integers() {
    let checkpoint = Checkpoint::open(fixture("model.pt")).unwrap();
    let view = checkpoint.get("long").unwrap();
    assert_eq!(view.dtype(), Dtype::I64);
    let error = view.to_f32().unwrap_err().to_string();
    assert!(error.ends_with("tensor `long`: has dtype I64; F32, F16 and BF16 are read"), "{error}");
}
