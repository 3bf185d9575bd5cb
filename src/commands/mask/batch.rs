//! Many images, asked by the lines of a file: predictions that `segzero eval` reads.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Instant;

use segzero_model::sam2::{Predictor, Segmented};
use segzero_prep::Segmenter;
use segzero_prep::image::Rgb;
use serde::Serialize;
use serde_json::{Value, json};

use super::asked::{self, Record};
use super::part::Part;
use super::{Args, read_image};
use crate::failure::Failure;
use crate::masks::{Prediction, union};
use crate::output::{print, report};
use crate::progress::{self, Verbosity};
use crate::segmenter::Opened;

/// An image, and what is asked about it.
type Asking<'a> = (&'a PathBuf, Vec<&'a Record>);

/// Records whose masks are held at once.
const TOGETHER: usize = 32;

const GOES_ON: &str =
    "the same command goes on where it stopped; `--skip-bad` leaves such images out";

/// A prediction; the mask is that of all objects together.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    prediction: Prediction<f32>,
    /// Scores of each object.
    objects: Vec<Scores<'a>>,
}

#[derive(Serialize)]
struct Scores<'a> {
    iou: f32,
    ious: &'a [f32],
    chosen: usize,
    object_score: f32,
}

/// Runs the command.
pub(super) fn run(args: &Args, path: &Path) -> Result<(), Failure> {
    let records = asked::read(path, args.preset)?;
    let mut images = by_image(&records);
    let opened = args.open()?;
    let mut part = None;
    if let Some(out) = &args.out {
        let counts = images.iter().map(|(image, records)| (*image, records.len())).collect();
        let found = Part::open(out, &made_by(args, &opened, path)?, &counts)?;
        images.retain(|(image, _)| !found.has(image));
        part = Some(found);
    }
    let left: usize = images.iter().map(|(_, records)| records.len()).sum();
    if left < records.len() {
        report(format_args!("{} prompts were answered by an earlier run", records.len() - left));
    }
    let bar = progress::bar(left as u64, "asking", Verbosity::Normal);
    let (start, mut bad) = (Instant::now(), 0);
    read_ahead(args, &images, |image, (path, records)| {
        let lines = image.and_then(|image| predict(args, &opened.predictor, &image, path, records));
        match lines {
            Ok(lines) => part.as_mut().map_or_else(|| print(&lines), |part| part.write(&lines))?,
            Err(failure) if args.skip_bad => {
                report(failure);
                bad += records.len();
            }
            Err(failure) if args.out.is_some() => return Err(failure.or_hint(GOES_ON)),
            Err(failure) => return Err(failure),
        }
        bar.inc(records.len() as u64);
        Ok(())
    })?;
    bar.finish_and_clear();
    part.map_or(Ok(()), Part::finish)?;
    let seconds = start.elapsed().as_secs_f64();
    report(format_args!(
        "{} prompts in {} images, {bad} left out; {seconds:.1} s, {:.2} images/s",
        left - bad,
        images.len(),
        images.len() as f64 / seconds.max(1e-9)
    ));
    Ok(())
}

/// What the predictions follow from.
fn made_by(args: &Args, opened: &Opened, path: &Path) -> Result<Value, Failure> {
    let text = std::fs::read(path).map_err(|e| segzero_datasets::Error::new(path, e))?;
    let mut hash = DefaultHasher::new();
    hash.write(&text);
    Ok(json!({
        "model": opened.describe(),
        "choice": args.choice(),
        "preset": args.preset,
        "orientation": format!("{:?}", args.orientation),
        "prompts": hash.finish(),
    }))
}

/// Gives out images, of which the next is read while one is seen.
fn read_ahead(
    args: &Args,
    images: &[Asking],
    mut see: impl FnMut(Result<Rgb, Failure>, &Asking) -> Result<(), Failure>,
) -> Result<(), Failure> {
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel(1);
        scope.spawn(move || {
            let read = |(path, _): &Asking| read_image(path, args.orientation);
            // Nobody listens any more where an error has ended the run.
            images.iter().map(read).try_for_each(|image| send.send(image))
        });
        images.iter().zip(receive).try_for_each(|(asking, image)| see(image, asking))
    })
}

/// Records by their image, in the order in which images first come.
fn by_image(records: &[Record]) -> Vec<Asking<'_>> {
    let mut places: HashMap<&PathBuf, usize> = HashMap::new();
    let mut images: Vec<Asking> = Vec::new();
    for record in records {
        let place = *places.entry(&record.image).or_insert_with(|| {
            images.push((&record.image, Vec::new()));
            images.len() - 1
        });
        images[place].1.push(record);
    }
    images
}

/// The predictions for one image, a line each.
fn predict(
    args: &Args,
    predictor: &Predictor,
    image: &Rgb,
    path: &Path,
    records: &[&Record],
) -> Result<String, Failure> {
    let embedded = predictor.embed(image);
    let mut lines = String::new();
    for records in records.chunks(TOGETHER) {
        let prompts: Vec<_> = records.iter().flat_map(|r| r.prompts.iter().cloned()).collect();
        let objects = predictor.predict(&embedded, &prompts, args.choice())?;
        let mut objects = &objects[..];
        for record in records {
            let (own, rest) = objects.split_at(record.prompts.len());
            objects = rest;
            let mask = union(image.size, own.iter().map(|object| &object.mask))?;
            let points = record.asked.foreground();
            let line = Line {
                prediction: Prediction::new(
                    &record.key,
                    path,
                    &mask,
                    record.asked.boxes.clone(),
                    points,
                ),
                objects: own.iter().map(Scores::of).collect(),
            };
            lines += &serde_json::to_string(&line).map_err(Failure::new)?;
            lines.push('\n');
        }
    }
    Ok(lines)
}

impl<'a> Scores<'a> {
    fn of(object: &'a Segmented) -> Self {
        let Segmented { ious, chosen, object_score, .. } = object;
        Self { iou: object.iou(), ious, chosen: *chosen, object_score: *object_score }
    }
}
