//! A DEFLATE encoder (RFC 1951) for filtered photographs.
//!
//! The residuals of a photograph repeat nowhere, except that flat regions leave runs of one byte. So
//! this encoder looks for runs only, and otherwise gives each block of residuals its own Huffman
//! code. Against a full search for repeats that is about twenty times as fast at nearly the same size.

use super::huffman::{self, Word};

/// Bytes in a block that codes well: enough to pay for its code, few enough to be of one kind.
pub(super) const BLOCK_BYTES: usize = 48 << 10;

/// A stored block cannot be longer.
const LONGEST_STORED: usize = 65_535;
const LONGEST_RUN: usize = 258;
/// Shorter runs are cheap as literals and would cost the search more than they save.
const SHORTEST_RUN: usize = 5;
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
}

impl Deflater {
    /// A writer that appends to `out`.
    pub fn new(out: Vec<u8>) -> Self {
        let bits = BitWriter { at: out.len(), out, buffer: 0, count: 0 };
        Self { bits, segments: Vec::new() }
    }

    /// Appends `data`, best in portions of about [`BLOCK_BYTES`].
    pub fn write(&mut self, data: &[u8]) {
        for block in data.chunks(LONGEST_STORED) {
            self.block(block);
        }
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

    fn block(&mut self, data: &[u8]) {
        find_runs(data, &mut self.segments);
        let counts = count(data, &self.segments);
        let code = huffman::code(&counts, LONGEST_WORD);
        let header = Header::new(&code);
        let body: u64 =
            counts.iter().zip(&code).map(|(&n, word)| u64::from(n) * u64::from(word.length)).sum();
        // A run needs at most 5 extra bits and one for the distance.
        let bits = header.bits() + body as usize + 6 * self.segments.len();
        if bits > 8 * data.len() {
            return self.bits.stored(data);
        }
        self.bits.reserve(bits);
        header.write(&mut self.bits);
        let mut rest = data;
        for segment in &self.segments {
            let (literals, after) = rest.split_at(segment.literals);
            self.bits.literals(literals, &code);
            if segment.run > 0 {
                let length = Length::new(segment.run);
                self.bits.put_word(code[length.symbol]);
                self.bits.put(length.extra, length.extra_bits);
                self.bits.put(0, 1);
            }
            rest = &after[segment.run..];
        }
        self.bits.put_word(code[END_OF_BLOCK]);
    }
}

/// Cuts `data` into segments.
#[inline(never)]
fn find_runs(data: &[u8], segments: &mut Vec<Segment>) {
    segments.clear();
    let mut start = 0;
    let mut from = 1;
    while let Some(run) = next_run(data, from) {
        let value = data[run - 1];
        let length = data[run..].iter().take(LONGEST_RUN).take_while(|&&v| v == value).count();
        segments.push(Segment { literals: run - start, run: length });
        start = run + length;
        from = start.max(1);
    }
    segments.push(Segment { literals: data.len() - start, run: 0 });
}

/// The first place at or after `from` where [`SHORTEST_RUN`] bytes equal their predecessor.
#[inline(never)]
fn next_run(data: &[u8], from: usize) -> Option<usize> {
    let word = |at: usize| data.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let mut at = from;
    while let (Some(current), Some(previous)) = (word(at), word(at - 1)) {
        let equal = zero_bytes(current ^ previous);
        let starts = (1..SHORTEST_RUN).fold(equal, |starts, at| starts & (equal >> (8 * at)));
        if starts != 0 {
            return Some(at + starts.trailing_zeros() as usize / 8);
        }
        at += 8 - SHORTEST_RUN + 1;
    }
    (at..data.len().saturating_sub(SHORTEST_RUN - 1))
        .find(|&at| data[at..at + SHORTEST_RUN].iter().all(|&v| v == data[at - 1]))
}

/// The highest bit of each byte that is zero.
fn zero_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    !(((word & LOW) + LOW) | word | LOW)
}

#[inline(never)]
fn count(data: &[u8], segments: &[Segment]) -> [u32; SYMBOLS] {
    // Four tables, so that equal neighbours do not wait for each other's increment.
    let mut tables = [[0u32; LITERALS]; 4];
    let mut counts = [0; SYMBOLS];
    let mut rest = data;
    for segment in segments {
        let (literals, after) = rest.split_at(segment.literals);
        let quads = literals.chunks_exact(4);
        for &value in quads.remainder() {
            tables[0][usize::from(value)] += 1;
        }
        for quad in quads {
            for (table, &value) in tables.iter_mut().zip(quad) {
                table[usize::from(value)] += 1;
            }
        }
        if segment.run > 0 {
            counts[Length::new(segment.run).symbol] += 1;
        }
        rest = &after[segment.run..];
    }
    for (value, count) in counts[..LITERALS].iter_mut().enumerate() {
        *count = tables.iter().map(|table| table[value]).sum();
    }
    counts[END_OF_BLOCK] = 1;
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
    /// Makes room for `bits` more.
    fn reserve(&mut self, bits: usize) {
        self.out.resize(self.at + bits / 8 + 16, 0);
    }

    /// Appends up to 32 bits. There must be room.
    fn put(&mut self, bits: u32, count: u8) {
        self.buffer |= u64::from(bits) << self.count;
        self.count += u32::from(count);
        self.flush();
    }

    fn put_word(&mut self, word: Word) {
        self.put(u32::from(word.bits), word.length);
    }

    fn flush(&mut self) {
        self.out[self.at..self.at + 8].copy_from_slice(&self.buffer.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.buffer >>= self.count & !7;
        self.count &= 7;
    }

    /// Appends the words of `literals`, four at a time. There must be room.
    #[inline(never)]
    fn literals(&mut self, literals: &[u8], code: &[Word; SYMBOLS]) {
        let join = |a: (u64, u32), b: (u64, u32)| (a.0 | (b.0 << a.1), a.1 + b.1);
        let quads = literals.chunks_exact(4);
        let rest = quads.remainder();
        let Self { at, mut buffer, mut count, .. } = *self;
        let mut out = &mut self.out[at..];
        let room = out.len();
        for quad in quads {
            let word = |index: usize| {
                let word = code[usize::from(quad[index])];
                (u64::from(word.bits), u32::from(word.length))
            };
            let (bits, length) = join(join(word(0), word(1)), join(word(2), word(3)));
            buffer |= bits << count;
            count += length;
            out[..8].copy_from_slice(&buffer.to_le_bytes());
            out = &mut out[(count / 8) as usize..];
            buffer >>= count & !7;
            count &= 7;
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

    /// Appends a block as it is.
    fn stored(&mut self, data: &[u8]) {
        self.reserve(8 * data.len() + 64);
        self.put(0, 3);
        self.align();
        let length = data.len() as u16;
        self.put(u32::from(length) | u32::from(!length) << 16, 32);
        self.out[self.at..self.at + data.len()].copy_from_slice(data);
        self.at += data.len();
    }
}
