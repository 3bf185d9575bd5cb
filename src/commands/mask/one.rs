//! One image, asked by flags.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use segzero_datasets::Mask;
use segzero_model::sam2::{Choice, ImagePrompt, Segmented};
use segzero_prep::image::Rgb;
use segzero_reports::write_whole;
use serde::Serialize;

use super::asked::Asked;
use super::{Args, npy, read_image};
use crate::failure::Failure;
use crate::masks::{edges, not_written, union, write_mask, write_overlay};
use crate::output::{print, report};

/// An object in JSON.
#[derive(Serialize)]
struct Line<'a> {
    object: usize,
    /// Height and width.
    size: [u32; 2],
    /// COCO's compressed run lengths.
    counts: String,
    /// Pixels of the mask.
    area: u64,
    /// First and last column and row of the mask.
    bbox: Option<[i32; 4]>,
    iou: f32,
    ious: &'a [f32],
    chosen: usize,
    object_score: f32,
}

/// Runs the command.
pub(super) fn run(args: &Args, path: &Path) -> Result<(), Failure> {
    let asked = args.asked();
    let mut prompts = match args.mask_input {
        // A rough mask is a question by itself.
        Some(_) if asked == Asked::default() => vec![ImagePrompt::default()],
        _ => asked.prompts(args.preset).map_err(|error| {
            Failure::new(error)
                .hint("`--box X1,Y1,X2,Y2` or `--point X,Y` says where the object is")
        })?,
    };
    let image = read_image(path, args.orientation)?;
    let start = Instant::now();
    let predictor = args.open()?.predictor;
    let loaded = start.elapsed();
    if let Some(logits) = &args.mask_input {
        let [prompt] = &mut prompts[..] else {
            return Err(Failure::new("--mask-input is for one object, and several are asked for"));
        };
        prompt.mask = Some(npy::read(logits, predictor.network().config().mask_side())?);
    }
    let start = Instant::now();
    let embedded = predictor.embed(&image);
    let seen = start.elapsed();
    let start = Instant::now();
    let objects = predictor.predict(&embedded, &prompts, args.choice())?;
    let decoded = start.elapsed();
    let mask = union(image.size, objects.iter().map(|object| &object.mask))?;
    write_files(args, &asked, image, &mask, &objects)?;
    print(&if args.json { lines(&objects)? } else { table(&objects, args.choice()) })?;
    report(format_args!(
        "loaded in {:.1} s; image seen in {:.2} s, {} asked in {:.2} s",
        loaded.as_secs_f64(),
        seen.as_secs_f64(),
        if objects.len() == 1 { "object".to_owned() } else { format!("{} objects", objects.len()) },
        decoded.as_secs_f64()
    ));
    Ok(())
}

fn write_files(
    args: &Args,
    asked: &Asked,
    image: Rgb,
    mask: &Mask,
    objects: &[Segmented],
) -> Result<(), Failure> {
    if let Some(path) = &args.out {
        write_mask(path, mask)?;
    }
    if let Some(path) = &args.logits {
        let logits: Vec<&[f32]> = objects.iter().map(|object| &object.logits[..]).collect();
        let side = logits.first().map_or(0, |logits| logits.len().isqrt());
        write_whole(path, |out| npy::write(out, &logits, side)).map_err(not_written(path))?;
    }
    if let Some(path) = &args.overlay {
        write_overlay(path, image, mask, &asked.marks())?;
    }
    Ok(())
}

fn lines(objects: &[Segmented]) -> Result<String, Failure> {
    let mut lines = String::new();
    for (number, object) in objects.iter().enumerate() {
        let size = object.mask.size();
        let line = Line {
            object: number,
            size: [size.height, size.width],
            counts: object.mask.to_coco_string(),
            area: object.mask.area(),
            bbox: edges(&object.mask),
            iou: object.iou(),
            ious: &object.ious,
            chosen: object.chosen,
            object_score: object.object_score,
        };
        lines += &serde_json::to_string(&line).map_err(Failure::new)?;
        lines.push('\n');
    }
    Ok(lines)
}

fn table(objects: &[Segmented], choice: Choice) -> String {
    let mut text = String::new();
    for (number, object) in objects.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "object {}: predicted IoU {:.4}", number + 1, object.iou());
        if choice == Choice::BestIou {
            let ious: Vec<String> = object.ious.iter().map(|iou| format!("{iou:.4}")).collect();
            let _ = write!(text, " (of {})", ious.join(", "));
        }
        let _ = write!(text, ", {} pixels", object.mask.area());
        match edges(&object.mask) {
            Some([x0, y0, x1, y1]) => _ = write!(text, ", box {x0},{y0} to {x1},{y1}"),
            None => text.push_str(", empty"),
        }
        let _ = writeln!(text, ", object score {:.2}", object.object_score);
    }
    text
}
