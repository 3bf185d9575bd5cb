//! Tiny networks whose weights follow from their names, and what transformers computes on them.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)] // helpers of tests; each uses some

pub mod sam2;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::SafeTensors;
use segzero_datasets::Size;
use segzero_model::checkpoint::random::{Form, Formula};
use segzero_model::checkpoint::{Checkpoint, random};
use segzero_model::load::Placement;
use segzero_model::packed::Format;
use segzero_model::qwen_vl::{Config, Patches, Prompt, QwenVl, View, parameters};
use segzero_prep::image::Rgb;
use serde::Deserialize;

/// The folder of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen_vl").join(name)
}

/// The CPU, with matrices in a format.
pub fn cpu(format: Format) -> Placement {
    Placement { device: Device::flex(), packs: true, format }
}

/// An image as `image` of `qwen_vl/formula.py` makes it: `noise`, `gradient` or `checker`.
pub fn picture(pattern: &str, height: u32, width: u32) -> Rgb {
    let size = Size::new(width, height);
    let count = size.pixels() as usize;
    let sample = |index: u32| {
        let (x, y) = (index % width, index / width);
        let share = |at: u32, side: u32| (255 * at / (side - 1).max(1)) as u8;
        let [red, green] = [share(x, width), share(y, height)];
        match pattern {
            "checker" => [if (x / 7 + y / 5) % 2 == 1 { 255 } else { 0 }; 3],
            _ => [red, green, ((u16::from(red) + u16::from(green)) / 2) as u8],
        }
    };
    let pixels = if pattern == "noise" {
        let formula = Formula::scaled(&format!("image/{height}x{width}"), 1.0);
        (0..count * 3).map(|index| (formula.integer(index) >> 16) as u8).collect()
    } else {
        (0..count as u32).flat_map(sample).collect()
    };
    Rgb { size, pixels }
}

/// A checkpoint of the fixture's architecture on disk.
pub fn checkpoint(name: &str) -> (tempfile::TempDir, Config) {
    let config = Config::open(&fixture(name)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let form = Form { dtype: safetensors::Dtype::F32, shard_bytes: 300_000, ..Form::default() };
    random::write(folder.path(), &parameters(&config), &form, &[]).unwrap();
    (folder, config)
}

/// The fixture's network.
pub fn network(name: &str, placement: Placement) -> QwenVl {
    let (folder, config) = checkpoint(name);
    QwenVl::load(&Checkpoint::open(folder.path()).unwrap(), config, placement).unwrap()
}

/// A case of `cases.json`.
#[derive(Debug, Deserialize)]
pub struct Case {
    pub input_ids: Vec<Vec<u32>>,
    pub attention_mask: Vec<Vec<u8>>,
    pub image_grid_thw: Vec<[usize; 3]>,
    pub greedy_ids: Vec<Vec<u32>>,
    pub forced_ids: Vec<Vec<u32>>,
    pub greedy_margin: f64,
    pub float32_error: BTreeMap<String, f64>,
}

impl Case {
    /// The prompts without padding, with their images.
    pub fn prompts(&self, case: &str, config: &Config) -> Vec<Prompt> {
        let mut patches = self.images(case, config).into_iter();
        let merged = config.vision.merge_len();
        let mut prompts = Vec::new();
        for (ids, mask) in self.input_ids.iter().zip(&self.attention_mask) {
            let kept = ids.iter().zip(mask).filter(|(_, mask)| **mask == 1);
            let ids: Vec<u32> = kept.map(|(&id, _)| id).collect();
            let mut left = ids.iter().filter(|&&id| id == config.image_token_id).count();
            let mut images = Vec::new();
            while left > 0 {
                let image = patches.next().unwrap();
                left -= image.grid.iter().product::<usize>() / merged;
                images.push(image);
            }
            prompts.push(Prompt { ids, images });
        }
        prompts
    }

    /// The images of all prompts: `pixel_values/CASE` one behind the other.
    fn images(&self, case: &str, config: &Config) -> Vec<Patches> {
        let width = config.vision.patch_len();
        let counts = self.image_grid_thw.iter().map(|grid| grid.iter().product::<usize>());
        let total: usize = counts.clone().sum();
        let name = format!("pixel_values/{case}");
        let mut values = Formula::scaled(&name, 2.0).values(total * width).into_iter();
        let image = |(&grid, count): (&[usize; 3], usize)| {
            let values = values.by_ref().take(count * width).collect();
            let size = Size::new(grid[2] as u32 * 14, grid[1] as u32 * 14);
            let view = View { original: size, resized: size };
            Patches { values, grid, tokens: count / config.vision.merge_len(), view }
        };
        self.image_grid_thw.iter().zip(counts).map(image).collect()
    }
}

/// `cases.json` of a fixture.
pub fn cases(name: &str) -> BTreeMap<String, Case> {
    let text = fs::read(fixture(name).join("cases.json")).unwrap();
    let mut all: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&text).unwrap();
    all.retain(|_, value| value.get("input_ids").is_some());
    all.into_iter().map(|(k, v)| (k, serde_json::from_value(v).unwrap())).collect()
}

/// What transformers computed.
pub struct Expected(Vec<u8>);

impl Expected {
    pub fn of(name: &str) -> Self {
        Self(fs::read(fixture(name).join("expected.safetensors")).unwrap())
    }

    /// Numbers of an array; none where the fixture does not have it.
    pub fn get(&self, name: &str) -> Option<Vec<f32>> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).ok()?;
        let chunks = tensor.data().chunks_exact(tensor.dtype().bitsize() / 8);
        Some(match tensor.dtype() {
            safetensors::Dtype::F32 => {
                chunks.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
            safetensors::Dtype::I64 => {
                chunks.map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect()
            }
            safetensors::Dtype::I32 => {
                chunks.map(|b| i32::from_le_bytes(b.try_into().unwrap()) as f32).collect()
            }
            other => panic!("{name} is {other:?}"),
        })
    }
}

/// The largest difference as a part of the largest expected number.
pub fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(largest > 0.0);
    let differences = found.iter().zip(expected).map(|(f, e)| f64::from((f - e).abs()));
    differences.fold(0.0, |m: f64, d| if d.is_nan() { f64::INFINITY } else { m.max(d) })
        / f64::from(largest)
}
