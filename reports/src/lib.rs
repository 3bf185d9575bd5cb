//! Pages, contact sheets and tables that people look at.

mod canvas;
pub mod figures;
mod frame;
pub mod leaderboard;
mod overlay;
mod pictures;
pub mod preview;
pub mod report;
pub mod sheet;
pub mod training;
mod write;

pub use overlay::{Marks, overlay};
pub use preview::{Card, Page, Picture, Prediction, Said};
pub use sheet::{Sheet, SheetOptions};
pub use write::write_whole;

/// A script for pages: `runLengths(text)`, the runs of COCO's compressed string, background first.
pub const RUN_LENGTHS: &str = include_str!("runs.js");
