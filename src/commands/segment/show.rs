//! What was found, on the screen and in files.

use std::path::{Path, PathBuf};

use segzero_eval::answer::Object;
use segzero_model::sam2::Segmented;
use segzero_reports::Marks;

use super::ask::{Asked, key};
use super::{Args, Many};
use crate::failure::Failure;
use crate::masks::{
    Answered, Prediction, edges, not_written, repair_name, write_mask, write_overlay,
};
use crate::output::{print, report};

pub(super) fn show(args: &Args, many: Many, path: &Path, asked: &Asked) -> Result<(), Failure> {
    let marks = Marks {
        boxes: asked.found.objects.iter().filter_map(|object| object.bbox).collect(),
        foreground: asked.found.objects.iter().flat_map(|object| object.points.clone()).collect(),
        background: Vec::new(),
    };
    if let Some(out) = place(many, args.out.as_deref(), path)? {
        write_mask(&out, &asked.mask)?;
    }
    if let Some(out) = place(many, args.overlay.as_deref(), path)? {
        write_overlay(&out, asked.image.clone(), &asked.mask, &marks)?;
    }
    let repairs = &asked.found.answer.repairs;
    if !repairs.is_empty() {
        let names: Vec<String> = repairs.iter().map(repair_name).collect();
        report(format_args!("`{}`: the reply was repaired: {}", path.display(), names.join(", ")));
    }
    if !args.json {
        return print(&summary(asked));
    }
    let line = Answered {
        prediction: Prediction::new(key(path), path, &asked.mask, marks.boxes, marks.foreground),
        ious: asked.segmented.iter().map(Segmented::iou).collect(),
        thinking: asked.found.answer.thinking.clone(),
        repairs: repairs.clone(),
        text: asked.text.clone(),
        texts: Vec::new(),
    };
    print(&(serde_json::to_string(&line).map_err(Failure::new)? + "\n"))
}

/// The objects and the mask, in a few lines.
fn summary(asked: &Asked) -> String {
    let mut text = String::new();
    for (number, Object { bbox, points }) in asked.found.objects.iter().enumerate() {
        text += &format!("object {}:", number + 1);
        if let Some([x1, y1, x2, y2]) = bbox {
            text += &format!(" box {x1:.0},{y1:.0} to {x2:.0},{y2:.0}");
        }
        for [x, y] in points {
            text += &format!(", point {x:.0},{y:.0}");
        }
        if let Some(segmented) = asked.segmented.get(number) {
            text += &format!(", predicted IoU {:.4}", segmented.iou());
        }
        text += "\n";
    }
    let edges = match edges(&asked.mask) {
        Some([x0, y0, x1, y1]) => format!(", box {x0},{y0} to {x1},{y1}"),
        None => ", empty".to_owned(),
    };
    text + &format!("mask: {} pixels{edges}\n", asked.mask.area())
}

/// Where a file for an image goes: the path itself, or of several images `IMAGE.png` in that folder.
fn place(many: Many, out: Option<&Path>, image: &Path) -> Result<Option<PathBuf>, Failure> {
    let Some(out) = out else { return Ok(None) };
    if many == Many::One {
        return Ok(Some(out.to_owned()));
    }
    std::fs::create_dir_all(out).map_err(not_written(out))?;
    let stem = image.file_stem().unwrap_or_default().to_string_lossy();
    Ok(Some(out.join(format!("{stem}.png"))))
}
