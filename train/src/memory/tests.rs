use std::path::Path;

use super::*;

#[test]
fn what_is_known_exactly_is_counted_exactly() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/pipeline/qwen");
    let config = Config::open(&folder).unwrap();
    let load = Load {
        counts: [100, 300],
        bytes: 2,
        set: 29_000_000,
        reference: Reference::Copy,
        prompt: 10,
        patches: 16,
        reply: 5,
        replies: 2,
        prompts: 4,
        prompts_at_once: 1,
        logits_chunk: 512,
        checkpointing: Checkpointing::Off,
    };
    let of = |load: &Load, name: &str| {
        estimate(&config, load).iter().find(|part| part.name == name).map_or(0, |part| part.bytes)
    };
    let exactly = [
        ("weights", 600),
        ("weights in f32", 400),
        ("gradients", 400),
        ("moments", 800),
        ("reference", 600),
        ("training set", 29_000_000),
    ];
    for (name, bytes) in exactly {
        assert_eq!(of(&load, name), bytes, "{name}");
    }
    assert_eq!(estimate(&config, &load)[0].name, "training set");
    let wide = Load { bytes: 4, reference: Reference::Free, ..load };
    assert_eq!([of(&wide, "weights"), of(&wide, "weights in f32")], [1200, 0]);
    assert_eq!(of(&wide, "reference"), 0);
    let less = Load { checkpointing: Checkpointing::Blocks, ..load };
    assert!(of(&less, "activations") < of(&load, "activations"));
}
