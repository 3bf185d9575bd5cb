//! `segzero ask`: a question about images to a Qwen-VL model, the reply as it is written.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use segzero_model::checkpoint::Checkpoint;
use segzero_model::checkpoint::hub::Freshness;
use segzero_model::device::DeviceName;
use segzero_model::packed::Format;
use segzero_model::qwen_vl::{
    Config, Content, Defaults, Finish, IMAGE_PAD, Message, Options, Part, Prompt, Prompter, QwenVl,
    Reply, Role, Sampling, SpecialTokens, read_image,
};
use segzero_prep::image::Rgb;
use serde::Serialize;

use crate::failure::Failure;
use crate::model_source;
use crate::output::{print, report};
use crate::progress::Verbosity;

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

/// What was measured, for stderr.
struct Clock {
    start: Instant,
    first: Option<Instant>,
    tokens: usize,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let folder = model_source::resolve(&args.model, Freshness::Cached, Verbosity::Normal)?;
    let placement = args.device.place(args.format)?;
    let defaults = Defaults::load(&folder)?;
    let config = Config::open(&folder)?;
    let prompter = prompter(&args, &folder, &config)?;
    let images = args.image.iter().map(|path| image(&prompter, path));
    let images = images.collect::<Result<Vec<_>, _>>()?;
    let prompt = prompter.prompt(&messages(&args), &images)?;
    let start = Instant::now();
    let model = QwenVl::load(&Checkpoint::open(&folder)?, config, placement)?;
    let loaded = start.elapsed();
    let options = Options {
        max_new_tokens: args.max_new_tokens,
        sampling: sampling(&args, defaults.sampling)?,
        stop: defaults.stop,
        samples: usize::from(args.samples),
    };
    let prompt_tokens = prompt.ids.len();
    let (replies, clock) = reply(&args, &model, &prompter, prompt, &options)?;
    if args.json || args.samples > 1 {
        write_replies(&args, &prompter, &replies)?;
    }
    report(format_args!(
        "loaded in {:.1} s; {prompt_tokens} tokens read in {:.1} s; {}",
        loaded.as_secs_f64(),
        clock.read().as_secs_f64(),
        clock.rate()
    ));
    Ok(ExitCode::SUCCESS)
}

impl Clock {
    /// From the beginning to the first token.
    fn read(&self) -> Duration {
        self.first.map_or(Duration::ZERO, |first| first - self.start)
    }

    fn rate(&self) -> String {
        let Some(first) = self.first else { return "no token written".to_owned() };
        let later = self.tokens.saturating_sub(1) as f64;
        let rate = later / first.elapsed().as_secs_f64().max(1e-9);
        format!("{} tokens written, {rate:.1} a second", self.tokens)
    }
}

fn prompter(args: &Args, folder: &Path, config: &Config) -> Result<Prompter, Failure> {
    let mut prompter = Prompter::load(folder)?;
    prompter.tokenizer.check_vocab_size(config.text.vocab_size)?;
    prompter.tokenizer.check_id(IMAGE_PAD, "image_token_id", config.image_token_id)?;
    if args.min_pixels.is_some() || args.max_pixels.is_some() {
        let (min, max) = prompter.processor.pixel_bounds();
        let (min, max) = (args.min_pixels.unwrap_or(min), args.max_pixels.unwrap_or(max));
        prompter.processor = prompter.processor.with_pixels(min, max)?;
    }
    Ok(prompter)
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

/// The replies; a single one is printed as it grows.
fn reply(
    args: &Args,
    model: &QwenVl,
    prompter: &Prompter,
    prompt: Prompt,
    options: &Options,
) -> Result<(Vec<Reply>, Clock), Failure> {
    let streams = args.samples == 1 && !args.json;
    let mut text = prompter.tokenizer.stream(SpecialTokens::Skip);
    let mut failure = None;
    let mut clock = Clock { start: Instant::now(), first: None, tokens: 0 };
    let replies = model.generate(&[prompt], options, |token| {
        clock.first.get_or_insert_with(Instant::now);
        clock.tokens += 1;
        let written = if streams { print(&text.push(token.id)) } else { Ok(()) };
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if streams && failure.is_none() {
        print(&(text.finish() + "\n"))?;
    }
    match failure {
        Some(failure) => Err(failure),
        None => Ok((replies.into_iter().flatten().collect(), clock)),
    }
}

fn write_replies(args: &Args, prompter: &Prompter, replies: &[Reply]) -> Result<(), Failure> {
    let text = |reply: &Reply| prompter.tokenizer.decode(&reply.tokens, SpecialTokens::Skip);
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
