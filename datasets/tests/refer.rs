//! REFER reading: against CPython and pycocotools, in every directory variant, and on bad records.
#![allow(clippy::unwrap_used)] // clippy exempts test functions only, not their helpers

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use segzero_datasets::{
    Error, ErrorKind, FillRegime, Format, ImageKey, ImageSource, ReadOptions, Sample, Source,
    discover, held_out_images,
};
use segzero_test_support::fixture;
use serde::Deserialize;

fn fixtures() -> PathBuf {
    fixture(env!("CARGO_MANIFEST_DIR"), "refer")
}

fn read(source: &Source) -> Vec<Result<Sample, Error>> {
    source.samples(&ReadOptions::default()).unwrap().collect()
}

fn labels(sources: &[Source]) -> Vec<String> {
    sources.iter().map(Source::label).collect()
}

#[derive(Deserialize)]
struct Expected {
    ref_id: i64,
    ann_ids: Vec<i64>,
    image_id: i64,
    file_name: String,
    split: String,
    sentences: Vec<(i64, String, String)>,
    categories: Vec<String>,
    crowd: bool,
    distractors: Option<u32>,
    height: u32,
    width: u32,
    area: u64,
    rle: String,
}

#[test]
fn refs_and_masks_are_those_of_python() {
    let expected = fs::read(fixtures().join("expected.json")).unwrap();
    let expected: BTreeMap<String, Vec<Expected>> = serde_json::from_slice(&expected).unwrap();
    let sources = discover(&fixtures()).unwrap();
    let found = ["grefcoco/older", "grefcoco/unc", "refclef/berkeley", "refcoco/unc"];
    assert_eq!(labels(&sources), found);
    for source in sources {
        assert_eq!(source.format, Format::Refer);
        let samples = read(&source);
        let expected = &expected[&source.name];
        assert_eq!(samples.len(), expected.len(), "{}", source.label());
        for (sample, expected) in samples.into_iter().zip(expected) {
            check(&sample.unwrap(), expected);
        }
    }
}

fn check(sample: &Sample, expected: &Expected) {
    let name = format!("{} ref_id {}", sample.dataset, expected.ref_id);
    assert_eq!(sample.key, expected.ref_id.to_string());
    assert_eq!(sample.ref_id, Some(expected.ref_id), "{name}");
    assert_eq!(sample.ann_ids, expected.ann_ids, "{name}");
    assert_eq!(*sample.split, expected.split, "{name}");
    assert_eq!(sample.categories, expected.categories, "{name}");
    assert_eq!(sample.is_crowd, expected.crowd, "{name}");
    assert_eq!(sample.distractors, expected.distractors, "{name}");
    assert_eq!(sample.image.id, expected.image_id.to_string(), "{name}");
    assert_eq!(sample.image.file_name, expected.file_name, "{name}");
    let queries: Vec<_> =
        sample.queries.iter().map(|q| (q.id.unwrap(), q.raw.clone(), q.text.clone())).collect();
    assert_eq!(queries, expected.sentences, "{name}");
    let size = sample.image.size.unwrap();
    assert_eq!((size.height, size.width), (expected.height, expected.width), "{name}");
    let masks = sample.geometry.rasterize(size, FillRegime::default()).unwrap();
    assert_eq!(masks.target.area(), expected.area, "{name}");
    assert_eq!(masks.target.to_coco_string(), expected.rle, "{name}");
}

/// Copies the data set `set` of the fixtures to `folder` and puts one image file into `images`.
fn lay_out(root: &Path, set: &str, folder: &str, images: &str) {
    let folder = root.join(folder);
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(fixtures().join(set)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    fs::create_dir_all(root.join(images)).unwrap();
    for number in 101..=103 {
        let name = format!("COCO_train2014_000000000{number}.jpg");
        fs::write(root.join(images).join(name), b"").unwrap();
    }
}

#[test]
fn every_directory_variant_is_found_from_its_root() {
    // Annotation folder, image folder, and the roots that a user may name.
    let mscoco = "images/mscoco/images/train2014";
    let cases: [(&str, &str, &str, &[&str]); 9] = [
        ("REFER", "data/refcoco", &format!("data/{mscoco}"), &["", "data", "data/refcoco"]),
        (
            "LISA",
            "dataset/refer_seg/refcoco",
            &format!("dataset/refer_seg/{mscoco}"),
            &["", "dataset", "dataset/refer_seg", "dataset/refer_seg/refcoco"],
        ),
        ("ReLA", "datasets/refcoco", "datasets/images/train2014", &["", "datasets"]),
        ("mmdetection", "data/coco/refcoco", "data/coco/train2014", &["", "data/coco"]),
        ("GLaMM", "data/Refer_Segm/refcoco", "data/coco_2014/train2014", &["data"]),
        ("Text4Seg", "refer_seg/refcoco", "refer_seg/images/coco_2014", &["refer_seg"]),
        ("X-SAM", "data/refcoco", "data/train2014", &["data"]),
        ("teaching", "refcoco/annotations", "refcoco/images", &["", "refcoco"]),
        ("beside coco", "refer_seg/refcoco", "coco/train2014", &["", "refer_seg"]),
    ];
    for (variant, folder, images, roots) in cases {
        let tree = tempfile::tempdir().unwrap();
        lay_out(tree.path(), "refcoco", folder, images);
        for root in roots {
            let sources = discover(&tree.path().join(root)).unwrap();
            assert_eq!(labels(&sources), ["refcoco/unc"], "{variant} from `{root}`");
            let image = read(&sources[0]).remove(0).unwrap().image;
            let ImageSource::File(path) = image.source else {
                panic!("{variant} from `{root}`: no image folder");
            };
            assert!(path.is_file(), "{variant} from `{root}`: {}", path.display());
            let expected = tree.path().join(images).join(&image.file_name);
            assert_eq!(path, expected, "{variant} from `{root}`");
        }
    }
}

#[test]
fn images_named_as_in_coco_2017_are_found() {
    let tree = tempfile::tempdir().unwrap();
    lay_out(tree.path(), "refcoco", "data/refcoco", "data/train2017");
    for entry in fs::read_dir(tree.path().join("data/train2017")).unwrap() {
        let path = entry.unwrap().path();
        let short = path.to_str().unwrap().replace("COCO_train2014_", "");
        fs::rename(&path, short).unwrap();
    }
    let source = discover(tree.path()).unwrap().remove(0);
    for sample in read(&source) {
        let ImageSource::File(path) = sample.unwrap().image.source else { panic!("no folder") };
        assert!(path.is_file(), "{}", path.display());
    }
}

#[test]
fn refclef_has_its_own_images() {
    let tree = tempfile::tempdir().unwrap();
    lay_out(tree.path(), "refclef", "data/refclef", "data/images/saiapr_tc-12");
    lay_out(tree.path(), "refcoco", "data/refcoco", "data/images/mscoco/images/train2014");
    let sources = discover(tree.path()).unwrap();
    assert_eq!(labels(&sources), ["refclef/berkeley", "refcoco/unc"]);
    assert!(sources[0].images.as_ref().unwrap().ends_with("images/saiapr_tc-12"));
    assert!(sources[1].images.as_ref().unwrap().ends_with("train2014"));
}

#[cfg(unix)]
#[test]
fn a_link_is_no_second_data_set() {
    let tree = tempfile::tempdir().unwrap();
    lay_out(tree.path(), "refcoco", "refcoco+", "train2014");
    std::os::unix::fs::symlink("refcoco+", tree.path().join("refcocop")).unwrap();
    // A link that closes a circle must not be followed for ever either.
    std::os::unix::fs::symlink("..", tree.path().join("refcoco+/up")).unwrap();
    let sources = discover(tree.path()).unwrap();
    assert_eq!(labels(&sources), ["refcoco+/unc"]);
    assert_eq!(sources[0].annotations, tree.path().join("refcoco+/refs(unc).p"));
    // X-SAM's name alone is understood, too.
    assert_eq!(discover(&tree.path().join("refcocop")).unwrap()[0].name, "refcoco+");
}

#[test]
fn images_that_are_nowhere_are_absent() {
    let tree = tempfile::tempdir().unwrap();
    lay_out(tree.path(), "refcoco", "a/b/c/d/refcoco", "elsewhere");
    let source = discover(&tree.path().join("a/b/c/d")).unwrap().remove(0);
    assert_eq!(source.images, None);
    assert!(matches!(read(&source)[0].as_ref().unwrap().image.source, ImageSource::Absent));
}

// --- bad records ---

/// A pickle (protocol 0) of a list of refs, each given as Python source of its fields.
fn pickle(refs: &[&str]) -> Vec<u8> {
    let mut bytes = b"(l".to_vec();
    for fields in refs {
        bytes.extend(format!("({fields}da").bytes());
    }
    bytes.push(b'.');
    bytes
}

const IMAGES: &str = r#""images": [
    {"id": 1, "file_name": "a.jpg", "width": 20, "height": 10},
    {"id": 2, "file_name": "b.jpg", "width": 0, "height": 10},
    {"id": 3, "file_name": "c.jpg", "width": "wide", "height": 10}]"#;

/// Writes a data set of its own and reads it.
fn read_made(refs: &[u8], annotations: &str) -> Vec<Result<Sample, Error>> {
    let tree = tempfile::tempdir().unwrap();
    let folder = tree.path().join("refcocog");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("refs(umd).p"), refs).unwrap();
    let json = format!("{{{IMAGES}, \"annotations\": [{annotations}], \"categories\": []}}");
    fs::write(folder.join("instances.json"), json).unwrap();
    let source = discover(tree.path()).unwrap().remove(0);
    read(&source)
}

/// A ref of one sentence.
fn a_ref(ref_id: u32, ann_id: &str, image_id: u32) -> String {
    format!(
        "S'ref_id'\nI{ref_id}\nS'ann_id'\n{ann_id}S'image_id'\nI{image_id}\nS'split'\nS'train'\n\
         S'sentences'\n((S'sent'\nS'it'\nS'sent_id'\nI1\ndl"
    )
}

fn polygon(id: u32, coordinates: &str) -> String {
    format!(r#"{{"segmentation": [{coordinates}], "image_id": 1, "category_id": 1, "id": {id}}}"#)
}

#[test]
fn a_bad_ref_is_named_and_the_others_are_read() {
    let good = a_ref(5, "I7\n", 1);
    let no_image = good.replace("S'image_id'\nI1\n", "").replace("I5\n", "I6\n");
    let wrong_type = a_ref(7, "S'x'\n", 1);
    let no_sentence = format!("{}S'sentences'\n(l", a_ref(8, "I7\n", 1));
    let no_id = good.replace("S'ref_id'\nI5\n", "");
    let no_text = a_ref(9, "I7\n", 1).replace("S'sent'\n", "S'other'\n");
    let dangling = a_ref(10, "I99\n", 1);
    let no_such_image = a_ref(11, "I7\n", 77);
    let flat_image = a_ref(12, "I7\n", 2);
    let elsewhere = a_ref(13, "I8\n", 1);
    let refs = [
        &good,
        &no_image,
        &wrong_type,
        &no_sentence,
        &no_id,
        &no_text,
        &dangling,
        &no_such_image,
        &flat_image,
        &elsewhere,
        &good,
    ];
    let refs: Vec<&str> = refs.iter().map(|r| r.as_str()).collect();
    let stray = polygon(8, "[1,1,5,1,5,5]").replace(r#""image_id": 1"#, r#""image_id": 2"#);
    let annotations = format!("{}, {stray}", polygon(7, "[1,1,5,1,5,5]"));
    let mut read = read_made(&pickle(&refs), &annotations);
    let bad_image = read.remove(0).unwrap_err();
    assert_eq!(bad_image.record.as_deref(), Some("images[2]"));
    let described: Vec<String> = read
        .iter()
        .map(|result| match result {
            Ok(sample) => format!("ok {}", sample.key),
            Err(e) => {
                let record = e.record.clone().unwrap_or_default();
                format!("{record} | {} | {}", e.field.clone().unwrap_or_default(), e.kind)
            }
        })
        .collect();
    let expected = [
        "ok 5",
        "ref_id 6 |  | image_id is missing",
        "ref_id 7 | ann_id | expected an integer or a list of them, found a string",
        "ref_id 8 | sentences | any sentence is missing",
        "refs[4] |  | ref_id is missing",
        "ref_id 9, sentences[0] |  | sent is missing",
        "ref_id 10 |  | annotation 99 is missing",
        "ref_id 11 | image_id | image 77 is missing",
        "ref_id 12, image 2 | image_id | expected a width and a height above 0, found 0x10",
        "ref_id 13 | ann_id | expected an annotation of image 1, found annotation 8 of image 2",
        "ok 5",
    ];
    assert_eq!(described, expected);
}

#[test]
fn a_bad_annotation_costs_only_its_ref() {
    let bad = [
        polygon(7, "[1,1,NaN,1,5,5]"),
        polygon(8, "[1,1,5,1,5,5]"),
        polygon(9, "\"text\""),
        r#"{"segmentation": {"size": [10, 20], "counts": [5, 5]}, "image_id": 1, "id": 10}"#.into(),
        r#"{"segmentation": {"size": [10, 20], "counts": "0!"}, "image_id": 1, "id": 11}"#.into(),
        r#"{"segmentation": [[1,1,5,1,5,5]], "image_id": 1}"#.into(),
    ];
    let refs: Vec<String> = (7..=11).map(|id| a_ref(id, &format!("I{id}\n"), 1)).collect();
    let refs: Vec<&str> = refs.iter().map(String::as_str).collect();
    let read = read_made(&pickle(&refs), &bad.join(", "));
    let errors: Vec<_> = read.iter().filter_map(|r| r.as_ref().err()).collect();
    let records: Vec<_> = errors.iter().map(|e| e.record.as_deref().unwrap()).collect();
    let expected = [
        "images[2]",
        "annotations[5]",
        "ref_id 7, annotation 7",
        "ref_id 9, annotation 9",
        "ref_id 10, annotation 10",
        "ref_id 11, annotation 11",
    ];
    assert_eq!(records, expected);
    assert!(matches!(errors[4].kind, ErrorKind::Mask(_)));
    assert_eq!(errors[4].field.as_deref(), Some("segmentation"));
    assert_eq!(read.iter().filter(|r| r.is_ok()).count(), 1);
}

#[test]
fn a_pickle_with_a_global_is_refused_as_a_whole() {
    let tree = tempfile::tempdir().unwrap();
    let file = tree.path().join("refs(umd).p");
    fs::write(&file, b"cos\nsystem\n(S'echo pwned'\ntR.").unwrap();
    fs::write(tree.path().join("instances.json"), "{}").unwrap();
    let source = discover(&file).unwrap().remove(0);
    let error = source.samples(&ReadOptions::default()).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("refs(umd).p") && text.contains("os.system"), "{text}");
    assert!(text.contains("not executed"), "{text}");
    assert!(error.hint().is_some());
}

#[test]
fn one_ref_mentioned_often_does_not_exhaust_memory() {
    // A ref with a sentence of 10 kB, once written and 20,000 times mentioned.
    let sentence = "x".repeat(10_000);
    let fields = a_ref(1, "I7\n", 1).replace("S'it'", &format!("S'{sentence}'"));
    let mut bytes = format!("(l({fields}dp0\na").into_bytes();
    for _ in 0..20_000 {
        bytes.extend(b"g0\na");
    }
    bytes.push(b'.');
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("refs(umd).p"), bytes).unwrap();
    fs::write(tree.path().join("instances.json"), r#"{"images": [], "annotations": []}"#).unwrap();
    let source = discover(tree.path()).unwrap().remove(0);
    let error = source.samples(&ReadOptions::default()).err().unwrap();
    assert!(error.to_string().contains("expand"), "{error}");
}

#[test]
fn missing_instances_are_named() {
    let tree = tempfile::tempdir().unwrap();
    let file = tree.path().join("refs(umd).p");
    fs::write(&file, b"(l.").unwrap();
    let source = discover(&file).unwrap().remove(0);
    let error = source.samples(&ReadOptions::default()).err().unwrap();
    assert!(error.to_string().contains("instances.json"), "{error}");
}

#[test]
fn held_out_images_span_data_sets() {
    let sources = discover(&fixtures()).unwrap();
    let held_out = held_out_images(&sources).unwrap();
    assert!(held_out.unreadable.is_empty());
    for source in &sources {
        for sample in read(source) {
            let sample = sample.unwrap();
            let key = ImageKey::of(&sample);
            let label = format!("{} {}", source.label(), sample.split);
            let named = held_out.images.get(&key).is_some_and(|l| l.contains(label.as_str()));
            assert_eq!(named, &*sample.split != "train", "{label}: {key}");
        }
    }
    // RefCLEF numbers its images for itself: its 101 is not COCO's.
    let keys = held_out.images.keys();
    assert!(keys.clone().any(|key| *key == ImageKey::Coco(101)));
    assert!(keys.clone().any(|key| matches!(key, ImageKey::Named { id, .. } if id == "101")));
}
