//! Raw segmentation data sets, in the layouts people have on their disks, read into [`Sample`]s.
//!
//! Every format has a private mirror of its file (REFER pickles, `instances.json`, ReasonSeg JSON,
//! Parquet, tables) and one function that turns a record of it into a [`Sample`]; past that border
//! nothing depends on where a sample came from. Masks are run-length ([`Mask`]) throughout.

mod coco;
pub mod counts;
pub mod error;
pub mod geometry;
pub mod held_out;
mod hf;
pub mod inspect;
pub mod mask;
pub mod pickle;
mod reasonseg;
mod refer;
pub mod sample;
pub mod scan;
pub mod shapes;
pub mod source;
mod split;
pub mod synth;
mod table;
mod walk;

pub use error::{Error, ErrorKind};
pub use geometry::{CocoSegmentation, Geometry, Label, Masks, Shape};
pub use held_out::{HeldOut, ImageKey, held_out_images};
pub use hf::{
    KEY_COLUMNS, MaskColumn, MaskRow, batch_id, batch_samples, batch_size, mask_rows, row_error,
};
pub use mask::{FillRegime, Mask, MaskError};
pub use sample::{ImageRef, ImageSource, Query, Sample};
pub use shapes::{Bbox, Point, Size};
pub use source::{Format, ReadOptions, SampleIter, Source, discover};
pub use split::split_matches;
