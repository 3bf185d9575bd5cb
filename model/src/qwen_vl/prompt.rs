//! A chat and its images to what the model takes: token ids and patches.

use super::{
    ChatOptions, ChatTemplate, IMAGE_PAD, InputError, Message, Patches, Processor, Prompt,
    Tokenizer, VIDEO_PAD,
};
use segzero_prep::image::Rgb;
use std::path::Path;

/// The three parts of a model folder that prepare a question.
pub struct Prompter {
    /// Text to tokens and back.
    pub tokenizer: Tokenizer,
    /// Messages to text.
    pub template: ChatTemplate,
    /// Images to patches.
    pub processor: Processor,
}

impl Prompter {
    /// Reads the three from a model folder.
    ///
    /// # Errors
    /// As [`Tokenizer::load`], [`ChatTemplate::load`] and [`Processor::load`].
    pub fn load(folder: &Path) -> Result<Self, InputError> {
        Ok(Self {
            tokenizer: Tokenizer::load(folder)?,
            template: ChatTemplate::load(folder)?,
            processor: Processor::load(folder)?,
        })
    }

    /// Makes a prompt of a chat that the model is to go on with.
    ///
    /// # Errors
    /// When an image cannot be seen, the template refuses the chat, or there are more or fewer
    /// images than places for them.
    pub fn prompt(&self, messages: &[Message], images: &[Rgb]) -> Result<Prompt, InputError> {
        let options = ChatOptions { add_generation_prompt: true, ..ChatOptions::default() };
        let text = self.template.render(messages, options)?;
        let images: Vec<Patches> =
            images.iter().map(|image| self.processor.patches(image)).collect::<Result<_, _>>()?;
        let tokens: Vec<usize> = images.iter().map(|image| image.tokens).collect();
        Ok(Prompt { ids: prompt_ids(&self.tokenizer, &text, &tokens)?, images })
    }
}

/// The tokens of a rendered chat, with the n-th [`IMAGE_PAD`] repeated `image_tokens[n]` times.
///
/// # Errors
/// When there are more or fewer images than places for them, or a place for a video.
pub fn prompt_ids(
    tokenizer: &Tokenizer,
    text: &str,
    image_tokens: &[usize],
) -> Result<Vec<u32>, InputError> {
    let pad = tokenizer.id(IMAGE_PAD)?;
    let ids = tokenizer.encode(text)?;
    let places = ids.iter().filter(|&&id| id == pad).count();
    if places != image_tokens.len() {
        return Err(InputError::Images { places, images: image_tokens.len() });
    }
    if tokenizer.id(VIDEO_PAD).is_ok_and(|video| ids.contains(&video)) {
        return Err(InputError::Video);
    }
    let mut expanded = Vec::with_capacity(ids.len() + image_tokens.iter().sum::<usize>());
    let mut counts = image_tokens.iter();
    for id in ids {
        let count = if id == pad { counts.next().copied().unwrap_or(0) } else { 1 };
        expanded.extend(std::iter::repeat_n(id, count));
    }
    Ok(expanded)
}
