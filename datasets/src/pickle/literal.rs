//! Texts of the line-based protocol 0: `repr` of an 8-bit string, raw-unicode-escape of a unicode.

use std::borrow::Cow;

/// An 8-bit string as text: UTF-8 where it is valid, else Latin-1 byte by byte.
pub(super) fn text_of_bytes(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&b| char::from(b)).collect()),
    }
}

/// The text of a STRING operand: a Python string literal in quotes, without its newline. `None` if
/// the quotes do not match or an escape is malformed.
pub(super) fn string_literal(line: &[u8]) -> Option<Cow<'_, str>> {
    let line = line.trim_ascii();
    let [open, inner @ .., close] = line else { return None };
    if open != close || !matches!(open, b'\'' | b'"') {
        return None;
    }
    if !inner.contains(&b'\\') {
        return Some(text_of_bytes(inner));
    }
    let bytes = unescape(inner)?;
    Some(Cow::Owned(match text_of_bytes(&bytes) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }))
}

/// Python's escapes of 8-bit literals; an unknown one stands for itself, as in Python.
fn unescape(inner: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let [escape, tail @ ..] = rest else { return None };
        rest = tail;
        match escape {
            b'\n' => {}
            b'\\' | b'\'' | b'"' => out.push(*escape),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b't' => out.push(b'\t'),
            b'n' => out.push(b'\n'),
            b'v' => out.push(11),
            b'f' => out.push(12),
            b'r' => out.push(b'\r'),
            b'x' => {
                let [high, low, tail @ ..] = rest else { return None };
                out.push((hex(*high)? * 16 + hex(*low)?) as u8);
                rest = tail;
            }
            b'0'..=b'7' => {
                let mut value = u32::from(escape - b'0');
                for _ in 0..2 {
                    let [digit @ b'0'..=b'7', tail @ ..] = rest else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    rest = tail;
                }
                out.push(value as u8);
            }
            _ => out.extend([b'\\', *escape]),
        }
    }
    Some(out)
}

/// The text of a UNICODE operand: `\uXXXX` and `\UXXXXXXXX` are escapes, every other byte is the
/// character of that number. Surrogate pairs, which narrow builds of Python 2 wrote, are joined.
/// `None` if an escape is malformed.
pub(super) fn raw_unicode_escape(line: &[u8]) -> Option<Cow<'_, str>> {
    if line.is_ascii() && !line.contains(&b'\\') {
        return std::str::from_utf8(line).ok().map(Cow::Borrowed);
    }
    let mut out = String::with_capacity(line.len());
    let mut high_surrogate = None;
    let mut rest = line;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let code = match (first, rest) {
            (b'\\', [b'u', tail @ ..]) => {
                rest = tail.get(4..)?;
                number(&tail[..4])?
            }
            (b'\\', [b'U', tail @ ..]) => {
                rest = tail.get(8..)?;
                number(&tail[..8])?
            }
            // A backslash that starts no escape takes the next backslash with it.
            (b'\\', [b'\\', tail @ ..]) => {
                rest = tail;
                push_code(&mut out, &mut high_surrogate, u32::from(b'\\'));
                u32::from(b'\\')
            }
            _ => u32::from(*first),
        };
        if code > 0x10_FFFF {
            return None;
        }
        push_code(&mut out, &mut high_surrogate, code);
    }
    if high_surrogate.is_some() {
        out.push(char::REPLACEMENT_CHARACTER);
    }
    Some(Cow::Owned(out))
}

/// Appends one code unit or code point; `high` holds a high surrogate that waits for its partner.
fn push_code(out: &mut String, high: &mut Option<u32>, code: u32) {
    if let Some(first) = high.take() {
        if (0xDC00..0xE000).contains(&code) {
            let joined = 0x1_0000 + ((first - 0xD800) << 10) + (code - 0xDC00);
            out.push(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER));
            return;
        }
        out.push(char::REPLACEMENT_CHARACTER);
    }
    if (0xD800..0xDC00).contains(&code) {
        *high = Some(code);
    } else {
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
}

fn hex(digit: u8) -> Option<u32> {
    char::from(digit).to_digit(16)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |value, &d| Some((value << 4) | hex(d)?))
}
