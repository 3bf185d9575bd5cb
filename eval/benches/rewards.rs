//! Rewards: replies a second on one core. `peers/rewards.py` measures the Python statement of the rules
//! on the same replies.
#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros; a bench may panic

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use segzero_eval::reward::{Preset, Solution};
use segzero_test_support::fixture;

fn rewards(c: &mut Criterion) {
    let path = fixture(env!("CARGO_MANIFEST_DIR"), "rewards/rewards.json");
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut group = c.benchmark_group("rewards");
    for (preset, name) in
        [(Preset::SegZero, "seg_zero"), (Preset::VisionReasoner, "vision_reasoner")]
    {
        let cases = cases[name].as_array().unwrap().iter().map(|case| {
            let solution = Solution::parse(case[0].as_str().unwrap()).unwrap();
            (solution, case[1].as_str().unwrap())
        });
        let cases: Vec<_> = cases.collect();
        let recipe = preset.recipe();
        group.throughput(Throughput::Elements(cases.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                for (solution, reply) in &cases {
                    black_box(recipe.score(reply, solution));
                }
            });
        });
    }
    for count in [30, 120] {
        let object = |i: i32| {
            let (x, y) = (i * 7 % 600, i * 13 % 600);
            format!(r#"{{"bbox_2d": [{x}, {y}, {}, {}], "point_2d": [{x}, {y}]}}"#, x + 99, y + 99)
        };
        let list = |offset| (0..count).map(|i| object(i + offset)).collect::<Vec<_>>().join(", ");
        let solution = Solution::parse(&format!("[{}]", list(3))).unwrap();
        let reply = format!("<think>a</think><answer>[{}]</answer>", list(0));
        let recipe = Preset::VisionReasoner.recipe();
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{count} objects"), |b| {
            b.iter(|| black_box(recipe.score(&reply, &solution)));
        });
    }
    group.finish();
}

criterion_group!(benches, rewards);
criterion_main!(benches);
