//! Reading a REFER data set of RefCOCOg's size: the pickle alone, and all samples with their
//! annotations. The files are made here and left under `target/tmp`, where `peers/refer.py` times
//! CPython on the same bytes.
#![allow(missing_docs)] // criterion's macros
#![allow(clippy::unwrap_used)] // a bench that cannot set itself up has no result

use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use segzero_datasets::{ReadOptions, discover, pickle};

const REFS: usize = 42_226;
const OBJECTS_PER_REF: usize = 4; // of which one is referred to
const WORDS: [&str; 12] =
    ["the", "man", "in", "a", "blue", "shirt", "with", "it's", "dog", "left", "of", "table"];

/// The words of a sentence.
fn words(seed: usize) -> impl Iterator<Item = &'static str> {
    (0..6 + seed % 5).map(move |k| WORDS[(seed * 7 + k * 5 + seed / 11) % WORDS.len()])
}

/// Writes values as Python 2 did: protocol 0 with a PUT after every string and container, or
/// protocol 2 with its counted strings.
struct Pickler {
    out: Vec<u8>,
    protocol: u8,
    memo: usize,
}

impl Pickler {
    fn put(&mut self) {
        let index = self.memo;
        self.memo += 1;
        if self.protocol == 0 {
            self.out.extend(format!("p{index}\n").bytes());
        } else {
            self.out.push(b'r');
            self.out.extend((index as u32).to_le_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        if self.protocol == 0 {
            let quote = if text.contains('\'') { '"' } else { '\'' };
            self.out.extend(format!("S{quote}{text}{quote}\n").bytes());
        } else {
            self.out.extend([b'U', text.len() as u8]);
            self.out.extend(text.bytes());
        }
        self.put();
    }

    fn int(&mut self, value: usize) {
        if self.protocol == 0 {
            self.out.extend(format!("I{value}\n").bytes());
        } else {
            self.out.push(b'J');
            self.out.extend((value as u32).to_le_bytes());
        }
    }

    fn open(&mut self, protocol_0: &[u8], protocol_2: &[u8]) {
        self.out.extend(if self.protocol == 0 { protocol_0 } else { protocol_2 });
        self.put();
    }

    /// A dict entry; `value` writes the value.
    fn entry(&mut self, key: &str, value: impl FnOnce(&mut Self)) {
        self.text(key);
        value(self);
        self.out.push(b's');
    }

    fn sentence(&mut self, sent_id: usize) {
        self.open(b"(d", b"}");
        self.entry("tokens", |p| {
            p.open(b"(l", b"]");
            for word in words(sent_id) {
                p.text(word);
                p.out.push(b'a');
            }
        });
        let text = words(sent_id).collect::<Vec<_>>().join(" ");
        self.entry("raw", |p| p.text(&text));
        self.entry("sent_id", |p| p.int(sent_id));
        self.entry("sent", |p| p.text(&text));
    }

    fn a_ref(&mut self, ref_id: usize) {
        let sentences = [2 * ref_id, 2 * ref_id + 1];
        self.open(b"(d", b"}");
        self.entry("sent_ids", |p| {
            p.open(b"(l", b"]");
            for id in sentences {
                p.int(id);
                p.out.push(b'a');
            }
        });
        let image_id = ref_id / 2 + 1;
        let file_name = format!("COCO_train2014_{image_id:012}_{ref_id}.jpg");
        self.entry("file_name", |p| p.text(&file_name));
        self.entry("ann_id", |p| p.int(ref_id * OBJECTS_PER_REF));
        self.entry("ref_id", |p| p.int(ref_id));
        self.entry("image_id", |p| p.int(image_id));
        self.entry("split", |p| p.text("train"));
        self.entry("sentences", |p| {
            p.open(b"(l", b"]");
            for id in sentences {
                p.sentence(id);
                p.out.push(b'a');
            }
        });
        self.entry("category_id", |p| p.int(1 + ref_id % 90));
    }
}

fn refs(protocol: u8) -> Vec<u8> {
    let mut pickler = Pickler { out: Vec::new(), protocol, memo: 0 };
    if protocol > 0 {
        pickler.out.extend([0x80, protocol]);
    }
    pickler.open(b"(l", b"]");
    for ref_id in 0..REFS {
        pickler.a_ref(ref_id);
        pickler.out.push(b'a');
    }
    pickler.out.push(b'.');
    pickler.out
}

fn instances() -> String {
    let mut json = String::from("{\"images\": [");
    let comma = |first: bool| if first { "" } else { ", " };
    for id in 1..=REFS / 2 + 1 {
        let comma = comma(id == 1);
        let _ = write!(
            json,
            "{comma}{{\"license\": 1, \"file_name\": \"COCO_train2014_{id:012}.jpg\", \
             \"height\": 480, \"width\": 640, \"date_captured\": \"2013-11-18 02:31:34\", \"id\": {id}}}"
        );
    }
    json += "], \"annotations\": [";
    for id in 0..REFS * OBJECTS_PER_REF {
        let image_id = id / OBJECTS_PER_REF / 2 + 1;
        let _ = write!(json, "{}{{\"segmentation\": [[", comma(id == 0));
        for k in 0..40 {
            let value = 10.0 + ((id * 31 + k * 97) % 4700) as f64 / 10.0;
            let _ = write!(json, "{}{value:.2}", comma(k == 0));
        }
        let category = 1 + id % 90;
        let _ = write!(
            json,
            "]], \"area\": 1.5, \"iscrowd\": 0, \"image_id\": {image_id}, \
             \"bbox\": [1.0, 2.0, 3.0, 4.0], \"category_id\": {category}, \"id\": {id}}}"
        );
    }
    json += "], \"categories\": [";
    for id in 1..=90 {
        let _ = write!(json, "{}{{\"id\": {id}, \"name\": \"category {id}\"}}", comma(id == 1));
    }
    json + "]}"
}

/// Writes the data set once and returns its folder.
fn data_set() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refer-42k/refcocog");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("refs(umd).p"), refs(0)).unwrap();
    std::fs::write(folder.join("refs(protocol2).p"), refs(2)).unwrap();
    std::fs::write(folder.join("instances.json"), instances()).unwrap();
    folder
}

fn bench(criterion: &mut Criterion) {
    let folder = data_set();
    let mut group = criterion.benchmark_group("refer");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for (name, file) in [("protocol 0", "refs(umd).p"), ("protocol 2", "refs(protocol2).p")] {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("pickle {name}"), |b| {
            b.iter(|| pickle::parse(black_box(&bytes)).unwrap());
        });
    }
    let length = |file: &str| std::fs::metadata(folder.join(file)).unwrap().len();
    group.throughput(Throughput::Bytes(length("refs(umd).p") + length("instances.json")));
    group.bench_function("all samples", |b| {
        b.iter(|| {
            let source = discover(&folder.join("refs(umd).p")).unwrap().remove(0);
            let samples = source.samples(&ReadOptions::default()).unwrap();
            assert_eq!(samples.filter(Result::is_ok).count(), REFS);
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
