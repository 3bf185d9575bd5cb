//! `segzero ask`: a question about images to a Qwen-VL model, the reply as it is written.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use segzero_model::device::DeviceName;
use segzero_model::packed::Format;
use segzero_model::qwen_vl::{
    Content, Finish, Message, Options, Part, Prompter, Reply, Role, Sampling, read_image,
};
use segzero_prep::image::Rgb;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{print, report};
use crate::reasoner::{Prompting, Reasoner};

/// Flags of `segzero ask`.
#[derive(clap::Args)]
pub struct Args {
    /// What to ask.
    question: String,
    /// A Qwen2-VL or Qwen2.5-VL model: its folder, as published, or its name on the hub.
    #[arg(long, value_name = "DIR|NAME")]
    model: String,
    /// An image to ask about; several are shown in order, before the question.
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Rules for the model, in place of the template's own.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Where to compute: `cpu`, `cuda:N` or `wgpu:N`.
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: DeviceName,
    /// How to keep the weights.
    #[arg(long, default_value = "bf16", value_name = "FORMAT")]
    format: Format,
    /// Longest reply, in tokens.
    #[arg(long, default_value_t = 512, value_name = "N")]
    max_new_tokens: usize,
    /// Divides the logits; 0 always takes the most likely token [default: the model's].
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Draw from so many most likely tokens only; 0 is all [default: the model's].
    #[arg(long, value_name = "N")]
    top_k: Option<usize>,
    /// Draw from the most likely tokens of this probability only [default: the model's].
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// Makes what was said less likely; 1 does nothing [default: the model's].
    #[arg(long, value_name = "X")]
    repetition_penalty: Option<f64>,
    /// Where randomness comes from.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Replies; the prompt is read once. Several are printed when all are done.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    samples: u16,
    /// Least pixels of an image as the model sees it [default: the model's].
    #[arg(long, value_name = "N")]
    min_pixels: Option<u64>,
    /// Most pixels of an image as the model sees it [default: the model's].
    #[arg(long, value_name = "N")]
    max_pixels: Option<u64>,
    /// Print each reply as a line of JSON, with tokens and their log-probabilities.
    #[arg(long)]
    json: bool,
}

/// A reply in JSON.
#[derive(Serialize)]
struct Record<'a> {
    text: String,
    tokens: &'a [u32],
    log_probs: &'a [f32],
    finish: Finish,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut prompter = Prompting::open(&args.model)?;
    prompter.bound_pixels(args.min_pixels, args.max_pixels)?;
    let images = args.image.iter().map(|path| image(&prompter.prompter, path));
    let images = images.collect::<Result<Vec<_>, _>>()?;
    let prompt = prompter.prompter.prompt(&messages(&args), &images)?;
    let sampling = sampling(&args, prompter.defaults.sampling)?;
    let reasoner = prompter.load(args.device, args.format)?;
    let options = Options {
        max_new_tokens: args.max_new_tokens,
        sampling,
        stop: reasoner.prompting.defaults.stop.clone(),
        samples: usize::from(args.samples),
    };
    let prompt_tokens = prompt.ids.len();
    let streams = args.samples == 1 && !args.json;
    let show = |text: &str| if streams { print(text) } else { Ok(()) };
    let (replies, clock) = reasoner.reply(prompt, &options, show)?;
    if streams {
        print("\n")?;
    } else {
        write_replies(&args, &reasoner, &replies)?;
    }
    report(format_args!(
        "loaded in {:.1} s; {prompt_tokens} tokens read in {:.1} s; {}",
        reasoner.loaded.as_secs_f64(),
        clock.read().as_secs_f64(),
        clock.rate()
    ));
    Ok(ExitCode::SUCCESS)
}

/// An image that the model can see.
fn image(prompter: &Prompter, path: &Path) -> Result<Rgb, Failure> {
    let image = read_image(path)?;
    let seen = prompter.processor.view(image.size);
    seen.map_err(|error| Failure::new(format_args!("`{}`: {error}", path.display())))?;
    Ok(image)
}

/// The images, then the question.
fn messages(args: &Args) -> Vec<Message> {
    let mut parts = vec![Part::Image; args.image.len()];
    parts.push(Part::Text { text: args.question.clone() });
    let system = args
        .system
        .iter()
        .map(|text| Message { role: Role::System, content: Content::Text(text.clone()) });
    let question = Message { role: Role::User, content: Content::Parts(parts) };
    system.chain([question]).collect()
}

fn sampling(args: &Args, defaults: Sampling) -> Result<Sampling, Failure> {
    let sampling = Sampling {
        temperature: args.temperature.unwrap_or(defaults.temperature),
        top_k: args.top_k.unwrap_or(defaults.top_k),
        top_p: args.top_p.unwrap_or(defaults.top_p),
        repetition_penalty: args.repetition_penalty.unwrap_or(defaults.repetition_penalty),
        seed: args.seed,
    };
    let wrong = |flag: &str, least: &str, value: f64| {
        Err(Failure::new(format_args!("--{flag} is {value}, and must be {least}")))
    };
    if !(sampling.temperature >= 0.0 && sampling.temperature.is_finite()) {
        return wrong("temperature", "0 or more", sampling.temperature);
    }
    if !(sampling.repetition_penalty > 0.0 && sampling.repetition_penalty.is_finite()) {
        return wrong("repetition-penalty", "above 0", sampling.repetition_penalty);
    }
    if !(0.0..=1.0).contains(&sampling.top_p) {
        return wrong("top-p", "between 0 and 1", sampling.top_p);
    }
    Ok(sampling)
}

fn write_replies(args: &Args, reasoner: &Reasoner, replies: &[Reply]) -> Result<(), Failure> {
    let text = |reply: &Reply| reasoner.text(reply);
    for reply in replies {
        if args.json {
            let record = Record {
                text: text(reply),
                tokens: &reply.tokens,
                log_probs: &reply.log_probs,
                finish: reply.finish,
            };
            let line = serde_json::to_string(&record).map_err(Failure::new)?;
            print(&(line + "\n"))?;
        } else {
            print(&(text(reply) + "\n\n"))?;
        }
    }
    Ok(())
}
