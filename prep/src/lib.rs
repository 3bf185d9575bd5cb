//! From a [`segzero_datasets::Sample`] to a training example: box and inscribed circles
//! ([`target`]), the resized image ([`image`]), the choice of samples, and the written set.

pub mod batch;
pub mod circles;
pub mod error;
pub mod example;
pub mod filter;
pub mod image;
mod journal;
pub mod manifest;
pub mod options;
pub mod pipeline;
pub mod plan;
mod render;
pub mod select;
pub mod target;
pub mod writer;

pub use batch::{BatchOptions, batch_schema, prep_batch};
pub use error::{BadRecord, PrepError};
pub use example::{Example, Provenance};
pub use filter::{Filtered, MaskFilter, Segmenter};
pub use journal::{Existing, ShardEntry};
pub use manifest::Manifest;
pub use options::{Columns, FrameSize, ImageEncoding, OutputFormat, PrepOptions, SolutionFormat};
pub use pipeline::{Event, Job, OnBad, Report, estimate_bytes, run};
pub use plan::Plan;
pub use select::SelectOptions;
pub use target::{
    Border, BoxConvention, Circle, Flags, Parts, PointRule, Rounding, Target, TargetOptions,
};
