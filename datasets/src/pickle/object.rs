//! Opcodes that make Python objects: written down where the object may be named, else refused.

use super::machine::{Machine, Outcome};
use super::{PickleFault, Value};

impl<'a> Machine<'a> {
    /// An opcode that is not plain data.
    pub(super) fn object(&mut self, opcode: u8) -> Outcome<()> {
        match opcode {
            b'c' => {
                let (module, name) = self.two_lines()?;
                self.push_object(&module, &name)
            }
            0x93 => {
                let top = self.stack.iter().rev().take(2);
                let words: Vec<String> = top.map_while(|value| self.owned_text(*value)).collect();
                let [name, module] = &words[..] else {
                    return Err(PickleFault::Refused { opcode: "STACK_GLOBAL" });
                };
                let start = self.height_below(2)?;
                self.stack.truncate(start);
                self.push_object(module, name)
            }
            b'i' => {
                let (module, name) = self.two_lines()?;
                Err(global(&module, &name))
            }
            b'R' => self.call("REDUCE"),
            0x81 => self.call("NEWOBJ"),
            b'b' => match self.height_below(2).map(|start| self.stack[start]) {
                Ok(Value::Call(handle)) => {
                    let state = self.pop()?;
                    self.states.insert(handle, state);
                    Ok(())
                }
                _ => Err(PickleFault::Refused { opcode: "BUILD" }),
            },
            b'Q' if !self.objects.is_empty() => {
                let id = self.pop()?;
                self.push_container(Value::Persistent, vec![id])
            }
            _ => Err(refused(opcode)),
        }
    }

    fn owned_text(&self, value: Value<'a>) -> Option<String> {
        match value {
            Value::Text(text) => Some(text.to_owned()),
            Value::Decoded(handle) => self.decoded.get(handle.0 as usize).cloned(),
            _ => None,
        }
    }

    fn two_lines(&mut self) -> Outcome<(String, String)> {
        let mut line = || Ok(String::from_utf8_lossy(self.line()?).into_owned());
        Ok((line()?, line()?))
    }

    fn push_object(&mut self, module: &str, name: &str) -> Outcome<()> {
        let is_named = |object: &&&str| {
            let rest = object.strip_prefix(module).and_then(|rest| rest.strip_prefix('.'));
            rest == Some(name)
        };
        let object = self.objects.iter().find(is_named).ok_or_else(|| global(module, name))?;
        self.stack.push(Value::Object(object));
        Ok(())
    }

    /// A call of an object with a tuple of arguments, followed by what is later set on the result.
    fn call(&mut self, opcode: &'static str) -> Outcome<()> {
        let refused = PickleFault::Refused { opcode };
        let start = self.height_below(2).map_err(|_| refused.clone())?;
        match self.stack.split_off(start)[..] {
            [object @ Value::Object(_), arguments @ Value::Tuple(_)] => {
                self.push_container(Value::Call, vec![object, arguments])
            }
            _ => Err(refused),
        }
    }
}

fn global(module: &str, name: &str) -> PickleFault {
    // Names are short; a long one is an attempt at something and need not fill the terminal.
    let name = format!("{module}.{name}").chars().take(120).collect();
    PickleFault::Global { name }
}

fn refused(opcode: u8) -> PickleFault {
    let opcode = match opcode {
        b'o' => "OBJ",
        0x92 => "NEWOBJ_EX",
        b'P' => "PERSID",
        b'Q' => "BINPERSID",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        0x8f => "EMPTY_SET",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        _ => return PickleFault::Opcode { opcode },
    };
    PickleFault::Refused { opcode }
}
