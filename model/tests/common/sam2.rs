//! SAM 2 networks whose weights follow from their names, and what transformers computes on them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use segzero_model::checkpoint::random::{Form, Formula};
use segzero_model::checkpoint::{Checkpoint, random};
use segzero_model::load::Placement;
use segzero_model::sam2::config::{
    Config, Family, Hiera, MaskDecoder, Neck, PromptEncoder, Stability, Stage,
};
use segzero_model::sam2::{PointLabel, Prompt, Sam2, parameters};
use serde::Deserialize;
use serde_json::Value;

/// A folder of `fixtures/sam2`.
pub struct Fixture {
    /// Its name.
    pub name: &'static str,
    pub config: Config,
    pub facts: Facts,
    expected: Vec<u8>,
}

/// `facts.json`.
#[derive(Debug, Deserialize)]
pub struct Facts {
    pub cases: BTreeMap<String, Case>,
    arrays: BTreeMap<String, Array>,
}

/// What is asked, and what the single mask is.
#[derive(Debug, Deserialize)]
pub struct Case {
    pub image: usize,
    objects: Vec<Object>,
    pub single: Vec<Single>,
    /// Logits within 1e-4 of 0, as a part of the largest.
    pub near: usize,
}

#[derive(Debug, Deserialize)]
struct Object {
    points: Vec<[f32; 3]>,
    r#box: Option<[f32; 4]>,
    mask: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Single {
    /// Which of the four masks it is.
    pub mask: usize,
}

#[derive(Debug, Deserialize)]
struct Array {
    shape: Vec<usize>,
    step: usize,
    sum: f64,
    sum_of_squares: f64,
    largest: f64,
}

impl Fixture {
    pub fn of(name: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sam2").join(name);
        let read = |file: &str| fs::read(folder.join(file)).unwrap();
        let config = match name {
            "large" => Family::Large.config(),
            _ => config(&serde_json::from_slice(&read("config.json")).unwrap()),
        };
        let facts = serde_json::from_slice(&read("facts.json")).unwrap();
        Self { name, config, facts, expected: read("expected.safetensors") }
    }

    /// The network, from a checkpoint on disk that is gone when it is loaded.
    pub fn network(&self, placement: Placement) -> Sam2 {
        let folder = tempfile::tempdir().unwrap();
        let form = Form { dtype: Dtype::F32, ..Form::default() };
        random::write(folder.path(), &parameters(&self.config), &form, &[]).unwrap();
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        Sam2::load(&checkpoint, self.config.clone(), placement).unwrap()
    }

    /// Its images, channels last.
    pub fn pixels(&self, model: &Sam2) -> Tensor<4> {
        let (images, side) = (self.shape("embedded")[0], self.config.image_size);
        let name = format!("pixel_values/{}", self.name);
        let values = Formula::scaled(&name, 2.0).values(images * 3 * side * side);
        let data = TensorData::new(values, [images, 3, side, side]);
        Tensor::from_data(data, (model.device(), model.dtype())).permute([0, 2, 3, 1])
    }

    /// The prompts of a case.
    pub fn prompts(&self, case: &str) -> Vec<Prompt> {
        let prompt = |object: &Object| {
            let label =
                |label| if label == 1.0 { PointLabel::Foreground } else { PointLabel::Background };
            let side = self.config.mask_side();
            let mask = |name: &String| Formula::scaled(name, 8.0).values(side * side);
            Prompt {
                points: object.points.iter().map(|&[x, y, l]| ([x, y], label(l))).collect(),
                bbox: object.r#box,
                mask: object.mask.as_ref().map(mask),
            }
        };
        self.facts.cases[case].objects.iter().map(prompt).collect()
    }

    pub fn shape(&self, array: &str) -> &[usize] {
        &self.facts.arrays[array].shape
    }

    /// Bits of `CASE/positive`.
    pub fn positive(&self, case: &str) -> Vec<bool> {
        let file = SafeTensors::deserialize(&self.expected).unwrap();
        let bytes = file.tensor(&format!("{case}/positive")).unwrap().data();
        bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1 == 1)).collect()
    }

    /// The largest difference of all numbers that are kept, and of mean and root mean square, as
    /// parts of the largest number.
    pub fn error(&self, array: &str, found: &[f32]) -> f64 {
        let fact = &self.facts.arrays[array];
        assert_eq!(found.len(), fact.shape.iter().product::<usize>(), "{array}");
        let count = found.len() as f64;
        let sum: f64 = found.iter().map(|&v| f64::from(v)).sum();
        let squares: f64 = found.iter().map(|&v| f64::from(v).powi(2)).sum();
        let mean = (sum - fact.sum).abs() / count / fact.largest;
        let rms = |squares: f64| (squares / count).sqrt() / fact.largest;
        let rms = (rms(squares) - rms(fact.sum_of_squares)).abs();
        self.error_where(array, |i| Some(found[i])).max(mean).max(rms)
    }

    /// The same of the numbers that `found` has, by their flat places, without mean and square.
    pub fn error_where(&self, array: &str, found: impl Fn(usize) -> Option<f32>) -> f64 {
        let fact = &self.facts.arrays[array];
        let file = SafeTensors::deserialize(&self.expected).unwrap();
        let kept = file.tensor(array).unwrap().data();
        let mut worst = 0.0;
        for (i, bytes) in kept.as_chunks::<4>().0.iter().enumerate() {
            if let Some(found) = found(i * fact.step) {
                let error = f64::from((found - f32::from_le_bytes(*bytes)).abs()) / fact.largest;
                worst = if error.is_nan() { f64::INFINITY } else { error.max(worst) };
            }
        }
        worst
    }

    /// The largest magnitude of an array.
    pub fn largest(&self, array: &str) -> f32 {
        self.facts.arrays[array].largest as f32
    }
}

/// A configuration in the spelling of transformers.
fn config(value: &Value) -> Config {
    let number = |path: &str| value.pointer(path).unwrap().as_u64().unwrap() as usize;
    let float = |path: &str| value.pointer(path).unwrap().as_f64().unwrap();
    let list = |path: &str| -> Vec<usize> {
        serde_json::from_value(value.pointer(path).unwrap().clone()).unwrap()
    };
    let of_trunk = |field: &str| list(&format!("/vision_config/backbone_config/{field}"));
    let (widths, heads) =
        (of_trunk("embed_dim_per_stage"), of_trunk("num_attention_heads_per_stage"));
    let (blocks, windows) = (of_trunk("blocks_per_stage"), of_trunk("window_size_per_stage"));
    let stage = |i: usize| Stage {
        width: widths[i],
        heads: heads[i],
        blocks: blocks[i],
        window: windows[i],
    };
    let background = of_trunk("window_positional_embedding_background_size");
    let large = Family::Large.config();
    Config {
        image_size: number("/prompt_encoder_config/image_size"),
        trunk: Hiera {
            stages: [0, 1, 2, 3].map(stage),
            global_blocks: of_trunk("global_attention_blocks"),
            background: [background[0], background[1]],
            ..large.trunk
        },
        neck: Neck { width: number("/vision_config/fpn_hidden_size"), ..large.neck },
        prompt: PromptEncoder { ..large.prompt },
        decoder: MaskDecoder {
            heads: number("/mask_decoder_config/num_attention_heads"),
            mlp_width: number("/mask_decoder_config/mlp_dim"),
            iou_width: number("/mask_decoder_config/iou_head_hidden_dim"),
            stability: Some(Stability {
                delta: float("/mask_decoder_config/dynamic_multimask_stability_delta") as f32,
                threshold: float("/mask_decoder_config/dynamic_multimask_stability_thresh") as f32,
            }),
            ..large.decoder
        },
    }
}

/// The published lists of parameters: name of the file and family.
pub fn published(data: &Path) -> Vec<(PathBuf, Family)> {
    let families =
        [("t", Family::Tiny), ("s", Family::Small), ("b+", Family::BasePlus), ("l", Family::Large)];
    let path = |version: &str, family: &str| {
        data.join(format!("model-shapes/{version}_hiera_{family}.param_shapes.tsv"))
    };
    let of_version = |version| families.map(|(letter, family)| (path(version, letter), family));
    ["sam2", "sam2.1"].into_iter().flat_map(of_version).collect()
}
