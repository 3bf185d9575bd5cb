//! What the command prints. Nothing here panics when the reader has gone away.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use crate::failure::Failure;

/// Prints to stdout.
///
/// # Errors
/// A full disk. A reader that has seen enough (`| head`) is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    match out.write_all(plain(text).as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format_args!("could not write to the standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// Prints a line to stderr. Where nobody can read it, there is nobody to tell.
pub fn report(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{}", plain(&line.to_string()));
}

/// File names and texts of data sets are others' words: they must not move the cursor or worse.
fn plain(text: &str) -> String {
    let harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if harmless(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_are_not_passed_on() {
        assert_eq!(super::plain("a\tb\n\u{1b}[2Jc\0é"), "a\tb\n\u{fffd}[2Jc\u{fffd}é");
    }
}
