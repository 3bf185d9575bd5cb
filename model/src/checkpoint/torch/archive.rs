//! The zip archive around a file of `torch.save`. Entries are stored, not compressed, so that their
//! bytes lie in the file as they are and only the directory is read.
//!
//! Layout (PKWARE's APPNOTE.TXT, section 4.3): entries, each behind a local header; the directory; the
//! end record, which says where the directory lies. Where numbers do not fit 32 bits, and in torch's
//! files always, a second end record (zip64) holds them in 64.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{EntryFault, TorchError};

const LOCAL: &[u8] = b"PK\x03\x04";
const DIRECTORY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
/// Bytes of an end record without its comment, and of the locator before it.
const END_BYTES: usize = 22;
const LOCATOR_BYTES: usize = 20;
/// What stands for a number of 64 bits in a field of 32.
const ELSEWHERE: u64 = u32::MAX as u64;
/// Longest comment.
const COMMENT_MAX: usize = u16::MAX as usize;

/// A file in the archive.
#[derive(Debug)]
pub(super) struct Stored {
    /// Its bytes.
    pub range: Range<usize>,
    /// CRC-32 of them; 0 where the writer did not compute it.
    checksum: u32,
}

impl Stored {
    /// Whether the bytes are those that were written, as far as can be told.
    pub fn is_whole(&self, file: &[u8]) -> bool {
        self.checksum == 0 || crc32fast::hash(&file[self.range.clone()]) == self.checksum
    }
}

/// The entries by name.
pub(super) fn entries(file: &[u8]) -> Result<BTreeMap<String, Stored>, TorchError> {
    let directory = directory(file)?;
    let mut cursor = Cursor { file, at: directory.start };
    let mut places: BTreeMap<usize, (String, Stored)> = BTreeMap::new();
    while cursor.at < directory.end {
        let at = cursor.at;
        let record = cursor.record().ok_or(TorchError::Directory(at))?;
        let fail = |fault| Err(TorchError::Entry { entry: short(&record.name), fault });
        if let Err(fault) = record.check() {
            return fail(fault);
        }
        let Some(range) = record.range(file) else { return fail(EntryFault::Misplaced) };
        let (name, checksum) = (record.name.clone(), record.checksum);
        if let Some((other, _)) = places.insert(record.local, (name, Stored { range, checksum })) {
            return fail(EntryFault::Overlap(short(&other)));
        }
    }
    if cursor.at != directory.end {
        return Err(TorchError::Directory(directory.end));
    }
    by_name(places)
}

/// The entries by name, once none lies in another.
fn by_name(
    places: BTreeMap<usize, (String, Stored)>,
) -> Result<BTreeMap<String, Stored>, TorchError> {
    let mut entries = BTreeMap::new();
    let mut previous: Option<(String, usize)> = None;
    for (local, (name, stored)) in places {
        let fail = |fault| Err(TorchError::Entry { entry: short(&name), fault });
        if let Some((other, end)) = previous
            && local < end
        {
            return fail(EntryFault::Overlap(short(&other)));
        }
        previous = Some((name.clone(), stored.range.end));
        if entries.contains_key(&name) {
            return fail(EntryFault::Twice);
        }
        entries.insert(name, stored);
    }
    Ok(entries)
}

/// Where the directory lies.
fn directory(file: &[u8]) -> Result<Range<usize>, TorchError> {
    let earliest = file.len().saturating_sub(END_BYTES + COMMENT_MAX);
    let is_end = |at: &usize| {
        let comment = Cursor { file, at: at + 20 }.number::<2>();
        file[*at..].starts_with(END) && comment == Some((file.len() - at - END_BYTES) as u64)
    };
    let last = file.len().checked_sub(END_BYTES).ok_or(TorchError::NoEnd)?;
    let end = (earliest..=last).rev().find(is_end).ok_or(TorchError::NoEnd)?;
    directory_64(file, end).unwrap_or_else(|| {
        let mut cursor = Cursor { file, at: end + 12 };
        (cursor
            .number::<4>()
            .zip(cursor.number::<4>())
            .and_then(|(size, start)| place(start, size, end)))
        .ok_or(TorchError::Directory(end))
    })
}

/// Where the 64-bit end record says that the directory lies; none where there is no such record.
fn directory_64(file: &[u8], end: usize) -> Option<Result<Range<usize>, TorchError>> {
    let locator = end.checked_sub(LOCATOR_BYTES)?;
    if !file[locator..].starts_with(LOCATOR_64) {
        return None;
    }
    let read = || {
        let record = Cursor { file, at: locator + 8 }.number::<8>()?;
        let record = place(record, END_64.len() as u64, locator)?.start;
        let mut cursor = Cursor { file, at: record };
        if cursor.take(4)? != END_64 {
            return None;
        }
        cursor.at = record.checked_add(40)?;
        let (size, start) = (cursor.number::<8>()?, cursor.number::<8>()?);
        place(start, size, record)
    };
    Some(read().ok_or(TorchError::Directory(locator)))
}

/// A range of bytes that ends by `limit`.
fn place(start: u64, size: u64, limit: usize) -> Option<Range<usize>> {
    let end = usize::try_from(start.checked_add(size)?).ok()?;
    (end <= limit).then_some(end - usize::try_from(size).ok()?..end)
}

/// An entry's name, for messages: of reasonable length.
fn short(name: &str) -> String {
    name.chars().take(120).collect()
}

/// What the directory says of an entry.
struct Record {
    name: String,
    flags: u64,
    method: u64,
    checksum: u32,
    /// Bytes in the file, and as they were before they were compressed.
    stored: u64,
    size: u64,
    /// Where its own header begins.
    local: usize,
}

impl Record {
    fn check(&self) -> Result<(), EntryFault> {
        let leads_elsewhere = |part: &str| part == ".." || part.contains(['\\', '\0']);
        if self.flags & 1 == 1 {
            return Err(EntryFault::Encrypted);
        }
        if self.method != 0 || self.stored != self.size {
            return Err(EntryFault::Compressed(self.method as u16));
        }
        if self.name.starts_with('/') || self.name.split('/').any(leads_elsewhere) {
            return Err(EntryFault::Name);
        }
        Ok(())
    }

    /// Its bytes, which follow its own header.
    fn range(&self, file: &[u8]) -> Option<Range<usize>> {
        let mut cursor = Cursor { file, at: self.local };
        if cursor.take(4)? != LOCAL {
            return None;
        }
        cursor.take(22)?;
        let (name, extra) = (cursor.number::<2>()?, cursor.number::<2>()?);
        if cursor.take(name)? != self.name.as_bytes() {
            return None;
        }
        cursor.take(extra)?;
        let range = place(cursor.at as u64, self.size, file.len())?;
        Some(range)
    }
}

/// Reads little-endian numbers one after another; none past the end.
struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: u64) -> Option<&'a [u8]> {
        let end = self.at.checked_add(usize::try_from(bytes).ok()?)?;
        let taken = self.file.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn number<const N: usize>(&mut self) -> Option<u64> {
        let bytes = self.take(N as u64)?;
        Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// One record of the directory.
    fn record(&mut self) -> Option<Record> {
        if self.take(4)? != DIRECTORY {
            return None;
        }
        self.take(4)?;
        let (flags, method) = (self.number::<2>()?, self.number::<2>()?);
        self.take(4)?;
        let checksum = self.number::<4>()? as u32;
        let (stored, size) = (self.number::<4>()?, self.number::<4>()?);
        let lengths = [self.number::<2>()?, self.number::<2>()?, self.number::<2>()?];
        self.take(8)?;
        let local = self.number::<4>()?;
        let name = std::str::from_utf8(self.take(lengths[0])?).ok()?.to_owned();
        let extra = Cursor { file: self.take(lengths[1])?, at: 0 };
        self.take(lengths[2])?;
        let [size, stored, local] = extra.wide([size, stored, local])?;
        let local = usize::try_from(local).ok()?;
        Some(Record { name, flags, method, checksum, stored, size, local })
    }

    /// The numbers, of which those that do not fit 32 bits stand in the extra field of zip64.
    fn wide(mut self, mut numbers: [u64; 3]) -> Option<[u64; 3]> {
        if !numbers.contains(&ELSEWHERE) {
            return Some(numbers);
        }
        loop {
            let (id, length) = (self.number::<2>()?, self.number::<2>()?);
            let mut field = Cursor { file: self.take(length)?, at: 0 };
            if id == 1 {
                for number in numbers.iter_mut().filter(|number| **number == ELSEWHERE) {
                    *number = field.number::<8>()?;
                }
                return Some(numbers);
            }
        }
    }
}
