//! Text to tokens and back: byte-pair encoding over bytes, as Qwen2's tokenizer in transformers.
//!
//! The encoding itself is the `tokenizers` crate, which transformers uses too. Reading the files is
//! ours, because that crate panics on some malformed ones and names no line on others; so is
//! decoding, because a token may end in the middle of a character.

mod files;
mod stream;

use super::InputError;
use segzero_datasets::{Error, ErrorKind};
use std::path::{Path, PathBuf};

pub use stream::{SpecialTokens, TextStream};

/// The token that the processor repeats once for each embedding of an image.
pub const IMAGE_PAD: &str = "<|image_pad|>";
/// The token of a video's embeddings.
pub const VIDEO_PAD: &str = "<|video_pad|>";
/// The token that ends a message, and so an answer.
pub const MESSAGE_END: &str = "<|im_end|>";

/// A tokenizer of the Qwen family.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The file that it was read from, for errors.
    path: PathBuf,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model folder, or else `vocab.json`, `merges.txt` and the
    /// `added_tokens_decoder` of `tokenizer_config.json`.
    ///
    /// # Errors
    /// When a file is absent, malformed (the line or token is named), or belongs to a tokenizer of
    /// another kind.
    pub fn load(folder: &Path) -> Result<Self, InputError> {
        let path = folder.join("tokenizer.json");
        if path.exists() {
            let inner = files::read_whole(&path)?;
            return Ok(Self { inner, path });
        }
        let path = folder.join("vocab.json");
        if !path.exists() {
            let what =
                "a tokenizer (`tokenizer.json`, or `vocab.json` and `merges.txt`)".to_owned();
            let error = Error::new(folder, ErrorKind::Missing { what });
            let hint = "download the whole model, not its weights alone";
            return Err(InputError::folder(error, hint));
        }
        Ok(Self { inner: files::read_parts(folder)?, path })
    }

    /// The tokens of a text. Special tokens that are spelt out in it become their ids, as in
    /// transformers.
    ///
    /// # Errors
    /// When the encoder fails; no text is known to make it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, InputError> {
        match self.inner.encode_fast(text, true) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(error) => Err(InputError::Encode(error.to_string())),
        }
    }

    /// The text of tokens. Bytes that are no UTF-8 become U+FFFD; ids without a token are nothing.
    pub fn decode(&self, ids: &[u32], special: SpecialTokens) -> String {
        let mut stream = self.stream(special);
        let mut text: String = ids.iter().map(|&id| stream.push(id)).collect();
        text.push_str(&stream.finish());
        text
    }

    /// A decoder for tokens that come one at a time.
    pub fn stream(&self, special: SpecialTokens) -> TextStream<'_> {
        TextStream::new(&self.inner, special)
    }

    /// The id of a token by its name.
    ///
    /// # Errors
    /// When there is no such token.
    pub fn id(&self, token: &str) -> Result<u32, InputError> {
        self.inner.token_to_id(token).ok_or_else(|| {
            let what = format!("token `{token}`");
            let error = Error::new(&self.path, ErrorKind::Missing { what });
            InputError::folder(error, "this is not the tokenizer of a Qwen-VL model")
        })
    }

    /// One more than the largest id.
    pub fn size(&self) -> usize {
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder().keys().max();
        self.inner.get_vocab_size(true).max(added.map_or(0, |&id| id as usize + 1))
    }

    /// Checks that the embeddings of a model have a row for each id. They may have more: Qwen pads
    /// their number.
    ///
    /// # Errors
    /// When `vocab_size`, of `config.json`, is too small.
    pub fn check_vocab_size(&self, vocab_size: usize) -> Result<(), InputError> {
        if self.size() <= vocab_size {
            return Ok(());
        }
        let expected = format!("at most {vocab_size} tokens (`vocab_size` of `config.json`)");
        self.disagree(expected, self.size())
    }

    /// Checks that a token has the id that `config.json` gives it in `field`.
    ///
    /// # Errors
    /// When it has another, or there is no such token.
    pub fn check_id(&self, token: &str, field: &str, id: u32) -> Result<(), InputError> {
        let found = self.id(token)?;
        if found == id {
            return Ok(());
        }
        self.disagree(format!("id {id} for `{token}` (`{field}` of `config.json`)"), found)
    }

    fn disagree(&self, expected: String, found: impl ToString) -> Result<(), InputError> {
        let kind = ErrorKind::Unexpected { expected, found: found.to_string() };
        let error = Error::new(&self.path, kind);
        Err(InputError::folder(error, "tokenizer and weights are of different models"))
    }
}
