//! `segzero segment`: an image and what to look for in it → the reasoning, the answer, a mask.

mod ask;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use segzero_eval::answer::Parser;
use segzero_eval::prompt::PromptStyle;
use segzero_model::device::DeviceName;
use segzero_model::packed::Format;
use segzero_model::sam2::Preprocessing;

use crate::failure::Failure;
use ask::Asker;

/// Flags of `segzero segment`.
#[derive(clap::Args)]
pub struct Args {
    /// What to look for.
    question: String,
    /// An image; given several times, they are asked one after the other.
    #[arg(long, value_name = "FILE", required = true, help_heading = "Prompt")]
    image: Vec<PathBuf>,
    /// The model that reasons, a Qwen2-VL or Qwen2.5-VL: its folder, or its name on the hub.
    #[arg(long, value_name = "DIR|NAME", required_unless_present = "reply")]
    reasoner: Option<String>,
    /// A reply that some model gave, as a text file, in place of a reasoner.
    #[arg(long, value_name = "FILE", conflicts_with = "reasoner")]
    reply: Option<PathBuf>,
    /// The SAM 2 that makes the mask: its folder, file or name on the hub. Without it the mask is the
    /// box, filled.
    #[arg(long, value_name = "DIR|FILE|NAME")]
    segmenter: Option<String>,
    /// A published way to ask.
    #[arg(long, value_enum, default_value_t, help_heading = "Prompt")]
    prompt: PromptStyle,
    /// A way of one's own: a text with {question} in it.
    #[arg(long, value_name = "FILE", conflicts_with = "prompt", help_heading = "Prompt")]
    template: Option<PathBuf>,
    /// Side of the square that the image is resized to before it is asked, as the published scripts do;
    /// 0 leaves it as it is [default: 840; 0 with `--prompt qwen-box`].
    #[arg(long, value_name = "PIXELS", help_heading = "Prompt")]
    side: Option<u32>,
    /// Who reads the reply.
    #[arg(long, value_enum, default_value_t, help_heading = "Answer")]
    parser: Reader,
    /// What coordinates in replies count [default: pixels; thousandths for a Qwen2-VL that is asked by
    /// `qwen-box`].
    #[arg(long, value_enum, help_heading = "Answer")]
    coordinates: Option<Coordinates>,
    /// What of the answer the segmenter is given.
    #[arg(long, value_enum, default_value_t, help_heading = "Answer")]
    hints: Hints,
    /// Where to write the mask, a PNG of 0 and 255; of several images, a folder.
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Where to draw mask, box and points on the image, a PNG; of several images, a folder.
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    overlay: Option<PathBuf>,
    /// Print a line of JSON for each image, which `segzero eval --pred` reads.
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Longest reply, in tokens [default: 1024; 2048 with `--prompt vision-reasoner`].
    #[arg(long, value_name = "N", help_heading = "Run")]
    max_new_tokens: Option<usize>,
    /// Divides the logits; 0 always takes the most likely token, as the published evaluations do.
    #[arg(long, default_value_t = 0.0, value_name = "T", help_heading = "Run")]
    temperature: f64,
    /// Where randomness comes from.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Run")]
    seed: u64,
    /// Where to compute: `cpu`, `cuda:N` or `wgpu:N`.
    #[arg(long, default_value = "cpu", value_name = "DEVICE", help_heading = "Run")]
    device: DeviceName,
    /// How to keep the reasoner's weights.
    #[arg(long, default_value = "bf16", value_name = "FORMAT", help_heading = "Run")]
    format: Format,
    /// How to keep the segmenter's weights.
    #[arg(long, default_value = "f32", value_name = "FORMAT", help_heading = "Run")]
    segmenter_format: Format,
    /// Whose way from images to the segmenter's pixels.
    #[arg(long, value_enum, default_value_t, help_heading = "Run")]
    preprocessing: Preprocessing,
}

/// Who reads a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Reader {
    /// Every known form, repaired where that is safe; what was repaired is said.
    #[default]
    Robust,
    /// The published evaluation of the prompt that was asked, quirks and all.
    Reference,
}

/// What a coordinate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Coordinates {
    /// Pixels of the image as the model saw it.
    Pixels,
    /// Thousandths of its sides.
    Thousandths,
}

/// What the segmenter is given of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Hints {
    /// Box and points.
    #[default]
    All,
    /// The box alone (Table 2 of the paper, `bbox`).
    Box,
    /// The points alone (Table 2 of the paper, `points`).
    Points,
}

impl Reader {
    fn parser(self, style: PromptStyle) -> Parser {
        match self {
            Self::Robust => Parser::Robust,
            Self::Reference => style.reference_parser(),
        }
    }
}

impl Args {
    /// The published way in which is asked, unless it is one's own.
    fn style(&self) -> Option<PromptStyle> {
        self.template.is_none().then_some(self.prompt)
    }
}

/// Runs the command. A reply without an answer is an error; of several images the others go on.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let asker = Asker::open(&args)?;
    let mut failed = 0;
    for path in &args.image {
        match asker.ask(path).and_then(|found| show::show(&args, path, &found)) {
            Ok(()) => {}
            Err(failure) if args.image.len() > 1 => {
                crate::output::report(failure);
                failed += 1;
            }
            Err(failure) => return Err(failure),
        }
    }
    if failed > 0 {
        return Err(Failure::new(format_args!(
            "{failed} of {} images have no mask",
            args.image.len()
        )));
    }
    Ok(ExitCode::SUCCESS)
}
