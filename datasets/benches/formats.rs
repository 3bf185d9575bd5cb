//! Reading: nested-bool masks of Parquet per second, ReasonSeg JSON bytes per second.
//!
//! `cargo bench --release -p segzero-datasets --bench formats`
#![allow(missing_docs)] // criterion's macros
#![allow(clippy::unwrap_used)] // a bench that cannot set itself up has no result

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, ListBuilder};
use arrow_array::{ArrayRef, BinaryArray, Int32Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parquet::arrow::ArrowWriter;
use segzero_datasets::{ReadOptions, discover};

const ROWS: usize = 32;
const WIDTH: i32 = 640;
const HEIGHT: i32 = 480;

/// An evaluation file of masks like people: a few overlapping ellipses with rough edges.
fn write_parquet(path: &Path) {
    let mut masks = ListBuilder::new(ListBuilder::new(BooleanBuilder::new()));
    for row in 0..ROWS as i32 {
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let rough = (x * 7 + y * 13 + row) % 5;
                let inside = |cx: i32, cy: i32, rx: i32, ry: i32| {
                    let (dx, dy) = ((x - cx) * 1000 / rx, (y - cy) * 1000 / ry);
                    dx * dx + dy * dy < 1_000_000 + rough * 8_000
                };
                let set = inside(300 + row, 240, 50, 120) || inside(310 + row, 100, 30, 40);
                masks.values().values().append_value(set);
            }
            masks.values().append(true);
        }
        masks.append(true);
    }
    let ids: Vec<String> = (0..ROWS).map(|i| i.to_string()).collect();
    let ids: ArrayRef = Arc::new(StringArray::from(ids));
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"x"[..]; ROWS]));
    let bytes_field = Arc::new(Field::new("bytes", DataType::Binary, true));
    let batch = RecordBatch::try_from_iter([
        ("image", Arc::new(StructArray::from(vec![(bytes_field, bytes)])) as ArrayRef),
        ("text", ids.clone()),
        ("mask", Arc::new(masks.finish())),
        ("image_id", ids.clone()),
        ("ann_id", ids),
        ("img_height", Arc::new(Int32Array::from(vec![HEIGHT; ROWS]))),
        ("img_width", Arc::new(Int32Array::from(vec![WIDTH; ROWS]))),
    ])
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A ReasonSeg split of files as large as the published ones; gives the bytes of all of them.
fn write_reasonseg(folder: &Path) -> u64 {
    std::fs::create_dir_all(folder).unwrap();
    let mut total = 0;
    for file in 0..40 {
        let point = |i: i32| {
            let angle = f64::from(i) / 40.0;
            format!("[{:.2}, {:.2}]", 300.0 + 99.0 * angle.cos(), 200.0 + 99.0 * angle.sin())
        };
        let points = (0..250).map(point).collect::<Vec<_>>().join(", ");
        let shape =
            format!(r#"{{"label": "target", "shape_type": "polygon", "points": [{points}]}}"#);
        let json = format!(
            r#"{{"text": ["the thing"], "is_sentence": false, "shapes": [{shape}, {shape}]}}"#
        );
        total += json.len() as u64;
        std::fs::write(folder.join(format!("{file}.json")), json).unwrap();
        std::fs::write(folder.join(format!("{file}.jpg")), b"").unwrap();
    }
    total
}

fn read(root: &Path) -> usize {
    let source = discover(root).unwrap().remove(0);
    let samples: Result<Vec<_>, _> = source.samples(&ReadOptions::default()).unwrap().collect();
    samples.unwrap().len()
}

fn benches(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let parquet = folder.path().join("test-00000-of-00001.parquet");
    write_parquet(&parquet);
    let mut group = c.benchmark_group("parquet");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("nested-bool 640x480", |b| b.iter(|| read(&parquet)));
    group.finish();

    let reasonseg = folder.path().join("val");
    let bytes = write_reasonseg(&reasonseg);
    let mut group = c.benchmark_group("reasonseg");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("json", |b| b.iter(|| read(&reasonseg)));
    group.finish();
}

criterion_group! {
    name = formats;
    config = Criterion::default().sample_size(10);
    targets = benches
}
criterion_main!(formats);
