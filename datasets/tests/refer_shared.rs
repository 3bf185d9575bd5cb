//! REFER and COCO on the real photos and masks of the shared data, where they are at hand. The
//! expected numbers are Python's: `pickle.load` of the same files, counted.
#![allow(clippy::unwrap_used)] // clippy exempts test functions only, not their helpers

use std::collections::BTreeMap;

use segzero_datasets::{Format, Geometry, ImageSource, ReadOptions, Sample, Source, discover};
use segzero_test_support::shared_data;

fn read(source: &Source, split: Option<&str>) -> Vec<Sample> {
    let options = ReadOptions { split: split.map(str::to_owned), ..ReadOptions::default() };
    source.samples(&options).unwrap().map(Result::unwrap).collect()
}

fn find(sources: &[Source], name: &str) -> Source {
    sources.iter().find(|s| s.name == name).cloned().unwrap()
}

#[test]
fn refs_and_sentences_are_those_of_python() {
    let Some(data) = shared_data() else { return };
    let sources = discover(&data.join("refer")).unwrap();
    let names: Vec<_> = sources.iter().map(|s| (s.name.as_str(), s.format)).collect();
    let refer = Format::Refer;
    assert_eq!(names, [("refcoco", refer), ("refcoco+", refer), ("refcocog", refer)]);
    let expected = [
        ("refcocog", 1140, vec![("test", 132), ("train", 353), ("val", 116)]),
        ("refcoco", 992, vec![("testA", 99), ("testB", 106), ("train", 204), ("val", 85)]),
        ("refcoco+", 883, vec![("testA", 88), ("testB", 91), ("train", 179), ("val", 75)]),
    ];
    for (name, sentences, splits) in expected {
        let source = find(&sources, name);
        let samples = read(&source, None);
        assert_eq!(samples.iter().map(|s| s.queries.len()).sum::<usize>(), sentences, "{name}");
        let mut counts = BTreeMap::new();
        for sample in &samples {
            *counts.entry(&*sample.split).or_insert(0) += 1;
            let ImageSource::File(path) = &sample.image.source else { panic!("{name}: no image") };
            assert!(path.is_file(), "{}", path.display());
            assert!(matches!(&sample.geometry, Geometry::Coco(parts) if parts.len() == 1));
        }
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), splits, "{name}");
    }
}

/// Python's: `Counter((a["image_id"], a["category_id"]) for a in annotations)`, less one.
#[test]
fn distractors_are_the_others_of_a_category() {
    let Some(data) = shared_data() else { return };
    let refer = discover(&data.join("refer")).unwrap();
    let coco = discover(&data.join("coco-eval/instances_val2014_100.json")).unwrap();
    let coco = read(&coco[0], None);
    for (samples, sum, alone) in [
        (read(&find(&refer, "refcoco"), None), 1616, 166),
        (read(&find(&refer, "refcoco+"), None), 1382, 154),
        (read(&find(&refer, "refcocog"), None), 2130, 188),
        (coco, 4630, 175),
    ] {
        let counts: Vec<u32> = samples.iter().map(|sample| sample.distractors.unwrap()).collect();
        let found = (counts.iter().sum::<u32>(), counts.iter().filter(|&&c| c == 0).count());
        assert_eq!(found, (sum, alone), "{}", samples[0].dataset);
    }
}

#[test]
fn the_first_record_is_read_in_full() {
    let Some(data) = shared_data() else { return };
    let file = data.join("refer/refcocog/refs(umd).p");
    let sources = discover(&file).unwrap();
    assert_eq!(sources.len(), 1);
    assert_eq!(sources[0].split_by.as_deref(), Some("umd"));
    let sample = &read(&sources[0], Some("train"))[0];
    assert_eq!((&*sample.dataset, &*sample.key, &*sample.split), ("refcocog", "0", "train"));
    assert_eq!((sample.ref_id, &sample.ann_ids[..]), (Some(0), &[2_097_123][..]));
    assert_eq!(sample.categories, ["bottle"]);
    assert_eq!(
        (&*sample.image.id, &*sample.image.file_name),
        ("790", "COCO_train2014_000000000790.jpg")
    );
    let query = &sample.queries[0];
    assert_eq!(
        (&*query.raw, &*query.text),
        ("The bottle on the right.", "the bottle on the right")
    );
    assert_eq!(sample.query_key(query), "0:0");
}

#[test]
fn test_means_test_a_and_test_b() {
    let Some(data) = shared_data() else { return };
    let source = find(&discover(&data.join("refer")).unwrap(), "refcoco");
    assert_eq!(read(&source, Some("test")).len(), 99 + 106);
    assert_eq!(read(&source, Some("testB")).len(), 106);
    assert_eq!(read(&source, Some("none")).len(), 0);
}

#[test]
fn plain_coco_is_read_with_category_names() {
    let Some(data) = shared_data() else { return };
    let sources = discover(&data.join("coco-permissive")).unwrap();
    let source = find(&sources, "coco-permissive");
    let samples = read(&source, None);
    assert_eq!(samples.len(), 1041);
    assert_eq!(samples.iter().filter(|s| s.is_crowd).count(), 13);
    assert!(samples.iter().all(|s| matches!(&s.image.source, ImageSource::File(p) if p.is_file())));
    let sources = discover(&data.join("coco-eval")).unwrap();
    let coco: Vec<_> = sources.iter().filter(|s| s.format == Format::Coco).collect();
    assert_eq!(coco.len(), 1, "the predictions beside it are no annotations");
    assert_eq!(coco[0].name, "coco-val2014_100");
    assert_eq!(read(coco[0], Some("val")).len(), 839);
}

#[test]
fn held_out_images_are_those_of_all_sets() {
    let Some(data) = shared_data() else { return };
    let sources = discover(&data.join("refer")).unwrap();
    let held_out = segzero_datasets::held_out_images(&sources).unwrap();
    assert!(held_out.unreadable.is_empty());
    let mut expected = std::collections::BTreeSet::new();
    for source in &sources {
        for sample in read(source, None) {
            let key = segzero_datasets::ImageKey::of(&sample);
            if &*sample.split != "train" {
                assert!(held_out.contains(&key), "{key}");
                expected.insert(key);
            }
        }
    }
    assert_eq!(
        held_out.images.keys().cloned().collect::<std::collections::BTreeSet<_>>(),
        expected
    );
}
