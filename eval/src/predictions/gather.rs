//! [`Gather`]: records into predictions; of several with one key the best counts, or all together.

use std::path::Path;

use segzero_datasets::{Error, Geometry};

use super::records::Found;
use super::{Answer, Instances, Item, OnBadRecord, Predictions, Reading, Records};

/// Takes records in file order.
pub(super) struct Gather<'a> {
    pub predictions: Predictions,
    reading: &'a Reading,
    /// Score of each item.
    scores: Vec<f64>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(path: &Path, records: Records, reading: &'a Reading) -> Self {
        let predictions = Predictions {
            path: path.to_owned(),
            records,
            answer_frame: reading.answer_frame,
            ..Predictions::default()
        };
        Self { predictions, reading, scores: Vec::new() }
    }

    /// Takes the record with this number.
    ///
    /// # Errors
    /// The record's own, unless bad records are skipped.
    pub(super) fn take(&mut self, number: usize, found: Result<Found, Error>) -> Result<(), Error> {
        match (found, self.reading.on_bad) {
            (Ok(Found { key, item, score }), _) => {
                self.add(&key, Item { line: number, ..item }, score);
                Ok(())
            }
            (Err(error), OnBadRecord::Stop) => Err(error),
            (Err(error), OnBadRecord::Skip) => {
                self.predictions.bad.push(|| error.to_string());
                Ok(())
            }
        }
    }

    fn add(&mut self, key: &str, mut item: Item, score: Option<f64>) {
        let mut sure = score.unwrap_or(1.0);
        if self.reading.min_score.is_some_and(|least| sure < least) {
            // Its sample was answered, by nothing that counts.
            sure = f64::NEG_INFINITY;
            item.answer = Answer::Geometry(Geometry::Coco(Vec::new()));
            item.said = None;
        }
        let predictions = &mut self.predictions;
        let Some(position) = predictions.position(key) else {
            predictions.add(key, item);
            self.scores.push(sure);
            return;
        };
        if score.is_none() && self.reading.instances == Instances::Best {
            // Nothing tells them apart.
            predictions.add(key, item);
            return;
        }
        let names = predictions.records.name(item.line);
        predictions.several.push(|| format!("{key} ({names})"));
        let best = &mut self.scores[position];
        let standing = &mut predictions.items[position];
        let is_first = *best == f64::NEG_INFINITY;
        match self.reading.instances {
            _ if sure == f64::NEG_INFINITY => {}
            Instances::Best if sure > *best => *standing = item,
            Instances::Best => {}
            Instances::Union if is_first => *standing = item,
            Instances::Union => standing.join(item),
        }
        *best = best.max(sure);
    }

    pub(super) fn finish(self) -> Predictions {
        self.predictions
    }
}

impl Item {
    /// Joins the masks and boxes of another prediction of the same key.
    fn join(&mut self, other: Self) {
        let parts = match &mut self.answer {
            Answer::Union(parts) => parts,
            answer => {
                let first = std::mem::replace(answer, Answer::Union(Vec::new()));
                let Answer::Union(parts) = answer else { return };
                parts.push(first);
                parts
            }
        };
        parts.push(other.answer);
        let Some(theirs) = other.said else { return };
        let ours = self.said.get_or_insert_default();
        ours.boxes.extend(theirs.boxes);
        ours.points.extend(theirs.points);
    }
}
