//! One module a subcommand.

pub mod ask;
pub mod compare;
pub mod demo;
pub mod eval;
pub mod inspect;
pub mod leaderboard;
pub mod mask;
pub mod merge;
pub mod model;
pub mod predict;
pub mod prep;
pub mod preview;
pub mod protocols;
pub mod report;
pub mod reward;
pub mod segment;
pub mod serve;
pub mod synth;
pub mod train;
pub mod vqa;
