//! Qwen2-VL and Qwen2.5-VL: an image and a question become tokens, tokens become text.
//!
//! ```text
//! config     config.json as published
//! processor  image → patches, as the slow (PIL) processor of transformers makes them
//! vision/    patches → tokens of the decoder
//! position   where tokens stand, in time, height and width
//! decoder/   tokens → hidden states → logits, with a cache of keys and values
//! model      all of it
//! sampler    logits → a token
//! generate   prompts → replies
//! ```

pub mod config;
pub mod decoder;
mod defaults;
mod error;
mod generate;
mod json;
mod model;
mod position;
mod processor;
mod rope;
mod sampler;
pub mod vision;

pub use config::Config;
pub use defaults::Defaults;
pub use error::InputError;
pub use generate::{Finish, Options, Reply, Token};
pub use model::{Embedded, Prefilled, Prompt, PromptError, QwenVl, parameters};
pub use position::{Positions, positions};
pub use processor::{Patches, Processor, View};
pub use rope::Rotation;
pub use sampler::{Choice, Sampler, Sampling};
