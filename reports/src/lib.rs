//! Pages, contact sheets and tables that people look at.

pub mod preview;
pub mod sheet;

pub use preview::{Card, Page, Picture, Prediction, Said};
pub use sheet::{Sheet, SheetOptions};
