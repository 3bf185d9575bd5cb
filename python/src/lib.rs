//! The extension module `segzero._segzero`: what the crates compute, for NumPy and for Arrow.
//!
//! Nothing is computed here. Arguments are taken apart while Python's lock is held, the crates work
//! without it, and results are put together under it again. The package `segzero` around this module
//! gives the names, defaults and types that users see.

mod answer;
mod arrow;
mod batches;
mod circles;
mod failure;
mod iou;
mod masks;
mod options;
mod reward;

use pyo3::prelude::*;

/// The module's functions and classes.
#[pymodule]
mod _segzero {
    #[pymodule_export]
    use super::answer::{prompt, read_answers};
    #[pymodule_export]
    use super::arrow::Batch;
    #[pymodule_export]
    use super::batches::{
        finish, iou_partial, merge, partial_schema, prep, prep_schema, score, scores_schema,
    };
    #[pymodule_export]
    use super::circles::box_and_circles;
    #[pymodule_export]
    use super::iou::{box_iou, box_iou_matrix, mask_counts, mask_iou, mask_iou_matrix};
    #[pymodule_export]
    use super::masks::Masks;
    #[pymodule_export]
    use super::reward::{Recipe, reward_names};

    /// The version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's own name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
