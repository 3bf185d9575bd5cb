//! SAM 2's files: names of both layouts, configurations, and families told by their parameters.
#![allow(clippy::unwrap_used)] // clippy lets `#[test]` functions unwrap, but not their helpers

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::sam2::Fixture;
use segzero_model::checkpoint::random::{self, Form};
use segzero_model::checkpoint::{Checkpoint, Dtype, Layout, Values, canonical, verify};
use segzero_model::sam2::{Config, Family, parameters};
use serde_json::{Value, json};

/// Name and shape.
type Shapes = BTreeMap<String, Vec<usize>>;

const FILES: [(Family, &str, &str); 4] = [
    (Family::Tiny, "tiny", "t"),
    (Family::Small, "small", "s"),
    (Family::BasePlus, "base-plus", "b+"),
    (Family::Large, "large", "l"),
];
/// Rows of transformers' table of points, each a table of Meta's.
const POINTS: &str = "prompt_encoder.point_embed.weight";

fn fixture(name: &str) -> PathBuf {
    segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), &format!("sam2_names/{name}"))
}

/// Transformers' names: of the image predictor, and of what only video needs.
fn transformers(family: &str) -> [Shapes; 2] {
    let mut shapes = [Shapes::new(), Shapes::new()];
    for line in fs::read_to_string(fixture(&format!("{family}.txt"))).unwrap().lines() {
        let (name, rest) = line.split_once('\t').unwrap();
        let (shape, video) = rest.split_once('\t').unwrap_or((rest, ""));
        let shape: Vec<usize> = serde_json::from_str(shape).unwrap();
        let shapes = &mut shapes[usize::from(video == "video")];
        match name.split_once('{') {
            None => _ = shapes.insert(name.to_owned(), shape),
            Some((before, rest)) => {
                let (numbers, after) = rest.split_once('}').unwrap();
                let names = numbers.split(',').map(|number| format!("{before}{number}{after}"));
                shapes.extend(names.map(|name| (name, shape.clone())));
            }
        }
    }
    shapes
}

/// The same under Meta's names.
fn canonically(shapes: &Shapes) -> Shapes {
    let mut names = Shapes::new();
    for (name, shape) in shapes {
        if name == POINTS {
            let row =
                |i| (format!("sam_prompt_encoder.point_embeddings.{i}.weight"), vec![1, shape[1]]);
            names.extend((0..4).map(row));
        } else {
            // What transformers has twice is once here.
            names.insert(canonical(name).into_owned(), shape.clone());
        }
    }
    names
}

#[test]
fn names_of_transformers_are_those_of_the_network() {
    for (family, name, _) in FILES {
        let [image, video] = transformers(name);
        let expected: Shapes = parameters(&family.config()).into_iter().collect();
        assert_eq!(canonically(&image), expected, "{name}");
        for (name, shape) in image.iter().chain(&video) {
            let one = canonical(name);
            assert_eq!(canonical(&one), one, "a canonical name stays");
            let twice = name == "prompt_encoder.shared_embedding.positional_embedding";
            if name != POINTS && !twice {
                assert_eq!(Layout::Transformers.on_disk(&one), *name, "{shape:?}");
            }
        }
    }
}

#[test]
fn names_of_meta_are_those_of_transformers() {
    let Some(data) = segzero_test_support::shared_data() else { return };
    for (_, name, letter) in FILES {
        let list = |version: &str| -> Shapes {
            let file = format!("model-shapes/{version}_hiera_{letter}.param_shapes.tsv");
            let text = fs::read_to_string(data.join(file)).unwrap();
            let rows = text.lines().map(|line| line.split_once('\t').unwrap());
            rows.map(|(name, shape)| (name.to_owned(), serde_json::from_str(shape).unwrap()))
                .collect()
        };
        let [image, video] = transformers(name);
        let mut expected = canonically(&image);
        expected.extend(canonically(&video));
        assert_eq!(list("sam2.1"), expected, "{name}");
        let newer = ["no_obj_embed_spatial", "obj_ptr_tpos_proj.bias", "obj_ptr_tpos_proj.weight"];
        expected.retain(|name, _| !newer.contains(&name.as_str()));
        assert_eq!(list("sam2"), expected, "{name}");
    }
}

#[test]
fn configurations_of_transformers_are_the_families() {
    let folder = tempfile::tempdir().unwrap();
    for (family, name) in FILES
        .map(|(family, name, _)| (family, name))
        .into_iter()
        .chain([(Family::BasePlus, "least")])
    {
        fs::copy(fixture(&format!("{name}.json")), folder.path().join("config.json")).unwrap();
        let config = Config::open(folder.path()).unwrap();
        assert_eq!(config, family.config(), "{name}");
        assert_eq!(config.family(), Some(family));
    }
    fs::write(folder.path().join("config.json"), r#"{"model_type": "sam2"}"#).unwrap();
    assert_eq!(Config::open(folder.path()).unwrap(), Family::Tiny.config(), "the defaults");
    for name in ["tiny", "hiera_t", "hiera_l"] {
        let fixture = Fixture::of(name);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sam2").join(name);
        assert_eq!(Config::open(&folder).unwrap(), fixture.config, "{name}");
        assert_eq!(fixture.config.family(), None);
    }
}

#[test]
fn a_config_that_cannot_be_is_refused_by_field() {
    let text = fs::read(fixture("large.json")).unwrap();
    let good: Value = serde_json::from_slice(&text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (trunk, prompt) = ("vision_config/backbone_config", "prompt_encoder_config");
    let decoder = "mask_decoder_config";
    for (within, field, value, expected) in [
        ("", "model_type", json!("sam"), "expected sam2 or sam2_video, found sam"),
        (trunk, "hidden_size", json!(96), "expected 144, as beside it, found 96"),
        (trunk, "embed_dim_per_stage", json!([144, 288, 576]), "expected 4 numbers from 1"),
        (trunk, "embed_dim_per_stage", json!([144, 288, 576, 0]), "expected 4 numbers from 1"),
        (trunk, "num_attention_heads_per_stage", json!([2, 4, 8, 7]), "a divisor of 1152, found 7"),
        (
            trunk,
            "window_size_per_stage",
            json!([8, 4, 7, 8]),
            "expected even sides before the last",
        ),
        (trunk, "window_size_per_stage", json!([6, 4, 16, 8]), "a first window that divides 256"),
        (trunk, "global_attention_blocks", json!([48]), "expected numbers below 48, found 48"),
        (trunk, "num_query_pool_stages", json!(2), "expected 3, found 2"),
        (
            trunk,
            "query_stride",
            json!([1, 2]),
            "expected one number of up to 65536, or the same twice",
        ),
        (trunk, "query_stride", json!(4), "expected 2, found 4"),
        (trunk, "patch_stride", json!(0), "expected a divisor of an eighth of 1024"),
        (
            trunk,
            "patch_padding",
            json!([1, 1]),
            "expected padding with which there are 256 patches",
        ),
        (trunk, "image_size", json!([1024, 512]), "or the same twice"),
        (trunk, "image_size", json!(512), "expected 1024, found 512"),
        (trunk, "mlp_ratio", json!(1e9), "expected a ratio such as 4"),
        (trunk, "hidden_act", json!("relu"), "expected \"gelu\", found \"relu\""),
        ("vision_config", "backbone_channel_list", json!([1, 2, 3, 4]), "the trunk's widths [1152"),
        ("vision_config", "fpn_hidden_size", json!(60), "expected a multiple of 8"),
        ("vision_config", "fpn_kernel_size", json!(3), "expected 1, found 3"),
        (prompt, "hidden_size", json!(128), "expected 256, as beside it"),
        (prompt, "patch_size", json!(8), "expected 16, the third level's, found 8"),
        (prompt, "mask_input_channels", json!(6), "expected a multiple of 4"),
        (decoder, "iou_head_depth", json!(4), "expected 3, found 4"),
        (decoder, "num_attention_heads", json!(7), "expected heads that divide 256 / 2"),
        (decoder, "mlp_dim", json!(1_000_000), "expected a number from 1 to 65536"),
        (decoder, "mlp_dim", json!("wide"), "invalid type"),
    ] {
        let mut bad = good.clone();
        let dots = match within {
            "" => field.to_owned(),
            within => format!("{}.{field}", within.replace('/', ".")),
        };
        match within {
            "" => bad[field] = value,
            within => bad.pointer_mut(&format!("/{within}")).unwrap()[field] = value,
        }
        fs::write(folder.path().join("config.json"), bad.to_string()).unwrap();
        let error = Config::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("config.json`: field `{dots}`: ")), "{error}");
        assert!(error.contains(expected), "{dots}: {error}");
    }
}

/// A checkpoint with a family's parameters, every axis as it is but without values worth having.
fn written(list: &[(String, Vec<usize>)], layout: Layout) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let form = Form { dtype: Dtype::BF16, layout, ..Form::default() };
    random::write(folder.path(), list, &form, &[]).unwrap();
    folder
}

#[test]
fn families_are_told_by_their_parameters() {
    for family in [Family::Tiny, Family::Small] {
        let list = parameters(&family.config());
        let [metas, hf] = [Layout::Published, Layout::Transformers].map(|l| written(&list, l));
        let checkpoints = [&metas, &hf].map(|folder| Checkpoint::open(folder.path()).unwrap());
        let [metas, hf] = &checkpoints;
        assert!(hf.shards[0].tensors.contains_key(POINTS));
        assert!(metas.views().map(|v| v.name).eq(hf.views().map(|v| v.name)));
        for (one, other) in metas.views().zip(hf.views()) {
            assert_eq!(one.shape(), other.shape());
            assert!(one.bytes() == other.bytes(), "{}", one.name);
        }
        for checkpoint in &checkpoints {
            assert_eq!(Config::of(checkpoint).unwrap(), family.config());
            let verified = verify(&checkpoint.folder, Some(&list), Values::Unread).unwrap();
            assert!(verified.faults.is_empty(), "{:?}", verified.faults);
        }
    }
}

#[test]
fn what_is_no_family_says_how_it_differs() {
    let mut list = parameters(&Family::Tiny.config());
    list.retain(|(name, _)| name != "image_encoder.trunk.blocks.3.attn.qkv.bias");
    for (name, shape) in &mut list {
        if name.starts_with("sam_mask_decoder.iou_prediction_head.layers.2.") {
            shape[0] = 5;
        }
    }
    list.push(("memory_encoder.anything".to_owned(), vec![1]));
    list.push(("head.weight".to_owned(), vec![2, 2]));
    let folder = written(&list, Layout::Published);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let error = Config::of(&checkpoint).unwrap_err().to_string();
    let expected = "model.safetensors`: expected the parameters of a published SAM 2, found others, of \
        which Hiera-T is closest: `image_encoder.trunk.blocks.3.attn.qkv.bias` is missing; \
        `sam_mask_decoder.iou_prediction_head.layers.2.weight` has shape [5, 256], not [4, 256]; \
        `sam_mask_decoder.iou_prediction_head.layers.2.bias` has shape [5], not [4]; \
        `head.weight` is unknown";
    assert!(error.ends_with(expected), "{error}");
    // A configuration beside it says more; that of another model says nothing.
    fs::copy(fixture("tiny.json"), folder.path().join("config.json")).unwrap();
    assert_eq!(Config::of(&checkpoint).unwrap(), Family::Tiny.config());
    fs::write(folder.path().join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
    assert!(Config::of(&checkpoint).is_err());
    let error = Config::open(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("expected sam2 or sam2_video, found llama"), "{error}");
}

#[test]
fn what_transformers_keeps_twice_must_be_the_same() {
    let name = ["shared_image_embedding", "prompt_encoder.shared_embedding"];
    let name = name.map(|within| format!("{within}.positional_embedding"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let header = format!(
        r#"{{"{}":{{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}},
            "{}":{{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]}}}}"#,
        name[0], name[1]
    );
    let file = |last: u8| {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend([[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, last]].concat());
        fs::write(&path, file).unwrap();
        Checkpoint::open(&path)
    };
    assert_eq!(file(8).unwrap().entries().len(), 1);
    let error = file(9).unwrap_err().to_string();
    assert!(error.contains("is the same parameter as"), "{error}");
    assert!(error.ends_with(", with other values"), "{error}");
}
