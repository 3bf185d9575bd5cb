//! Images, one at a time on one thread: decode, resize, encode, and the whole way from a 640-class
//! JPEG to an 840x840 PNG. `peers/images.py` prints the same steps in OpenCV and Pillow; run both on
//! one machine at one time and compare ratios.
#![allow(missing_docs)] // criterion's macro makes an undocumented function
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench stops when it cannot go on

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use segzero_datasets::Size;
use segzero_prep::image::{
    Filter, PngEffort, Rgb, decode, decode_into, encode_jpeg, encode_png, resize, resize_into,
};
use segzero_test_support::shared_data;
use std::hint::black_box;

const TARGET: Size = Size::new(840, 840);
/// Every eighth photograph: 13 of 104.
const STEP: usize = 8;

/// Encoded photographs; where there are none, one synthetic picture with smooth shading, edges and
/// sensor noise.
fn photographs() -> Vec<Vec<u8>> {
    let Some(data) = shared_data() else { return vec![synthetic()] };
    let Ok(folder) = std::fs::read_dir(data.join("coco-permissive/images")) else {
        return vec![synthetic()];
    };
    let mut paths: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().step_by(STEP).filter_map(|path| std::fs::read(path).ok()).collect()
}

fn synthetic() -> Vec<u8> {
    let (width, height) = (640u32, 480u32);
    let mut state = 1u32;
    let value = |at: u32| {
        let (x, y, channel) = (at / 3 % width, at / 3 / width, at % 3);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let shade = x / 5 + y / 6 + 20 * channel;
        let edge = if (x / 80 + y / 60) % 3 == 0 { 40 } else { 0 };
        (shade + edge + (state >> 29)) as u8
    };
    let image = Rgb {
        size: Size::new(width, height),
        pixels: (0..width * height * 3).map(value).collect(),
    };
    encode_jpeg(&image, 93).unwrap()
}

fn images(criterion: &mut Criterion) {
    let encoded = photographs();
    let decoded: Vec<Rgb> = encoded.iter().map(|bytes| decode(bytes).unwrap()).collect();
    let large: Vec<Rgb> = decoded.iter().map(|image| resize(image, TARGET, Filter::Area)).collect();
    let mut group = criterion.benchmark_group("images");
    group.sample_size(20).throughput(Throughput::Elements(encoded.len() as u64));

    let (mut photo, mut resized) = (Rgb::default(), Rgb::default());
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            for bytes in &encoded {
                decode_into(bytes, &mut photo).unwrap();
                black_box(&photo);
            }
        });
    });
    let sizes = [
        ("area enlarging to 840x840", TARGET, Filter::Area),
        ("area mixed to 840x200", Size::new(840, 200), Filter::Area),
        ("area shrinking to 317x213", Size::new(317, 213), Filter::Area),
        ("PIL bilinear to 840x840", TARGET, Filter::PilBilinear),
        ("PIL bicubic to 840x840", TARGET, Filter::PilBicubic),
        ("PIL Lanczos to 840x840", TARGET, Filter::PilLanczos),
    ];
    for (name, size, filter) in sizes {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for image in &decoded {
                    resize_into(image, size, filter, &mut resized);
                    black_box(&resized);
                }
            });
        });
    }
    for effort in [PngEffort::Fast, PngEffort::Balanced] {
        let bytes: usize = large.iter().map(|image| encode_png(image, effort).unwrap().len()).sum();
        println!("PNG {effort:?}: mean {} KB", bytes / large.len() / 1000);
        group.bench_function(format!("PNG {effort:?}"), |bencher| {
            bencher.iter(|| large.iter().for_each(|i| drop(black_box(encode_png(i, effort)))));
        });
        group.bench_function(format!("JPEG to 840x840 PNG {effort:?}"), |bencher| {
            bencher.iter(|| {
                for bytes in &encoded {
                    decode_into(bytes, &mut photo).unwrap();
                    resize_into(&photo, TARGET, Filter::Area, &mut resized);
                    drop(black_box(encode_png(&resized, effort)));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, images);
criterion_main!(benches);
