//! Pages, contact sheets and tables that people look at.

pub mod leaderboard;
pub mod preview;
pub mod sheet;
mod write;

pub use preview::{Card, Page, Picture, Prediction, Said};
pub use sheet::{Sheet, SheetOptions};
pub use write::write_whole;
