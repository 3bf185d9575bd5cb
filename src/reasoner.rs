//! Qwen-VL as commands open and ask it.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use segzero_model::checkpoint::Checkpoint;
use segzero_model::checkpoint::hub::Freshness;
use segzero_model::device::DeviceName;
use segzero_model::packed::Format;
use segzero_model::qwen_vl::{
    Config, Content, Defaults, IMAGE_PAD, InputError, Message, Options, Part, Prompt, PromptError,
    Prompter, QwenVl, Reply, Role, SpecialTokens,
};
use segzero_prep::image::Rgb;

use crate::failure::Failure;
use crate::model_source;
use crate::progress::Verbosity;

/// All of a model but its weights: enough to make prompts, and to refuse them early.
pub struct Prompting {
    folder: PathBuf,
    /// What the network is made of.
    pub config: Config,
    /// Tokenizer, template and image processor.
    pub prompter: Prompter,
    /// What the model's authors generate with.
    pub defaults: Defaults,
}

/// A model that can be asked.
pub struct Reasoner {
    /// All but its weights.
    pub prompting: Prompting,
    model: QwenVl,
    /// Bytes of its weights on disk.
    pub bytes: u64,
    /// How long loading took.
    pub loaded: Duration,
}

/// What was measured of a reply.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    first: Option<Instant>,
    tokens: usize,
}

impl Clock {
    /// From the beginning to the first token.
    pub fn read(&self) -> Duration {
        self.first.map_or(Duration::ZERO, |first| first - self.start)
    }

    /// Tokens and their rate, in words.
    pub fn rate(&self) -> String {
        let Some(first) = self.first else { return "no token written".to_owned() };
        let later = self.tokens.saturating_sub(1) as f64;
        let rate = later / first.elapsed().as_secs_f64().max(1e-9);
        format!("{} tokens written, {rate:.1} a second", self.tokens)
    }
}

impl Prompting {
    /// Opens a folder, or a name on the hub.
    ///
    /// # Errors
    /// A model that is not there, or whose tokenizer is another model's.
    pub fn open(model: &str) -> Result<Self, Failure> {
        let folder = model_source::resolve(model, Freshness::Cached, Verbosity::Normal)?;
        let defaults = Defaults::load(&folder)?;
        let config = Config::open(&folder)?;
        let prompter = Prompter::load(&folder)?;
        prompter.tokenizer.check_vocab_size(config.text.vocab_size)?;
        prompter.tokenizer.check_id(IMAGE_PAD, "image_token_id", config.image_token_id)?;
        Ok(Self { folder, config, prompter, defaults })
    }

    /// Bounds the pixels of images as the model sees them.
    ///
    /// # Errors
    /// Bounds that exclude each other.
    pub fn bound_pixels(&mut self, min: Option<u64>, max: Option<u64>) -> Result<(), Failure> {
        if min.is_some() || max.is_some() {
            let (own_min, own_max) = self.prompter.processor.pixel_bounds();
            let (min, max) = (min.unwrap_or(own_min), max.unwrap_or(own_max));
            self.prompter.processor = self.prompter.processor.clone().with_pixels(min, max)?;
        }
        Ok(())
    }

    /// Loads the weights.
    ///
    /// # Errors
    /// A device that this build lacks; weights that are damaged or another network's.
    pub fn load(self, device: DeviceName, format: Format) -> Result<Reasoner, Failure> {
        let placement = device.place(format)?;
        let start = Instant::now();
        let checkpoint = Checkpoint::open(&self.folder)?;
        let model = QwenVl::load(&checkpoint, self.config.clone(), placement)?;
        let bytes = checkpoint.bytes();
        Ok(Reasoner { prompting: self, model, bytes, loaded: start.elapsed() })
    }
}

impl Reasoner {
    /// Replies to a prompt. Where there is one, its text is shown as it grows.
    ///
    /// # Errors
    /// Whatever `show` fails with, and options that the model cannot generate with.
    pub fn reply(
        &self,
        prompt: Prompt,
        options: &Options,
        mut show: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(Vec<Reply>, Clock), Failure> {
        let mut text = self.prompting.prompter.tokenizer.stream(SpecialTokens::Skip);
        let mut failure = None;
        let mut clock = Clock { start: Instant::now(), first: None, tokens: 0 };
        let replies = self.model.generate(&[prompt], options, |token| {
            clock.first.get_or_insert_with(Instant::now);
            clock.tokens += 1;
            let shown = if options.samples == 1 { show(&text.push(token.id)) } else { Ok(()) };
            match shown {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        if options.samples == 1 {
            show(&text.finish())?;
        }
        Ok((replies.into_iter().flatten().collect(), clock))
    }

    /// A text about an image, as a user's message.
    ///
    /// # Errors
    /// An image that the model cannot see; a text with the model's own marks in it.
    pub fn about(&self, image: &Rgb, text: &str) -> Result<Prompt, InputError> {
        let parts = vec![Part::Image, Part::Text { text: text.to_owned() }];
        let message = Message { role: Role::User, content: Content::Parts(parts) };
        self.prompting.prompter.prompt(&[message], std::slice::from_ref(image))
    }

    /// The texts of the replies to each prompt; all grow together.
    ///
    /// # Errors
    /// Prompts that the model cannot take.
    pub fn replies(
        &self,
        prompts: &[Prompt],
        options: &Options,
    ) -> Result<Vec<Vec<String>>, PromptError> {
        let replies = self.model.generate(prompts, options, |_| ControlFlow::Continue(()))?;
        let texts = |own: Vec<Reply>| own.iter().map(|reply| self.text(reply)).collect();
        Ok(replies.into_iter().map(texts).collect())
    }

    /// The text of a reply.
    pub fn text(&self, reply: &Reply) -> String {
        self.prompting.prompter.tokenizer.decode(&reply.tokens, SpecialTokens::Skip)
    }
}
