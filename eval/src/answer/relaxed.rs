//! JSON as models write it: either kind of quotes or none, Python's words, commas too many, comments,
//! and an end that is missing.

use serde_json::{Map, Number, Value};

/// A value and what was wrong with its text.
pub(super) struct Relaxed {
    pub value: Value,
    /// Bytes that it takes.
    pub length: usize,
    /// Something that JSON does not have.
    pub irregular: bool,
    /// The text ends before the value does.
    pub cut_off: bool,
}

/// How deep lists and objects may lie in each other: beyond it they are not read.
const DEPTH: usize = 16;

/// Reads the value at the beginning of a text.
pub(super) fn read(text: &str) -> Option<Relaxed> {
    let mut reader = Reader { rest: text, irregular: false, cut_off: false };
    let value = reader.value(DEPTH)?;
    let length = text.len() - reader.rest.len();
    Some(Relaxed { value, length, irregular: reader.irregular, cut_off: reader.cut_off })
}

struct Reader<'a> {
    rest: &'a str,
    irregular: bool,
    cut_off: bool,
}

impl<'a> Reader<'a> {
    /// Skips white space and comments.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let comment = match self.rest {
                rest if rest.starts_with("//") || rest.starts_with('#') => rest.find('\n'),
                rest if rest.starts_with("/*") => rest.find("*/").map(|end| end + 2),
                _ => return,
            };
            self.irregular = true;
            self.rest = comment.map_or("", |end| &self.rest[end..]);
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.skip();
        let next = self.rest.chars().next();
        self.cut_off |= next.is_none();
        next
    }

    fn take(&mut self, what: char) -> bool {
        let found = self.peek() == Some(what);
        if found {
            self.rest = &self.rest[what.len_utf8()..];
        }
        found
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        match self.peek()? {
            _ if depth == 0 => None,
            '{' => self.object(depth),
            '[' => self.list(']', depth),
            '(' => {
                self.irregular = true;
                self.list(')', depth)
            }
            quote @ ('"' | '\'' | '“' | '”' | '`') => Some(Value::String(self.string(quote)?)),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.take('{');
        let mut members = Map::new();
        loop {
            match self.peek() {
                None => break,
                Some('}') => {
                    self.take('}');
                    break;
                }
                Some(',') => {
                    // A comma between members is JSON; this one is not.
                    self.irregular |= members.is_empty();
                    self.take(',');
                    self.irregular |= self.peek() == Some('}');
                }
                Some(quote @ ('"' | '\'' | '“' | '”' | '`')) => {
                    let name = self.string(quote)?;
                    self.member(name, depth, &mut members)?;
                }
                Some(_) => {
                    self.irregular = true;
                    let end = self.rest.find([':', '=', ',', '}', '\n']).unwrap_or(self.rest.len());
                    let (name, rest) = self.rest.split_at(end);
                    self.rest = rest;
                    self.member(name.trim().to_owned(), depth, &mut members)?;
                }
            }
        }
        Some(Value::Object(members))
    }

    /// What follows a name.
    fn member(
        &mut self,
        name: String,
        depth: usize,
        members: &mut Map<String, Value>,
    ) -> Option<()> {
        if !self.take(':') {
            self.irregular = true;
            if !self.take('=') {
                return self.cut_off.then_some(());
            }
        }
        match self.value(depth - 1) {
            Some(value) => {
                members.insert(name, value);
                Some(())
            }
            None => self.cut_off.then_some(()),
        }
    }

    fn list(&mut self, close: char, depth: usize) -> Option<Value> {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        loop {
            match self.peek() {
                None => break,
                Some(c) if c == close => {
                    self.take(close);
                    break;
                }
                // Another bracket than was opened ends the list too, and is left to whom it belongs.
                Some(']' | ')' | '}') => {
                    self.irregular = true;
                    break;
                }
                Some(',' | ';') => {
                    self.irregular |= items.is_empty() || self.rest.starts_with(';');
                    self.rest = &self.rest[1..];
                    self.irregular |= self.peek() == Some(close);
                }
                Some(_) => match self.value(depth - 1) {
                    Some(value) => items.push(value),
                    None if self.cut_off => break,
                    None => return None,
                },
            }
        }
        Some(Value::Array(items))
    }

    /// A string up to the quote that it began with.
    fn string(&mut self, quote: char) -> Option<String> {
        self.irregular |= quote != '"';
        let close = if quote == '“' { '”' } else { quote };
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            if letter == close {
                self.rest = &self.rest[at + letter.len_utf8()..];
                return Some(text);
            }
            match letter {
                '\\' => match letters.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    other => text.push(other),
                },
                letter => text.push(letter),
            }
        }
        self.cut_off = true;
        self.rest = "";
        None
    }

    /// A number or a word of JSON or Python.
    fn word(&mut self) -> Option<Value> {
        let ends = |c: char| c.is_whitespace() || ",;:=]})".contains(c);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return None;
        }
        // A number at the very end may have lost its last digits.
        self.rest = rest;
        if rest.is_empty() {
            self.cut_off = true;
            return None;
        }
        let value = match word {
            "true" | "false" => Value::Bool(word == "true"),
            "null" => Value::Null,
            "True" | "False" | "None" => {
                self.irregular = true;
                if word == "None" { Value::Null } else { Value::Bool(word == "True") }
            }
            word => {
                let plain = word.trim_end_matches("px").trim_end_matches('%');
                self.irregular |= plain != word || plain.starts_with('+') || plain.ends_with('.');
                let number: f64 = plain.parse().ok()?;
                Value::Number(Number::from_f64(number)?)
            }
        };
        Some(value)
    }
}
