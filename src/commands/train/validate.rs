//! Validation by the pipeline that is evaluated in the end: replies, SAM 2, gIoU.

use std::path::Path;

use clap::Parser;
use segzero_eval::{OnBadRecord, Options, Predictions, Protocol, Unit, score};

use super::settings::{Common, Validation};
use crate::commands::predict;
use crate::failure::Failure;
use crate::source_args::Wanted;

/// What a checkpoint is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// Mean IoU.
    pub giou: f64,
    /// Sum of intersections over sum of unions.
    pub ciou: f64,
    /// Samples, of which each was asked its first query.
    pub samples: u64,
}

#[derive(clap::Parser)]
struct Words {
    #[command(flatten)]
    args: predict::Args,
}

impl Validation {
    /// Refuses flags that cannot be followed, before anything is trained.
    ///
    /// # Errors
    /// A data set without a segmenter, or the other way round.
    pub fn check(&self) -> Result<(), Failure> {
        match (&self.val, &self.segmenter) {
            (Some(_), None) => Err(Failure::new("`--val` asks for masks, and nobody makes them")
                .hint("give a SAM 2 by `--segmenter`")),
            (None, Some(_)) => Err(Failure::new("`--segmenter` serves validation only")
                .hint("give a data set with masks by `--val`")),
            _ => Ok(()),
        }
    }

    /// Asks a checkpoint. `out` is the folder for its replies; one that is there is read.
    ///
    /// # Errors
    /// A data set that cannot be read; models that do not load.
    pub fn of(
        &self,
        checkpoint: &Path,
        common: &Common,
        out: &Path,
    ) -> Result<Option<Worth>, Failure> {
        let (Some(val), Some(segmenter)) = (&self.val, &self.segmenter) else { return Ok(None) };
        let text = |path: &Path| path.display().to_string();
        let prompt = serde_json::to_value(common.prompt).unwrap_or_default();
        let mut words = vec![
            "predict".to_owned(),
            format!("--root={}", text(val)),
            format!("--split={}", self.val_split),
            format!("--reasoner={}", text(checkpoint)),
            format!("--segmenter={segmenter}"),
            format!("--device={}", common.device),
            format!("--prompt={}", prompt.as_str().unwrap_or("seg-zero")),
            format!("--side={}", self.val_side),
            format!("--out={}", text(out)),
            "--queries=first".to_owned(),
            "--format=f32".to_owned(),
            "--batch=16".to_owned(),
            "--max-new-tokens=256".to_owned(),
            "--quiet".to_owned(),
        ];
        if self.val_limit > 0 {
            words.push(format!("--limit={}", self.val_limit));
        }
        let mut args = Words::try_parse_from(words).map_err(Failure::new)?.args;
        predict::answer(&mut args)?;
        let Some(finished) = predict::Finished::open(out)? else { return Ok(None) };
        let source = finished.source.source(Wanted::WithMasks)?;
        let protocol = Protocol { unit: Unit::FirstQuery, ..Protocol::default() };
        let options = Options { protocols: vec![protocol], ..Options::default() };
        let predictions = Predictions::open(&finished.predictions, OnBadRecord::Stop)?;
        let count = if self.val_limit == 0 { usize::MAX } else { self.val_limit as usize };
        let samples = source.samples(&finished.source.read_options())?.take(count);
        let summary = score(samples, &predictions, &options, |_| {})?.totals.summary;
        let (giou, ciou) = (summary.giou.unwrap_or(0.0), summary.ciou.unwrap_or(0.0));
        Ok(Some(Worth { giou, ciou, samples: summary.n }))
    }
}
