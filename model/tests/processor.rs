//! Images to patches, against the PIL processor of transformers. All comparisons are exact: the
//! arithmetic is the same, operation by operation.
#![allow(clippy::unwrap_used)] // a broken fixture should fail the test

mod common;

use common::picture;
use segzero_datasets::Size;
use segzero_model::qwen_vl::{InputError, Patches, Processor, read_image};
use segzero_prep::image::{Rgb, encode_jpeg};
use segzero_test_support::{fixture, shared_data};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

#[derive(Deserialize)]
struct Expected {
    images: Vec<ImageCase>,
    smart_resize: Vec<Sizes>,
    refused: Vec<(u32, u32)>,
}

#[derive(Deserialize)]
struct ImageCase {
    pattern: String,
    height: u32,
    width: u32,
    limits: (u64, u64),
    resized: (u32, u32),
    grid_thw: [usize; 3],
    pixel_values_sha256: String,
    step: usize,
    samples: Vec<f32>,
}

#[derive(Deserialize)]
struct Sizes {
    limits: (u64, u64),
    sizes: Vec<[u32; 4]>,
}

fn fixtures(path: &str) -> PathBuf {
    fixture(env!("CARGO_MANIFEST_DIR"), path)
}

fn expected() -> Expected {
    let path = fixtures("qwen_vl/processor/processor.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn load(config: &serde_json::Value) -> Result<Processor, InputError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("preprocessor_config.json"), config.to_string()).unwrap();
    Processor::load(folder.path())
}

fn published() -> Processor {
    Processor::qwen2_5_vl()
}

fn sha256(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn patches_equal_the_pil_processor() {
    let cases = expected().images;
    assert!(cases.len() >= 20);
    for case in cases {
        let at = format!("{} {}x{} {:?}", case.pattern, case.height, case.width, case.limits);
        let processor = published().with_pixels(case.limits.0, case.limits.1).unwrap();
        let image = picture(&case.pattern, case.height, case.width);
        let Patches { values, grid, tokens, view } = processor.patches(&image).unwrap();
        assert_eq!(view.resized, Size::new(case.resized.1, case.resized.0), "{at}");
        assert_eq!(grid, case.grid_thw, "{at}");
        assert_eq!(tokens * 4, grid[1] * grid[2], "{at}");
        let samples: Vec<f32> = values.iter().copied().step_by(case.step).collect();
        assert_eq!(samples, case.samples, "{at}");
        assert_eq!(sha256(&values), case.pixel_values_sha256, "{at}");
    }
}

#[test]
fn sizes_are_those_of_smart_resize() {
    let expected = expected();
    let mut count = 0;
    for Sizes { limits, sizes } in expected.smart_resize {
        let processor = published().with_pixels(limits.0, limits.1).unwrap();
        for [height, width, new_height, new_width] in sizes {
            let view = processor.view(Size::new(width, height)).unwrap();
            assert_eq!(
                view.resized,
                Size::new(new_width, new_height),
                "{height}x{width} {limits:?}"
            );
            count += 1;
        }
    }
    assert!(count > 2000);
    for (height, width) in expected.refused {
        let error = published().view(Size::new(width, height)).unwrap_err();
        assert!(error.to_string().contains("sides of"), "{error}");
    }
}

#[test]
fn positions_come_back_to_the_original() {
    let view = published().view(Size::new(640, 480)).unwrap();
    assert_eq!(view.resized, Size::new(644, 476));
    assert_eq!(view.original_from_resized([0.0, 0.0]), [0.0, 0.0]);
    assert_eq!(view.original_from_resized([644.0, 238.0]), [640.0, 240.0]);
}

#[test]
fn files_of_awkward_kinds_are_read_as_transformers_reads_them() {
    #[derive(Deserialize)]
    struct Case {
        file: String,
        size: (u32, u32),
        grid: [usize; 3],
        sha256: String,
    }
    let folder = fixtures("images");
    let bytes = std::fs::read(folder.join("expected.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&bytes).unwrap();
    assert!(cases.len() >= 10);
    for case in cases {
        let image = read_image(&folder.join(&case.file)).unwrap();
        assert_eq!(image.size, Size::new(case.size.0, case.size.1), "{}", case.file);
        let patches = published().patches(&image).unwrap();
        assert_eq!(patches.grid, case.grid, "{}", case.file);
        assert_eq!(sha256(&patches.values), case.sha256, "{}", case.file);
    }
    let upper = read_image(&folder.join("grey8.png")).unwrap();
    assert_eq!(read_image(&folder.join("grey16.png")).unwrap(), upper);
}

#[test]
fn broken_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let photo = encode_jpeg(&picture("gradient", 64, 64), 90).unwrap();
    let png = std::fs::read(fixtures("images/rgba.png")).unwrap();
    let cases: [(&str, &[u8]); 5] = [
        ("half.jpg", &photo[..photo.len() / 2]),
        ("half.png", &png[..png.len() / 2]),
        ("header.png", &png[..20]),
        ("empty.jpg", &[]),
        ("page.jpg", b"<html>not found</html>"),
    ];
    for (name, bytes) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = read_image(&path).unwrap_err();
        assert!(matches!(error, InputError::Decode { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.hint().is_some());
    }
    let error = read_image(&folder.path().join("absent.jpg")).unwrap_err();
    assert!(error.to_string().contains("absent.jpg"), "{error}");
}

#[test]
fn an_image_that_cannot_be_seen_is_refused() {
    let no_pixels = published().patches(&Rgb::default()).unwrap_err();
    assert_eq!(no_pixels.to_string(), "the image of 0x0 has no pixels");
    let thin = published().view(Size::new(20_000, 60)).unwrap_err();
    assert_eq!(
        thin.to_string(),
        "the image of 20000x60 has sides of 333 to 1; beyond 200 to 1 nothing can be seen"
    );
    assert!(published().with_pixels(0, 10).is_err());
    assert!(published().with_pixels(11, 10).is_err());
}

#[test]
fn settings_in_all_their_spellings() {
    let image = picture("noise", 50, 70);
    let plain = load(&json!({})).unwrap();
    assert_eq!(plain.pixel_bounds(), (56 * 56, 28 * 28 * 1280));
    let newer = json!({
        "size": {"shortest_edge": 3136, "longest_edge": 12_845_056}, "do_resize": true,
        "do_rescale": true, "do_normalize": true, "do_convert_rgb": true, "do_pad": null,
        "rescale_factor": 0.003_921_568_627_450_98, "resample": 3, "patch_size": 14,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Qwen2VLImageProcessorFast",
    });
    let patches = published().patches(&image).unwrap();
    assert_eq!(load(&newer).unwrap().patches(&image).unwrap(), patches);
    let older = json!({"size": {"min_pixels": 100, "max_pixels": 200}});
    assert_eq!(load(&older).unwrap().pixel_bounds(), (100, 200));

    let folder = tempfile::tempdir().unwrap();
    let nested = json!({"image_processor": newer}).to_string();
    std::fs::write(folder.path().join("processor_config.json"), nested).unwrap();
    let nested = Processor::load(folder.path()).unwrap();
    assert_eq!(nested.patches(&image).unwrap(), patches);
}

#[test]
fn steps_can_be_left_out() {
    let image = picture("noise", 56, 84);
    let at = |config| load(&config).unwrap().patches(&image).unwrap();
    let raw = at(json!({"do_resize": false, "do_rescale": false, "do_normalize": false}));
    assert_eq!(raw.grid, [1, 4, 6]);
    assert_eq!(raw.values[1], f32::from(image.pixels[3]), "red of the second pixel");
    assert_eq!(raw.values[14 * 14], raw.values[0], "the second frame repeats the first");
    assert_eq!(raw.values[2 * 14 * 14], f32::from(image.pixels[1]), "then green");
    assert_eq!(raw.values[1176], f32::from(image.pixels[14 * 3]), "the patch to the right");
    assert_eq!(raw.values[2 * 1176], f32::from(image.pixels[14 * 84 * 3]), "then below");
    let scaled = at(json!({"do_normalize": false}));
    assert_eq!(scaled.values[0], (f64::from(image.pixels[0]) * (1.0 / 255.0)) as f32);
    let one = at(json!({"do_rescale": false, "image_mean": 1.5, "image_std": 2}));
    assert_eq!(one.values[0], (f32::from(image.pixels[0]) - 1.5) / 2.0);
    let other = at(json!({"patch_size": 7, "merge_size": 4, "temporal_patch_size": 1}));
    assert_eq!((other.grid, other.tokens), ([1, 8, 12], 6));

    let kept = load(&json!({"do_resize": false})).unwrap();
    let error = kept.patches(&picture("noise", 50, 70)).unwrap_err();
    assert!(error.to_string().contains("not multiples of 28"), "{error}");
}

#[test]
fn settings_that_we_do_not_have_are_refused() {
    let cases = [
        (json!({"image_processor_type": "CLIPImageProcessor"}), "image_processor_type"),
        (json!({"do_center_crop": true}), "do_center_crop"),
        (json!({"do_pad": true}), "do_pad"),
        (json!({"resample": 0}), "resample"),
        (json!({"patch_size": "14"}), "patch_size"),
        (json!({"patch_size": 0}), "patch_size"),
        (json!({"patch_size": -1}), "patch_size"),
        (json!({"image_mean": [0.5, 0.5]}), "image_mean"),
        (json!({"image_std": 0}), "image_std"),
        (json!({"size": {"height": 224, "width": 224}}), "size"),
        (json!({"size": 224}), "size"),
        (json!({"min_pixels": 0}), "min_pixels"),
        (json!({"min_pixels": 5, "max_pixels": 4}), "min_pixels"),
        (json!({"do_resize": "no"}), "do_resize"),
    ];
    for (config, field) in cases {
        let error = load(&config).unwrap_err().to_string();
        let named = format!("preprocessor_config.json`: field `{field}`");
        assert!(error.contains(&named), "{config}: {error}");
    }
    let error = load(&json!([1])).unwrap_err().to_string();
    assert!(error.contains("preprocessor_config.json"), "{error}");
    let error = Processor::load(tempfile::tempdir().unwrap().path()).unwrap_err();
    assert!(error.to_string().contains("preprocessor_config.json"), "{error}");
    assert!(error.hint().unwrap().contains("text-only"));
}

#[test]
fn the_published_settings_are_read() {
    let Some(data) = shared_data() else { return };
    let processor = Processor::load(&data.join("tokenizer-qwen2.5-vl")).unwrap();
    assert_eq!(processor.pixel_bounds(), (3136, 12_845_056));
    let image = picture("noise", 57, 83);
    assert_eq!(processor.patches(&image).unwrap(), published().patches(&image).unwrap());
}
