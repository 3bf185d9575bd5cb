//! `segzero segment`: an image and what to look for in it → the reasoning, the answer, a mask.

mod ask;
mod images;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::output::report;
use crate::pipeline::{Asking, Pipeline};

/// Flags of `segzero segment`.
#[derive(clap::Args)]
pub struct Args {
    /// What to look for.
    question: String,
    /// An image, a folder of images, or a pattern such as 'photos/*.jpg'; given several times, they are
    /// asked one after the other.
    #[arg(long, value_name = "FILE|DIR|GLOB", required = true, help_heading = "Prompt")]
    image: Vec<PathBuf>,
    #[command(flatten)]
    asking: Asking,
    /// Where to write the mask, a PNG of 0 and 255; of several images, a folder.
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Where to draw mask, box and points on the image, a PNG; of several images, a folder.
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    overlay: Option<PathBuf>,
    /// Print a line of JSON for each image, which `segzero eval --pred` reads.
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Whether files are written into folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Many {
    /// Where they are asked for.
    One,
    /// In a folder of that name, under the images' names.
    Images,
}

/// Runs the command. A reply without an answer is an error; of several images the others go on.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    args.asking.expect_replies()?;
    let images = images::all(&args.image)?;
    let pipeline = Pipeline::open(&args.asking)?;
    let many = if images.len() > 1 { Many::Images } else { Many::One };
    let mut failed = 0;
    for path in &images {
        let found = ask::ask(&args, &pipeline, path);
        match found.and_then(|found| show::show(&args, many, path, &found)) {
            Ok(()) => {}
            Err(failure) if many == Many::Images => {
                report(failure);
                failed += 1;
            }
            Err(failure) => return Err(failure),
        }
    }
    if failed > 0 {
        let images = images.len();
        return Err(Failure::new(format_args!("{failed} of {images} images have no mask")));
    }
    Ok(ExitCode::SUCCESS)
}
