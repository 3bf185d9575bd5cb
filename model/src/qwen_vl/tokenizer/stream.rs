//! Tokens to text, as they come.

use std::str;

/// Whether tokens of structure, such as `<|im_end|>`, are part of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpecialTokens {
    /// Leave them out.
    #[default]
    Skip,
    /// Spell them out.
    Keep,
}

/// Turns tokens into text one at a time. What it gives is the same, taken together, as if all
/// tokens had been decoded at once.
pub struct TextStream<'a> {
    tokenizer: &'a tokenizers::Tokenizer,
    special: SpecialTokens,
    /// The beginning of a character whose end has not come yet: at most three bytes.
    pending: Vec<u8>,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(tokenizer: &'a tokenizers::Tokenizer, special: SpecialTokens) -> Self {
        Self { tokenizer, special, pending: Vec::new() }
    }

    /// The text that a token completes; empty while a character is incomplete.
    pub fn push(&mut self, id: u32) -> String {
        let Some(token) = self.tokenizer.id_to_token(id) else { return String::new() };
        let added = self.tokenizer.get_added_vocabulary();
        if self.special == SpecialTokens::Skip && added.is_special_token(&token) {
            return String::new();
        }
        append_bytes(&token, &mut self.pending);
        self.take_complete()
    }

    /// What is left at the end: U+FFFD for a character that was never completed.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }

    /// Takes whole characters off the pending bytes. What cannot become one is U+FFFD.
    fn take_complete(&mut self) -> String {
        let incomplete = match self.pending.utf8_chunks().last() {
            Some(chunk) if is_beginning(chunk.invalid()) => chunk.invalid().len(),
            _ => 0,
        };
        let rest = self.pending.split_off(self.pending.len() - incomplete);
        let complete = std::mem::replace(&mut self.pending, rest);
        String::from_utf8_lossy(&complete).into_owned()
    }
}

/// Whether more bytes could turn these into a character.
fn is_beginning(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// The bytes that a token stands for. A token that is not spelt in the alphabet of bytes (an added
/// one may not be) stands for its own.
fn append_bytes(token: &str, out: &mut Vec<u8>) {
    let start = out.len();
    for letter in token.chars() {
        let Some(byte) = byte_of(letter) else {
            out.truncate(start);
            out.extend(token.as_bytes());
            return;
        };
        out.push(byte);
    }
}

/// The byte behind a letter of GPT-2's alphabet: the printable ones of Latin-1 are their own letters,
/// the other 68 have the letters from U+0100 on, in order.
fn byte_of(letter: char) -> Option<u8> {
    let code = u32::from(letter);
    let byte = match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => code,
        0x100..=0x120 => code - 0x100,        // 0x00 to 0x20
        0x121..=0x142 => code - 0x121 + 0x7f, // 0x7f to 0xa0
        0x143 => 0xad,
        _ => return None,
    };
    u8::try_from(byte).ok()
}
