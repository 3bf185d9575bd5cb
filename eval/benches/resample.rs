//! Bootstrap of the headline figures: 1000 resamples of 100,000 units, every one an image of its own
//! (the most there is to draw) or four to an image.
#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros; a bench may panic

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use segzero_eval::resample::{Headline, Options, Terms};

const UNITS: u64 = 100_000;

/// Terms of a unit, from the bits of its number.
fn terms(i: u64) -> Terms {
    let bits = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let iou = (bits >> 40) as f64 / (1u64 << 24) as f64;
    let union = 1 + (bits & 0xffff);
    Terms {
        iou: Some(iou),
        intersection: (iou * union as f64) as u64,
        union,
        reaches: Some([0.5, 0.6, 0.7, 0.8, 0.9].map(|at| iou >= at)),
        is_accepted: Some(true),
        ..Terms::default()
    }
}

fn resample(c: &mut Criterion) {
    let options = Options::default();
    let mut group = c.benchmark_group("1000 resamples of 100,000 units");
    group.sample_size(10).throughput(Throughput::Elements(UNITS));
    for (name, units_per_image) in [("one to an image", 1), ("four to an image", 4)] {
        let image = move |i: u64| i / units_per_image;
        group.bench_function(format!("intervals, {name}"), |b| {
            let units = || (0..UNITS).map(|i| (image(i), terms(i)));
            b.iter(|| Headline::intervals(units(), &options));
        });
        group.bench_function(format!("paired, {name}"), |b| {
            let units = || (0..UNITS).map(|i| (image(i), [terms(i), terms(i + UNITS)]));
            b.iter(|| Headline::compare(units(), &options));
        });
    }
    group.finish();
}

criterion_group!(benches, resample);
criterion_main!(benches);
