//! Photographs at 840x840 to patches, as Seg-Zero prompts with them, and from their own size.
//! `peers/processor.py` prints the same in transformers; run both on one machine at one time and
//! compare ratios.
#![allow(missing_docs)] // criterion's macro makes an undocumented function
#![allow(clippy::unwrap_used)] // a bench stops when it cannot go on

use criterion::{Criterion, criterion_group, criterion_main};
use segzero_datasets::Size;
use segzero_model::qwen_vl::Processor;
use segzero_prep::image::Rgb;
use std::hint::black_box;

/// A picture of smooth shading and noise: the time does not depend on what is in it.
fn picture(width: u32, height: u32) -> Rgb {
    let mut state = 1u32;
    let sample = |at: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (at / 3 % width / 5 + at / 3 / width / 6 + (state >> 27)) as u8
    };
    Rgb { size: Size::new(width, height), pixels: (0..width * height * 3).map(sample).collect() }
}

fn processor(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"{"min_pixels": 3136, "max_pixels": 12845056}"#;
    std::fs::write(folder.path().join("preprocessor_config.json"), config).unwrap();
    let processor = Processor::load(folder.path()).unwrap();
    let mut group = criterion.benchmark_group("processor");
    for (width, height) in [(840, 840), (640, 480), (4000, 3000)] {
        let image = picture(width, height);
        group.sample_size(20).bench_function(format!("{width}x{height}"), |bencher| {
            bencher.iter(|| black_box(processor.patches(&image).unwrap()));
        });
    }
    group.finish();
}

criterion_group!(benches, processor);
criterion_main!(benches);
