//! Images against OpenCV and Pillow: fixtures written by `fixtures/images/generate.py`, and the
//! real photographs where they are at hand. All comparisons are exact: the arithmetic is theirs.
#![allow(clippy::unwrap_used)] // a broken fixture should fail the test

use segzero_datasets::Size;
use segzero_prep::image::{
    Filter, MAX_PIXELS, Orientation, PngEffort, Rgb, decode, decode_as, decode_into, dimensions,
    encode_jpeg, encode_png, orientation, resize, resize_into, thumbnail,
};
use segzero_test_support::{fixture, shared_data};
use serde::Deserialize;

#[derive(Deserialize)]
struct ResizeCase {
    filter: Filter,
    source: (u32, u32),
    target: (u32, u32),
    pixels: String,
    expected: String,
}

#[derive(Deserialize)]
struct DecodeCase {
    name: String,
    bytes: String,
    size: (u32, u32),
    expected: String,
    upright_size: Option<(u32, u32)>,
    upright: Option<String>,
}

fn read<T: for<'a> Deserialize<'a>>(name: &str) -> Vec<T> {
    let path = fixture(env!("CARGO_MANIFEST_DIR"), &format!("images/{name}"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn size((width, height): (u32, u32)) -> Size {
    Size::new(width, height)
}

fn decode_case(name: &str) -> Vec<u8> {
    let cases: Vec<DecodeCase> = read("decode.json");
    unhex(&cases.into_iter().find(|case| case.name == name).unwrap().bytes)
}

#[test]
fn resizing_equals_opencv_and_pillow() {
    let cases: Vec<ResizeCase> = read("resize.json");
    assert!(cases.len() >= 40);
    for case in cases {
        let image = Rgb { size: size(case.source), pixels: unhex(&case.pixels) };
        let got = resize(&image, size(case.target), case.filter);
        let at = format!("{:?} {:?} -> {:?}", case.filter, case.source, case.target);
        assert_eq!(got.size, size(case.target), "{at}");
        assert_eq!(got.pixels, unhex(&case.expected), "{at}");
    }
}

/// What a reused image held before, larger or smaller, must not show.
#[test]
fn a_reused_image_is_as_good_as_a_new_one() {
    let (mut decoded, mut resized) = (noise(50, 40), noise(300, 5));
    for case in read::<DecodeCase>("decode.json") {
        let bytes = unhex(&case.bytes);
        decode_into(&bytes, &mut decoded).unwrap();
        assert_eq!(decoded, decode(&bytes).unwrap(), "{}", case.name);
    }
    for case in read::<ResizeCase>("resize.json") {
        let image = Rgb { size: size(case.source), pixels: unhex(&case.pixels) };
        resize_into(&image, size(case.target), case.filter, &mut resized);
        assert_eq!(resized.size, size(case.target));
        assert_eq!(resized.pixels, unhex(&case.expected), "{:?} {:?}", case.filter, case.source);
    }
    assert!(decode_into(b"no image", &mut decoded).is_err());
    assert_eq!(decoded, Rgb::default());
}

#[test]
fn decoding_equals_pillow_and_upright_equals_opencv() {
    let cases: Vec<DecodeCase> = read("decode.json");
    for case in &cases {
        let bytes = unhex(&case.bytes);
        let image = decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(image.size, size(case.size), "{}", case.name);
        assert_eq!(image.pixels, unhex(&case.expected), "{}", case.name);
        assert_eq!(dimensions(&bytes).unwrap(), image.size, "{}", case.name);
        if let (Some(expected), Some(upright_size)) = (&case.upright, case.upright_size) {
            let upright = decode_as(&bytes, Orientation::Upright).unwrap();
            assert_eq!(upright.size, size(upright_size), "{}", case.name);
            assert_eq!(upright.pixels, unhex(expected), "{}", case.name);
            assert!(case.name.ends_with(&orientation(&bytes).to_string()), "{}", case.name);
        }
    }
}

#[test]
fn truncated_images_are_refused() {
    for name in ["jpeg 4:2:0", "jpeg 4:4:4 progressive", "png rgb", "webp lossless", "bmp", "tiff"]
    {
        let bytes = decode_case(name);
        for keep in [0, 1, 4, bytes.len() / 2, bytes.len() * 9 / 10] {
            assert!(decode(&bytes[..keep]).is_err(), "{name}: {keep} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn stray_bytes_before_the_end_of_a_jpeg_are_accepted() {
    let bytes = decode_case("jpeg 4:2:0");
    let (start, end) = bytes.split_at(bytes.len() - 2);
    let stray = [start, &[0, 0, 0], end].concat();
    assert_eq!(decode(&stray).unwrap(), decode(&bytes).unwrap());
}

#[test]
fn a_decompression_bomb_is_refused_by_its_header() {
    let mut bytes = encode_png(&plain(4, 4), PngEffort::Balanced).unwrap();
    for side in [16..20, 20..24] {
        bytes[side].copy_from_slice(&60_000u32.to_be_bytes());
    }
    let sum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(dimensions(&bytes).unwrap(), Size::new(60_000, 60_000));
    let message = decode(&bytes).unwrap_err().to_string();
    assert!(message.contains("60000x60000") && message.contains(&MAX_PIXELS.to_string()));
}

#[test]
fn unknown_bytes_are_named() {
    let message = decode(b"hello, world").unwrap_err().to_string();
    assert!(message.contains("not an image"), "{message}");
    assert!(decode(b"").unwrap_err().to_string().contains("empty"));
}

#[test]
fn png_reads_back_the_same_at_every_effort() {
    for effort in [PngEffort::Fast, PngEffort::Balanced, PngEffort::Small] {
        for image in samples() {
            let bytes = encode_png(&image, effort).unwrap();
            assert_eq!(decode(&bytes).unwrap(), image, "{effort:?} {}", image.size);
        }
        assert!(encode_png(&plain(0, 3), effort).is_err());
    }
}

#[test]
fn flat_png_is_small_and_noise_is_hardly_larger_than_raw() {
    let flat = encode_png(&plain(640, 480), PngEffort::Balanced).unwrap();
    assert!(flat.len() < 8_000, "{}", flat.len());
    let noise = noise(640, 480);
    let bytes = encode_png(&noise, PngEffort::Balanced).unwrap();
    assert!(bytes.len() < noise.pixels.len() * 1002 / 1000, "{}", bytes.len());
}

#[test]
fn jpeg_reads_back_nearly_the_same() {
    let image = smooth(64, 48);
    let back = decode(&encode_jpeg(&image, 95).unwrap()).unwrap();
    assert_eq!(back.size, image.size);
    let worst = back.pixels.iter().zip(&image.pixels).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst < Some(8), "{worst:?}"); // a ramp at this quality
    assert!(encode_jpeg(&plain(0, 0), 95).is_err());
}

#[test]
fn a_thumbnail_keeps_the_aspect_ratio_and_never_enlarges() {
    assert_eq!(thumbnail(&plain(640, 480), 160).size, Size::new(160, 120));
    assert_eq!(thumbnail(&plain(10, 1000), 50).size, Size::new(1, 50));
    assert_eq!(thumbnail(&plain(30, 20), 160).size, Size::new(30, 20));
}

#[test]
fn every_photograph_survives_the_way_to_a_training_png() {
    let Some(data) = shared_data() else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(data.join("coco-permissive/images")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let image = decode(&bytes).unwrap();
        assert_eq!(image.size, dimensions(&bytes).unwrap());
        let resized = resize(&image, Size::new(840, 840), Filter::Area);
        for effort in [PngEffort::Fast, PngEffort::Balanced] {
            let png = encode_png(&resized, effort).unwrap();
            assert_eq!(decode(&png).unwrap(), resized);
        }
        count += 1;
    }
    assert!(count >= 100, "{count}");
}

fn plain(width: u32, height: u32) -> Rgb {
    Rgb { size: Size::new(width, height), pixels: vec![77; (width * height * 3) as usize] }
}

fn noise(width: u32, height: u32) -> Rgb {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels = (0..width * height * 3).map(|_| next()).collect();
    Rgb { size: Size::new(width, height), pixels }
}

fn smooth(width: u32, height: u32) -> Rgb {
    let value = |at: u32| ((at / 3 % width) * 2 + at / 3 / width + at % 3 * 20) as u8;
    Rgb { size: Size::new(width, height), pixels: (0..width * height * 3).map(value).collect() }
}

/// Flat, smooth, noisy, and mixed; narrow and low; more than one block; runs of every length.
fn samples() -> Vec<Rgb> {
    let mut mixed = noise(300, 200);
    mixed.pixels[20_000..90_000].fill(9);
    let mut runs = plain(700, 3);
    let mut at = 0;
    for length in 1..60 {
        runs.pixels[at] = length as u8;
        at += length;
    }
    vec![
        plain(1, 1),
        plain(300, 200),
        plain(1, 40_000),
        noise(1, 7),
        noise(7, 1),
        noise(97, 301),
        smooth(30_000, 2),
        smooth(311, 207),
        mixed,
        runs,
    ]
}

fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1)))
    }) ^ !0
}
