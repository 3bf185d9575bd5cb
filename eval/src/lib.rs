//! Scores of predicted masks against samples: per-sample IoU, gIoU, cIoU, under the rules of any
//! published evaluator. No Burn, no models.
//!
//! What is scored, and by which rules, is a [`Protocol`]. A [`Row`] holds the exact pixel counts of
//! one unit under it, and every number of a [`Summary`] is computed from rows by integer arithmetic,
//! so it is the same bits whatever the order of the samples, the number of threads, or the way the
//! data were cut into shards ([`Scores::merge`]).
//!
//! gIoU is the mean of the units' IoUs (also called mIoU); cIoU is the sum of intersections over
//! the sum of unions (also oIoU, overall IoU).

pub mod answer;
mod batch;
mod boundary;
mod breakdown;
mod cell;
mod compare;
mod counted;
mod counting;
mod counts;
mod coverage;
mod iou;
mod judge;
mod partial;
mod places;
pub mod predictions;
pub mod prompt;
pub mod protocol;
pub mod resample;
pub mod reward;
mod row;
mod run;
mod score;
mod scores;
mod sesame;
mod size;
mod summary;
mod truth;
pub mod vqa;

pub use batch::{
    finish_partials, iou_partial, merge_partials, partial_schema, score_batch, scores_schema,
};
pub use boundary::{BOUNDARY_RATIO, boundary_counts, boundary_distance};
pub use breakdown::{Axis, Breakdown, Group, Groups};
pub use cell::Cell;
pub use compare::{CompareError, Comparison, Pair, compare};
pub use counted::counted_rows;
pub use counts::Counts;
pub use coverage::Coverage;
pub use iou::{Iou, IouSum};
pub use judge::{Outcome, judge, judge_missing};
pub use partial::Partial;
pub use places::corner_iou;
pub use predictions::{
    AnswerFrame, Instances, KeyPattern, OnBadRecord, Prediction, PredictionFormat, Predictions,
    Reading, fill_boxes, prediction_line,
};
pub use protocol::{Metric, Overrides, Protocol, Unit};
pub use row::{Row, Status};
pub use run::{Heard, Provenance, Run, RunWriter};
pub use score::{Options, score, score_each};
pub use scores::{Intervals, Names, Problems, Scores, Totals, Verdict};
pub use sesame::{sesame_index, sesame_results};
pub use summary::{Precision, Summary};
