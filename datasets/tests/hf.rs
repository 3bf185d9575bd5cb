//! Hugging Face Parquet against what pyarrow and pycocotools read in the same files.
#![allow(clippy::unwrap_used)] // clippy exempts test functions only, not their helpers

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, ListBuilder};
use arrow_array::{ArrayRef, BinaryArray, Int32Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use segzero_datasets::{
    Error, Format, Geometry, ImageSource, ReadOptions, Sample, Size, Source, discover,
};
use segzero_test_support::shared_data;
use serde::Deserialize;

/// One row as the oracle read it.
#[derive(Debug, Deserialize)]
struct Fact {
    key: String,
    image_id: Option<String>,
    text: String,
    size: [u32; 2],
    area: Option<u64>,
    rle: Option<String>,
    solution: Option<String>,
    image_bytes: usize,
}

type Facts = std::collections::BTreeMap<String, Vec<Fact>>;

fn fixture(name: &str) -> PathBuf {
    segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), "hf").join(name)
}

fn facts<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    serde_json::from_slice(&fs::read(fixture(name)).unwrap()).unwrap()
}

/// The one Parquet source under a path.
fn source(root: &Path) -> Source {
    let found = discover(root).unwrap();
    let is_hf = |s: &Source| matches!(s.format, Format::HfEval | Format::HfTrain);
    let mut found: Vec<_> = found.into_iter().filter(is_hf).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn try_read(root: &Path) -> Vec<Result<Sample, Error>> {
    source(root).samples(&ReadOptions::default()).unwrap().collect()
}

fn read(root: &Path) -> Vec<Sample> {
    try_read(root).into_iter().map(|sample| sample.unwrap()).collect()
}

fn check(samples: &[Sample], facts: &[Fact]) {
    assert_eq!(samples.len(), facts.len());
    for (sample, fact) in samples.iter().zip(facts) {
        assert_eq!(sample.key, fact.key);
        assert_eq!(sample.queries[0].text, fact.text);
        assert_eq!(sample.query_key(&sample.queries[0]), fact.key);
        let size = Size::new(fact.size[0], fact.size[1]);
        assert_eq!(sample.image.size, Some(size));
        assert_eq!(&sample.image.id, fact.image_id.as_ref().unwrap_or(&fact.key));
        match &sample.image.source {
            ImageSource::Bytes(bytes) => assert_eq!(bytes.len(), fact.image_bytes),
            other => panic!("{other:?}"),
        }
        match &sample.geometry {
            Geometry::Mask(mask) => {
                assert_eq!(mask.size(), size);
                assert_eq!(Some(mask.area()), fact.area);
                assert_eq!(Some(mask.to_coco_string()), fact.rle, "{}", fact.key);
            }
            Geometry::Solution(solution) => assert_eq!(Some(solution), fact.solution.as_ref()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_physical_variant_reads_alike() {
    for (name, facts) in facts::<Facts>("eval.json") {
        let path = fixture(&format!("{name}.parquet"));
        assert_eq!(source(&path).name, name);
        let samples = read(&path);
        check(&samples, &facts);
        assert_eq!(samples[1].image.file_name, "1.png", "{name}");
        assert_eq!(samples[1].ann_ids.len(), 1, "{name}");
    }
}

#[test]
fn training_schema() {
    let path = fixture("train.parquet");
    assert_eq!(source(&path).format, Format::HfTrain);
    let samples = read(&path);
    check(&samples, &facts::<Vec<Fact>>("train.json"));
    assert_eq!(samples[2].ann_ids, [16523], "the COCO annotation id, from the id");
    assert_eq!(&*samples[2].split, "train");
}

#[test]
fn real_files_read_as_pyarrow_and_pycocotools_do() {
    let Some(data) = shared_data() else { return };
    for (name, facts) in facts::<Facts>("facts.json") {
        for place in [name.clone(), format!("{name}/data")] {
            let source = source(&data.join("hf").join(place));
            assert_eq!(source.name, name);
            let samples = source.samples(&ReadOptions::default()).unwrap();
            check(&samples.map(|sample| sample.unwrap()).collect::<Vec<_>>(), &facts);
        }
    }
    let found = discover(&data.join("hf")).unwrap();
    let names: Vec<_> = found.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["refCOCOg_train_840", "refcocog_test"]);
}

#[test]
fn image_bytes_can_be_left_out() {
    let options = ReadOptions { skip_images: true, split: None };
    let path = fixture("eval_plain.parquet");
    for sample in source(&path).samples(&options).unwrap() {
        let sample = sample.unwrap();
        assert!(matches!(sample.image.source, ImageSource::Absent));
        assert!(sample.image.file_name.ends_with(".png"), "the path is still read");
        assert!(matches!(sample.geometry, Geometry::Mask(_)));
    }
}

#[test]
fn shards_splits_and_repeated_keys() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("my_set/data");
    fs::create_dir_all(&data).unwrap();
    for (from, to) in [
        ("eval_large", "test-00001-of-00002"),
        ("eval_plain", "test-00000-of-00002"),
        ("eval_plain", "val-00000-of-00001"),
    ] {
        let to = data.join(format!("{to}.parquet"));
        fs::copy(fixture(&format!("{from}.parquet")), to).unwrap();
    }
    let source = source(folder.path());
    assert_eq!(source.name, "my_set");
    let keys = |split: Option<&str>| -> Vec<String> {
        let options = ReadOptions { split: split.map(str::to_owned), ..ReadOptions::default() };
        source.samples(&options).unwrap().map(|sample| sample.unwrap().key).collect()
    };
    assert_eq!(keys(None).len(), 18);
    assert_eq!(keys(Some("val")), ["5000", "5001", "5002", "5003", "5004", "5005"]);
    let test = keys(Some("test"));
    assert_eq!((test[0].as_str(), test[6].as_str()), ("5000", "5000#2"));
    assert!(keys(Some("train")).is_empty());
}

/// An evaluation table of one row; the mask as rows of optional pixels.
fn table(mask: Vec<Vec<Option<bool>>>, height: i32) -> Vec<(&'static str, ArrayRef)> {
    let mut masks = ListBuilder::new(ListBuilder::new(BooleanBuilder::new()));
    for row in mask {
        masks.values().append_value(row);
    }
    masks.append(true);
    let texts = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"x"[..]]));
    let bytes_field = Arc::new(Field::new("bytes", DataType::Binary, true));
    vec![
        ("image", Arc::new(StructArray::from(vec![(bytes_field, bytes)]))),
        ("text", texts("a cat")),
        ("mask", Arc::new(masks.finish())),
        ("image_id", texts("7")),
        ("ann_id", texts("8")),
        ("img_height", Arc::new(Int32Array::from(vec![height]))),
        ("img_width", Arc::new(Int32Array::from(vec![2]))),
    ]
}

/// Writes columns to a file in a folder of its own and reads it.
fn round(columns: Vec<(&'static str, ArrayRef)>) -> Vec<Result<Sample, Error>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test-00000-of-00001.parquet");
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    try_read(&path)
}

/// The one error of a table.
fn fault(columns: Vec<(&'static str, ArrayRef)>) -> String {
    let all = round(columns);
    assert_eq!(all.len(), 1);
    all[0].as_ref().unwrap_err().to_string()
}

#[test]
fn a_wrong_or_missing_column_is_named() {
    let good = || table(vec![vec![Some(true); 2]; 2], 2);
    assert!(round(good())[0].is_ok());

    let mut missing = good();
    missing.remove(1);
    let message = fault(missing);
    assert!(
        message.contains("test-00000-of-00001.parquet`: field `text`: the column"),
        "{message}"
    );
    assert!(message.contains("there are: image, mask, image_id"), "{message}");

    let mut wrong = good();
    wrong[2].1 = Arc::new(StringArray::from(vec!["[[true]]"]));
    let message = fault(wrong);
    let expected = "field `mask`: expected a list of lists of booleans, found string";
    assert!(message.contains(expected), "{message}");

    let mut wrong = good();
    wrong[0].1 = Arc::new(BinaryArray::from(vec![&b"x"[..]]));
    let expected =
        "field `image`: expected a struct of `bytes` (binary) and `path` (string), found binary";
    assert!(fault(wrong).contains(expected));
}

#[test]
fn a_mask_unlike_its_stated_size_is_named_by_row() {
    let (t, n) = (Some(true), None);
    let message = fault(table(vec![vec![t; 2]; 3], 2));
    assert!(message.contains("row 0: field `mask`: expected img_height = 2 rows, found 3"));
    let message = fault(table(vec![vec![t; 2], vec![t; 1]], 2));
    assert!(message.contains("expected img_width = 2 pixels, found 1 in row 1"), "{message}");
    let message = fault(table(vec![vec![t, t], vec![t, n]], 2));
    assert!(
        message.contains("expected true or false in every pixel, found null or an empty list"),
        "{message}"
    );
    let message = fault(table(vec![], -4));
    assert!(message.contains("field `img_height`: expected a number of pixels, found -4"));

    let mut null = table(vec![vec![t; 2]; 2], 2);
    null[4].1 = Arc::new(StringArray::from(vec![None::<&str>]));
    assert!(fault(null).contains("row 0: field `ann_id`: the value (null) is missing"));
}

#[test]
fn unreadable_shards_are_reported_not_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir_all(&data).unwrap();
    let whole = fs::read(fixture("eval_plain.parquet")).unwrap();
    fs::write(data.join("test-00000-of-00002.parquet"), &whole[..whole.len() / 2]).unwrap();
    fs::write(data.join("test-00001-of-00002.parquet"), &whole).unwrap();
    let all = try_read(folder.path());
    assert_eq!(all.len(), 7, "the next shard is read all the same");
    let message = all[0].as_ref().unwrap_err().to_string();
    assert!(message.contains("test-00000-of-00002.parquet`"), "{message}");
}

/// Single bytes at which the crate `parquet` 60.1 panics in its readers: a page of zero bytes, levels
/// that end early, levels of a mask that end early (which we read), a missing dictionary page.
#[test]
fn damage_that_panics_below_is_an_error_here() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    for (at, byte) in [(14, 0), (912, 0xff), (1015, 1), (2585, 1)] {
        let mut bytes = fs::read(fixture("eval_plain.parquet")).unwrap();
        bytes[at] = byte;
        fs::write(&path, bytes).unwrap();
        let message = try_read(&path).pop().unwrap().unwrap_err().to_string();
        assert!(message.contains(" and later: Parquet error"), "{at}: {message}");
    }
}

#[test]
fn foreign_and_malformed_files_are_errors() {
    let Some(data) = shared_data() else { return };
    assert!(discover(&data.join("parquet")).unwrap().is_empty(), "none is of our schemas");
    for folder in ["parquet/bad_data", "parquet/data"] {
        for entry in fs::read_dir(data.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "parquet") {
                let all = try_read(&path);
                assert!(all.iter().all(Result::is_err) && !all.is_empty(), "{path:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Bytes overwritten anywhere: footer, page headers, levels, values.
    #[test]
    fn damaged_files_return(
        variant in 0usize..5,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let names = ["eval_plain", "eval_large", "eval_required", "eval_dictionary", "train"];
        let mut bytes = fs::read(fixture(&format!("{}.parquet", names[variant]))).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        fs::write(&path, bytes).unwrap();
        for sample in source(&path).samples(&ReadOptions::default()).unwrap() {
            let _ = sample;
        }
    }
}
