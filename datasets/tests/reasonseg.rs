//! ReasonSeg folders, of our own making and the real sample.
#![allow(clippy::unwrap_used)] // clippy exempts test functions only, not their helpers

use std::fs;
use std::path::Path;

use segzero_datasets::{
    Format, Geometry, ImageSource, Label, ReadOptions, Sample, Source, discover,
};
use segzero_test_support::shared_data;

/// Writes one split folder entry.
fn write(folder: &Path, stem: &str, json: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(format!("{stem}.json")), json).unwrap();
    fs::write(folder.join(format!("{stem}.jpg")), b"").unwrap();
}

/// A data set of two splits at `folder`.
fn write_set(folder: &Path) {
    let file = r#"{"text": ["one", "two"], "is_sentence": false, "shapes": []}"#;
    for stem in ["b", "a", "B", "a_1"] {
        write(&folder.join("train"), stem, file);
    }
    write(&folder.join("val"), "c", file);
    fs::create_dir_all(folder.join("explanatory")).unwrap();
    fs::write(folder.join("explanatory/train.json"), "[]").unwrap();
}

fn reasonseg(root: &Path) -> Vec<Source> {
    let found = discover(root).unwrap();
    found.into_iter().filter(|source| source.format == Format::ReasonSeg).collect()
}

fn read(source: &Source, split: Option<&str>) -> Vec<Sample> {
    let options = ReadOptions { split: split.map(str::to_owned), ..ReadOptions::default() };
    source.samples(&options).unwrap().map(|sample| sample.unwrap()).collect()
}

#[test]
fn is_found_from_every_root() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_set(&root.join("dataset/reason_seg/ReasonSeg"));
    for place in ["dataset", "dataset/reason_seg", "dataset/reason_seg/ReasonSeg"] {
        let found = reasonseg(&root.join(place));
        assert_eq!(found.len(), 1, "{place}");
        assert_eq!(found[0].name, "reasonseg");
        assert_eq!(read(&found[0], None).len(), 5, "{place}");
    }
    let split = reasonseg(&root.join("dataset/reason_seg/ReasonSeg/val"));
    let samples = read(&split[0], None);
    assert_eq!((samples.len(), &*samples[0].split), (1, "val"));
}

#[test]
fn order_splits_and_queries() {
    let folder = tempfile::tempdir().unwrap();
    write_set(folder.path());
    let source = &reasonseg(folder.path())[0];
    let all = read(source, None);
    let keys: Vec<_> = all.iter().map(|s| (&*s.split, s.key.as_str())).collect();
    let train = ["B", "a", "a_1", "b"].map(|key| ("train", key));
    assert_eq!(keys, [&train[..], &[("val", "c")]].concat());
    let query_keys: Vec<_> = all[0].queries.iter().map(|q| all[0].query_key(q)).collect();
    assert_eq!(query_keys, ["B:0", "B:1"]);
    let val = &read(source, Some("val"))[0];
    assert_eq!(val.queries.len(), 1, "evaluation uses the first text alone");
    assert_eq!(
        (val.query_key(&val.queries[0]).as_str(), val.queries[0].text.as_str()),
        ("c", "one")
    );
    assert!(read(source, Some("test")).is_empty());
}

#[test]
fn a_bad_file_is_named_and_reading_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    write_set(folder.path());
    write(&folder.path().join("train"), "aa", r#"{"text": ["x"], "shapes": [{"label": 3}]}"#);
    let source = &reasonseg(folder.path())[0];
    let all: Vec<_> = source.samples(&ReadOptions::default()).unwrap().collect();
    assert_eq!(all.len(), 6);
    let bad: Vec<_> = all.iter().filter_map(|sample| sample.as_ref().err()).collect();
    assert_eq!(bad.len(), 1);
    let message = bad[0].to_string();
    assert!(message.contains("aa.json`: field `shapes[0].label`: expected a string, found 3"));
}

#[test]
fn images_may_be_png_missing_or_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let split = folder.path().join("test");
    let file = r#"{"text": ["one"], "shapes": []}"#;
    for stem in ["a", "b", "c"] {
        write(&split, stem, file);
    }
    fs::rename(split.join("a.jpg"), split.join("a.PNG")).unwrap();
    fs::remove_file(split.join("b.jpg")).unwrap();
    let mut source = reasonseg(folder.path()).remove(0);
    let names = |source: &Source| -> Vec<_> {
        let path = |sample: Sample| match sample.image.source {
            ImageSource::File(path) => path,
            other => panic!("{other:?}"),
        };
        read(source, None).into_iter().map(path).collect()
    };
    assert_eq!(names(&source), ["a.PNG", "b.jpg", "c.jpg"].map(|name| split.join(name)));
    let elsewhere = folder.path().join("images");
    fs::create_dir_all(&elsewhere).unwrap();
    source.images = Some(elsewhere.clone());
    assert_eq!(names(&source), ["a.PNG", "b.jpg", "c.jpg"].map(|name| elsewhere.join(name)));
}

#[test]
fn labelme_folders_are_not_reasonseg() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("train"), "a", r#"{"version": "5.0", "shapes": []}"#);
    assert!(reasonseg(folder.path()).is_empty());
}

#[test]
fn the_real_sample_reads_whole() {
    let Some(data) = shared_data() else { return };
    let from_above = reasonseg(&data);
    assert_eq!(from_above.len(), 1);
    let source = &reasonseg(&data.join("reasonseg"))[0];
    assert_eq!(from_above[0].annotations, source.annotations);
    let all = read(source, None);
    assert_eq!(all.len(), 18);
    let count = |split: &str| all.iter().filter(|sample| &*sample.split == split).count();
    assert_eq!(["train", "val", "test"].map(count), [6, 6, 6]);

    let mut labels = [0, 0];
    for sample in &all {
        let Geometry::ReasonSeg(shapes) = &sample.geometry else { panic!("{:?}", sample.geometry) };
        labels[0] += shapes.iter().filter(|shape| shape.label == Label::Target).count();
        labels[1] += shapes.iter().filter(|shape| shape.label == Label::Ignore).count();
        assert!(matches!(&sample.image.source, ImageSource::File(path) if path.is_file()));
        assert!(sample.is_sentence.is_some());
        assert!(sample.queries.iter().all(|query| !query.text.contains('\u{fffd}')));
    }
    // 26 "target"; 4 "ignore" and 5 "Ignore"; 6 "flag" are dropped.
    assert_eq!(labels, [26, 9]);
    let latin = all.iter().find(|sample| sample.key == "000000000790_o").unwrap();
    assert!(latin.queries[0].text.ends_with("café style?"), "stored in code page 1252");
    assert!(all.iter().any(|s| matches!(&s.geometry, Geometry::ReasonSeg(v) if v.is_empty())));
}
