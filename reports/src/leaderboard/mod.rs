//! Published figures of the field, shipped as data; tables of them with one's own runs at the place
//! they earn, and what a reader must know before comparing two rows.
//!
//! A [`Figure`] is one number with its metric, protocol, source and status; `reports/leaderboard/`
//! holds them as CSV ([`shipped`], [`read()`]). A [`Board`] is a table of them. [`check()`] is the
//! arithmetic that published figures must satisfy.

mod board;
mod caveat;
pub mod check;
mod entry;
mod figure;
mod percent;
pub mod read;
pub mod render;

pub use board::{Board, Cell, Column, NoSuchColumn, Row, Selection, Source, Trust};
pub use caveat::Caveat;
pub use check::{Fault, Finding, check};
pub use entry::{Entry, SETS, set_and_partition};
pub use figure::{Figure, FigureStatus, Metric, Part, SampleUnit};
pub use percent::Percent;
pub use read::{COLUMNS, read, shipped};

#[cfg(test)]
mod tests;
