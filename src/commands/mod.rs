//! One module a subcommand.

pub mod demo;
pub mod eval;
pub mod inspect;
pub mod prep;
pub mod preview;
