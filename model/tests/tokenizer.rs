//! Text to tokens and back, against the tokenizers of transformers 4 and 5. All comparisons are
//! exact. The real vocabulary is not ours to commit; a small one of the same kind is in
//! `fixtures/tiny_tokenizer`.
#![allow(clippy::unwrap_used)] // a broken fixture should fail the test

use segzero_model::qwen_vl::{
    IMAGE_PAD, InputError, MESSAGE_END, SpecialTokens, Tokenizer, prompt_ids,
};
use segzero_test_support::{fixture, shared_data};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

const TINY: [&str; 3] = ["vocab.json", "merges.txt", "tokenizer_config.json"];

#[derive(Deserialize)]
struct Expected {
    texts: Vec<TextCase>,
    streamed: Vec<StreamCase>,
    chats: Vec<RenderedCase>,
    prompts: Vec<PromptCase>,
    hashed: std::collections::BTreeMap<String, HashCase>,
}

#[derive(Deserialize)]
struct TextCase {
    text: String,
    ids: Vec<u32>,
    decoded: Option<String>,
    skipped: Option<String>,
}

#[derive(Deserialize)]
struct StreamCase {
    ids: Vec<u32>,
    decoded: Vec<String>,
}

#[derive(Deserialize)]
struct RenderedCase {
    rendered: String,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct PromptCase {
    rendered: String,
    image_grid_thw: Vec<[usize; 3]>,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct HashCase {
    count: usize,
    sha256: String,
}

fn fixtures(path: &str) -> PathBuf {
    fixture(env!("CARGO_MANIFEST_DIR"), path)
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> T {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A folder with the three older files of the small tokenizer, changed by `edit`.
fn parts(edit: impl Fn(&str, String) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in TINY {
        let text = std::fs::read_to_string(fixtures("tiny_tokenizer").join(name)).unwrap();
        std::fs::write(folder.path().join(name), edit(name, text)).unwrap();
    }
    folder
}

/// A folder with `tokenizer.json` alone, changed by `edit`.
fn whole(edit: impl Fn(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut value: Value = read(&fixtures("tiny_tokenizer/tokenizer.json"));
    edit(&mut value);
    std::fs::write(folder.path().join("tokenizer.json"), value.to_string()).unwrap();
    folder
}

fn refused(folder: &tempfile::TempDir) -> String {
    match Tokenizer::load(folder.path()) {
        Ok(_) => panic!("it was read"),
        Err(error) => error.to_string(),
    }
}

/// All of a stream's pieces, and what it holds at the end of each.
fn streamed(tokenizer: &Tokenizer, ids: &[u32], special: SpecialTokens) -> (Vec<String>, String) {
    let mut stream = tokenizer.stream(special);
    let mut text = String::new();
    let mut states = Vec::new();
    for &id in ids {
        text.push_str(&stream.push(id));
        states.push(text.clone());
    }
    text.push_str(&stream.finish());
    (states, text)
}

#[test]
fn a_small_tokenizer_from_either_kind_of_files() {
    #[derive(Deserialize)]
    struct Small {
        texts: Vec<TextCase>,
        ids: Vec<IdsCase>,
    }
    #[derive(Deserialize)]
    struct IdsCase {
        ids: Vec<u32>,
        text: String,
        skipped: String,
    }
    let small: Small = read(&fixtures("tiny_tokenizer/expected.json"));
    let old = whole(|value| {
        for merge in value["model"]["merges"].as_array_mut().unwrap() {
            *merge =
                json!(format!("{} {}", merge[0].as_str().unwrap(), merge[1].as_str().unwrap()));
        }
    });
    for folder in [whole(|_| ()), old, parts(|_, text| text)] {
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        assert_eq!(tokenizer.size(), 320);
        for case in &small.texts {
            assert_eq!(tokenizer.encode(&case.text).unwrap(), case.ids, "{:?}", case.text);
        }
        for case in &small.ids {
            let keep = tokenizer.decode(&case.ids, SpecialTokens::Keep);
            assert_eq!(keep, case.text, "{:?}", case.ids);
            let skip = tokenizer.decode(&case.ids, SpecialTokens::Skip);
            assert_eq!(skip, case.skipped, "{:?}", case.ids);
            for (text, special) in [(keep, SpecialTokens::Keep), (skip, SpecialTokens::Skip)] {
                assert_eq!(streamed(&tokenizer, &case.ids, special).1, text);
            }
        }
    }
}

#[test]
fn a_stream_holds_back_the_beginning_of_a_character() {
    let folder = parts(|_, text| text);
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let ids = tokenizer.encode("a猫é").unwrap();
    let (states, text) = streamed(&tokenizer, &ids, SpecialTokens::Keep);
    assert_eq!(states, ["a", "a", "a", "a猫", "a猫", "a猫é"]);
    assert_eq!(text, "a猫é");
    let (states, text) = streamed(&tokenizer, &ids[..3], SpecialTokens::Keep);
    assert_eq!(states.last().unwrap(), "a");
    assert_eq!(text, "a\u{fffd}", "an unfinished character shows at the end");
    let broken = [ids[1], ids[1], ids[0]];
    let (states, _) = streamed(&tokenizer, &broken, SpecialTokens::Keep);
    assert_eq!(states, ["", "\u{fffd}", "\u{fffd}\u{fffd}a"]);
}

#[test]
fn special_tokens_by_name() {
    let folder = parts(|_, text| text);
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(tokenizer.id(IMAGE_PAD).unwrap(), 316);
    assert_eq!(tokenizer.id(MESSAGE_END).unwrap(), 312);
    tokenizer.check_id(IMAGE_PAD, "image_token_id", 316).unwrap();
    let error = tokenizer.check_id(IMAGE_PAD, "image_token_id", 7).unwrap_err();
    assert!(error.to_string().contains("vocab.json"), "{error}");
    assert!(error.to_string().contains("`image_token_id` of `config.json`"), "{error}");
    tokenizer.check_vocab_size(320).unwrap();
    let error = tokenizer.check_vocab_size(319).unwrap_err();
    assert!(error.to_string().contains("at most 319 tokens"), "{error}");
    assert!(error.hint().unwrap().contains("different models"));

    let other = whole(|value| value["added_tokens"] = json!([]));
    let error = Tokenizer::load(other.path()).unwrap().id(IMAGE_PAD).unwrap_err();
    assert!(error.to_string().contains("token `<|image_pad|>` is missing"), "{error}");
    assert!(error.hint().unwrap().contains("not the tokenizer of a Qwen-VL model"));
}

#[test]
fn malformed_files_are_named_with_the_place() {
    let of = |name: &'static str, find: &'static str, put: &'static str| {
        let error = refused(&parts(|file, text| match file == name {
            true => text.replacen(find, put, 1),
            false => text,
        }));
        assert!(error.contains(name), "{error}");
        error
    };
    let error = of("merges.txt", "\nĠ t\n", "\nth\n");
    assert!(error.contains(": line ") && error.contains("found `th`"), "{error}");
    let error = of("merges.txt", "\nĠ t\n", "\nt h e\n");
    assert!(error.contains("found `t h e`"), "{error}");
    let error = of("merges.txt", "\nĠ t\n", "\nzq h\n");
    assert!(error.contains("`zq`, which is not in it"), "{error}");
    let error = of("merges.txt", "\nĠ t\n", "\nĠthe Ġtable\n");
    assert!(error.contains("which is not in it"), "{error}");
    of("vocab.json", "{", "[");
    of("vocab.json", ":0,", ":\"zero\",");
    of("vocab.json", ":0,", ":-1,");
    let error = of("tokenizer_config.json", "\"319\"", "\"999\"");
    assert!(error.contains("token `</tool_call>`: field `added_tokens_decoder`"), "{error}");
    of("tokenizer_config.json", "\"312\"", "\"three\"");
    of("tokenizer_config.json", "\"content\"", "\"contents\"");
}

#[test]
fn absent_files_are_named() {
    for name in TINY.iter().skip(1) {
        let folder = parts(|_, text| text);
        std::fs::remove_file(folder.path().join(name)).unwrap();
        assert!(refused(&folder).contains(name));
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(refused(&empty).contains("a tokenizer (`tokenizer.json`, or"));
}

#[test]
fn a_tokenizer_of_another_kind_is_refused() {
    type Edit = fn(&mut Value);
    let cases: [(Edit, &str); 5] = [
        (|value| value["model"]["type"] = json!("Unigram"), "field `model.type`"),
        (|value| value["decoder"] = json!({"type": "Fuse"}), "field `decoder`"),
        (|value| value["decoder"] = json!(null), "field `decoder`"),
        (|value| value["model"]["merges"][3] = json!(["a", "qqq"]), "merge 3 of `model.merges`"),
        (|value| value["model"]["vocab"] = json!({"a": 0, "b": 1}), "merge 0 of `model.merges`"),
    ];
    for (edit, named) in cases {
        let error = refused(&whole(edit));
        assert!(error.contains("tokenizer.json") && error.contains(named), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let bytes = std::fs::read(fixtures("tiny_tokenizer/tokenizer.json")).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(refused(&folder).contains("tokenizer.json"));
}

#[test]
fn image_places_are_widened_to_their_embeddings() {
    let folder = parts(|_, text| text);
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let text = "a<|image_pad|>b<|image_pad|>";
    let pad = tokenizer.id(IMAGE_PAD).unwrap();
    let (a, b) = (tokenizer.id("a").unwrap(), tokenizer.id("b").unwrap());
    assert_eq!(prompt_ids(&tokenizer, text, &[3, 1]).unwrap(), [a, pad, pad, pad, b, pad]);
    let error = prompt_ids(&tokenizer, text, &[3]).unwrap_err();
    assert_eq!(error.to_string(), "the chat has places for 2 images, and 1 were given");
    assert!(error.hint().is_some());
    assert!(prompt_ids(&tokenizer, "a", &[1]).is_err());
    let video = prompt_ids(&tokenizer, "<|video_pad|>", &[]).unwrap_err();
    assert!(matches!(video, InputError::Video));
}

fn real() -> Option<(Tokenizer, Expected, PathBuf)> {
    let data = shared_data()?;
    let tokenizer = Tokenizer::load(&data.join("tokenizer-qwen2.5-vl")).unwrap();
    Some((tokenizer, read(&fixtures("qwen_vl/tokenizer/expected.json")), data))
}

#[test]
fn texts_become_the_ids_of_transformers() {
    let Some((tokenizer, expected, data)) = real() else { return };
    assert!(expected.texts.len() > 150);
    for TextCase { text, ids, decoded, skipped } in expected.texts {
        assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{text:?}");
        let decoded = decoded.unwrap_or(text);
        assert_eq!(tokenizer.decode(&ids, SpecialTokens::Keep), decoded);
        let skipped = skipped.unwrap_or(decoded);
        assert_eq!(tokenizer.decode(&ids, SpecialTokens::Skip), skipped);
    }
    for RenderedCase { rendered, ids } in expected.chats {
        assert_eq!(tokenizer.encode(&rendered).unwrap(), ids, "{rendered:?}");
    }
    for (name, case) in expected.hashed {
        let text = std::fs::read_to_string(data.join("texts").join(&name)).unwrap();
        let ids = tokenizer.encode(&text).unwrap();
        assert_eq!(ids.len(), case.count, "{name}");
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let digest: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digest, case.sha256, "{name}");
    }
}

#[test]
fn streams_agree_with_decoding_what_has_come() {
    let Some((tokenizer, expected, _)) = real() else { return };
    for StreamCase { ids, decoded } in expected.streamed {
        let (states, whole) = streamed(&tokenizer, &ids, SpecialTokens::Keep);
        assert_eq!(&whole, decoded.last().unwrap());
        for (state, decoded) in states.iter().zip(&decoded) {
            // The reference shows the beginning of a character as U+FFFD; a stream waits for it.
            assert_eq!(state, decoded.trim_end_matches('\u{fffd}'));
        }
    }
}

#[test]
fn prompts_equal_the_processor_of_transformers() {
    let Some((tokenizer, expected, _)) = real() else { return };
    for PromptCase { rendered, image_grid_thw, ids } in expected.prompts {
        let tokens: Vec<usize> =
            image_grid_thw.iter().map(|grid| grid.iter().product::<usize>() / 4).collect();
        assert_eq!(prompt_ids(&tokenizer, &rendered, &tokens).unwrap(), ids);
    }
}

#[test]
fn the_published_tokenizer_fits_its_config() {
    let Some((tokenizer, _, data)) = real() else { return };
    let config: Value = read(&data.join("tokenizer-qwen2.5-vl/config.json"));
    let size = config["vocab_size"].as_u64().unwrap() as usize;
    assert_eq!(tokenizer.size(), 151_665);
    tokenizer.check_vocab_size(size).unwrap();
    assert!(tokenizer.check_vocab_size(151_664).is_err());
    for (token, field) in [
        ("<|endoftext|>", "bos_token_id"),
        (MESSAGE_END, "eos_token_id"),
        ("<|vision_start|>", "vision_start_token_id"),
        ("<|vision_end|>", "vision_end_token_id"),
        (IMAGE_PAD, "image_token_id"),
        ("<|video_pad|>", "video_token_id"),
    ] {
        let id = config[field].as_u64().unwrap() as u32;
        tokenizer.check_id(token, field, id).unwrap();
    }
}
