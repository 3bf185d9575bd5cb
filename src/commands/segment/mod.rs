//! `segzero segment`: an image and what to look for in it → the reasoning, the answer, a mask.

mod ask;
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
    /// An image; given several times, they are asked one after the other.
    #[arg(long, value_name = "FILE", required = true, help_heading = "Prompt")]
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

/// Runs the command. A reply without an answer is an error; of several images the others go on.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    args.asking.expect_replies()?;
    let pipeline = Pipeline::open(&args.asking)?;
    let mut failed = 0;
    for path in &args.image {
        let found = ask::ask(&args, &pipeline, path);
        match found.and_then(|found| show::show(&args, path, &found)) {
            Ok(()) => {}
            Err(failure) if args.image.len() > 1 => {
                report(failure);
                failed += 1;
            }
            Err(failure) => return Err(failure),
        }
    }
    if failed > 0 {
        let images = args.image.len();
        return Err(Failure::new(format_args!("{failed} of {images} images have no mask")));
    }
    Ok(ExitCode::SUCCESS)
}
