//! A DEFLATE encoder (RFC 1951) for filtered photographs.
//!
//! The residuals of a photograph repeat nowhere, except that flat regions leave runs of one byte.
//! So this encoder looks for runs only, and otherwise gives each block of residuals its own Huffman
//! code. Against zlib's search for repeats that is some forty times as fast, at nearly the same
//! size.

use super::huffman::{self, Word};
use super::simd::{self, for_best_processor};

/// A stored block cannot be longer.
const LONGEST_STORED: usize = 65_535;
const LONGEST_RUN: usize = 258;
const LITERALS: usize = 256;
const END_OF_BLOCK: usize = 256;
/// Literals, end of block, lengths.
const SYMBOLS: usize = 286;
/// DEFLATE allows 15; four words of 14 bits and 7 bits left over still fit a 64-bit buffer.
const LONGEST_WORD: u8 = 14;
/// Distances 1 and 2 get one bit each; only 1 is used (one code alone would be an incomplete set,
/// which some decoders refuse).
const DISTANCE_LENGTHS: [u8; 2] = [1, 1];
/// The order in which the lengths of the lengths' code are sent.
const LENGTH_ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// How closely the data are looked at.
#[derive(Clone, Copy)]
pub(super) struct Search {
    /// Shorter runs are left as literals. At least 4.
    shortest_run: usize,
    /// Of how many literals one is counted.
    sampling: usize,
    /// Bytes in a block: enough to pay for its code, few enough to be of one kind.
    pub block_bytes: usize,
}

impl Search {
    /// Photographs come out half a percent smaller still with runs from 5 on, blocks of 48 KiB and
    /// every literal counted, for a fifth more of the time.
    pub const CLOSE: Self = Self { shortest_run: 7, sampling: 2, block_bytes: 96 << 10 };
    /// Some 0.5 % larger than [`Self::CLOSE`], for photographs.
    pub const CURSORY: Self = Self { shortest_run: 12, sampling: 4, block_bytes: 128 << 10 };
}

/// Literals followed by a run that repeats the last of them.
#[derive(Clone, Copy)]
struct Segment {
    literals: usize,
    run: usize,
}

/// Writes DEFLATE blocks one after the other.
pub(super) struct Deflater {
    bits: BitWriter,
    segments: Vec<Segment>,
    equal: Vec<u64>,
    search: Search,
}

impl Deflater {
    /// A writer that appends to `out`.
    pub fn new(out: Vec<u8>, search: Search) -> Self {
        let bits = BitWriter { at: out.len(), out, buffer: 0, count: 0 };
        Self { bits, segments: Vec::new(), equal: Vec::new(), search }
    }

    /// Ends the stream and returns everything written.
    pub fn finish(mut self) -> Vec<u8> {
        self.bits.reserve(64);
        self.bits.put(0b011, 3); // an empty last block in the fixed code
        self.bits.put(0, 7);
        self.bits.align();
        self.bits.out.truncate(self.bits.at);
        self.bits.out
    }

    /// Appends `data` as one block, best of about [`Search::block_bytes`].
    pub fn write(&mut self, data: &[u8]) {
        simd::equal_to_previous(data, &mut self.equal);
        find_runs(&self.equal, data.len(), self.search.shortest_run, &mut self.segments);
        let counts = count(data, &self.segments, self.search.sampling);
        let code = huffman::code(&counts, LONGEST_WORD);
        let header = Header::new(&code);
        let body: usize =
            counts.iter().zip(&code).map(|(&n, word)| n as usize * usize::from(word.length)).sum();
        // A run needs at most 5 extra bits and one for the distance.
        if header.bits() + body + 6 * self.segments.len() > 8 * data.len() {
            return self.bits.stored(data);
        }
        self.bits.reserve(header.bits() + usize::from(LONGEST_WORD) * (data.len() + 1));
        header.write(&mut self.bits);
        write_segments(&mut self.bits, data, &self.segments, &code);
        self.bits.put_word(code[END_OF_BLOCK]);
    }
}

for_best_processor! {
    /// Appends literals and runs. There must be room.
    fn write_segments(
        bits: &mut BitWriter,
        data: &[u8],
        segments: &[Segment],
        code: &[Word; SYMBOLS],
    ) = write_segments_portable;
}

#[inline(always)]
fn write_segments_portable(
    bits: &mut BitWriter,
    mut data: &[u8],
    segments: &[Segment],
    code: &[Word; SYMBOLS],
) {
    for segment in segments {
        let (literals, after) = data.split_at(segment.literals);
        bits.literals(literals, code);
        if segment.run > 0 {
            let length = Length::new(segment.run);
            bits.put_word(code[length.symbol]);
            bits.put(length.extra, length.extra_bits);
            bits.put(0, 1);
        }
        data = &after[segment.run..];
    }
}

/// Cuts `length` bytes into segments; `equal` marks the bytes that equal their predecessor.
fn find_runs(equal: &[u64], length: usize, shortest: usize, segments: &mut Vec<Segment>) {
    segments.clear();
    let mut start = 0;
    while let Some(run) = next_run(equal, start.max(1), shortest) {
        let length = length_of_run(equal, run).min(LONGEST_RUN);
        segments.push(Segment { literals: run - start, run: length });
        start = run + length;
    }
    segments.push(Segment { literals: length - start, run: 0 });
}

/// The first place at or after `from` with `shortest` marks in a row.
fn next_run(equal: &[u64], from: usize, shortest: usize) -> Option<usize> {
    let mut allowed = !0 << (from % 64);
    for (index, pair) in equal.windows(2).enumerate().skip(from / 64) {
        let both = u128::from(pair[1]) << 64 | u128::from(pair[0]);
        // Few words have four marks in a row, so most are done here.
        let twos = both & both >> 1;
        let fours = twos & twos >> 2;
        if fours as u64 & allowed != 0 {
            let starts = starts_of(fours, shortest) as u64 & allowed;
            if starts != 0 {
                return Some(index * 64 + starts.trailing_zeros() as usize);
            }
        }
        allowed = !0;
    }
    None
}

/// The places where `shortest` marks in a row begin, from those where four do.
fn starts_of(fours: u128, shortest: usize) -> u128 {
    let (mut starts, mut known) = (fours, 4);
    while known < shortest {
        let step = known.min(shortest - known);
        starts &= starts >> step;
        known += step;
    }
    starts
}

/// The number of marks in a row from `start` on.
fn length_of_run(equal: &[u64], start: usize) -> usize {
    let mut at = start;
    while let Some(word) = equal.get(at / 64) {
        let marks = (!(word >> (at % 64))).trailing_zeros() as usize;
        at += marks;
        if marks == 0 || !at.is_multiple_of(64) {
            break;
        }
    }
    at - start
}

/// How often each symbol occurs, or about how often: then none is missing.
fn count(data: &[u8], segments: &[Segment], sampling: usize) -> [u32; SYMBOLS] {
    const STRETCH: usize = 64;
    // Four tables, so that equal neighbours do not wait for each other's increment.
    let mut tables = [[0u32; LITERALS]; 4];
    for stretch in data.chunks(STRETCH * sampling) {
        let counted = &stretch[..stretch.len().min(STRETCH)];
        let (quads, rest) = counted.as_chunks::<4>();
        for quad in quads {
            for (table, &value) in tables.iter_mut().zip(quad) {
                table[usize::from(value)] += 1;
            }
        }
        for &value in rest {
            tables[0][usize::from(value)] += 1;
        }
    }
    let mut counts = [0; SYMBOLS];
    for (value, count) in counts[..LITERALS].iter_mut().enumerate() {
        *count = sampling as u32 * tables.iter().map(|table| table[value]).sum::<u32>();
    }
    counts[END_OF_BLOCK] = 1;
    let mut at = 0;
    for segment in segments.iter().filter(|segment| segment.run > 0) {
        at += segment.literals;
        let count = &mut counts[usize::from(data[at])];
        *count = count.saturating_sub(segment.run as u32);
        counts[Length::new(segment.run).symbol] += 1;
        at += segment.run;
    }
    if sampling > 1 {
        counts[..LITERALS].iter_mut().for_each(|count| *count = (*count).max(1));
    }
    counts
}

/// A run's length as DEFLATE writes it (RFC 1951, section 3.2.5).
struct Length {
    symbol: usize,
    extra: u32,
    extra_bits: u8,
}

impl Length {
    fn new(length: usize) -> Self {
        let beyond = length as u32 - 3;
        if length == LONGEST_RUN {
            return Self { symbol: 285, extra: 0, extra_bits: 0 };
        }
        let extra_bits = beyond.max(4).ilog2() - 2;
        let symbol = 257 + 4 * extra_bits + (beyond >> extra_bits);
        let extra = beyond & ((1 << extra_bits) - 1);
        Self { symbol: symbol as usize, extra, extra_bits: extra_bits as u8 }
    }
}

/// The description of a block's code: its word lengths, themselves coded.
struct Header {
    symbols: usize,
    /// Symbol, extra bits, number of extra bits.
    lengths: Vec<(usize, u32, u8)>,
    code: [Word; 19],
    code_lengths: usize,
}

impl Header {
    fn new(code: &[Word; SYMBOLS]) -> Self {
        let symbols = code.iter().rposition(|word| word.length > 0).map_or(257, |last| last + 1);
        let all: Vec<u8> =
            code[..symbols].iter().map(|word| word.length).chain(DISTANCE_LENGTHS).collect();
        let lengths: Vec<_> = all.chunk_by(|a, b| a == b).flat_map(repeated).collect();
        let mut counts = [0; 19];
        for &(symbol, ..) in &lengths {
            counts[symbol] += 1;
        }
        let code = huffman::code(&counts, 7);
        let last = LENGTH_ORDER.iter().rposition(|&symbol| code[symbol].length > 0);
        Self { symbols, lengths, code, code_lengths: last.map_or(4, |last| (last + 1).max(4)) }
    }

    fn bits(&self) -> usize {
        let length = |&(symbol, _, extra): &(usize, u32, u8)| self.code[symbol].length + extra;
        17 + 3 * self.code_lengths
            + self.lengths.iter().map(|l| usize::from(length(l))).sum::<usize>()
    }

    fn write(&self, bits: &mut BitWriter) {
        bits.put(0b100, 3); // not the last block; its own code
        bits.put(self.symbols as u32 - 257, 5);
        bits.put(DISTANCE_LENGTHS.len() as u32 - 1, 5);
        bits.put(self.code_lengths as u32 - 4, 4);
        for &symbol in &LENGTH_ORDER[..self.code_lengths] {
            bits.put(u32::from(self.code[symbol].length), 3);
        }
        for &(symbol, extra, extra_bits) in &self.lengths {
            bits.put_word(self.code[symbol]);
            bits.put(extra, extra_bits);
        }
    }
}

/// Equal word lengths in a row, with DEFLATE's three ways to say "again".
fn repeated(equal: &[u8]) -> Vec<(usize, u32, u8)> {
    let value = usize::from(equal[0]);
    let mut out = Vec::new();
    let mut left = equal.len();
    if value != 0 {
        out.push((value, 0, 0));
        left -= 1;
    }
    while left >= 3 {
        let (symbol, least, most, extra_bits) = match (value, left) {
            (0, 11..) => (18, 11, 138, 7),
            (0, _) => (17, 3, 10, 3),
            _ => (16, 3, 6, 2),
        };
        let taken = left.min(most);
        out.push((symbol, (taken - least) as u32, extra_bits));
        left -= taken;
    }
    out.extend(std::iter::repeat_n((value, 0, 0), left));
    out
}

/// Words in a row.
#[derive(Clone, Copy)]
struct Bits {
    bits: u64,
    length: u32,
}

impl From<Word> for Bits {
    #[inline(always)]
    fn from(word: Word) -> Self {
        Self { bits: u64::from(word.bits), length: u32::from(word.length) }
    }
}

impl Bits {
    /// At most 64 bits in all.
    #[inline(always)]
    fn then(self, next: Self) -> Self {
        let bits = self.bits | next.bits.wrapping_shl(self.length);
        Self { bits, length: self.length + next.length }
    }
}

/// Fills bytes from their lowest bit.
struct BitWriter {
    out: Vec<u8>,
    /// Bytes of `out` that are written; what follows is room.
    at: usize,
    buffer: u64,
    /// Bits in `buffer`, fewer than 8 between calls.
    count: u32,
}

impl BitWriter {
    /// Makes room for `bits` more. Room that was not used stays for the next block.
    fn reserve(&mut self, bits: usize) {
        let needed = self.at + bits / 8 + 16;
        if needed > self.out.len() {
            self.out.resize(needed, 0);
        }
    }

    /// Appends up to 32 bits. There must be room.
    #[inline(always)]
    fn put(&mut self, bits: u32, count: u8) {
        self.buffer |= u64::from(bits) << self.count;
        self.count += u32::from(count);
        self.flush();
    }

    #[inline(always)]
    fn put_word(&mut self, word: Word) {
        self.put(u32::from(word.bits), word.length);
    }

    #[inline(always)]
    fn flush(&mut self) {
        self.out[self.at..self.at + 8].copy_from_slice(&self.buffer.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.buffer >>= self.count & !7;
        self.count &= 7;
    }

    /// Appends the words of `literals`, eight at a time. There must be room.
    #[inline(always)]
    fn literals(&mut self, literals: &[u8], code: &[Word; SYMBOLS]) {
        let (groups, rest) = literals.as_chunks::<8>();
        let Self { at, mut buffer, mut count, .. } = *self;
        let mut out = &mut self.out[at..];
        let room = out.len();
        let mut append = |bits: u64, length: u32| {
            buffer |= bits << count;
            count += length;
            let target = std::mem::take(&mut out);
            target[..8].copy_from_slice(&buffer.to_le_bytes());
            out = &mut target[(count / 8) as usize..];
            buffer >>= count & !7;
            count &= 7;
        };
        for group in groups {
            let [a, b, c, d, e, f, g, h] = group.map(|value| Bits::from(code[usize::from(value)]));
            let first = a.then(b).then(c.then(d));
            let second = e.then(f).then(g.then(h));
            if first.length + second.length <= 56 {
                let both = first.then(second);
                append(both.bits, both.length);
            } else {
                append(first.bits, first.length);
                append(second.bits, second.length);
            }
        }
        let written = room - out.len();
        (self.at, self.buffer, self.count) = (at + written, buffer, count);
        for &value in rest {
            self.put_word(code[usize::from(value)]);
        }
    }

    /// Fills up the current byte with zeros.
    fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Appends data as they are.
    fn stored(&mut self, data: &[u8]) {
        for data in data.chunks(LONGEST_STORED) {
            self.reserve(8 * data.len() + 64);
            self.put(0, 3);
            self.align();
            let length = data.len() as u16;
            self.put(u32::from(length) | u32::from(!length) << 16, 32);
            self.out[self.at..self.at + data.len()].copy_from_slice(data);
            self.at += data.len();
        }
    }
}
