//! Many images, asked by the lines of a file: predictions that `segzero eval` reads.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use segzero_model::sam2::{Predictor, Segmented};
use segzero_reports::write_whole;
use serde::Serialize;

use super::asked::{self, Record};
use super::{Args, not_written, read_image, union};
use crate::failure::Failure;
use crate::output::{print, report};
use crate::progress::{self, Verbosity};

/// Records whose masks are held at once.
const TOGETHER: usize = 32;

/// A prediction.
#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    image: &'a Path,
    /// Height and width.
    size: [u32; 2],
    /// COCO's compressed run lengths of all objects together.
    counts: String,
    boxes: &'a [[f32; 4]],
    points: Vec<[f32; 2]>,
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
    let images = by_image(&records);
    let predictor = args.open()?.predictor;
    let bar = progress::bar(records.len() as u64, "asking", Verbosity::Normal);
    let start = Instant::now();
    let mut bad = 0;
    let mut ask = |write: &mut dyn FnMut(&str) -> Result<(), Failure>| {
        for (image, records) in &images {
            match predict(args, &predictor, image, records) {
                Ok(lines) => lines.iter().try_for_each(|line| write(line))?,
                Err(failure) if args.skip_bad => {
                    report(failure);
                    bad += records.len();
                }
                Err(failure) => return Err(failure),
            }
            bar.inc(records.len() as u64);
        }
        Ok(())
    };
    match &args.out {
        None => ask(&mut |line| print(line))?,
        Some(out) => write_lines(out, ask)?,
    }
    bar.finish_and_clear();
    let (asked, seconds) = (records.len() - bad, start.elapsed().as_secs_f64());
    report(format_args!(
        "{asked} prompts in {} images, {bad} left out; {seconds:.1} s, {:.2} images/s",
        images.len(),
        images.len() as f64 / seconds.max(1e-9)
    ));
    Ok(())
}

/// Records by their image, in the order in which images first come.
fn by_image(records: &[Record]) -> Vec<(&PathBuf, Vec<&Record>)> {
    let mut places: HashMap<&PathBuf, usize> = HashMap::new();
    let mut images: Vec<(&PathBuf, Vec<&Record>)> = Vec::new();
    for record in records {
        let place = *places.entry(&record.image).or_insert_with(|| {
            images.push((&record.image, Vec::new()));
            images.len() - 1
        });
        images[place].1.push(record);
    }
    images
}

/// The predictions for one image.
fn predict(
    args: &Args,
    predictor: &Predictor,
    path: &Path,
    records: &[&Record],
) -> Result<Vec<String>, Failure> {
    let image = read_image(path, args.orientation)?;
    let embedded = predictor.embed(&image);
    let mut lines = Vec::new();
    for records in records.chunks(TOGETHER) {
        let prompts: Vec<_> = records.iter().flat_map(|r| r.prompts.iter().cloned()).collect();
        let objects = predictor.predict(&embedded, &prompts, args.choice())?;
        let mut objects = &objects[..];
        for record in records {
            let (own, rest) = objects.split_at(record.prompts.len());
            objects = rest;
            let mask = union(image.size, own.iter().map(|object| &object.mask))?;
            let line = Line {
                key: &record.key,
                image: path,
                size: [image.size.height, image.size.width],
                counts: mask.to_coco_string(),
                boxes: &record.asked.boxes,
                points: record.asked.foreground(),
                objects: own.iter().map(Scores::of).collect(),
            };
            lines.push(serde_json::to_string(&line).map_err(Failure::new)? + "\n");
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

/// Writes lines to a file that is whole or not there.
fn write_lines(
    out: &Path,
    ask: impl FnOnce(&mut dyn FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut failure = None;
    let written = write_whole(out, |file| {
        let mut write =
            |line: &str| file.write_all(line.as_bytes()).map_err(|e| not_written(out)(e));
        ask(&mut write).map_err(|error| {
            failure = Some(error);
            io::Error::other("stopped")
        })
    });
    match failure {
        Some(failure) => Err(failure),
        None => written.map_err(not_written(out)),
    }
}
