//! What was found, on the screen and in files.

use std::path::{Path, PathBuf};

use segzero_datasets::Bbox;
use segzero_eval::answer::{Object, Repair};
use segzero_model::sam2::Segmented;
use segzero_prep::image::{PngEffort, encode_png};
use segzero_reports::{Marks, overlay, write_whole};
use serde::Serialize;

use super::Args;
use super::ask::Found;
use crate::failure::Failure;
use crate::output::{print, report};

/// A prediction, as `segzero eval` reads it.
#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    image: &'a Path,
    /// Height and width.
    size: [u32; 2],
    /// COCO's compressed run lengths.
    counts: String,
    /// In pixels of the image.
    boxes: Vec<[f64; 4]>,
    points: Vec<[f64; 2]>,
    /// Predicted IoU of each object.
    ious: Vec<f32>,
    thinking: Option<&'a str>,
    repairs: &'a [Repair],
    text: &'a str,
}

pub(super) fn show(args: &Args, path: &Path, found: &Found) -> Result<(), Failure> {
    let marks = Marks {
        boxes: found.objects.iter().filter_map(|object| object.bbox).collect(),
        foreground: found.objects.iter().flat_map(|object| object.points.clone()).collect(),
        background: Vec::new(),
    };
    if let Some(out) = place(args, args.out.as_deref(), path)? {
        write_whole(&out, |file| found.mask.write_png(file)).map_err(not_written(&out))?;
    }
    if let Some(out) = place(args, args.overlay.as_deref(), path)? {
        let drawn = overlay(found.image.clone(), &found.mask, &marks);
        let png = encode_png(&drawn, PngEffort::Fast).map_err(Failure::new)?;
        write_whole(&out, |file| file.write_all(&png)).map_err(not_written(&out))?;
    }
    let repairs = &found.answer.repairs;
    if !repairs.is_empty() {
        let names: Vec<String> = repairs.iter().map(name).collect();
        report(format_args!("`{}`: the reply was repaired: {}", path.display(), names.join(", ")));
    }
    if !args.json {
        return print(&summary(found));
    }
    let size = found.image.size;
    let line = Line {
        key: path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default(),
        image: path,
        size: [size.height, size.width],
        counts: found.mask.to_coco_string(),
        boxes: marks.boxes,
        points: marks.foreground,
        ious: found.segmented.iter().map(Segmented::iou).collect(),
        thinking: found.answer.thinking.as_deref(),
        repairs,
        text: &found.text,
    };
    print(&(serde_json::to_string(&line).map_err(Failure::new)? + "\n"))
}

/// A repair as it is written in files.
fn name(repair: &Repair) -> String {
    let name = serde_json::to_value(repair).ok();
    name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
}

/// The objects and the mask, in a few lines.
fn summary(found: &Found) -> String {
    let mut text = String::new();
    for (number, Object { bbox, points }) in found.objects.iter().enumerate() {
        text += &format!("object {}:", number + 1);
        if let Some([x1, y1, x2, y2]) = bbox {
            text += &format!(" box {x1:.0},{y1:.0} to {x2:.0},{y2:.0}");
        }
        for [x, y] in points {
            text += &format!(", point {x:.0},{y:.0}");
        }
        if let Some(segmented) = found.segmented.get(number) {
            text += &format!(", predicted IoU {:.4}", segmented.iou());
        }
        text += "\n";
    }
    let edges = match found.mask.bbox() {
        Some(Bbox { x0, y0, x1, y1 }) => format!(", box {x0},{y0} to {x1},{y1}"),
        None => ", empty".to_owned(),
    };
    text + &format!("mask: {} pixels{edges}\n", found.mask.area())
}

/// Where a file for an image goes: the path itself, or of several images `IMAGE.png` in that folder.
fn place(args: &Args, out: Option<&Path>, image: &Path) -> Result<Option<PathBuf>, Failure> {
    let Some(out) = out else { return Ok(None) };
    if args.image.len() == 1 {
        return Ok(Some(out.to_owned()));
    }
    std::fs::create_dir_all(out).map_err(not_written(out))?;
    let stem = image.file_stem().unwrap_or_default().to_string_lossy();
    Ok(Some(out.join(format!("{stem}.png"))))
}

fn not_written(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |e| Failure::new(format_args!("could not write `{}`: {e}", path.display()))
}
