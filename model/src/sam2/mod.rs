//! SAM 2 and 2.1 (arXiv 2408.00714): from an image and prompts to masks.
//!
//! ```text
//! pixels ──trunk, neck──▶ Embedding ─┐
//! points, boxes, mask ──prompt──▶ tokens ──decoder──▶ logits of masks, predicted IoU
//! ```
//!
//! Activations have their channels last throughout: every convolution of the network is a linear
//! layer on patches, and its parameters keep the published names and shapes.

mod antialias;
pub mod config;
mod config_json;
mod decoder;
mod image;
mod model;
mod neck;
mod predictor;
mod preset;
mod prompt;
mod select;
mod trunk;
mod upscale;

#[cfg(test)]
mod tests;

pub use config::{Config, Family};
pub use config_json::{MODEL_TYPES, Release};
pub use decoder::Predicted;
pub use image::{Preprocessing, pixels};
pub use model::{Decoded, Embedding, OF_VIDEO, Output, Sam2, parameters};
pub use predictor::{Choice, Embedded, ImagePrompt, Predictor, PromptError, Segmented};
pub use preset::{Preset, PresetError, Recipe};
pub use prompt::{PointLabel, Prompt};
pub use upscale::upscale;
