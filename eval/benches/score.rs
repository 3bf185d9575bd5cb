//! Scoring on runs: microseconds a pair, from two COCO strings to pixel counts, and from a JSONL
//! file to scores. `peers/eval.py` measures the Python peers beside the command.
#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros; a bench may panic

use std::f64::consts::TAU;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use segzero_datasets::{Geometry, ImageRef, ImageSource, Mask, Masks, Query, Sample, Size};
use segzero_eval::{Counts, OnBadRecord, Options, Predictions, prediction_line, score};

const PAIRS: usize = 300;

/// splitmix64, as a number in [0, 1).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }
}

/// A round shape with a wavy edge.
#[derive(Clone)]
struct Blob {
    center: [f64; 2],
    radius: f64,
    waves: Vec<[f64; 2]>,
}

impl Blob {
    fn any(random: &mut Random, size: Size) -> Self {
        let [w, h] = [size.width, size.height].map(f64::from);
        // Median area 7 % of the image and 380 runs, those of COCO objects above 1 % of theirs.
        let radius = (w * h).sqrt() * random.between(0.08, 0.22);
        let center = [random.between(0.2, 0.8) * w, random.between(0.2, 0.8) * h];
        let waves =
            (1..8).map(|k| [random.between(0.0, 0.5) / f64::from(k), random.between(0.0, TAU)]);
        Self { center, radius, waves: waves.collect() }
    }

    /// The same shape, a little elsewhere, a little larger or smaller.
    fn moved(&self, random: &mut Random) -> Self {
        let shift = self.radius * 0.08;
        let [x, y] = self.center;
        let center = [x + random.between(-shift, shift), y + random.between(-shift, shift)];
        let radius = self.radius * random.between(0.92, 1.08);
        Self { center, radius, waves: self.waves.clone() }
    }

    fn mask(&self, size: Size) -> Mask {
        let edge = |angle: f64| {
            let waves = self.waves.iter().zip(1..);
            1.0 + waves.map(|([a, p], k)| a * (f64::from(k) * angle + p).sin()).sum::<f64>()
        };
        let inside = |x: u32, y: u32| {
            let (dx, dy) = (f64::from(x) - self.center[0], f64::from(y) - self.center[1]);
            dx.hypot(dy) < self.radius * edge(dy.atan2(dx))
        };
        let pixels = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
        let pixels: Vec<u8> = pixels.map(|(x, y)| u8::from(inside(x, y))).collect();
        Mask::from_bitmap(size, &pixels).unwrap()
    }
}

fn pairs(size: Size) -> Vec<[Mask; 2]> {
    let mut random = Random(42);
    let pair = |_| {
        let blob = Blob::any(&mut random, size);
        [blob.mask(size), blob.moved(&mut random).mask(size)]
    };
    (0..PAIRS).map(pair).collect()
}

fn whole(target: Mask) -> Masks {
    Masks { target, overlap: None, ignore: None, parts: 1 }
}

fn counts(c: &mut Criterion) {
    for (name, size) in [("640x480", Size::new(640, 480)), ("840x840", Size::new(840, 840))] {
        let pairs = pairs(size);
        let strings = pairs.iter().map(|pair| pair.each_ref().map(Mask::to_coco_string));
        let strings: Vec<[String; 2]> = strings.collect();
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(PAIRS as u64));
        group.bench_function("two strings to counts", |b| {
            b.iter(|| {
                for [target, prediction] in &strings {
                    let target = Mask::from_coco_string(size, target.as_bytes()).unwrap();
                    let prediction = Mask::from_coco_string(size, prediction.as_bytes()).unwrap();
                    black_box(Counts::of(&whole(target), &prediction).unwrap());
                }
            });
        });
        let masks: Vec<_> = pairs.iter().map(|[t, p]| (whole(t.clone()), p)).collect();
        group.bench_function("two masks to counts", |b| {
            b.iter(|| {
                for (target, prediction) in &masks {
                    black_box(Counts::of(target, prediction).unwrap());
                }
            });
        });
        group.finish();
    }
}

fn whole_run(c: &mut Criterion) {
    let size = Size::new(640, 480);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions.jsonl");
    let mut lines = String::new();
    let mut samples = Vec::new();
    for (i, [target, prediction]) in pairs(size).into_iter().enumerate() {
        lines += &prediction_line(&i.to_string(), &prediction);
        lines.push('\n');
        samples.push(sample(i, target));
    }
    std::fs::write(&path, lines).unwrap();
    let mut group = c.benchmark_group("640x480");
    group.throughput(Throughput::Elements(PAIRS as u64));
    group.bench_function("JSONL file and masks to scores", |b| {
        b.iter(|| {
            let predictions = Predictions::open(&path, OnBadRecord::Stop).unwrap();
            let samples = samples.clone().into_iter().map(Ok);
            score(samples, &predictions, &Options::default(), |_| {}).unwrap()
        });
    });
    group.finish();
}

fn sample(i: usize, target: Mask) -> Sample {
    let text = "the thing".to_owned();
    Sample {
        dataset: Arc::from("bench"),
        split: Arc::from("val"),
        key: i.to_string(),
        image: ImageRef {
            id: i.to_string(),
            file_name: String::new(),
            source: ImageSource::Absent,
            size: Some(target.size()),
        },
        queries: vec![Query { id: None, raw: text.clone(), text }],
        ref_id: None,
        ann_ids: Vec::new(),
        categories: Vec::new(),
        category_ids: Vec::new(),
        is_crowd: false,
        distractors: None,
        is_sentence: None,
        geometry: Geometry::Mask(target),
    }
}

criterion_group!(benches, counts, whole_run);
criterion_main!(benches);
