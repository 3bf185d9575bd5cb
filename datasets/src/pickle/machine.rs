//! The stack machine that a pickle is a program for, cut down to the opcodes that make data.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::literal::{raw_unicode_escape, string_literal, text_of_bytes};
use super::{Handle, Pickle, PickleError, PickleFault, Value};

/// Reads a pickle; bytes after its STOP opcode are ignored, as Python does.
///
/// # Errors
/// Anything but plain data, and malformed input; the error states the byte.
pub fn parse(input: &[u8]) -> Result<Pickle<'_>, PickleError> {
    parse_naming(input, &[])
}

/// Reads a pickle that may name these Python objects, each as `module.name`. Still nothing is
/// imported or called: a name is [`Value::Object`], what would be called or made of a class
/// (REDUCE, NEWOBJ) is [`Value::Call`], and state that would be given to it (BUILD) is kept beside it,
/// as [`Pickle::state`].
///
/// # Errors
/// Any other object, opcodes that make one otherwise, and malformed input; the error states the byte.
pub fn parse_naming<'a>(
    input: &'a [u8],
    objects: &'static [&'static str],
) -> Result<Pickle<'a>, PickleError> {
    let mut machine = Machine::new(input, objects);
    loop {
        let offset = machine.at;
        match machine.step() {
            Ok(Step::Next) => {}
            Ok(Step::Stop(root)) => {
                let Machine { containers, decoded, states, .. } = machine;
                return Ok(Pickle { root, containers, decoded, states });
            }
            Err(fault) => return Err(PickleError { offset, fault }),
        }
    }
}

enum Step<'a> {
    Next,
    Stop(Value<'a>),
}

pub(super) type Outcome<T> = Result<T, PickleFault>;

pub(super) struct Machine<'a> {
    input: &'a [u8],
    /// Names of Python objects that may be stated.
    pub(super) objects: &'static [&'static str],
    at: usize,
    pub(super) stack: Vec<Value<'a>>,
    /// Stack heights at which MARKs stand; nothing pops through the topmost.
    marks: Vec<usize>,
    memo: Vec<Option<Value<'a>>>,
    containers: Vec<Vec<Value<'a>>>,
    pub(super) decoded: Vec<String>,
    /// The state that what a call makes was given last.
    pub(super) states: BTreeMap<Handle, Value<'a>>,
    /// Index that MEMOIZE stores at: the number of entries stored so far.
    memoized: usize,
}

impl<'a> Machine<'a> {
    fn new(input: &'a [u8], objects: &'static [&'static str]) -> Self {
        Self {
            input,
            objects,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            containers: Vec::new(),
            decoded: Vec::new(),
            states: BTreeMap::new(),
            memoized: 0,
        }
    }

    /// One opcode: numbers and texts here, the rest by kind below.
    fn step(&mut self) -> Outcome<Step<'a>> {
        let opcode = self.byte()?;
        let value = match opcode {
            b'.' => return self.pop().map(Step::Stop),
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'I' => match self.line()?.trim_ascii() {
                b"00" => Value::Bool(false),
                b"01" => Value::Bool(true),
                digits => Value::Int(decimal(digits)?),
            },
            b'L' => {
                let line = self.line()?.trim_ascii();
                Value::Int(decimal(line.strip_suffix(b"L").unwrap_or(line))?)
            }
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            b'K' => Value::Int(i64::from(self.byte()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            0x8a => {
                let length = u64::from(self.byte()?);
                Value::Int(little_endian(self.take(length)?)?)
            }
            0x8b => {
                let length = self.length4()?;
                Value::Int(little_endian(self.take(length)?)?)
            }
            b'F' => {
                let line = std::str::from_utf8(self.line()?).ok();
                let value = line.and_then(|line| line.trim().parse().ok());
                Value::Float(value.ok_or(PickleFault::Operand { what: "a float" })?)
            }
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            b'S' => {
                let text = string_literal(self.line()?);
                self.text(text.ok_or(PickleFault::Operand { what: "a quoted string" })?)?
            }
            b'V' => {
                let text = raw_unicode_escape(self.line()?);
                self.text(text.ok_or(PickleFault::Operand { what: "a unicode escape" })?)?
            }
            b'U' | b'C' | 0x8c => {
                let length = u64::from(self.byte()?);
                self.counted(opcode, length)?
            }
            b'T' | b'B' | b'X' => {
                let length = self.length4()?;
                self.counted(opcode, length)?
            }
            0x8d | 0x8e | 0x96 => {
                let length = u64::from_le_bytes(self.array()?);
                self.counted(opcode, length)?
            }
            _ => return self.structure(opcode).map(|()| Step::Next),
        };
        self.stack.push(value);
        Ok(Step::Next)
    }

    /// Opcodes of containers, the stack and the memo; and the refusal of all others.
    fn structure(&mut self, opcode: u8) -> Outcome<()> {
        match opcode {
            b'(' => self.marks.push(self.stack.len()),
            b']' => self.push_container(Value::List, Vec::new())?,
            b')' => self.push_container(Value::Tuple, Vec::new())?,
            b'}' => self.push_container(Value::Dict, Vec::new())?,
            b'l' | b't' => {
                let items = self.pop_to_mark()?;
                self.push_container(
                    if opcode == b'l' { Value::List } else { Value::Tuple },
                    items,
                )?;
            }
            b'd' => {
                let entries = self.pop_to_mark()?;
                check_entries(&entries)?;
                self.push_container(Value::Dict, entries)?;
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let start = self.height_below(count)?;
                let items = self.stack.split_off(start);
                self.push_container(Value::Tuple, items)?;
            }
            b'a' => {
                let start = self.height_below(1)?;
                self.extend_below(start, Kind::List)?;
            }
            b's' => {
                let start = self.height_below(2)?;
                self.extend_below(start, Kind::Dict)?;
            }
            b'e' | b'u' => {
                let start = self.marks.pop().ok_or(PickleFault::NoMark)?;
                self.extend_below(start, if opcode == b'e' { Kind::List } else { Kind::Dict })?;
            }
            b'0' => match self.pop() {
                Ok(_) => {}
                // POP also removes a MARK that stands on top.
                Err(fault) => drop(self.marks.pop().ok_or(fault)?),
            },
            b'1' => {
                let start = self.marks.pop().ok_or(PickleFault::NoMark)?;
                self.stack.truncate(start);
            }
            b'2' => self.stack.push(self.top()?),
            _ => return self.memo_or_header(opcode),
        }
        Ok(())
    }

    /// PUT, GET and their kin; PROTO and FRAME; everything else is refused.
    fn memo_or_header(&mut self, opcode: u8) -> Outcome<()> {
        match opcode {
            b'p' => {
                let index = self.line_index()?;
                self.put(index)
            }
            b'q' => {
                let index = u64::from(self.byte()?);
                self.put(index)
            }
            b'r' => {
                let index = self.length4()?;
                self.put(index)
            }
            0x94 => self.put(self.memoized as u64),
            b'g' => {
                let index = self.line_index()?;
                self.get(index)
            }
            b'h' => {
                let index = u64::from(self.byte()?);
                self.get(index)
            }
            b'j' => {
                let index = self.length4()?;
                self.get(index)
            }
            0x80 => match self.byte()? {
                0..=5 => Ok(()),
                protocol => Err(PickleFault::Protocol { protocol }),
            },
            0x95 => {
                let length = u64::from_le_bytes(self.array()?);
                self.check_length(length).map(drop)
            }
            _ => self.object(opcode),
        }
    }

    // --- input ---

    fn byte(&mut self) -> Outcome<u8> {
        let byte = *self.input.get(self.at).ok_or(PickleFault::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let bytes = self.input.get(self.at..self.at + N).ok_or(PickleFault::Truncated)?;
        self.at += N;
        bytes.try_into().map_err(|_| PickleFault::Truncated)
    }

    fn length4(&mut self) -> Outcome<u64> {
        Ok(u64::from(u32::from_le_bytes(self.array()?)))
    }

    fn check_length(&self, length: u64) -> Outcome<usize> {
        let left = self.input.len() - self.at;
        match usize::try_from(length) {
            Ok(length) if length <= left => Ok(length),
            _ => Err(PickleFault::Length { length, left }),
        }
    }

    fn take(&mut self, length: u64) -> Outcome<&'a [u8]> {
        let length = self.check_length(length)?;
        let bytes = &self.input[self.at..self.at + length];
        self.at += length;
        Ok(bytes)
    }

    /// Up to the next newline, which is consumed and left out.
    pub(super) fn line(&mut self) -> Outcome<&'a [u8]> {
        let rest = &self.input[self.at..];
        let end = rest.iter().position(|&b| b == b'\n').ok_or(PickleFault::Truncated)?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    fn line_index(&mut self) -> Outcome<u64> {
        let index = decimal(self.line()?.trim_ascii())?;
        u64::try_from(index).map_err(|_| PickleFault::Operand { what: "a memo index" })
    }

    /// A text or bytes of a stated length.
    fn counted(&mut self, opcode: u8, length: u64) -> Outcome<Value<'a>> {
        let bytes = self.take(length)?;
        match opcode {
            b'C' | b'B' | 0x8e | 0x96 => Ok(Value::Bytes(bytes)),
            b'U' | b'T' => self.text(text_of_bytes(bytes)),
            _ => self.text(String::from_utf8_lossy(bytes)),
        }
    }

    fn text(&mut self, text: Cow<'a, str>) -> Outcome<Value<'a>> {
        Ok(match text {
            Cow::Borrowed(text) => Value::Text(text),
            Cow::Owned(text) => {
                let handle = next_handle(self.decoded.len())?;
                self.decoded.push(text);
                Value::Decoded(handle)
            }
        })
    }

    // --- stack ---

    /// Height of the stack below which the topmost MARK forbids to pop.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub(super) fn height_below(&self, count: usize) -> Outcome<usize> {
        let height = self.stack.len().checked_sub(count).ok_or(PickleFault::StackUnderflow)?;
        if height < self.floor() { Err(PickleFault::StackUnderflow) } else { Ok(height) }
    }

    fn top(&self) -> Outcome<Value<'a>> {
        Ok(self.stack[self.height_below(1)?])
    }

    pub(super) fn pop(&mut self) -> Outcome<Value<'a>> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_to_mark(&mut self) -> Outcome<Vec<Value<'a>>> {
        let start = self.marks.pop().ok_or(PickleFault::NoMark)?;
        Ok(self.stack.split_off(start))
    }

    pub(super) fn push_container(
        &mut self,
        make: fn(Handle) -> Value<'a>,
        content: Vec<Value<'a>>,
    ) -> Outcome<()> {
        let handle = next_handle(self.containers.len())?;
        self.containers.push(content);
        self.stack.push(make(handle));
        Ok(())
    }

    /// Moves the values from `start` on into the container that stands right below them.
    fn extend_below(&mut self, start: usize, kind: Kind) -> Outcome<()> {
        let target = start.checked_sub(1).filter(|&i| i >= self.floor());
        let target = target.ok_or(PickleFault::StackUnderflow)?;
        let handle = match (kind, self.stack[target]) {
            (Kind::List, Value::List(handle)) => handle,
            (Kind::Dict, Value::Dict(handle) | Value::Call(handle)) => {
                check_entries(&self.stack[start..])?;
                handle
            }
            (Kind::List, _) => return Err(PickleFault::Type { expected: "a list" }),
            (Kind::Dict, _) => return Err(PickleFault::Type { expected: "a dict" }),
        };
        let content = &mut self.containers[handle.0 as usize];
        content.extend_from_slice(&self.stack[start..]);
        self.stack.truncate(start);
        Ok(())
    }

    // --- memo ---

    fn put(&mut self, index: u64) -> Outcome<()> {
        let value = self.top()?;
        // Picklers number entries one by one, so an honest index is below the length of the input.
        if index >= self.input.len() as u64 {
            return Err(PickleFault::Memo { index });
        }
        let index = index as usize;
        if index >= self.memo.len() {
            self.memo.resize(index + 1, None);
        }
        if self.memo[index].replace(value).is_none() {
            self.memoized += 1;
        }
        Ok(())
    }

    fn get(&mut self, index: u64) -> Outcome<()> {
        let entry = usize::try_from(index).ok().and_then(|index| self.memo.get(index));
        let value = entry.copied().flatten().ok_or(PickleFault::Memo { index })?;
        self.stack.push(value);
        Ok(())
    }
}

/// Which container [`Machine::extend_below`] extends.
#[derive(Clone, Copy)]
enum Kind {
    List,
    Dict,
}

fn next_handle(length: usize) -> Outcome<Handle> {
    let index = u32::try_from(length).map_err(|_| PickleFault::Expansion)?;
    Ok(Handle(index))
}

/// Keys and values in turn; keys must be hashable, as in Python.
fn check_entries(entries: &[Value<'_>]) -> Outcome<()> {
    if !entries.len().is_multiple_of(2) {
        return Err(PickleFault::Type { expected: "a value for every key" });
    }
    match entries.iter().step_by(2).any(|key| matches!(key, Value::List(_) | Value::Dict(_))) {
        true => Err(PickleFault::Type { expected: "a hashable key" }),
        false => Ok(()),
    }
}

/// A decimal integer with an optional sign.
fn decimal(digits: &[u8]) -> Outcome<i64> {
    let text = std::str::from_utf8(digits).ok();
    let text = text.filter(|text| {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit())
    });
    let text = text.ok_or(PickleFault::Operand { what: "an integer" })?;
    text.parse().map_err(|_| PickleFault::IntegerRange)
}

/// A little-endian two's complement integer of any length whose value fits 64 bits.
fn little_endian(bytes: &[u8]) -> Outcome<i64> {
    let negative = bytes.last().is_some_and(|&b| b >= 0x80);
    let fill = if negative { 0xff } else { 0 };
    let mut wide = [fill; 8];
    let kept = bytes.len().min(8);
    wide[..kept].copy_from_slice(&bytes[..kept]);
    let value = i64::from_le_bytes(wide);
    let lossless = bytes[kept..].iter().all(|&b| b == fill) && (value < 0) == negative;
    if lossless { Ok(value) } else { Err(PickleFault::IntegerRange) }
}
