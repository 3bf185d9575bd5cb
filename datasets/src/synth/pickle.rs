//! A tiny pickle writer: what Python 2 writes for lists and dicts of integers and text. 8-bit
//! strings for ASCII, unicode objects for the rest; dictionary keys are memoised, as Python's are.

use std::collections::BTreeMap;

/// Protocol of the pickle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PickleProtocol {
    /// Python 2's default: readable ASCII.
    #[default]
    Zero,
    /// Binary.
    Two,
}

/// A value to pickle.
pub(super) enum Value {
    Int(i64),
    Text(String),
    List(Vec<Value>),
    Dict(Vec<(&'static str, Value)>),
}

/// The bytes of a pickle.
pub(super) fn write(value: &Value, protocol: PickleProtocol) -> Vec<u8> {
    let mut writer = Writer { out: Vec::new(), memo: BTreeMap::new(), protocol };
    if protocol == PickleProtocol::Two {
        writer.out.extend([0x80, 2]);
    }
    writer.value(value);
    writer.out.push(b'.');
    writer.out
}

struct Writer {
    out: Vec<u8>,
    /// Memo slot of each key that was written already.
    memo: BTreeMap<&'static str, u32>,
    protocol: PickleProtocol,
}

impl Writer {
    fn value(&mut self, value: &Value) {
        let binary = self.protocol == PickleProtocol::Two;
        match value {
            Value::Int(i) => self.int(*i),
            Value::Text(text) => self.text(text),
            Value::List(items) => {
                self.out.extend_from_slice(if binary { b"](" } else { b"(l" });
                for item in items {
                    self.value(item);
                    if !binary {
                        self.out.push(b'a');
                    }
                }
                if binary {
                    self.out.push(b'e');
                }
            }
            Value::Dict(items) => {
                self.out.extend_from_slice(if binary { b"}(" } else { b"(d" });
                for (key, item) in items {
                    self.key(key);
                    self.value(item);
                    if !binary {
                        self.out.push(b's');
                    }
                }
                if binary {
                    self.out.push(b'u');
                }
            }
        }
    }

    fn int(&mut self, i: i64) {
        match (self.protocol, i32::try_from(i)) {
            (PickleProtocol::Zero, _) => self.out.extend(format!("I{i}\n").bytes()),
            (PickleProtocol::Two, Ok(small)) => {
                if let Ok(byte) = u8::try_from(small) {
                    self.out.extend([b'K', byte]);
                } else {
                    self.out.push(b'J');
                    self.out.extend(small.to_le_bytes());
                }
            }
            (PickleProtocol::Two, Err(_)) => {
                self.out.extend([0x8a, 8]);
                self.out.extend(i.to_le_bytes());
            }
        }
    }

    fn key(&mut self, key: &'static str) {
        let binary = self.protocol == PickleProtocol::Two;
        if let Some(slot) = self.memo.get(key) {
            match binary {
                true => self.out.extend([b'h', *slot as u8]),
                false => self.out.extend(format!("g{slot}\n").bytes()),
            }
            return;
        }
        self.text(key);
        let slot = self.memo.len() as u32;
        match binary {
            true => self.out.extend([b'q', slot as u8]),
            false => self.out.extend(format!("p{slot}\n").bytes()),
        }
        self.memo.insert(key, slot);
    }

    fn text(&mut self, text: &str) {
        match (self.protocol, text.is_ascii()) {
            (PickleProtocol::Zero, true) => self.out.extend(repr(text).bytes()),
            (PickleProtocol::Zero, false) => {
                self.out.push(b'V');
                for c in text.chars() {
                    match c {
                        '\\' | '\n' | '\u{80}'.. if (c as u32) <= 0xffff => {
                            self.out.extend(format!("\\u{:04x}", c as u32).bytes());
                        }
                        '\u{10000}'.. => self.out.extend(format!("\\U{:08x}", c as u32).bytes()),
                        _ => self.out.push(c as u8),
                    }
                }
                self.out.push(b'\n');
            }
            (PickleProtocol::Two, ascii) => {
                match (ascii, u8::try_from(text.len())) {
                    (true, Ok(length)) => self.out.extend([b'U', length]),
                    (ascii, _) => {
                        self.out.push(if ascii { b'T' } else { b'X' });
                        self.out.extend((text.len() as u32).to_le_bytes());
                    }
                }
                self.out.extend(text.bytes());
            }
        }
    }
}

/// A protocol-0 string: `S`, Python 2's `repr`, a newline. Single quotes, unless the text has some
/// and no double quotes; with both, the single ones are escaped.
fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from("S");
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 32 || c as u32 == 127 => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Value {
        let text = |t: &str| Value::Text(t.to_owned());
        Value::List(vec![
            Value::Dict(vec![("raw", text("it's \"it\"")), ("id", Value::Int(7))]),
            Value::Dict(vec![("raw", text("caf\u{e9}")), ("id", Value::Int(70_000))]),
        ])
    }

    /// Python 3's `pickle.loads` reads the expected bytes as
    /// `[{'raw': 'it\'s "it"', 'id': 7}, {'raw': 'café', 'id': 70000}]`.
    #[test]
    fn protocol_zero() {
        let expected = "(l(dS'raw'\np0\nS'it\\'s \"it\"'\nsS'id'\np1\nI7\nsa\
                        (dg0\nVcaf\\u00e9\nsg1\nI70000\nsa.";
        assert_eq!(write(&sample(), PickleProtocol::Zero), expected.as_bytes());
    }

    #[test]
    fn protocol_two() {
        let expected = b"\x80\x02](}(U\x03rawq\x00U\x09it's \"it\"U\x02idq\x01K\x07u\
            }(h\x00X\x05\x00\x00\x00caf\xc3\xa9h\x01Jp\x11\x01\x00ue.";
        assert_eq!(write(&sample(), PickleProtocol::Two), expected);
    }
}
