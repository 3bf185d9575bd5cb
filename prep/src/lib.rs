//! From a [`segzero_datasets::Sample`] to a training example: box and inscribed circles
//! ([`target`]), the resized image ([`image`]), the choice of samples, and the written set.

pub mod circles;
pub mod image;
pub mod target;

pub use target::{
    Border, BoxConvention, Circle, Flags, Parts, PointRule, Rounding, Target, TargetOptions,
};
