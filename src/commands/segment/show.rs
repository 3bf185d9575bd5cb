//! What was found, on the screen and in files.

use std::path::{Path, PathBuf};

use segzero_eval::answer::{Object, Repair};
use segzero_model::sam2::Segmented;
use segzero_reports::Marks;
use serde::Serialize;

use super::Args;
use super::ask::Found;
use crate::failure::Failure;
use crate::masks::{Prediction, edges, not_written, write_mask, write_overlay};
use crate::output::{print, report};

/// A prediction, and how it came about.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    prediction: Prediction<'a, f64>,
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
        write_mask(&out, &found.mask)?;
    }
    if let Some(out) = place(args, args.overlay.as_deref(), path)? {
        write_overlay(&out, found.image.clone(), &found.mask, &marks)?;
    }
    let repairs = &found.answer.repairs;
    if !repairs.is_empty() {
        let names: Vec<String> = repairs.iter().map(name).collect();
        report(format_args!("`{}`: the reply was repaired: {}", path.display(), names.join(", ")));
    }
    if !args.json {
        return print(&summary(found));
    }
    let key = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let line = Line {
        prediction: Prediction::new(key, path, &found.mask, &marks.boxes, &marks.foreground),
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
    let edges = match edges(&found.mask) {
        Some([x0, y0, x1, y1]) => format!(", box {x0},{y0} to {x1},{y1}"),
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
