//! Plain COCO files: names, splits, image folders, and input that is damaged at random.
#![allow(clippy::unwrap_used)] // clippy exempts test functions only, not their helpers

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use segzero_datasets::{Format, ImageSource, ReadOptions, Source, discover};

const GOOD: &str = r#"{
 "info": {"text": "brackets ]}, quotes \" and a backslash \\"},
 "annotations": [
  {"id": 11, "image_id": 1, "category_id": 3, "iscrowd": 0, "segmentation": [[1, 1, 5.5, 1, 5, 5]]},
  {"id": 12, "image_id": 1, "category_id": 3, "iscrowd": 1,
   "segmentation": {"size": [10, 20], "counts": [50, 50, 100]}},
  {"id": 13, "image_id": 1, "category_id": 9, "segmentation": []},
  {"id": 14, "image_id": 1, "category_id": 3,
   "segmentation": {"size": [10, 20], "counts": "0\\1"}}
 ],
 "images": [{"id": 1, "file_name": "000000000001.jpg", "width": 20, "height": 10}],
 "categories": [{"id": 3, "name": "cat", "supercategory": "animal"}]
}"#;

fn source(root: &Path) -> Source {
    let mut sources = discover(root).unwrap();
    assert_eq!(sources.len(), 1, "{sources:?}");
    sources.remove(0)
}

#[test]
fn one_sample_an_annotation_with_its_category_as_query() {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("instances.json"), GOOD).unwrap();
    let source = source(tree.path());
    assert_eq!(source.format, Format::Coco);
    let samples: Vec<_> = source.samples(&ReadOptions::default()).unwrap().collect();
    assert_eq!(samples.len(), 4);
    let first = samples[0].as_ref().unwrap();
    assert_eq!((&*first.key, &*first.split, &first.ann_ids[..]), ("11", "train", &[11][..]));
    assert_eq!((&*first.queries[0].text, first.queries[0].id), ("cat", None));
    assert_eq!(first.query_key(&first.queries[0]), "11");
    assert!(!first.is_crowd && samples[1].as_ref().unwrap().is_crowd);
    let unknown = samples[2].as_ref().unwrap_err();
    assert!(unknown.to_string().contains("annotation 13"), "{unknown}");
    assert!(unknown.to_string().contains("category 9 is missing"), "{unknown}");
    assert!(samples[3].as_ref().unwrap_err().to_string().contains("annotation 14"));
}

#[test]
fn names_splits_and_image_folders() {
    let cases = [
        ("annotations/instances_val2014.json", "val2014", "coco-val2014", "val"),
        ("annotations/instances_train2017.json", "images/train2017", "coco-train2017", "train"),
        ("mine/instances.json", "mine/images", "mine", "train"),
        ("mine/annotations/instances.json", "mine/images", "mine", "train"),
        ("flat/instances.json", "flat", "flat", "train"),
    ];
    for (file, images, name, split) in cases {
        let tree = tempfile::tempdir().unwrap();
        let file = tree.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::create_dir_all(tree.path().join(images)).unwrap();
        fs::write(&file, GOOD).unwrap();
        fs::write(tree.path().join(images).join("000000000001.jpg"), b"").unwrap();
        for root in [tree.path(), &file] {
            let source = source(root);
            assert_eq!(source.name, name);
            let sample = source.samples(&ReadOptions::default()).unwrap().next().unwrap().unwrap();
            assert_eq!(&*sample.split, split);
            let ImageSource::File(path) = sample.image.source else { panic!("{name}: no folder") };
            assert!(path.is_file(), "{}", path.display());
        }
    }
}

#[test]
fn a_split_that_the_file_is_not_is_empty() {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("instances_val2014.json"), GOOD).unwrap();
    let count = |split: &str| {
        let options = ReadOptions { split: Some(split.to_owned()), ..ReadOptions::default() };
        source(tree.path()).samples(&options).unwrap().count()
    };
    assert_eq!((count("val"), count("train")), (4, 0));
}

#[test]
fn a_file_named_by_the_user_may_have_any_name() {
    let tree = tempfile::tempdir().unwrap();
    let file = tree.path().join("my annotations.json");
    fs::write(&file, GOOD).unwrap();
    assert!(discover(tree.path()).unwrap().iter().all(|s| s.format != Format::Coco));
    assert_eq!(source(&file).name, "my annotations");
}

#[test]
fn a_damaged_outline_is_an_error_of_the_file() {
    for end in 0..GOOD.len() {
        let error = read(&GOOD.as_bytes()[..end]).err().unwrap();
        assert!(error.contains("instances.json"), "cut at {end}: {error}");
    }
    for text in ["[]", "null", "{\"images\": []}", "{\"images\": 3, \"annotations\": []}"] {
        assert!(read(text.as_bytes()).is_err(), "{text}");
    }
    let deep = format!("{{\"images\": {}", "[".repeat(1_000_000));
    assert!(read(deep.as_bytes()).is_err(), "nesting is counted, not recursed into");
}

/// Number of samples and of errors, or the error of the whole file.
fn read(text: &[u8]) -> Result<(usize, usize), String> {
    let tree = tempfile::tempdir().unwrap();
    let file = tree.path().join("instances.json");
    fs::write(&file, text).unwrap();
    let samples = source(&file).samples(&ReadOptions::default()).map_err(|e| e.to_string())?;
    let (good, bad): (Vec<_>, Vec<_>) = samples.partition(Result::is_ok);
    Ok((good.len(), bad.len()))
}

proptest! {
    #[test]
    fn any_damage_is_an_error_of_a_record_or_of_the_file(
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(&b"[]{},:\"\\0 -eN\xff\x00"[..]),
    ) {
        let mut text = GOOD.as_bytes().to_vec();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok((good, bad)) = read(&text) {
            prop_assert!(good + bad <= 10);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&text);
    }

    #[test]
    fn any_brackets_are_read_or_refused(text in "[\\[\\]{},:\"\\\\ 0]{0,60}") {
        let text = format!("{{\"images\": {text}, \"annotations\": {text}}}");
        let _ = read(text.as_bytes());
    }
}
