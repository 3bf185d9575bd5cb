//! The files of a tokenizer, read strictly.

use crate::json::Fields;
use crate::qwen_vl::InputError;
use segzero_datasets::{Error, ErrorKind};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    SplitDelimiterBehavior, Tokenizer,
};

/// How Qwen2 splits a text into words: contractions; letters, with one sign before them; single
/// digits; signs; line breaks; blanks, of which the last belongs to the word that follows.
const WORDS: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const NOT_QWEN: &str = "Qwen's tokenizers are byte-level byte-pair encodings";

/// `tokenizer.json`. Truncation and padding are not read: transformers resets them too.
#[derive(Deserialize)]
struct Published {
    added_tokens: Vec<Added>,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    post_processor: Option<PostProcessorWrapper>,
    decoder: Option<DecoderWrapper>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Vocab,
    merges: Vec<Merge>,
    #[serde(default)]
    ignore_merges: bool,
}

/// A merge, as one string in older files and as two in newer ones.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

/// Reads `tokenizer.json`.
pub(super) fn read_whole(path: &Path) -> Result<Tokenizer, InputError> {
    let bytes = std::fs::read(path).map_err(|error| Error::new(path, error))?;
    let published: Published =
        serde_json::from_slice(&bytes).map_err(|error| Error::new(path, error))?;
    let model = published.model;
    if model.kind.as_deref().is_some_and(|kind| kind != "BPE") {
        return Err(of_another_kind(path, "model.type", "`BPE`", model.kind.unwrap_or_default()));
    }
    if !matches!(published.decoder, Some(DecoderWrapper::ByteLevel(_))) {
        return Err(of_another_kind(path, "decoder", "one of type `ByteLevel`", "another"));
    }
    let mut merges = Merges::with_capacity(model.merges.len());
    for (index, merge) in model.merges.into_iter().enumerate() {
        let record = || format!("merge {index} of `model.merges`");
        merges.push(match merge {
            Merge::Pair(left, right) => (left, right),
            Merge::Line(line) => {
                pair(&line).map_err(|kind| Error::new(path, kind).record(record()))?
            }
        });
        check_merge(&model.vocab, &merges[index])
            .map_err(|kind| Error::new(path, kind).record(record()))?;
    }
    let mut tokenizer = Tokenizer::new(bpe(path, model.vocab, merges, model.ignore_merges)?);
    tokenizer.with_normalizer(published.normalizer).map_err(|error| unusable(path, error))?;
    tokenizer.with_pre_tokenizer(published.pre_tokenizer);
    tokenizer.with_post_processor(published.post_processor);
    tokenizer.with_decoder(published.decoder);
    add(&mut tokenizer, published.added_tokens, path, "added_tokens")?;
    Ok(tokenizer)
}

/// Reads `vocab.json`, `merges.txt` and `tokenizer_config.json`.
pub(super) fn read_parts(folder: &Path) -> Result<Tokenizer, InputError> {
    let path = folder.join("vocab.json");
    let bytes = std::fs::read(&path).map_err(|error| Error::new(&path, error))?;
    let vocab: Vocab = serde_json::from_slice(&bytes).map_err(|error| Error::new(&path, error))?;
    let merges = read_merges(&folder.join("merges.txt"), &vocab)?;
    let mut tokenizer = Tokenizer::new(bpe(&path, vocab, merges, false)?);
    tokenizer.with_normalizer(Some(NFC)).map_err(|error| unusable(&path, error))?;
    let words =
        Split::new(SplitPattern::Regex(WORDS.to_owned()), SplitDelimiterBehavior::Isolated, false);
    let bytes = ByteLevel::new(false, true, false);
    let words = words.map_err(|error| unusable(&path, error))?;
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![words.into(), bytes.into()])));
    tokenizer.with_decoder(Some(bytes));
    let path = folder.join("tokenizer_config.json");
    let field = "added_tokens_decoder";
    let by_id: Option<BTreeMap<u32, AddedToken>> = Fields::read(&path)?.get(field)?;
    let added = by_id.unwrap_or_default().into_iter().map(|(id, token)| Added { id, token });
    add(&mut tokenizer, added.collect(), &path, field)?;
    Ok(tokenizer)
}

/// Two tokens a line, the most frequent pair first.
fn read_merges(path: &Path, vocab: &Vocab) -> Result<Merges, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::new(path, error))?;
    let mut merges = Merges::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("#version") || line.is_empty() {
            continue;
        }
        let merge = pair(line).and_then(|merge| check_merge(vocab, &merge).map(|()| merge));
        merges.push(
            merge.map_err(|kind| {
                Error::new(path, kind).record(format_args!("line {}", index + 1))
            })?,
        );
    }
    Ok(merges)
}

fn pair(line: &str) -> Result<(String, String), ErrorKind> {
    match line.split_once(' ') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => {
            Ok((left.to_owned(), right.to_owned()))
        }
        _ => Err(unexpected("two tokens with a space between them", format!("`{line}`"))),
    }
}

/// Both tokens and what they become must be in the vocabulary.
fn check_merge(vocab: &Vocab, (left, right): &(String, String)) -> Result<(), ErrorKind> {
    let merged = format!("{left}{right}");
    match [left, right, &merged].into_iter().find(|token| !vocab.contains_key(*token)) {
        None => Ok(()),
        Some(unknown) => {
            Err(unexpected("tokens of the vocabulary", format!("`{unknown}`, which is not in it")))
        }
    }
}

fn bpe(path: &Path, vocab: Vocab, merges: Merges, ignore: bool) -> Result<BPE, InputError> {
    let builder = BPE::builder().vocab_and_merges(vocab, merges).ignore_merges(ignore);
    builder.build().map_err(|error| unusable(path, error).into())
}

/// Adds tokens, which must get the ids that the file says they have.
fn add(
    tokenizer: &mut Tokenizer,
    mut added: Vec<Added>,
    path: &Path,
    field: &str,
) -> Result<(), Error> {
    added.sort_by_key(|added| added.id);
    let tokens: Vec<AddedToken> = added.iter().map(|added| added.token.clone()).collect();
    tokenizer.add_tokens(tokens).map_err(|error| unusable(path, error))?;
    for Added { id, token } in &added {
        let found = tokenizer.token_to_id(&token.content);
        if found != Some(*id) {
            let expected = format!("the id that follows the vocabulary, {}", found.unwrap_or(0));
            let error = Error::new(path, unexpected(&expected, id.to_string()));
            return Err(error.record(format_args!("token `{}`", token.content)).field(field));
        }
    }
    Ok(())
}

fn unexpected(expected: &str, found: String) -> ErrorKind {
    ErrorKind::Unexpected { expected: expected.to_owned(), found }
}

fn of_another_kind(path: &Path, field: &str, expected: &str, found: impl ToString) -> InputError {
    let error = Error::new(path, unexpected(expected, found.to_string())).field(field);
    InputError::folder(error, NOT_QWEN)
}

fn unusable(path: &Path, error: tokenizers::Error) -> Error {
    Error::new(path, unexpected("a tokenizer that can be built", error.to_string()))
}
