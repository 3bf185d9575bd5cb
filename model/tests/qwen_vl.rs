//! The networks against transformers, on tiny architectures that keep every mechanism.
//!
//! Expected numbers were computed in 64 bits. transformers' own 32-bit results differ from them by up
//! to 1e-5 of the largest number, as do ours; `TOLERANCE` is ten times that, and a mechanism left out
//! costs more than 0.1.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests; errors are worth seeing

mod common;

use std::ops::ControlFlow;

use burn::tensor::{Tensor, TensorData};
use common::{Expected, cases, cpu, error, network};
use segzero_model::load::Placement;
use segzero_model::packed::Format;
use segzero_model::qwen_vl::decoder::Cache;
use segzero_model::qwen_vl::{Options, Prompt, QwenVl, Sampling};

const NETWORKS: [&str; 2] = ["qwen2_5_vl_tiny", "qwen2_vl_tiny"];
const TOLERANCE: f64 = 1e-4;

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn check(what: &str, found: &[f32], expected: &[f32]) {
    let error = error(found, expected);
    println!("{what}: {error:.1e}");
    assert!(error <= TOLERANCE, "{what}: {error:.1e}");
}

#[test]
fn each_block_of_the_vision_tower_agrees() {
    for name in NETWORKS {
        let model = network(name, cpu(Format::F32));
        let expected = Expected::of(name);
        for (case, inputs) in cases(name) {
            let mut blocks = vec![Vec::new(); model.config().vision.depth];
            let mut tokens = Vec::new();
            for image in inputs.prompts(&case, model.config()).iter().flat_map(|p| &p.images) {
                let width = model.config().vision.patch_len();
                let [_, height, columns] = image.grid;
                let data = TensorData::new(image.values.clone(), [height * columns, width]);
                let patches = Tensor::from_data(data, &model.placement().device);
                let seen = model.vision.frame(patches, [height, columns], |block, output| {
                    blocks[block].extend(numbers(output()));
                });
                tokens.extend(numbers(seen));
            }
            for (block, found) in blocks.iter().enumerate() {
                if let Some(expected) = expected.get(&format!("{case}/vision_block_{block}")) {
                    check(&format!("{name} {case} block {block}"), found, &expected);
                }
            }
            if let Some(expected) = expected.get(&format!("{case}/image_embeds")) {
                check(&format!("{name} {case} tokens of images"), &tokens, &expected);
            }
        }
    }
}

#[test]
fn positions_layers_and_logits_agree() {
    for name in NETWORKS {
        let model = network(name, cpu(Format::F32));
        let expected = Expected::of(name);
        for (case, inputs) in cases(name) {
            let prompts = inputs.prompts(&case, model.config());
            let [prompt] = &prompts[..] else { continue };
            let embedded = model.embed(prompt).unwrap();
            let tokens = embedded.positions.tokens.len();
            let axes: Vec<f32> = (0..3)
                .flat_map(|axis| embedded.positions.tokens.iter().map(move |p| p[axis] as f32))
                .collect();
            assert_eq!(Some(axes), expected.get(&format!("{case}/position_ids")), "{name} {case}");
            let delta = embedded.positions.next - tokens as i64;
            let deltas = expected.get(&format!("{case}/rope_deltas")).unwrap();
            assert_eq!(deltas, [delta as f32]);
            let compare = |layer: usize, output: &Tensor<3>| {
                if let Some(expected) = expected.get(&format!("{case}/hidden_{layer}")) {
                    check(
                        &format!("{name} {case} layer {layer}"),
                        &numbers(output.clone()),
                        &expected,
                    );
                }
            };
            compare(0, &embedded.embeddings);
            let rotation = model.rotation(&[embedded.positions.tokens]);
            let mut cache = model.cache(1, tokens);
            let hidden = model.decoder.forward_with(
                embedded.embeddings,
                &rotation,
                &mut cache,
                |layer, output| compare(layer + 1, output),
            );
            let logits = numbers(model.decoder.logits(hidden));
            if let Some(expected) = expected.get(&format!("{case}/logits")) {
                check(&format!("{name} {case} logits"), &logits, &expected);
            }
            let last = expected.get(&format!("{case}/last_logits")).unwrap();
            check(&format!("{name} {case} last"), &logits[logits.len() - last.len()..], &last);
        }
    }
}

/// What training computes with: matrices that Burn sees.
#[test]
fn matrices_of_burn_give_the_same_logits() {
    for name in NETWORKS {
        let unpacked = Placement { packs: false, ..cpu(Format::F32) };
        let model = network(name, unpacked);
        let expected = Expected::of(name);
        for (case, inputs) in cases(name) {
            let prompts = inputs.prompts(&case, model.config());
            let last: Vec<f32> =
                prompts.iter().flat_map(|p| model.prefill(p, 0).unwrap().logits).collect();
            let expected = expected.get(&format!("{case}/last_logits")).unwrap();
            check(&format!("{name} {case} unpacked"), &last, &expected);
        }
    }
}

/// Rounding the weights moves the logits: by how much is stated in docs/models.md. These bounds are
/// twice what was measured.
#[test]
fn fewer_bits_cost_what_they_cost() {
    for name in NETWORKS {
        let expected = Expected::of(name);
        for (format, bound) in
            [(Format::Bf16, 0.1), (Format::F16, 0.01), (Format::Int8, 0.2), (Format::Int4, 1.0)]
        {
            let model = network(name, cpu(format));
            let mut worst = 0.0f64;
            for (case, inputs) in cases(name) {
                let prompts = inputs.prompts(&case, model.config());
                let last: Vec<f32> =
                    prompts.iter().flat_map(|p| model.prefill(p, 0).unwrap().logits).collect();
                worst =
                    worst.max(error(&last, &expected.get(&format!("{case}/last_logits")).unwrap()));
            }
            println!("{name} {format}: {worst:.1e}");
            assert!(worst <= bound, "{name} {format}: {worst}");
            assert!(worst > 1e-5, "{name} {format}: {worst} is too exact to be rounded");
        }
    }
}

/// Tokens that no model chose, after which every logit must agree: positions and cache of a batch.
#[test]
fn steps_after_given_tokens_agree() {
    for name in NETWORKS {
        let model = network(name, cpu(Format::F32));
        let vocabulary = model.config().text.vocab_size;
        for (case, inputs) in cases(name) {
            let prompts = inputs.prompts(&case, model.config());
            let read: Vec<_> = prompts.iter().map(|p| model.prefill(p, 0).unwrap()).collect();
            let steps = inputs.forced_ids[0].len();
            let caches: Vec<_> = read.iter().map(|prefilled| prefilled.cache.clone()).collect();
            let longest = caches.iter().map(Cache::len).max().unwrap();
            let rows: Vec<usize> = (0..caches.len()).collect();
            let mut cache = Cache::join(&caches, &rows, longest + steps);
            let expected = Expected::of(name).get(&format!("{case}/forced_logits")).unwrap();
            for step in 0..steps {
                let tokens: Vec<u32> = inputs.forced_ids.iter().map(|ids| ids[step]).collect();
                let at: Vec<i64> = read.iter().map(|read| read.next + step as i64).collect();
                let logits = model.step(&tokens, &at, &mut cache);
                for (row, found) in logits.chunks_exact(vocabulary).enumerate() {
                    let start = (row * steps + step) * vocabulary;
                    let expected = &expected[start..start + vocabulary];
                    check(&format!("{name} {case} row {row} step {step}"), found, expected);
                }
            }
        }
    }
}

fn greedy(max_new_tokens: usize) -> Options {
    Options { max_new_tokens, sampling: Sampling::default(), stop: vec![], samples: 1 }
}

fn reply(model: &QwenVl, prompts: &[Prompt], options: &Options) -> Vec<(Vec<u32>, Vec<f32>)> {
    let replies = model.generate(prompts, options, |_| ControlFlow::Continue(())).unwrap();
    replies.into_iter().flatten().map(|reply| (reply.tokens, reply.log_probs)).collect()
}

#[test]
fn greedy_replies_agree_alone_and_in_a_batch() {
    for name in NETWORKS {
        let model = network(name, cpu(Format::F32));
        let expected = Expected::of(name);
        for (case, inputs) in cases(name) {
            let prompts = inputs.prompts(&case, model.config());
            let steps = inputs.greedy_ids[0].len();
            let replies = reply(&model, &prompts, &greedy(steps));
            let (tokens, log_probs): (Vec<_>, Vec<_>) = replies.into_iter().unzip();
            assert_eq!(tokens, inputs.greedy_ids, "{name} {case}");
            let expected = expected.get(&format!("{case}/greedy_log_probs")).unwrap();
            check(&format!("{name} {case} log-probabilities"), &log_probs.concat(), &expected);
            for (prompt, ids) in prompts.into_iter().zip(&inputs.greedy_ids) {
                assert_eq!(&reply(&model, &[prompt], &greedy(steps))[0].0, ids, "{name} {case}");
            }
        }
    }
}
