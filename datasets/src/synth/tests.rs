use std::collections::BTreeSet;

use super::object::COLORS;
use super::*;
use crate::CocoSegmentation;
use crate::mask::signed_area_doubled;

/// Every file under a folder, with its bytes, in order.
fn tree(root: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push((
                    path.strip_prefix(root).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                )),
            }
        }
    }
    files.sort();
    files
}

fn written(images: usize, seed: u64) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &compose(images, seed), PickleProtocol::Zero).unwrap();
    tree(folder.path())
}

#[test]
fn a_seed_fixes_every_byte() {
    let first = written(6, 7);
    assert_eq!(first, written(6, 7));
    let other = written(6, 8);
    assert!(first.iter().zip(&other).all(|(a, b)| a.1 != b.1), "another seed, other files");
}

#[test]
fn an_image_does_not_depend_on_how_many_there_are() {
    let (few, many) = (compose(3, 42), compose(9, 42));
    for (a, b) in few.iter().zip(&many) {
        assert_eq!(render::render(a), render::render(b));
        assert_eq!(a.image_id, b.image_id);
    }
}

#[test]
fn every_awkward_case_occurs() {
    let scenes = compose(60, 42);
    let annotations: Vec<&Annotation> = scenes.iter().flat_map(|s| &s.annotations).collect();
    let refs: Vec<&Reference> = annotations.iter().filter_map(|a| a.reference.as_ref()).collect();
    let count = |f: &dyn Fn(&Annotation) -> bool| annotations.iter().filter(|a| f(a)).count();
    let parts = |a: &Annotation| match &a.segmentation {
        CocoSegmentation::Polygons(polygons) => polygons.len(),
        CocoSegmentation::Rle(_) => 1,
    };
    let touches_border = |a: &Annotation| {
        let (bbox, size) = (a.mask.bbox().unwrap(), a.mask.size());
        bbox.x0 == 0 || bbox.y1 + 1 == size.height as i32
    };
    let has_hole = |a: &Annotation| a.mask.outlines().iter().any(|r| signed_area_doubled(r) < 0);
    assert!((170..=300).contains(&refs.len()), "about 200 refs, not {}", refs.len());
    assert!(count(&|a| a.is_crowd) >= 3, "crowds");
    assert!(count(&has_hole) >= 10, "holes");
    assert!(count(&|a| parts(a) > 1) >= 20, "several polygons");
    assert!(count(&touches_border) >= 10, "touching the border");
    assert!(annotations.len() > refs.len(), "annotations that nothing is said of");
    for split in ["train", "val", "test"] {
        assert!(refs.iter().any(|r| r.split == split), "{split}");
    }
    let raw: String = refs.iter().flat_map(|r| &r.sentences).map(|s| s.raw.as_str()).collect();
    assert!(raw.contains('\'') && raw.contains('"') && !raw.is_ascii());
    let sizes: std::collections::HashSet<_> = scenes.iter().map(|s| s.size).collect();
    assert!(sizes.len() >= 8, "image sizes");
}

#[test]
fn masks_of_a_scene_are_disjoint_and_some_touch() {
    let scenes = compose(16, 1);
    for scene in &scenes {
        for (i, a) in scene.annotations.iter().enumerate() {
            for b in &scene.annotations[..i] {
                assert_eq!(a.mask.intersection_area(&b.mask).unwrap(), 0);
            }
        }
    }
    // Theme 3 sets two blocks side by side.
    let [a, b] = [0, 1].map(|i| scenes[3].annotations[i].mask.bbox().unwrap());
    assert_eq!(a.x1 + 1, b.x0);
}

#[test]
fn one_image_leaks_from_train_into_test() {
    let leaking = |scene: &&Scene| {
        let splits: std::collections::HashSet<_> = scene
            .annotations
            .iter()
            .filter_map(|a| a.reference.as_ref().map(|r| r.split))
            .collect();
        splits.len() > 1
    };
    assert_eq!(compose(40, 42).iter().filter(leaking).count(), 1);
}

#[test]
fn predictions_are_repeatable_and_of_every_kind() {
    let scenes = compose(4, 42);
    let [truth, other] = [0, 1].map(|i| scenes[0].annotations[i].mask.clone());
    let mut flaws = Vec::new();
    for id in 0..60 {
        let (flaw, mask) = imperfect(&truth, std::slice::from_ref(&other), 42, id);
        assert_eq!((flaw, mask.clone()), imperfect(&truth, std::slice::from_ref(&other), 42, id));
        match flaw {
            Flaw::None => assert_eq!(mask, truth),
            Flaw::Missing => assert!(mask.is_empty()),
            Flaw::WrongObject => assert_eq!(mask, other),
            Flaw::Dilated => assert!(truth.difference(&mask).unwrap().is_empty()),
            Flaw::Eroded | Flaw::Half => assert!(mask.difference(&truth).unwrap().is_empty()),
            Flaw::Shifted | Flaw::Noisy => assert_eq!(mask.size(), truth.size()),
        }
        if !flaws.contains(&flaw) {
            flaws.push(flaw);
        }
    }
    assert_eq!(flaws.len(), 8, "{flaws:?}");
}

/// The generator and the readers agree on every ref: ids, split, sentences and, pixel for pixel, the
/// mask, which the generator knew before there was a polygon.
#[test]
fn the_readers_give_back_what_was_written() {
    let scenes = compose(24, 3);
    for protocol in [PickleProtocol::Zero, PickleProtocol::Two] {
        let folder = tempfile::tempdir().unwrap();
        let summary = write(folder.path(), &scenes, protocol).unwrap();
        let sources = crate::discover(folder.path()).unwrap();
        let source = sources.iter().find(|s| s.format == crate::Format::Refer).unwrap();
        assert_eq!((source.name.as_str(), source.split_by.as_deref()), ("refcocog", Some("umd")));
        let samples: Vec<crate::Sample> =
            source.samples(&crate::ReadOptions::default()).unwrap().map(Result::unwrap).collect();
        assert_eq!(samples.len(), summary.refs);
        let mut samples = samples.iter();
        let mut overlaps = 0;
        for (scene, annotation) in
            scenes.iter().flat_map(|s| s.annotations.iter().map(move |a| (s, a)))
        {
            let Some(reference) = &annotation.reference else { continue };
            let sample = samples.next().unwrap();
            assert_eq!(sample.ref_id, Some(reference.ref_id));
            assert_eq!(&*sample.split, reference.split);
            assert_eq!(sample.ann_ids, [annotation.id]);
            assert_eq!(sample.categories, [annotation.category]);
            assert_eq!(sample.image.size, Some(scene.size));
            let crate::ImageSource::File(path) = &sample.image.source else { panic!("no image") };
            assert!(path.is_file());
            let texts = |raw: &str, sent: &str| (raw.to_owned(), sent.to_owned());
            let written: Vec<_> =
                reference.sentences.iter().map(|s| texts(&s.raw, &s.sent)).collect();
            let read: Vec<_> = sample.queries.iter().map(|q| texts(&q.raw, &q.text)).collect();
            assert_eq!(written, read);
            let masks =
                sample.geometry.rasterize(scene.size, crate::FillRegime::default()).unwrap();
            assert_eq!(masks.target, annotation.mask);
            overlaps += usize::from(masks.overlap.is_some());
        }
        assert!(overlaps >= 3, "overlapping polygons of one annotation");
    }
}

fn objects(text: &str) -> Objects {
    text.parse().unwrap()
}

#[test]
fn a_range_of_objects_is_drawn_from() {
    let composition = Composition { objects: objects("1-3"), ..Composition::default() };
    let scenes = compose_with(60, 42, &composition);
    let counts: BTreeSet<usize> = scenes.iter().map(|scene| scene.objects.len()).collect();
    assert_eq!(counts, BTreeSet::from([1, 2, 3]));
    for wrong in ["0", "0-2", "3-1", "x", "1-", ""] {
        assert!(wrong.parse::<Objects>().is_err(), "{wrong}");
    }
}

#[test]
fn the_longer_side_is_as_asked_for() {
    let composition = Composition { longest_side: Some(252), ..Composition::default() };
    let sizes: BTreeSet<_> = compose_with(10, 42, &composition)
        .iter()
        .map(|scene| (scene.size.width, scene.size.height))
        .collect();
    assert!(sizes.contains(&(252, 189)) && sizes.contains(&(189, 252)), "{sizes:?}");
    assert!(sizes.iter().all(|&(width, height)| width.max(height) == 252), "{sizes:?}");
}

/// Fewer objects are the first of those that there would be, and nothing is said of others.
#[test]
fn simple_scenes_hold_few_objects_and_plain_words() {
    let composition = Composition {
        objects: objects("2"),
        sentences: Sentences::Plain,
        ..Composition::default()
    };
    let (few, all) = (compose_with(20, 42, &composition), compose(20, 42));
    for (few, all) in few.iter().zip(&all) {
        assert!((1..=2).contains(&few.annotations.len()), "{}", few.annotations.len());
        assert_eq!((few.size, few.image_id > 0), (all.size, true));
        assert_eq!(few.annotations[0].category, all.annotations[0].category);
        for reference in few.annotations.iter().filter_map(|a| a.reference.as_ref()) {
            assert_eq!(reference.sentences.len(), 1);
            let raw = &reference.sentences[0].raw;
            let color = raw.split(' ').next();
            assert!(COLORS.iter().any(|known| Some(known.name) == color), "{raw}");
        }
    }
    let composition = Composition { objects: objects("1"), ..Composition::default() };
    let scenes = compose_with(40, 42, &composition);
    let said = scenes.iter().flat_map(|scene| &scene.annotations);
    let said = said.filter_map(|a| a.reference.as_ref()).flat_map(|r| &r.sentences);
    let others = ["around", "inside the", "hidden by", "in front of", "touching"];
    for sentence in said {
        assert!(!others.iter().any(|word| sentence.raw.contains(word)), "{}", sentence.raw);
    }
}
