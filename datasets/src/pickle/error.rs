//! [`PickleError`]: where reading stopped, and why.

/// Reading stopped at a byte of the pickle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {fault}")]
pub struct PickleError {
    /// Offset of the opcode concerned, in bytes from the start of the pickle.
    pub offset: usize,
    /// What is wrong with it.
    pub fault: PickleFault,
}

/// Why a pickle cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleFault {
    /// The pickle names a Python object to import or call.
    #[error("the pickle asks for the Python object `{name}`; it was not executed")]
    Global {
        /// `module.name`, as written.
        name: String,
    },
    /// An opcode that builds objects or reaches outside the pickle.
    #[error("the pickle uses {opcode}, which builds Python objects; it was not executed")]
    Refused {
        /// The opcode's name in Python's `pickletools`.
        opcode: &'static str,
    },
    /// A byte that is no opcode of protocols 0 to 5.
    #[error("byte {opcode:#04x} is no opcode of a data-only pickle")]
    Opcode {
        /// The byte.
        opcode: u8,
    },
    /// A protocol that did not exist when this was written.
    #[error("pickle protocol {protocol} is not known (0 to 5 are)")]
    Protocol {
        /// The number.
        protocol: u8,
    },
    /// The pickle ends before its STOP opcode.
    #[error("the pickle ends here, before its STOP opcode")]
    Truncated,
    /// A length field that points past the end.
    #[error("a length of {length} bytes where {left} are left")]
    Length {
        /// What the field says.
        length: u64,
        /// Bytes that remain.
        left: usize,
    },
    /// An operand that cannot be read as what it must be.
    #[error("{what} expected")]
    Operand {
        /// What must stand there, as a noun phrase.
        what: &'static str,
    },
    /// An integer beyond 64 bits.
    #[error("an integer does not fit 64 bits")]
    IntegerRange,
    /// An opcode that needs more values than are on the stack.
    #[error("the stack has no value left")]
    StackUnderflow,
    /// An opcode that needs a MARK where there is none.
    #[error("no MARK on the stack")]
    NoMark,
    /// A memo entry that was not stored, or an index larger than the pickle.
    #[error("memo entry {index} was never stored or is out of range")]
    Memo {
        /// The index.
        index: u64,
    },
    /// A value of the wrong type on the stack.
    #[error("{expected} expected on the stack")]
    Type {
        /// What must be there.
        expected: &'static str,
    },
    /// Shared values would be copied out to far more than the pickle's size ("billion laughs").
    #[error("shared values would expand to far more than the file holds")]
    Expansion,
}

impl PickleError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self.fault {
            PickleFault::Global { .. } | PickleFault::Refused { .. } => Some(
                "a REFER file holds only lists, dicts, strings and numbers; if you trust this one, \
                 load it in Python and pickle it again as such",
            ),
            PickleFault::Opcode { .. } if self.offset == 0 => Some(
                "this is no pickle; downloads of REFER data are often an error page or a Git LFS \
                 pointer",
            ),
            PickleFault::Truncated | PickleFault::Length { .. } => {
                Some("the file seems to be cut short; download or copy it again")
            }
            _ => None,
        }
    }
}
