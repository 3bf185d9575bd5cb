//! The elements of a JSON list, or the members of an object, one at a time: a file of gigabytes
//! takes the memory of its longest element, and a damaged element costs no other.

use std::io::BufRead;

use segzero_datasets::ErrorKind;

use super::fields::unexpected;
use super::jsonl::MAX_LINE;

/// Reads elements as bytes; what is in them is not looked at, beyond brackets and quotes.
pub(super) struct Elements<R> {
    input: R,
    /// `]` or `}`.
    close: u8,
    is_done: bool,
    /// Line of the next byte, from 1.
    line: usize,
    /// Line on which the last element began.
    pub started: usize,
}

impl<R: BufRead> Elements<R> {
    /// `input` begins, after white space, with the bracket of a list or object.
    pub(super) fn new(mut input: R) -> Result<Self, ErrorKind> {
        let mut line = 1;
        loop {
            let Some(&byte) = input.fill_buf()?.first() else {
                return Err(unexpected("a JSON list or object", "an empty file"));
            };
            input.consume(1);
            match byte {
                b'[' | b'{' => {
                    let close = if byte == b'[' { b']' } else { b'}' };
                    return Ok(Self { input, close, is_done: false, line, started: line });
                }
                b'\n' => line += 1,
                // A byte order mark, or white space.
                0xef | 0xbb | 0xbf | b' ' | b'\t' | b'\r' => {}
                _ => return Err(unexpected("a JSON list or object", char::from(byte))),
            }
        }
    }

    /// Whether these are members of an object: `"name": value`.
    pub(super) fn is_object(&self) -> bool {
        self.close == b'}'
    }

    /// Puts the next element into `element`, without the white space around it; false at the end.
    ///
    /// # Errors
    /// A file that ends inside the list, a bracket that closes nothing, an element of 256 MiB. No
    /// element follows after any of them.
    pub(super) fn next(&mut self, element: &mut Vec<u8>) -> Result<bool, ErrorKind> {
        element.clear();
        if self.is_done {
            return Ok(false);
        }
        let start = self.line;
        self.is_done = true;
        let separator = self.copy_element(element)?;
        let leading = element.iter().take_while(|byte| byte.is_ascii_whitespace());
        self.started = start + leading.filter(|&&byte| byte == b'\n').count();
        self.is_done = separator != b',';
        let is_last_and_empty = self.is_done && element.trim_ascii().is_empty();
        if self.is_done {
            self.expect_end()?;
        }
        Ok(!is_last_and_empty)
    }

    /// Copies bytes up to the comma or bracket that ends the element, and returns that.
    fn copy_element(&mut self, element: &mut Vec<u8>) -> Result<u8, ErrorKind> {
        let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                let close = char::from(self.close);
                return Err(unexpected(format!("`{close}` at the end"), "the file cut off"));
            }
            let end = chunk.iter().position(|&byte| {
                self.line += usize::from(byte == b'\n');
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if quoted => escaped = true,
                    b'"' => quoted = !quoted,
                    _ if quoted => {}
                    b'[' | b'{' => depth += 1,
                    b',' if depth == 0 => return true,
                    b']' | b'}' if depth == 0 => return true,
                    b']' | b'}' => depth -= 1,
                    _ => {}
                }
                false
            });
            let length = end.unwrap_or(chunk.len());
            element.extend_from_slice(&chunk[..length]);
            let separator = end.map(|end| chunk[end]);
            self.input.consume(length + usize::from(end.is_some()));
            match separator {
                Some(byte) if byte == b',' || byte == self.close => return Ok(byte),
                Some(byte) => {
                    let expected = format!("`,` or `{}`", char::from(self.close));
                    return Err(unexpected(expected, format!("`{}`", char::from(byte))));
                }
                None if element.len() as u64 > MAX_LINE => {
                    return Err(unexpected("a record of less than 256 MiB", "a longer one"));
                }
                None => {}
            }
        }
    }

    fn expect_end(&mut self) -> Result<(), ErrorKind> {
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                return Ok(());
            }
            if let Some(&byte) = chunk.iter().find(|byte| !byte.is_ascii_whitespace()) {
                let found = format!("`{}` after the list", char::from(byte));
                return Err(unexpected("the end of the file", found));
            }
            let length = chunk.len();
            self.input.consume(length);
        }
    }
}
