//! From a COCO string to a box and two points, beside a memcpy of the mask's bytes and beside full
//! distance transforms: `cargo bench -p segzero-prep --bench circles`.
//!
//! The table before criterion's figures holds the least of several interleaved times of each mask,
//! averaged over the masks, so that a busy machine disturbs it little. The masks are written to the
//! folder for build products as `circles-SET.json`, for `peers/circles.py` to time Python on the same.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use criterion::Criterion;
use image::{GrayImage, Luma};
use segzero_datasets::{Mask, Masks, Size};
use segzero_prep::circles::{Scratch, Simd, distance_map};
use segzero_prep::{Border, PointRule, Target, TargetOptions};

/// Masks with a name.
struct Set {
    name: &'static str,
    masks: Vec<Mask>,
    strings: Vec<String>,
}

impl Set {
    fn new(name: &'static str, masks: Vec<Mask>) -> Self {
        let strings = masks.iter().map(Mask::to_coco_string).collect();
        Self { name, masks, strings }
    }

    /// Writes the strings for the Python peer.
    fn write(&self) {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("circles-{}.json", self.name));
        let rle = self.masks.iter().zip(&self.strings).map(|(mask, counts)| {
            serde_json::json!({"size": [mask.size().height, mask.size().width], "counts": counts})
        });
        std::fs::write(&path, serde_json::to_vec(&rle.collect::<Vec<_>>()).unwrap()).unwrap();
        println!("masks of {} in {}", self.name, path.display());
    }
}

/// Polygon annotations of at least 1 % of their image, of 100 images of COCO val2014.
fn real() -> Option<Set> {
    let path = segzero_test_support::shared_data()?.join("coco-eval/instances_val2014_100.json");
    let coco: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).unwrap();
    let size_of = |image: &serde_json::Value| {
        let side = |name: &str| image[name].as_u64().unwrap() as u32;
        (image["id"].as_u64().unwrap(), Size::new(side("width"), side("height")))
    };
    let sizes: Vec<_> = coco["images"].as_array().unwrap().iter().map(size_of).collect();
    let mask = |annotation: &serde_json::Value| {
        let polygons: Vec<Vec<f64>> =
            serde_json::from_value(annotation["segmentation"].clone()).ok()?;
        let id = annotation["image_id"].as_u64();
        let size = sizes.iter().find(|(image, _)| Some(*image) == id)?.1;
        let mask = Mask::from_polygons(size, &polygons).ok()?;
        (mask.area() * 100 >= size.pixels()).then_some(mask)
    };
    Some(Set::new(
        "real640",
        coco["annotations"].as_array().unwrap().iter().filter_map(mask).collect(),
    ))
}

/// A small generator of pseudo-random numbers below `most`.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u32) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(most)) as i64
    }
}

/// A union of a few overlapping ellipses with a wavy edge, about as large as COCO's objects.
fn blob(size: Size, random: &mut Random) -> Mask {
    let side = size.width.min(size.height);
    let (mut cx, mut cy) = (random.below(size.width), random.below(size.height));
    let ellipses: Vec<[i64; 4]> = (0..4)
        .map(|_| {
            cx += random.below(side / 4) - i64::from(side / 8);
            cy += random.below(side / 4) - i64::from(side / 8);
            [cx, cy, random.below(side / 6) + 8, random.below(side / 6) + 8]
        })
        .collect();
    drawn(size, |x, y| {
        ellipses.iter().any(|&[cx, cy, rx, ry]| {
            let wave = 1.0 + 0.06 * ((x + 2 * y) as f64 * 0.13).sin();
            let (dx, dy) = ((x - cx) as f64 / rx as f64, (y - cy) as f64 / ry as f64);
            dx * dx + dy * dy <= wave
        })
    })
}

fn drawn(size: Size, mut inside: impl FnMut(i64, i64) -> bool) -> Mask {
    let mut pixels = vec![0u8; size.pixels() as usize];
    for (i, pixel) in pixels.iter_mut().enumerate() {
        let (x, y) = (i % size.width as usize, i / size.width as usize);
        *pixel = u8::from(inside(x as i64, y as i64));
    }
    Mask::from_bitmap(size, &pixels).unwrap()
}

fn synthetic(name: &'static str, size: Size, count: usize) -> Set {
    let mut random = Random(7);
    let blobs = std::iter::repeat_with(|| blob(size, &mut random));
    Set::new(name, blobs.filter(|mask| mask.area() * 100 >= size.pixels()).take(count).collect())
}

/// Shapes on which pruning could do badly, at 5 Mpx.
fn adversarial() -> Vec<(&'static str, Mask)> {
    let size = Size::new(2560, 1960);
    let mut random = Random(11);
    let ring = |period: f64| {
        drawn(size, move |x, y| ((x - 1280) as f64).hypot((y - 980) as f64) % period < period / 2.0)
    };
    vec![
        ("full frame", Mask::full(size)),
        ("vertical stripes 16", drawn(size, |x, _| x % 32 < 16)),
        ("vertical stripes 300", drawn(size, |x, _| x % 600 < 300)),
        ("horizontal stripes 16", drawn(size, |_, y| y % 32 < 16)),
        ("horizontal stripes 300", drawn(size, |_, y| y % 600 < 300)),
        ("diagonal lines 3", drawn(size, |x, y| (x + y) % 40 < 3)),
        ("diagonal bands 200", drawn(size, |x, y| (x + y) % 400 < 200)),
        ("rings 20", ring(20.0)),
        ("rings 400", ring(400.0)),
        ("checkerboard 64", drawn(size, |x, y| (x / 64 + y / 64) % 2 == 0)),
        ("noise 50 %", drawn(size, |_, _| random.below(2) == 0)),
        ("noise 99.9 %", drawn(size, |_, _| random.below(1000) > 0)),
        ("noise 99.999 %", drawn(size, |_, _| random.below(100_000) > 0)),
    ]
}

fn masks_of(target: Mask) -> Masks {
    Masks { target, overlap: None, ignore: None, parts: 1 }
}

fn options(points: PointRule) -> TargetOptions {
    TargetOptions { points, ..TargetOptions::default() }
}

/// COCO string to box and two points.
fn prepare(size: Size, string: &str, points: PointRule, scratch: &mut Scratch) -> Option<Target> {
    let mask = Mask::from_coco_string(size, string.as_bytes()).unwrap();
    Target::from_masks_in(&masks_of(mask), &options(points), scratch)
}

/// `imageproc`'s transform of the mask's box with a border of background. It measures the distance to
/// foreground, so it is given the mask inverted; making that image is not timed.
fn padded_box(mask: &Mask) -> GrayImage {
    let b = mask.bbox().unwrap();
    let bitmap = mask.to_bitmap();
    GrayImage::from_fn(b.width() as u32 + 2, b.height() as u32 + 2, |x, y| {
        let (x, y) = (x as i32 - 1 + b.x0, y as i32 - 1 + b.y0);
        let outside = x < b.x0 || x > b.x1 || y < b.y0 || y > b.y1;
        let width = mask.size().width as usize;
        Luma([if outside || bitmap[y as usize * width + x as usize] == 0 { 255 } else { 0 }])
    })
}

/// Least microseconds of several calls.
fn least(repeats: usize, mut work: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e6
    };
    (0..repeats).map(time).fold(f64::INFINITY, f64::min)
}

const STEPS: [&str; 9] = [
    "memcpy of the mask's bytes",
    "string to runs",
    "box of the runs",
    "circles, inscribed",
    "string to box and two points, inscribed",
    "the same without AVX2",
    "string to box and two points, seg-zero",
    "distance map of the whole image, ours",
    "distance map of the padded box, imageproc",
];

/// Microseconds of each step for one mask.
fn times(mask: &Mask, string: &str, scratch: &mut [Scratch; 2]) -> [f64; STEPS.len()] {
    let [simd, portable] = scratch;
    let size = mask.size();
    let bytes = vec![1u8; size.pixels() as usize];
    let mut copy = vec![0u8; bytes.len() + 4096];
    // Half a page from where the source begins in its own: some processors copy far more slowly
    // between equal offsets, and the fastest copy is the one to compare with.
    let from = (bytes.as_ptr() as usize + 2048).wrapping_sub(copy.as_ptr() as usize) % 4096;
    let copy = &mut copy[from..from + bytes.len()];
    let (inverted, masks) = (padded_box(mask), masks_of(mask.clone()));
    let inscribed = options(PointRule::Inscribed);
    [
        least(7, || black_box(&mut *copy).copy_from_slice(black_box(&bytes))),
        least(7, || drop(black_box(Mask::from_coco_string(size, string.as_bytes())))),
        least(7, || {
            black_box(black_box(mask).bbox());
        }),
        least(7, || drop(black_box(Target::from_masks_in(&masks, &inscribed, simd)))),
        least(7, || drop(black_box(prepare(size, string, PointRule::Inscribed, simd)))),
        least(7, || drop(black_box(prepare(size, string, PointRule::Inscribed, portable)))),
        least(7, || drop(black_box(prepare(size, string, PointRule::SegZero, simd)))),
        least(2, || drop(black_box(distance_map(mask, Border::Background)))),
        least(2, || {
            let map =
                imageproc::distance_transform::euclidean_squared_distance_transform(&inverted);
            black_box(map);
        }),
    ]
}

/// Prints the mean microseconds of each step and its multiple of the memcpy.
fn table(set: &Set) {
    let mut scratch = [Scratch::new(Simd::Detect), Scratch::new(Simd::Portable)];
    let mut sums = [0.0; STEPS.len()];
    for (mask, string) in set.masks.iter().zip(&set.strings) {
        let times = times(mask, string, &mut scratch);
        sums.iter_mut().zip(times).for_each(|(sum, time)| *sum += time);
    }
    let pixels: u64 = set.masks.iter().map(|mask| mask.size().pixels()).sum();
    let count = set.masks.len() as f64;
    println!("\n{}: {count} masks of {:.2} Mpx", set.name, pixels as f64 / count / 1e6);
    for (step, sum) in STEPS.iter().zip(sums) {
        println!("{step:42} {:10.1} us {:8.2} x memcpy", sum / count, sum / sums[0]);
    }
}

/// Prints times of shapes that resist pruning beside the linear-time transform.
fn adversarial_table() {
    let mut scratch = Scratch::new(Simd::Detect);
    println!("\n5 Mpx, ms:                inscribed   seg-zero   linear-time map");
    for (name, mask) in adversarial() {
        let masks = masks_of(mask);
        let mut rule = |points| {
            least(3, || {
                drop(black_box(Target::from_masks_in(&masks, &options(points), &mut scratch)));
            })
        };
        let (inscribed, seg_zero) = (rule(PointRule::Inscribed), rule(PointRule::SegZero));
        let map = least(2, || drop(black_box(distance_map(&masks.target, Border::Background))));
        let [inscribed, seg_zero, map] = [inscribed, seg_zero, map].map(|us| us / 1e3);
        println!("{name:24} {inscribed:10.2} {seg_zero:10.2} {map:17.2}");
    }
}

fn bench(criterion: &mut Criterion, set: &Set) {
    let mut group = criterion.benchmark_group(set.name);
    group.sample_size(10);
    let mut scratch = Scratch::new(Simd::Detect);
    for points in [PointRule::Inscribed, PointRule::SegZero] {
        group.bench_function(format!("{points:?}"), |bencher| {
            bencher.iter(|| {
                for (mask, string) in set.masks.iter().zip(&set.strings) {
                    black_box(prepare(mask.size(), string, points, &mut scratch));
                }
            });
        });
    }
    group.finish();
}

fn main() {
    let small = synthetic("synthetic640", Size::new(640, 480), 200);
    let large = synthetic("synthetic2500k", Size::new(1920, 1302), 20);
    let sets: Vec<Set> = real().into_iter().chain([small, large]).collect();
    let mut criterion = Criterion::default().configure_from_args();
    if !std::env::args().any(|argument| argument == "--test") {
        for set in &sets {
            set.write();
            table(set);
        }
        adversarial_table();
    }
    for set in &sets {
        bench(&mut criterion, set);
    }
    criterion.final_summary();
}
