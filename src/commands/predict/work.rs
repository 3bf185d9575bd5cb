//! Three steps at once: images are read ahead, replies are written, masks are made of those before.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use segzero_prep::image::Rgb;

use super::choose::{Attempt, Choose, choose};
use super::entry::{Entry, Outcome, Seconds};
use super::units::{Unit, Units};
use crate::failure::Failure;
use crate::pipeline::{Embedded, Miss, Pipeline, Question, View};

/// How units are asked.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Units that are asked together. They are the same ones in every run: what a model computes for
    /// one depends in its last bits on the others beside it.
    pub batch: usize,
    /// Such batches at once.
    pub concurrency: usize,
    /// Replies to each unit.
    pub samples: usize,
    /// Which of them becomes the prediction.
    pub choose: Choose,
}

/// An image and how it is asked about; units that share an image share this.
struct Seen {
    image: Rgb,
    view: View,
}

/// A unit with its image, or the reason why that cannot be asked about.
struct Ready {
    unit: Unit,
    seen: Result<Arc<Seen>, Miss>,
}

/// A unit with its replies.
struct Replied {
    ready: Ready,
    texts: Result<Vec<String>, Miss>,
    seconds: f64,
}

/// Asks all units but the batches of which all are `done`, and hands over what they come to, in batches.
///
/// # Errors
/// A data set that cannot be read; what `keep` fails with.
pub fn work(
    pipeline: &Pipeline,
    manner: Manner,
    units: &Units,
    done: &[bool],
    mut keep: impl FnMut(Vec<Entry>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let all = units.iter()?;
    // Nothing waits but what the next step can begin with at once: images are large.
    let (put_ready, ready) = sync_channel(0);
    let (put_replied, replied) = sync_channel(1);
    let ready = Mutex::new(ready);
    std::thread::scope(|scope| {
        scope.spawn(move || read(pipeline, manner.batch, all, done, &put_ready));
        for _ in 0..manner.concurrency {
            let (ready, put) = (&ready, put_replied.clone());
            scope.spawn(move || ask(pipeline, manner, units.first(), ready, &put));
        }
        drop(put_replied);
        let mut masker = Masker { pipeline, choose: manner.choose, last: None };
        // Where an error ends this, the other steps find nobody to hand their work to, and end too.
        replied.into_iter().try_for_each(|batch| {
            keep(batch?.into_iter().map(|replied| masker.entry(replied)).collect())
        })
    })
}

type Batch<T> = Result<Vec<T>, Failure>;

/// Reads the images of all batches that are not done.
fn read(
    pipeline: &Pipeline,
    batch: usize,
    mut units: impl Iterator<Item = Result<Unit, Failure>>,
    done: &[bool],
    put: &SyncSender<Batch<Ready>>,
) {
    let mut last: Option<Ready> = None;
    for done in done.chunks(batch) {
        let units = units.by_ref().take(done.len());
        let units: Batch<Unit> = units.collect();
        if done.iter().all(|done| *done) && units.is_ok() {
            continue;
        }
        let ready = units.map(|units| {
            let ready = units.into_iter().map(|unit| {
                let ready = make_ready(pipeline, unit, last.take());
                last = Some(Ready { unit: ready.unit.clone(), seen: ready.seen.clone() });
                ready
            });
            ready.collect()
        });
        if put.send(ready).is_err() {
            return;
        }
    }
}

fn make_ready(pipeline: &Pipeline, unit: Unit, last: Option<Ready>) -> Ready {
    if let Some(last) = last.filter(|last| last.unit.shares_image_with(&unit)) {
        return Ready { unit, seen: last.seen };
    }
    let seen = unit.read_image().and_then(|image| {
        let view = pipeline.view(&image)?;
        Ok(Arc::new(Seen { image, view }))
    });
    Ready { unit, seen }
}

/// Asks one batch after the other; `first` is the number of the run's first unit in the data set.
fn ask(
    pipeline: &Pipeline,
    manner: Manner,
    first: usize,
    ready: &Mutex<Receiver<Batch<Ready>>>,
    put: &SyncSender<Batch<Replied>>,
) {
    loop {
        // The lock is held while waiting: who waits for it has nothing else to do.
        let batch = ready.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = batch else { return };
        let replied = batch.map(|batch| ask_together(pipeline, manner, first, batch));
        if put.send(replied).is_err() {
            return;
        }
    }
}

fn ask_together(
    pipeline: &Pipeline,
    manner: Manner,
    first: usize,
    batch: Vec<Ready>,
) -> Vec<Replied> {
    let start = Instant::now();
    let round = batch.first().map_or(0, |ready| (first + ready.unit.at) / manner.batch);
    let questions = batch.iter().filter_map(|Ready { unit, seen }| {
        let seen = seen.as_ref().ok()?;
        Some(Question { key: &unit.key, text: &unit.text, view: &seen.view })
    });
    let questions: Vec<Question> = questions.collect();
    let replies = pipeline.ask(&questions, manner.samples, round as u64);
    drop(questions);
    let mut replies = replies.into_iter();
    let seconds = start.elapsed().as_secs_f64() / batch.len().max(1) as f64;
    let replied = |ready: Ready| {
        let texts = match &ready.seen {
            Ok(_) => replies.next().unwrap_or_else(|| Ok(Vec::new())),
            Err(miss) => Err(miss.clone()),
        };
        Replied { ready, texts, seconds }
    };
    batch.into_iter().map(replied).collect()
}

/// Makes masks of replies; an image that comes again is not looked at again.
struct Masker<'a> {
    pipeline: &'a Pipeline,
    choose: Choose,
    last: Option<(Arc<Seen>, Embedded)>,
}

impl Masker<'_> {
    fn entry(&mut self, replied: Replied) -> Entry {
        let start = Instant::now();
        let Replied { ready: Ready { unit, seen }, texts, seconds } = replied;
        let outcome = match (seen, texts) {
            (Ok(seen), Ok(texts)) => self.outcome(&unit, &seen, texts),
            (Err(miss), _) | (_, Err(miss)) => Outcome::failed(&unit, miss, Vec::new()),
        };
        let seconds = Seconds { reply: seconds, mask: start.elapsed().as_secs_f64() };
        Entry { at: unit.at, seconds, outcome }
    }

    /// A reply that cannot be read matters only where none can.
    fn outcome(&mut self, unit: &Unit, seen: &Arc<Seen>, texts: Vec<String>) -> Outcome {
        let attempts = texts.iter().map(|text| self.attempt(seen, text));
        let (attempts, misses): (Vec<_>, Vec<_>) = attempts.partition(Result::is_ok);
        let chosen = choose(attempts.into_iter().flatten().collect(), self.choose);
        match chosen {
            Ok(Some((chosen, mask))) => {
                Outcome::Prediction(Box::new(chosen.line(unit, &mask, texts)))
            }
            Ok(None) => {
                let first = misses.into_iter().find_map(Result::err);
                let miss = first.unwrap_or_else(|| Miss::new("empty", "there is no reply"));
                Outcome::failed(unit, miss, texts)
            }
            Err(error) => Outcome::failed(unit, Miss::new("no-mask", error), texts),
        }
    }

    fn attempt(&mut self, seen: &Arc<Seen>, text: &str) -> Result<Attempt, Miss> {
        let found = self.pipeline.read(&seen.view, text)?;
        let embedded = match &self.last {
            Some((last, embedded)) if Arc::ptr_eq(last, seen) => embedded.clone(),
            _ => self.pipeline.embed(&seen.image),
        };
        let masked = self.pipeline.mask(&embedded, &found.objects);
        self.last = Some((Arc::clone(seen), embedded));
        let (mask, segmented) = masked?;
        Ok(Attempt { text: text.to_owned(), found, segmented, mask })
    }
}
