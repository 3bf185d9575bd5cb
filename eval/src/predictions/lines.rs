//! [`Lines`]: the lines of a file that are not empty, one at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use segzero_datasets::Error;

use super::fields::unexpected;
use super::jsonl::MAX_LINE;

/// Reads line by line into one buffer.
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    buffer: Vec<u8>,
    line: usize,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| Error::new(path, e))?;
        let reader = BufReader::with_capacity(1 << 18, file);
        Ok(Self { path: path.to_owned(), reader, buffer: Vec::new(), line: 0 })
    }

    /// The next line with its number, from 1, and without the white space around it.
    ///
    /// # Errors
    /// A file that cannot be read on, or a line of 256 MiB.
    pub(super) fn next(&mut self) -> Result<Option<(usize, &[u8])>, Error> {
        loop {
            self.line += 1;
            self.buffer.clear();
            let at = |error: Error| error.record(format_args!("line {}", self.line));
            let mut limited = self.reader.by_ref().take(MAX_LINE);
            let read = limited.read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|e| at(Error::new(&self.path, e)))?;
            if read as u64 == MAX_LINE {
                let kind = unexpected("a line of less than 256 MiB", "a longer one");
                return Err(at(Error::new(&self.path, kind)));
            }
            if read == 0 {
                return Ok(None);
            }
            if !content(&self.buffer).is_empty() {
                break;
            }
        }
        Ok(Some((self.line, content(&self.buffer))))
    }
}

/// A line without its byte order mark and the white space around it.
fn content(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii()
}
