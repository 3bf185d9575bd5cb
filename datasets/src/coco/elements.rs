//! Cuts a big JSON file into the elements of its arrays, without parsing what is in them.
//!
//! One damaged element (a NaN in a polygon, a missing field) then costs that element and not the
//! file, and an element that nobody asks for costs one pass over its bytes. Only the nesting of
//! brackets and strings is looked at here; `serde_json` reads the elements.

use std::ops::Range;

/// The file's outline is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutlineError {
    /// Byte at which the outline breaks.
    pub offset: usize,
    /// What had to stand there.
    pub expected: &'static str,
}

/// The members of the object that fills `range`: the bytes of each name (without its quotes) and of
/// its value.
pub(crate) fn members(text: &[u8], range: Range<usize>) -> Entries<'_> {
    Entries::new(text, range, (b'{', b'}'))
}

/// The elements of the array that fills `range`; their names are empty.
pub(crate) fn elements(text: &[u8], range: Range<usize>) -> Entries<'_> {
    Entries::new(text, range, (b'[', b']'))
}

/// The range of a file's one value, without a byte order mark.
pub(crate) fn whole(text: &[u8]) -> Range<usize> {
    let start = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    start..text.len()
}

/// One member of an object or element of an array, as ranges of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The name between its quotes, escapes unread.
    pub name: Range<usize>,
    /// The value.
    pub value: Range<usize>,
}

/// See [`members`] and [`elements`]. Ends after the first error.
pub(crate) struct Entries<'a> {
    cursor: Cursor<'a>,
    brackets: (u8, u8),
    state: State,
}

enum State {
    Before,
    Between,
    Done,
}

impl<'a> Entries<'a> {
    fn new(text: &'a [u8], range: Range<usize>, brackets: (u8, u8)) -> Self {
        let cursor = Cursor { text: &text[..range.end], at: range.start };
        Self { cursor, brackets, state: State::Before }
    }

    fn advance(&mut self) -> Result<Option<Entry>, OutlineError> {
        let (open, close) = self.brackets;
        let cursor = &mut self.cursor;
        cursor.space();
        let first = matches!(self.state, State::Before);
        if first {
            cursor.expect(open, if open == b'[' { "`[`" } else { "`{`" })?;
            cursor.space();
        }
        if cursor.take(close) {
            self.state = State::Done;
            return Ok(None);
        }
        if !first {
            cursor.expect(b',', "`,` or a closing bracket")?;
            cursor.space();
        }
        self.state = State::Between;
        let mut name = 0..0;
        if open == b'{' {
            let start = cursor.at;
            if cursor.peek() != Some(b'"') {
                return Err(OutlineError { offset: start, expected: "a name in quotes" });
            }
            cursor.string()?;
            name = start + 1..cursor.at - 1;
            cursor.space();
            cursor.expect(b':', "`:`")?;
            cursor.space();
        }
        Ok(Some(Entry { name, value: cursor.value()? }))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, OutlineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.state, State::Done) {
            return None;
        }
        let item = self.advance().transpose();
        if matches!(item, Some(Err(_))) {
            self.state = State::Done;
        }
        item
    }
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), OutlineError> {
        if self.take(byte) { Ok(()) } else { Err(OutlineError { offset: self.at, expected }) }
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|b| matches!(b, b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Steps over one value, whatever it is.
    fn value(&mut self) -> Result<Range<usize>, OutlineError> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            let Some(byte) = self.peek() else {
                return Err(OutlineError { offset: self.at, expected: "the end of a value" });
            };
            match byte {
                b'"' => self.string()?,
                b'{' | b'[' => (depth, self.at) = (depth + 1, self.at + 1),
                b'}' | b']' if depth == 0 => break,
                b'}' | b']' => (depth, self.at) = (depth - 1, self.at + 1),
                b',' | b':' if depth == 0 => break,
                _ => self.at += 1,
            }
            let closed = matches!(byte, b'"' | b'}' | b']');
            if depth == 0 && closed {
                return Ok(start..self.at);
            }
        }
        if start == self.at {
            return Err(OutlineError { offset: start, expected: "a value" });
        }
        Ok(start..self.at)
    }

    fn string(&mut self) -> Result<(), OutlineError> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        Err(OutlineError { offset: start, expected: "a closing quote" })
    }
}
