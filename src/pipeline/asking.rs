//! Flags that say who is asked, how, and how the reply is read; shared by every command that asks.

use std::path::PathBuf;

use clap::ValueEnum;
use segzero_eval::answer::Parser;
use segzero_eval::prompt::{PromptStyle, QUESTION, filled};
use segzero_model::device::DeviceName;
use segzero_model::packed::Format;
use segzero_model::qwen_vl::Sampling;
use segzero_model::sam2::Preprocessing;
use serde::Serialize;

use crate::failure::Failure;

/// Who is asked, how, and how the reply is read.
#[derive(clap::Args, Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Asking {
    /// The model that reasons, a Qwen2-VL or Qwen2.5-VL: its folder, or its name on the hub; or the
    /// address of an endpoint, such as `http://localhost:8000/v1`.
    #[arg(long, value_name = "DIR|NAME|URL")]
    pub reasoner: Option<String>,
    /// Replies that some system gave, in place of a reasoner: a text, or a `.jsonl` file with lines of
    /// `key` and `text` (or several `texts`).
    #[arg(long, value_name = "FILE", conflicts_with = "reasoner")]
    pub reply: Option<PathBuf>,
    /// The SAM 2 that makes the mask: its folder, file or name on the hub. Without it the mask is the
    /// box, filled.
    #[arg(long, value_name = "DIR|FILE|NAME")]
    pub segmenter: Option<String>,
    /// A published way to ask.
    #[arg(long, value_enum, default_value_t, help_heading = "Prompt")]
    pub prompt: PromptStyle,
    /// A way of one's own: a text with {question} in it.
    #[arg(long, value_name = "FILE", conflicts_with = "prompt", help_heading = "Prompt")]
    pub template: Option<PathBuf>,
    /// Side of the square that the image is resized to before it is asked, as the published scripts do;
    /// 0 leaves it as it is [default: 840; 0 with `--prompt qwen-box`].
    #[arg(long, value_name = "PIXELS", help_heading = "Prompt")]
    pub side: Option<u32>,
    /// Who reads the reply.
    #[arg(long, value_enum, default_value_t, help_heading = "Answer")]
    pub parser: Reader,
    /// What coordinates in replies count [default: pixels; thousandths for a Qwen2-VL that is asked by
    /// `qwen-box`, and for a Qwen3-VL].
    #[arg(long, value_enum, help_heading = "Answer")]
    pub coordinates: Option<Coordinates>,
    /// What of the answer the segmenter is given.
    #[arg(long, value_enum, default_value_t, help_heading = "Answer")]
    pub hints: Hints,
    /// Longest reply, in tokens [default: 1024; 2048 with `--prompt vision-reasoner`].
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub max_new_tokens: Option<usize>,
    /// Divides the logits; 0 always takes the most likely token, as the published evaluations do.
    #[arg(long, default_value_t = 0.0, value_name = "T", help_heading = "Run")]
    pub temperature: f64,
    /// Divides the logits of tokens that stand there already [default: the model's own; 1 at an
    /// endpoint].
    #[arg(long, value_name = "P", help_heading = "Run")]
    pub repetition_penalty: Option<f64>,
    /// Where randomness comes from.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Run")]
    pub seed: u64,
    /// Where to compute: `cpu`, `cuda:N` or `wgpu:N`.
    #[arg(long, default_value = "cpu", value_name = "DEVICE", help_heading = "Run")]
    #[serde(serialize_with = "as_text")]
    pub device: DeviceName,
    /// How to keep the reasoner's weights.
    #[arg(long, default_value = "bf16", value_name = "FORMAT", help_heading = "Run")]
    #[serde(serialize_with = "as_text")]
    pub format: Format,
    /// How to keep the segmenter's weights.
    #[arg(long, default_value = "f32", value_name = "FORMAT", help_heading = "Run")]
    #[serde(serialize_with = "as_text")]
    pub segmenter_format: Format,
    /// Whose way from images to the segmenter's pixels.
    #[arg(long, value_enum, default_value_t, help_heading = "Run")]
    pub preprocessing: Preprocessing,
    /// The model of an endpoint that has several.
    #[arg(long, value_name = "NAME", help_heading = "Endpoint")]
    pub endpoint_model: Option<String>,
    /// The longest that an attempt to ask an endpoint may take.
    #[arg(long, default_value_t = 300.0, value_name = "SECONDS", help_heading = "Endpoint")]
    #[serde(skip)] // patience is no part of what is asked
    pub endpoint_timeout: f64,
    /// How often to ask an endpoint that is busy, breaks off or does not answer.
    #[arg(long, default_value_t = 4, value_name = "N", help_heading = "Endpoint")]
    #[serde(skip)]
    pub endpoint_attempts: u32,
}

fn as_text<S: serde::Serializer>(
    value: &impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Who reads a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reader {
    /// Every known form, repaired where that is safe; what was repaired is said.
    #[default]
    Robust,
    /// The published evaluation of the prompt that was asked, quirks and all.
    Reference,
}

/// What a coordinate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coordinates {
    /// Pixels of the image as the model saw it.
    Pixels,
    /// Thousandths of its sides.
    Thousandths,
    /// Pixels of the image as it was given.
    Original,
}

/// What the segmenter is given of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hints {
    /// Box and points.
    #[default]
    All,
    /// The box alone (Table 2 of the paper, `bbox`).
    Box,
    /// The points alone (Table 2 of the paper, `points`).
    Points,
}

/// Text that is put before a model: a published one, or one's own.
#[derive(Clone, Debug)]
pub enum Wording {
    /// A published template, and its way with questions.
    Published(PromptStyle),
    /// A template of one's own, with the question as it is.
    Own(String),
}

impl Wording {
    /// The text for a question.
    pub fn text(&self, question: &str) -> String {
        match self {
            Self::Published(style) => style.text(question),
            Self::Own(template) => filled(template, question),
        }
    }
}

impl Asking {
    /// Refuses flags by which nobody is asked.
    ///
    /// # Errors
    /// Neither a reasoner nor replies.
    pub fn expect_replies(&self) -> Result<(), Failure> {
        match (&self.reasoner, &self.reply) {
            (None, None) => Err(Failure::new("nobody is asked: there is no reasoner").hint(
                "give a model by `--reasoner`, or replies that some system gave by `--reply`",
            )),
            _ => Ok(()),
        }
    }

    /// The text that is put before the model.
    ///
    /// # Errors
    /// A template that cannot be read, or has no place for the question.
    pub fn wording(&self) -> Result<Wording, Failure> {
        let Some(path) = &self.template else { return Ok(Wording::Published(self.prompt)) };
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|e| segzero_datasets::Error::new(path, e))?;
        if !text.contains(QUESTION) {
            let failure = Failure::new(format_args!("`{}` does not say where", path.display()));
            return Err(failure.hint("write {question} where the question goes"));
        }
        Ok(Wording::Own(text.trim_end_matches('\n').to_owned()))
    }

    /// The published way in which is asked, unless it is one's own.
    fn style(&self) -> Option<PromptStyle> {
        self.template.is_none().then_some(self.prompt)
    }

    /// Whether the question is for boxes alone, as Qwen's own models are asked.
    pub fn is_for_boxes(&self) -> bool {
        self.style() == Some(PromptStyle::QwenBox)
    }

    /// Who reads the reply.
    pub fn reader(&self) -> Parser {
        match self.parser {
            Reader::Robust => Parser::Robust,
            Reader::Reference => self.prompt.reference_parser(),
        }
    }

    /// Side of the square that is asked about; none for the image as it is.
    pub fn square(&self) -> Option<u32> {
        let default = if self.is_for_boxes() { 0 } else { 840 };
        Some(self.side.unwrap_or(default)).filter(|side| *side > 0)
    }

    /// How tokens are chosen by a model whose own penalty of repetition is this.
    ///
    /// # Errors
    /// A temperature below 0; a penalty of 0 or less.
    pub fn sampling(&self, own_penalty: f64) -> Result<Sampling, Failure> {
        let (temperature, seed) = (self.temperature, self.seed);
        if !(temperature >= 0.0 && temperature.is_finite()) {
            let refused = format!("--temperature is {temperature}, and must be 0 or more");
            return Err(Failure::new(refused));
        }
        let repetition_penalty = self.repetition_penalty.unwrap_or(own_penalty);
        if !(repetition_penalty > 0.0 && repetition_penalty.is_finite()) {
            let refused =
                format!("--repetition-penalty is {repetition_penalty}, and must be above 0");
            return Err(Failure::new(refused));
        }
        Ok(Sampling { temperature, seed, repetition_penalty, ..Sampling::default() })
    }

    /// Longest reply, in tokens.
    pub fn longest(&self) -> usize {
        let many = self.style() == Some(PromptStyle::VisionReasoner);
        self.max_new_tokens.unwrap_or(if many { 2048 } else { 1024 })
    }
}
