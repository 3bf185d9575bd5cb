//! Errors as Python has them: `ValueError`, with the position of what is wrong.

use std::fmt::Display;

use pyo3::PyErr;
use pyo3::exceptions::PyValueError;

/// Something is not as it must be.
pub fn value_error(error: impl Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The same, of the element at a position of a list.
pub fn at(position: usize, what: &str, error: impl Display) -> PyErr {
    value_error(format_args!("{what} {position}: {error}"))
}

/// Two lists that belong together have one length.
///
/// # Errors
/// When they do not.
pub fn same_length(what: [&str; 2], lengths: [usize; 2]) -> Result<(), PyErr> {
    let [a, b] = lengths;
    if a == b {
        return Ok(());
    }
    let [first, second] = what;
    Err(value_error(format_args!("there are {a} {first}, but {b} {second}")))
}
