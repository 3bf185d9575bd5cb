//! As much of Python as the published rewards lean on: `json.loads`, `int`, `len`, `str.strip`.
//!
//! Python's JSON is laxer than the standard (`NaN`, `Infinity`, `1e400`, halves of surrogate pairs)
//! and its integers have no end, so a parser of the standard would disagree about replies.

use std::borrow::Cow;

/// CPython gives up at a depth of 1000 calls, of which its caller has some.
const MAX_DEPTH: usize = 990;
/// CPython reads no longer integers (`sys.get_int_max_str_digits`).
const MAX_DIGITS: usize = 4300;
/// The digit zero of every script, each followed by its nine others (Unicode 14's category Nd).
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50,
    0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// What `json.loads` makes of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// Python's are exact. Beyond 2^53 these are not, and beyond 10^308 they are infinite; no rule
    /// can tell, because truths are small.
    Int(f64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Dict(Dict<'a>),
}

/// Names and values in the order of the text; a name may come again, and then its last value counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Dict<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Dict<'a> {
    /// The value under a name.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The names, in the order of the text, as often as they come.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// The names that hold `part` when their letters are made small, in the order of the text.
    /// `part` is of small ASCII letters, and no other letter becomes one of them.
    pub fn names_with(&self, part: &str) -> impl Iterator<Item = &str> {
        let holds = move |name: &&str| {
            let windows = name.as_bytes().windows(part.len());
            windows.into_iter().any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
        };
        self.names().filter(holds)
    }
}

impl<'a> Value<'a> {
    /// What arithmetic makes of it: truth counts as 1; `None` where Python raises.
    pub fn number(&self) -> Option<f64> {
        match *self {
            Self::Bool(truth) => Some(f64::from(u8::from(truth))),
            Self::Int(number) | Self::Float(number) => Some(number),
            _ => None,
        }
    }

    /// A list of exactly `N` numbers.
    pub fn numbers<const N: usize>(&self) -> Option<[f64; N]> {
        let items = <&[Value; N]>::try_from(self.list()?).ok()?;
        let mut numbers = [0.0; N];
        for (number, item) in numbers.iter_mut().zip(items) {
            *number = item.number()?;
        }
        Some(numbers)
    }

    /// The items of a list.
    pub fn list(&self) -> Option<&[Value<'a>]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// `len`.
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::List(items) => Some(items.len()),
            Self::Text(text) => Some(text.chars().count()),
            // Inside the first braces of a reply there can be no other dict.
            _ => None,
        }
    }

    /// `int(value[i])`.
    pub fn int_at(&self, i: usize) -> Option<f64> {
        match self {
            Self::List(items) => items.get(i)?.int(),
            Self::Text(text) => int_of_text(text.chars().nth(i)?.encode_utf8(&mut [0; 4])),
            _ => None,
        }
    }

    /// `int(value)`: what is not whole is cut off, a text must be an integer.
    fn int(&self) -> Option<f64> {
        match self {
            Self::Float(number) => number.is_finite().then(|| number.trunc()),
            Self::Text(text) => int_of_text(text),
            value => value.number(),
        }
    }
}

/// White space as `str.strip` and the `\s` of regular expressions have it.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `text.strip()`.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `int(text)`: digits of any script, single underscores between them, a sign, white space around.
fn int_of_text(text: &str) -> Option<f64> {
    // Here, unlike in `strip`, the four information separators are no white space.
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mut value, mut count, mut after_digit) = (0.0, 0, false);
    for c in digits.chars() {
        if c == '_' && after_digit {
            after_digit = false;
            continue;
        }
        value = value * 10.0 + f64::from(digit(c)?);
        count += 1;
        after_digit = true;
    }
    (after_digit && count <= MAX_DIGITS).then_some(sign * value)
}

fn digit(c: char) -> Option<u32> {
    let zero = ZEROS[ZEROS.partition_point(|&zero| zero <= u32::from(c)).checked_sub(1)?];
    Some(u32::from(c) - zero).filter(|&digit| digit < 10)
}

/// `json.loads(text)`; `None` where it raises.
pub(super) fn loads(text: &str) -> Option<Value<'_>> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.space();
    (reader.at == text.len()).then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over a byte if it comes next.
    fn has(&mut self, byte: u8) -> bool {
        let has = self.peek() == Some(byte);
        self.at += usize::from(has);
        has
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Steps over ASCII digits and says how many there were.
    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        self.space();
        match self.peek()? {
            b'"' => self.string().map(Value::Text),
            b'[' => self.list(depth),
            b'{' => self.dict(depth),
            b'-' | b'0'..=b'9' => self.word().or_else(|| self.number()),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Option<Value<'a>> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        let rest = &self.text.as_bytes()[self.at..];
        let (word, value) =
            words.into_iter().find(|(word, _)| rest.starts_with(word.as_bytes()))?;
        self.at += word.len();
        Some(value)
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        self.has(b'-');
        let digits = if self.has(b'0') { 1 } else { self.digits() };
        if digits == 0 {
            return None;
        }
        // What only looks like a fraction or an exponent is left standing, and is then one too many.
        let whole = self.at;
        if self.has(b'.') && self.digits() == 0 {
            self.at = whole;
        }
        let fraction = self.at;
        if self.has(b'e') || self.has(b'E') {
            let _ = self.has(b'+') || self.has(b'-');
            if self.digits() == 0 {
                self.at = fraction;
            }
        }
        let number = self.text[start..self.at].parse().ok()?;
        match self.at > whole {
            true => Some(Value::Float(number)),
            false => (digits <= MAX_DIGITS).then_some(Value::Int(number)),
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value<'a>> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.has(b']') {
            return Some(Value::List(items));
        }
        if depth == MAX_DEPTH {
            return None;
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.has(b']') {
                return Some(Value::List(items));
            }
            self.has(b',').then_some(())?;
        }
    }

    fn dict(&mut self, depth: usize) -> Option<Value<'a>> {
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.has(b'}') {
            return Some(Value::Dict(Dict(members)));
        }
        if depth == MAX_DEPTH {
            return None;
        }
        loop {
            self.space();
            if self.peek()? != b'"' {
                return None;
            }
            let name = self.string()?;
            self.space();
            self.has(b':').then_some(())?;
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.has(b'}') {
                return Some(Value::Dict(Dict(members)));
            }
            self.has(b',').then_some(())?;
        }
    }

    /// A string, borrowed where it has no escapes.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.at += 1;
        let mut decoded: Option<String> = None;
        loop {
            let start = self.at;
            while !matches!(self.peek()?, b'"' | b'\\' | 0..=0x1f) {
                self.at += 1;
            }
            let plain = &self.text[start..self.at];
            let end = self.peek()?;
            self.at += 1;
            match (end, &mut decoded) {
                (b'"', None) => return Some(Cow::Borrowed(plain)),
                (b'"', Some(text)) => {
                    text.push_str(plain);
                    return decoded.map(Cow::Owned);
                }
                (b'\\', _) => {
                    let text = decoded.get_or_insert_default();
                    text.push_str(plain);
                    text.push(self.escape()?);
                }
                _ => return None,
            }
        }
    }

    /// What comes after a backslash.
    fn escape(&mut self) -> Option<char> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                let second = (0xd800..0xdc00).contains(&first).then(|| self.low_half()).flatten();
                match second {
                    Some(second) => {
                        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?
                    }
                    // Python keeps half a pair as a character; here the last private ones stand for
                    // the 2048 halves.
                    None => char::from_u32(first).or(char::from_u32(0x10_f800 + first - 0xd800))?,
                }
            }
            _ => return None,
        })
    }

    /// The second half of a surrogate pair, if it comes next.
    fn low_half(&mut self) -> Option<u32> {
        let start = self.at;
        let half = (self.has(b'\\') && self.has(b'u')).then(|| self.hex()).flatten();
        let half = half.filter(|half| (0xdc00..0xe000).contains(half));
        if half.is_none() {
            self.at = start;
        }
        half
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |value, &byte| Some(value * 16 + char::from(byte).to_digit(16)?))
    }
}
