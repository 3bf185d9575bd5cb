//! [`Scanner`]: lines of JSON of the plainest form, several times as fast as a general parser.

use memchr::memchr;

/// Steps through one line of JSON. `None` from any step means that the line is not of the plain
/// form, right or wrong: a general parser is then to read it, or to say what is wrong.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    rest: &'a [u8],
}

/// A string between its quotes, escapes unread.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(&'a [u8]);

impl<'a> Scanner<'a> {
    /// At the start of a line.
    pub fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// Steps over an object; `member` is called behind each name, and steps over the value.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&'a [u8], &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        loop {
            let name = self.string()?;
            self.take(b':')?;
            member(name.0, self)?;
            if self.take(b'}').is_some() {
                return Some(());
            }
            self.take(b',')?;
        }
    }

    /// Steps over a string that holds no quote.
    pub fn string(&mut self) -> Option<Raw<'a>> {
        self.take(b'"')?;
        let end = memchr(b'"', self.rest)?;
        let (text, rest) = (&self.rest[..end], &self.rest[end + 1..]);
        let backslashes = text.iter().rev().take_while(|&&byte| byte == b'\\').count();
        self.rest = rest;
        // An odd number of backslashes escapes the quote.
        (backslashes % 2 == 0).then_some(Raw(text))
    }

    /// Steps over a list of two numbers.
    pub fn pair(&mut self) -> Option<[u32; 2]> {
        self.take(b'[')?;
        let first = self.number()?;
        self.take(b',')?;
        let second = self.number()?;
        self.take(b']')?;
        Some([first, second])
    }

    /// `Some` at the end of the line.
    pub fn end(&mut self) -> Option<()> {
        self.space();
        self.rest.is_empty().then_some(())
    }

    fn number(&mut self) -> Option<u32> {
        self.space();
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (text, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let has_leading_zero = digits > 1 && text[0] == b'0';
        let text = std::str::from_utf8(text).ok().filter(|_| !has_leading_zero);
        text?.parse().ok()
    }

    /// Steps over white space and, if it follows, this byte.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    fn space(&mut self) {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

impl<'a> Raw<'a> {
    /// The string; `None` where it has escapes, or is none.
    pub fn text(self) -> Option<&'a str> {
        let plain =
            self.0.iter().fold(true, |plain, &byte| plain & (byte >= b' ') & (byte != b'\\'));
        std::str::from_utf8(self.0).ok().filter(|_| plain)
    }

    /// Appends a string of printable ASCII to `out`; `None` where it has other characters, or other
    /// escapes than that of a backslash, which COCO's compressed masks have in their alphabet.
    pub fn unescape(self, out: &mut Vec<u8>) -> Option<()> {
        if !self.0.iter().fold(true, |plain, byte| plain & (b' '..=b'~').contains(byte)) {
            return None;
        }
        let mut rest = self.0;
        while let Some(at) = memchr(b'\\', rest) {
            // Two backslashes stand for one.
            out.extend_from_slice(&rest[..=at]);
            rest = rest[at + 1..].strip_prefix(b"\\")?;
        }
        out.extend_from_slice(rest);
        Some(())
    }
}
