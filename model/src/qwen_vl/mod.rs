//! Qwen2-VL and Qwen2.5-VL: an image and a question become tokens, tokens become text.
//!
//! ```text
//! config     config.json as published
//! image      files → images
//! processor  image → patches, as the slow (PIL) processor of transformers makes them
//! chat       messages → text, by the model's own template
//! tokenizer/ text → tokens → text
//! prompt     messages and images → tokens and patches
//! vision/    patches → tokens of the decoder
//! position   where tokens stand, in time, height and width
//! decoder/   tokens → hidden states → logits, with a cache of keys and values
//! model      all of it
//! sampler    logits → a token
//! generate   prompts → replies
//! ```

mod chat;
pub mod config;
pub mod decoder;
mod defaults;
mod error;
mod generate;
mod image;
mod model;
mod position;
mod processor;
mod prompt;
mod rope;
mod sampler;
mod tokenizer;
pub mod vision;

pub use chat::{ChatOptions, ChatTemplate, Content, Message, Part, Role};
pub use config::Config;
pub use defaults::Defaults;
pub use error::InputError;
pub use generate::{Finish, Options, Reply, Token};
pub use image::read_image;
pub use model::{Embedded, Prefilled, Prompt, PromptError, QwenVl, parameters};
pub use position::{Positions, positions};
pub use processor::{Patches, Processor, View};
pub use prompt::{Prompter, prompt_ids};
pub use rope::Rotation;
pub use sampler::{Choice, Sampler, Sampling};
pub use tokenizer::{IMAGE_PAD, MESSAGE_END, SpecialTokens, TextStream, Tokenizer, VIDEO_PAD};
