//! A reader of Python pickles that hold data only, as REFER's `refs(SPLITBY).p` do.
//!
//! Protocols 0 to 5 are read; nothing is ever imported, called or built: an opcode that would
//! (GLOBAL, REDUCE, BUILD, ...) is an error that names it, unless [`parse_naming`] is told of the
//! object; then it is written down, and the reader of that format says what it means. Memory is linear
//! in the length of the input whatever it says, because containers live in one flat arena and values
//! refer to them by index: sharing through the memo costs nothing, cycles do not leak, and neither
//! reading nor dropping recurses. The opcodes are those of Python's `pickletools` documentation.
//!
//! ```
//! let pickle = segzero_datasets::pickle::parse(b"(lp0\nS'it\\'s'\np1\naI7\na.").unwrap();
//! let items = pickle.items(pickle.root()).unwrap();
//! assert_eq!(pickle.text(items[0]), Some("it's"));
//! assert_eq!(items[1].int(), Some(7));
//! ```

mod error;
mod literal;
mod machine;
mod object;

use std::collections::BTreeMap;

pub use error::{PickleError, PickleFault};
pub use machine::{parse, parse_naming};

/// One Python value. Containers and decoded texts are handles into their [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of up to 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text that stands in the input as it is.
    Text(&'a str),
    /// Text that had to be decoded; see [`Pickle::text`].
    Decoded(Handle),
    /// Python 3 `bytes` or `bytearray`.
    Bytes(&'a [u8]),
    /// A list; see [`Pickle::items`].
    List(Handle),
    /// A tuple; see [`Pickle::items`].
    Tuple(Handle),
    /// A dict; see [`Pickle::entries`].
    Dict(Handle),
    /// A Python object, by a name that [`parse_naming`] was given.
    Object(&'static str),
    /// What calling such an object would make; see [`Pickle::call`], [`Pickle::entries`] and
    /// [`Pickle::state`].
    Call(Handle),
    /// What the writer keeps outside the pickle; see [`Pickle::persistent`].
    Persistent(Handle),
}

/// Refers to a container or a decoded text of one [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(u32);

impl Value<'_> {
    /// The integer, if it is one. Python's `True` is 1.
    pub fn int(self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(value),
            Value::Bool(value) => Some(i64::from(value)),
            _ => None,
        }
    }

    /// What the value is, for messages: `a list`, `an integer`, ...
    pub fn type_name(self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Text(_) | Value::Decoded(_) => "a string",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "a list",
            Value::Tuple(_) => "a tuple",
            Value::Dict(_) => "a dict",
            Value::Object(_) => "a Python object",
            Value::Call(_) => "what a call makes",
            Value::Persistent(_) => "a persistent reference",
        }
    }
}

/// A pickle that was read; texts borrow from its input where they can.
#[derive(Debug)]
pub struct Pickle<'a> {
    root: Value<'a>,
    containers: Vec<Vec<Value<'a>>>,
    decoded: Vec<String>,
    states: BTreeMap<Handle, Value<'a>>,
}

impl<'a> Pickle<'a> {
    /// The pickled value.
    pub fn root(&self) -> Value<'a> {
        self.root
    }

    /// The text of a string. 8-bit strings of Python 2 are UTF-8 where they are valid UTF-8, else
    /// Latin-1; a lone surrogate reads as U+FFFD.
    pub fn text(&self, value: Value<'a>) -> Option<&str> {
        match value {
            Value::Text(text) => Some(text),
            Value::Decoded(handle) => self.decoded.get(handle.0 as usize).map(String::as_str),
            _ => None,
        }
    }

    /// The items of a list or tuple.
    pub fn items(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::List(handle) | Value::Tuple(handle) => self.container(handle),
            _ => None,
        }
    }

    /// Keys and values of a dict, or of what a call makes, as they were set: of equal keys the last
    /// counts.
    pub fn entries(
        &self,
        value: Value<'a>,
    ) -> Option<impl DoubleEndedIterator<Item = (Value<'a>, Value<'a>)> + '_> {
        let set = match value {
            Value::Dict(handle) => self.container(handle)?,
            Value::Call(handle) => self.container(handle)?.get(2..)?,
            _ => return None,
        };
        Some(set.chunks_exact(2).map(|pair| (pair[0], pair[1])))
    }

    /// The value of a dict at a string key.
    pub fn get(&self, dict: Value<'a>, key: &str) -> Option<Value<'a>> {
        self.entries(dict)?.rev().find(|&(k, _)| self.text(k) == Some(key)).map(|(_, v)| v)
    }

    /// The object that a call calls, and its arguments.
    pub fn call(&self, value: Value<'a>) -> Option<(&'static str, &[Value<'a>])> {
        let Value::Call(handle) = value else { return None };
        match self.container(handle)? {
            [Value::Object(name), arguments, ..] => Some((name, self.items(*arguments)?)),
            _ => None,
        }
    }

    /// The state that what a call makes would be given: of an instance of a plain class, its fields in a
    /// dict.
    pub fn state(&self, value: Value<'a>) -> Option<Value<'a>> {
        let Value::Call(handle) = value else { return None };
        self.states.get(&handle).copied()
    }

    /// What identifies a value that is kept outside the pickle.
    pub fn persistent(&self, value: Value<'a>) -> Option<Value<'a>> {
        let Value::Persistent(handle) = value else { return None };
        self.container(handle)?.first().copied()
    }

    fn container(&self, handle: Handle) -> Option<&[Value<'a>]> {
        self.containers.get(handle.0 as usize).map(Vec::as_slice)
    }
}
