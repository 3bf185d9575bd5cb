//! Scores of predicted masks against samples: per-sample IoU, gIoU, cIoU. No Burn, no models.
//!
//! The unit of scoring is one query of one sample ([`Unit`]). Its [`Row`] holds exact pixel counts,
//! and every number of a [`Summary`] is computed from the rows by integer arithmetic, so it is the
//! same bits whatever the order of the samples, the number of threads, or the way the data were cut
//! into shards ([`Scores::merge`]).
//!
//! The rules, where published evaluators differ:
//! - Pixels that the data set ignores ([`segzero_datasets::Masks::ignore`]) count on neither side.
//! - No target and an empty prediction: IoU 1. No target and a prediction: IoU 0, and its pixels
//!   join the union.
//! - A sample without a prediction, with one of another size, or with one that cannot be read is
//!   never left out: IoU 0, nothing joins the intersection, the target joins the union.
//!
//! gIoU is the mean of the samples' IoUs (also called mIoU); cIoU is the sum of intersections over
//! the sum of unions (also called oIoU, overall IoU).

mod counts;
mod iou;
pub mod predictions;
mod score;
mod scores;
mod size;
mod summary;

pub use counts::Counts;
pub use iou::{Iou, IouSum};
pub use predictions::{OnBadRecord, Predictions, prediction_line};
pub use score::{Options, Unit, score};
pub use scores::{Names, Problems, Row, Scores, Status};
pub use summary::{Precision, Summary, THRESHOLDS};
