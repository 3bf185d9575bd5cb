//! [`score`]: samples against predictions, in parallel, in order, under one or several protocols.

use rayon::prelude::*;
use segzero_datasets::{Error, Geometry, Sample, Size};

use crate::counting::{Counting, Judged};
use crate::predictions::{
    OnBadRecord, Precedence, Prediction, Predictions, Reader, is_size_mismatch,
};
use crate::protocol::{Protocol, Unit};
use crate::scores::Seen;
use crate::size::sample_size;
use crate::truth::Truths;
use crate::{Cell, Problems, Row, Scores, Status, Summary, Totals, Verdict};

/// How to score.
#[derive(Clone, Debug)]
pub struct Options {
    /// The rules of the rows, and after them those whose numbers alone are wanted.
    pub protocols: Vec<Protocol>,
    /// What to do with samples and predictions that cannot be read.
    pub on_bad: OnBadRecord,
    /// Width of the boundaries for Boundary IoU, as a share of the image's diagonal; `None` leaves
    /// it out, which is ten times faster.
    pub boundary: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { protocols: vec![Protocol::default()], on_bad: OnBadRecord::Stop, boundary: None }
    }
}

/// Samples that are read while as many are being scored.
/// Few enough that their masks are still in the cache when they are scored.
const CHUNK: usize = 256;

/// Samples that one thread scores in a row, so that it reads their predictions in a row.
const PIECE: usize = 32;

/// Scores every sample and keeps the rows.
///
/// # Errors
/// As [`score_each`].
pub fn score(
    samples: impl IntoIterator<Item = Result<Sample, Error>, IntoIter: Send>,
    predictions: &Predictions,
    options: &Options,
    progress: impl FnMut(u64) + Send,
) -> Result<Scores, Error> {
    let mut rows = Vec::new();
    let keep = |row| {
        rows.push(row);
        Ok(())
    };
    let (totals, _) = score_each(samples, predictions, options, keep, progress)?;
    Ok(Scores { totals, rows })
}

/// Scores every sample. Samples are taken from the iterator in chunks and dropped when scored, and
/// every row of the first protocol goes to `on_row`, in the iterator's order: what is kept of a row
/// is a [`Cell`]. `progress` hears the number of samples done so far.
///
/// # Errors
/// The first sample or prediction, in the samples' order, that cannot be read, unless
/// [`Options::on_bad`] says to skip; what `on_row` returns. A prediction of the wrong size is not an
/// error but a status.
pub fn score_each(
    samples: impl IntoIterator<Item = Result<Sample, Error>, IntoIter: Send>,
    predictions: &Predictions,
    options: &Options,
    on_row: impl FnMut(Row) -> Result<(), Error> + Send,
    progress: impl FnMut(u64) + Send,
) -> Result<(Totals, Vec<Cell>), Error> {
    let samples = samples.into_iter();
    // On a thread of the pool: what is made there is dropped there, which the allocator likes.
    rayon::scope(|_| score_chunks(samples, predictions, options, on_row, progress))
}

fn score_chunks(
    mut samples: impl Iterator<Item = Result<Sample, Error>> + Send,
    predictions: &Predictions,
    options: &Options,
    on_row: impl FnMut(Row) -> Result<(), Error>,
    mut progress: impl FnMut(u64),
) -> Result<(Totals, Vec<Cell>), Error> {
    let mut take = move || samples.by_ref().take(CHUNK).collect::<Vec<_>>();
    let mut collected = Collected::new(predictions, options, on_row);
    let mut chunk = take();
    let mut done = 0;
    while !chunk.is_empty() {
        done += chunk.len() as u64;
        let score_one =
            |reader: &mut Reader<'_>, sample: Result<_, _>| score_sample(sample?, reader, options);
        let score_all = || {
            let samples = chunk.into_par_iter().with_min_len(PIECE);
            samples.map_init(|| Reader::new(predictions), score_one).collect::<Vec<_>>()
        };
        let (next, scored) = rayon::join(&mut take, score_all);
        for result in scored {
            collected.add(result)?;
        }
        progress(done);
        chunk = next;
    }
    Ok(collected.finish())
}

/// One unit with what its row does not tell.
struct Scored {
    /// The row, as the first protocol has it where that scores this unit.
    row: Row,
    /// The unit under every protocol; `None` where the protocol's unit is another.
    judged: Vec<Option<Judged>>,
    /// Which prediction was used.
    used: Option<usize>,
    /// Why the prediction could not be used.
    fault: Option<Error>,
    filled_box: bool,
    /// Whether the prediction is a reply that holds no answer.
    is_unanswered: bool,
}

/// Gathers units in order.
struct Collected<'a, F> {
    predictions: &'a Predictions,
    options: &'a Options,
    on_row: F,
    /// Cells by protocol.
    cells: Vec<Vec<Cell>>,
    seen: Seen,
    used: Vec<bool>,
    problems: Problems,
}

impl<'a, F: FnMut(Row) -> Result<(), Error>> Collected<'a, F> {
    fn new(predictions: &'a Predictions, options: &'a Options, on_row: F) -> Self {
        let problems = Problems {
            duplicate: predictions.duplicate.clone(),
            bad_predictions: predictions.bad.clone(),
            ambiguous: predictions.ambiguous.clone(),
            several: predictions.several.clone(),
            ..Problems::default()
        };
        let used = vec![false; predictions.len()];
        let cells = vec![Vec::new(); options.protocols.len()];
        Self { predictions, options, on_row, cells, seen: Seen::default(), used, problems }
    }

    fn add(&mut self, result: Result<Vec<Scored>, Error>) -> Result<(), Error> {
        let units = match (result, self.options.on_bad) {
            (Ok(units), _) => units,
            (Err(error), OnBadRecord::Stop) => return Err(error),
            (Err(error), OnBadRecord::Skip) => {
                self.problems.bad_samples.push(|| error.to_string());
                return Ok(());
            }
        };
        for mut unit in units {
            if let Some(position) = unit.used {
                self.used[position] = true;
            }
            let cell = Cell::of(&unit.row);
            for (cells, judged) in self.cells.iter_mut().zip(&unit.judged) {
                cells.extend(judged.as_ref().map(|j| cell.with(&j.outcome, j.target, j.places)));
            }
            // A unit that only other protocols score is in their numbers alone.
            if unit.judged.first().is_some_and(Option::is_some) {
                self.note(&mut unit, &cell)?;
                (self.on_row)(unit.row)?;
            }
        }
        Ok(())
    }

    /// Notes what is wrong with a unit.
    fn note(&mut self, unit: &mut Scored, cell: &Cell) -> Result<(), Error> {
        let fault = unit.fault.take();
        let key = || unit.row.query_key();
        match (fault, unit.used) {
            (None, None) => self.problems.missing.push(key),
            (None, Some(_)) => {}
            (Some(error), _) if is_size_mismatch(&error) => {
                self.problems.size_mismatch.push(|| format!("{}: {}", key(), error.kind));
            }
            (Some(error), _) if self.options.on_bad == OnBadRecord::Stop => return Err(error),
            (Some(error), _) => self.problems.unreadable.push(|| format!("{}: {error}", key())),
        }
        if unit.filled_box {
            self.problems.filled_boxes.push(key);
        }
        if unit.is_unanswered {
            self.problems.unanswered.push(key);
        }
        if !self.seen.insert(cell, unit.row.query) {
            self.problems.repeated.push(key);
        }
        Ok(())
    }

    fn finish(mut self) -> (Totals, Vec<Cell>) {
        self.problems.unmatched = self.predictions.unused(&self.used);
        let mut verdicts = self.options.protocols.iter().zip(&self.cells);
        let (protocol, cells) = match verdicts.next() {
            Some((protocol, cells)) => (protocol.clone(), cells.as_slice()),
            None => (Protocol::default(), [].as_slice()),
        };
        let mut totals = Totals::of(cells, protocol, self.problems);
        totals.others = verdicts
            .map(|(protocol, cells)| Verdict {
                protocol: protocol.clone(),
                summary: Summary::of(cells, protocol),
            })
            .collect();
        (totals, self.cells.into_iter().next().unwrap_or_default())
    }
}

/// How a prediction is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// For the query at this position: its key, or else its sample's.
    Query(usize),
    /// For the sample: its key, or else its first query's.
    Sample,
}

impl Ask {
    /// Whose key is looked for first.
    fn precedence(self) -> Precedence {
        match self {
            Self::Query(_) => Precedence::Query,
            Self::Sample => Precedence::Sample,
        }
    }

    /// Position of the query that is asked for, or that speaks for the sample.
    fn query(self) -> usize {
        match self {
            Self::Query(position) => position,
            Self::Sample => 0,
        }
    }

    /// Whether a protocol scores this.
    fn is_of(self, unit: Unit) -> bool {
        match unit {
            Unit::Query => matches!(self, Self::Query(_)),
            Unit::FirstQuery => self == Self::Query(0),
            Unit::Sample => self == Self::Sample,
        }
    }
}

/// All units of one sample.
///
/// # Errors
/// When the sample itself has no readable mask.
fn score_sample(
    mut sample: Sample,
    reader: &mut Reader<'_>,
    options: &Options,
) -> Result<Vec<Scored>, Error> {
    let size = sample_size(&sample);
    let geometry = std::mem::replace(&mut sample.geometry, Geometry::Coco(Vec::new()));
    if matches!(geometry, Geometry::ReasonSeg(_)) {
        // The texts are rephrasings; every published evaluator takes the first.
        sample.queries.truncate(1);
    }
    let named = |mut error: Error| {
        error.record.get_or_insert_with(|| format!("sample `{}`", sample.key));
        if error.path.as_os_str().is_empty() {
            error.path = sample.image.file_name.clone().into();
        }
        error
    };
    let size = size.map_err(named)?;
    let truths = Truths::new(geometry, size, &options.protocols).map_err(named)?;
    let queries = (0..sample.queries.len()).map(Ask::Query);
    let mut asks = queries
        .chain([Ask::Sample])
        .filter(|ask| options.protocols.iter().any(|protocol| ask.is_of(protocol.unit)))
        .peekable();
    let sample = &mut sample;
    let mut scorer = Scorer { sample, size, truths: &truths, options, reader, held: None };
    let mut units = Vec::with_capacity(1);
    while let Some(ask) = asks.next() {
        let strings = if asks.peek().is_some() { Strings::Keep } else { Strings::Take };
        units.push(scorer.score(ask, strings));
    }
    Ok(units)
}

/// What becomes of a sample's strings when a row is made.
#[derive(Clone, Copy)]
enum Strings {
    /// They are copied: another row needs them.
    Keep,
    /// They go into the row.
    Take,
}

impl Strings {
    fn of(self, string: &mut String) -> String {
        match self {
            Self::Keep => string.clone(),
            Self::Take => std::mem::take(string),
        }
    }
}

/// Scores the units of one sample.
struct Scorer<'a, 'p> {
    sample: &'a mut Sample,
    size: Size,
    truths: &'a Truths,
    options: &'a Options,
    reader: &'a mut Reader<'p>,
    /// The last prediction and its position: queries may share that of their sample.
    held: Option<(usize, Option<Prediction>)>,
}

impl Scorer<'_, '_> {
    /// One unit under every protocol that scores it.
    fn score(&mut self, ask: Ask, strings: Strings) -> Scored {
        let Self { size, truths, options, .. } = *self;
        let query = &self.sample.queries[ask.query()];
        let used = self.reader.predictions.find(self.sample, query, ask.precedence());
        let mut fault = used.and_then(|position| self.hold(position).err());
        let held = self.held.as_ref().filter(|(position, _)| used == Some(*position));
        let prediction = held.and_then(|(_, prediction)| prediction.as_ref());
        let is_unanswered = held.is_some_and(|(_, prediction)| prediction.is_none());
        let mut counted = Counting::new(truths, prediction, size, options.boundary);
        let mut judged = Vec::with_capacity(options.protocols.len());
        for (position, protocol) in options.protocols.iter().enumerate() {
            if !ask.is_of(protocol.unit) {
                judged.push(None);
                continue;
            }
            let at = truths.position(position);
            let (unit, mismatch) = counted.judge(at, why_missing(fault.as_ref()), protocol);
            if let Some(mismatch) = mismatch.filter(|_| position == 0) {
                fault = Some(self.reader.predictions.error_at(used, mismatch));
            }
            judged.push(Some(unit));
        }
        let mut row = row_of(self.sample, ask, size, strings);
        if let Some(Judged { outcome, target, places }) = judged.iter().flatten().next() {
            row.status = outcome.status;
            row.intersection = outcome.intersection;
            row.union = outcome.union;
            row.iou = outcome.iou.value();
            row.said_nothing = outcome.said_nothing;
            row.target_area = Some(*target);
            row.box_iou = places.box_iou;
            row.points = places.points;
            row.boundary = places.boundary;
        }
        let first = options.protocols.iter().position(|protocol| ask.is_of(protocol.unit));
        if let Ok(Some(counts)) = counted.at(truths.position(first.unwrap_or(0))) {
            row.prediction_area = Some(counts.prediction);
        }
        let filled_box = prediction.is_some_and(|p| p.filled_box);
        Scored { row, judged, used, fault, filled_box, is_unanswered }
    }

    /// Reads a prediction, unless it was the last to be read.
    fn hold(&mut self, position: usize) -> Result<(), Error> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != position) {
            self.held = None;
            self.held = Some((position, self.reader.get(position, self.size)?));
        }
        Ok(())
    }
}

/// Why there is no prediction.
fn why_missing(fault: Option<&Error>) -> Status {
    match fault {
        None => Status::Missing,
        Some(error) if is_size_mismatch(error) => Status::SizeMismatch,
        Some(_) => Status::Unreadable,
    }
}

/// A row without its outcome.
fn row_of(sample: &mut Sample, ask: Ask, size: Size, strings: Strings) -> Row {
    let id = sample.queries[ask.query()].id.filter(|_| ask != Ask::Sample);
    let text = match ask {
        Ask::Sample if sample.queries.len() > 1 => {
            let texts: Vec<&str> = sample.queries.iter().map(|q| q.text.as_str()).collect();
            texts.join(" | ")
        }
        _ => strings.of(&mut sample.queries[ask.query()].text),
    };
    Row {
        dataset: sample.dataset.to_string(),
        split: sample.split.to_string(),
        key: strings.of(&mut sample.key),
        query: id,
        text,
        image: strings.of(&mut sample.image.id),
        status: Status::Missing,
        intersection: 0,
        union: 0,
        target_area: None,
        prediction_area: None,
        iou: 0.0,
        said_nothing: false,
        image_area: Some(size.pixels()),
        category: sample.categories.first_mut().map(|category| strings.of(category)),
        distractors: sample.distractors,
        is_sentence: sample.is_sentence,
        box_iou: None,
        points: None,
        boundary: None,
    }
}
