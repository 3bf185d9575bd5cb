//! What `inspect` counts and what it finds fault with.
#![allow(clippy::unwrap_used)] // clippy exempts test functions only, not their helpers

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use segzero_datasets::counts::{Comparison, Counts, compare, published_sets};
use segzero_datasets::discover;
use segzero_datasets::inspect::{Depth, OverlapKind, Report, inspect};
use segzero_test_support::{fixture, shared_data};

fn look(root: &Path, depth: Depth) -> Report {
    inspect(&discover(root).unwrap(), depth, &mut |_| {}).unwrap()
}

/// Copies a data set of the fixtures.
fn copy(set: &str, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let from = fixture(env!("CARGO_MANIFEST_DIR"), "refer").join(set);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
}

/// Writes images of the sizes that the fixtures state.
fn write_images(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (number, width, height) in [(101, 64, 48), (102, 40, 60), (103, 57, 33)] {
        let path = folder.join(format!("COCO_train2014_000000000{number}.jpg"));
        image::RgbImage::new(width, height).save(path).unwrap();
    }
}

fn refcoco(root: &Path) -> std::path::PathBuf {
    copy("refcoco", &root.join("refcoco"));
    let images = root.join("images/train2014");
    write_images(&images);
    images
}

#[test]
fn a_sound_data_set_has_no_problems() {
    let tree = tempfile::tempdir().unwrap();
    refcoco(tree.path());
    let report = look(tree.path(), Depth::Masks);
    let source = &report.sources[0];
    assert_eq!(source.problems(), 0, "{source:?}");
    assert_eq!(source.masks.as_ref().unwrap().rasterised, 9);
    assert_eq!(source.splits["train"].refs, 3);
    let sum: u64 = source.splits.values().map(|counts| counts.refs).sum();
    assert_eq!((source.total.refs, sum), (9, 9));
    assert_eq!((source.total.images, source.total.masks), (3, 9));
    let published = source.published.as_ref().unwrap();
    assert_eq!((published.split_by.as_deref(), published.equal), (Some("unc"), 0));
    // Nine refs on three images: the fixture does leak, and that is told.
    assert!(report.overlaps.iter().all(|overlap| overlap.kind == OverlapKind::Within));
    assert_eq!(report.problems(), report.overlaps.iter().map(|o| o.images).sum::<u64>());
}

#[test]
fn no_target_is_counted_apart() {
    let tree = tempfile::tempdir().unwrap();
    copy("grefcoco", &tree.path().join("grefcoco"));
    let report = look(tree.path(), Depth::Annotations);
    for source in &report.sources {
        assert_eq!((source.total.refs, source.total.masks), (4, 3), "{}", source.label);
        assert_eq!(source.missing_images.count, 3, "there is no image folder");
    }
}

#[test]
fn faults_are_counted_and_named() {
    let tree = tempfile::tempdir().unwrap();
    let images = refcoco(tree.path());
    fs::remove_file(images.join("COCO_train2014_000000000101.jpg")).unwrap();
    image::RgbImage::new(40, 61).save(images.join("COCO_train2014_000000000102.jpg")).unwrap();
    fs::write(images.join("COCO_train2014_000000000103.jpg"), "no image").unwrap();
    let instances = tree.path().join("refcoco/instances.json");
    // Annotation 5000 loses its id, 5003 a coordinate.
    let json = fs::read_to_string(&instances).unwrap();
    let json = json.replace("\"id\": 5000", "\"no\": 5000");
    let at = json.find("\"id\": 5003").unwrap();
    let polygon = json[..at].rfind("\"segmentation\": [[").unwrap() + "\"segmentation\": [[".len();
    let json = format!("{}1.0, {}", &json[..polygon], &json[polygon..]);
    fs::write(&instances, json).unwrap();

    let report = look(tree.path(), Depth::Masks);
    let source = &report.sources[0];
    assert_eq!(source.missing_images.count, 1);
    assert!(source.missing_images.first[0].ends_with("COCO_train2014_000000000101.jpg"));
    assert_eq!(source.unreadable.count, 2, "{:?}", source.unreadable);
    assert!(source.unreadable.first[0].contains("annotations[0]"));
    assert!(source.unreadable.first[1].contains("ref_id 0: annotation 5000 is missing"));
    let masks = source.masks.as_ref().unwrap();
    assert_eq!((masks.failures.count, masks.rasterised), (1, 7));
    assert!(masks.failures.first[0].contains("odd number"), "{:?}", masks.failures);
    assert_eq!(masks.size_mismatches.count, 1);
    assert!(masks.size_mismatches.first[0].contains("is 40x61, the annotations say 40x60"));
    assert_eq!(masks.unreadable_images.count, 1);
    assert_eq!(source.problems(), 1 + 2 + 1 + 1 + 1);
}

#[test]
fn an_unreadable_data_set_does_not_hide_the_others() {
    let tree = tempfile::tempdir().unwrap();
    refcoco(tree.path());
    copy("refcoco", &tree.path().join("refcocog"));
    fs::write(tree.path().join("refcocog/refs(unc).p"), b"cos\nsystem\n.").unwrap();
    let report = look(tree.path(), Depth::Annotations);
    let counts: Vec<_> =
        report.sources.iter().map(|s| (s.total.refs, s.unreadable.count)).collect();
    assert_eq!(counts, [(9, 0), (0, 1)]);
    assert!(report.sources[1].unreadable.first[0].contains("os.system"));
}

#[test]
fn overlaps_between_data_sets_are_told_apart_from_leaks() {
    let tree = tempfile::tempdir().unwrap();
    copy("refcoco", &tree.path().join("refcoco"));
    copy("refcoco", &tree.path().join("refcoco+"));
    let google = tree.path().join("refcocog");
    copy("refcoco", &google);
    fs::rename(google.join("refs(unc).p"), google.join("refs(google).p")).unwrap();
    let report = look(tree.path(), Depth::Annotations);
    let kind = |train: &str, held_out: &str| {
        let found = report.overlaps.iter().find(|o| o.train == train && o.held_out == held_out);
        found.map(|overlap| overlap.kind)
    };
    assert_eq!(kind("refcoco/unc train", "refcoco/unc val"), Some(OverlapKind::Within));
    assert_eq!(kind("refcoco/unc train", "refcoco+/unc val"), Some(OverlapKind::Between));
    assert_eq!(kind("refcoco/unc train", "refcocog/google val"), Some(OverlapKind::ByDesign));
    assert_eq!(kind("refcocog/google train", "refcocog/google val"), Some(OverlapKind::ByDesign));
    assert_eq!(kind("refcoco/unc val", "refcoco/unc testA"), None);
}

// --- published counts ---

#[test]
fn published_counts_add_up_to_the_published_totals() {
    let sets = published_sets().unwrap();
    // `protocols.md` §1.5: refs of every data set, sentences where all splits have them.
    let totals: [(&str, &str, u64, u64); 5] = [
        ("refcoco", "unc", 50_000, 142_210),
        ("refcoco", "google", 50_000, 0),
        ("refcoco+", "unc", 49_856, 141_564),
        ("refcocog", "umd", 49_822, 95_010),
        ("refcocog", "google", 49_822, 0),
    ];
    for (dataset, split_by, refs, sentences) in totals {
        let set = sets
            .iter()
            .find(|s| s.dataset == dataset && s.split_by.as_deref() == Some(split_by))
            .unwrap();
        let sum = |figure: fn(&segzero_datasets::counts::PublishedCounts) -> Option<u64>| {
            set.splits.values().filter_map(figure).sum::<u64>()
        };
        assert_eq!(sum(|c| c.refs), refs, "{dataset}/{split_by}");
        assert_eq!(sum(|c| c.sentences), sentences, "{dataset}/{split_by}");
        assert!(!set.source.is_empty());
    }
}

fn compared(split_by: &str, splits: &[(&str, u64, u64, u64)]) -> Comparison {
    let counts = |&(split, images, refs, sentences): &(&str, u64, u64, u64)| {
        (split.to_owned(), Counts { images, refs, sentences, masks: refs })
    };
    let splits: BTreeMap<_, _> = splits.iter().map(counts).collect();
    compare("RefCOCOg", Some(split_by), &splits, &published_sets().unwrap()).unwrap()
}

#[test]
fn the_counts_tell_which_split_they_are() {
    let umd = [
        ("train", 21_899, 42_226, 80_512),
        ("val", 1_300, 2_573, 4_896),
        ("test", 2_600, 5_023, 9_602),
    ];
    let found = compared("umd", &umd);
    assert!(found.is_exact());
    assert_eq!((found.split_by.as_deref(), found.equal), (Some("umd"), 9));
    // A file that carries the wrong name is recognised by its counts.
    let found = compared("google", &umd);
    assert_eq!((found.split_by.as_deref(), found.is_exact()), (Some("umd"), true));

    let mut short = umd;
    short[2].2 -= 1;
    let found = compared("umd", &short);
    assert_eq!((found.equal, found.differences.len()), (8, 1));
    assert_eq!(found.differences[0].to_string(), "test 5022 of 5023 refs");
    // Counts that are nobody's are compared with those of the file's own name.
    assert_eq!(compared("google", &[("train", 1, 1, 1)]).split_by.as_deref(), Some("google"));
}

// --- real data ---

#[test]
fn the_shared_data_is_sound() {
    let Some(data) = shared_data() else { return };
    let report = look(&data.join("refer"), Depth::Masks);
    assert_eq!(report.sources.len(), 3);
    for source in &report.sources {
        assert_eq!(source.problems(), 0, "{source:?}");
        assert_eq!(source.total.images, 102, "{}", source.label);
        assert_eq!(source.masks.as_ref().unwrap().rasterised, source.total.masks);
    }
    let overlaps: Vec<_> = report
        .overlaps
        .iter()
        .map(|o| (o.train.as_str(), o.held_out.as_str(), o.images, o.kind))
        .collect();
    let train = "refcocog/umd train";
    let expected = [
        (train, "refcoco/unc val", 20, OverlapKind::Between),
        (train, "refcoco+/unc val", 20, OverlapKind::Between),
    ];
    assert_eq!(overlaps, expected);
}
