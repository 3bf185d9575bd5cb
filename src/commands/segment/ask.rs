//! From an image to its mask.

use std::path::Path;

use segzero_datasets::Mask;
use segzero_model::qwen_vl::read_image;
use segzero_model::sam2::Segmented;
use segzero_prep::image::Rgb;

use super::Args;
use crate::failure::Failure;
use crate::output::{print, report};
use crate::pipeline::{Found, Pipeline, Question};

/// What became of an image.
pub(super) struct Asked {
    pub image: Rgb,
    pub text: String,
    pub found: Found,
    /// Of each object; none where boxes are filled.
    pub segmented: Vec<Segmented>,
    pub mask: Mask,
}

/// Asks about an image; the reply is shown as it is written.
pub(super) fn ask(args: &Args, pipeline: &Pipeline, path: &Path) -> Result<Asked, Failure> {
    let at = path.display();
    let image = read_image(path)?;
    let about = |error: &dyn std::fmt::Display| Failure::new(format_args!("`{at}`: {error}"));
    let view = pipeline.view(&image).map_err(|miss| about(&miss.message))?;
    let question = Question { key: key(path), text: &args.question, view: &view };
    // A reply that was recorded is known to who asks.
    let is_quiet = args.json || args.asking.reply.is_some();
    let show = |text: &str| if is_quiet { Ok(()) } else { print(text) };
    let reply = pipeline.stream(&question, show);
    let (text, clock) = reply.map_err(|failure| failure.about(format_args!("`{at}`")))?;
    if !text.ends_with('\n') {
        show("\n")?;
    }
    if let Some(clock) = clock {
        report(format_args!("read in {:.1} s; {}", clock.read().as_secs_f64(), clock.rate()));
    }
    let found = pipeline.read(&view, &text).map_err(|failure| {
        about(&format_args!("{failure}; the model wrote: {}", text.trim())).hint(pipeline.hint())
    })?;
    let (mask, segmented) = pipeline
        .mask(&pipeline.embed(&image), &found.objects)
        .map_err(|miss| about(&miss.message))?;
    Ok(Asked { image, text, found, segmented, mask })
}

/// The name under which an image is asked: that of its file, without the ending.
pub(super) fn key(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}
