//! `generation_config.json`: how the makers of a model want it to reply.

use std::path::Path;

use segzero_datasets::Error;

use super::sampler::Sampling;
use crate::json::Fields;

/// The recommended choice of tokens, and the tokens that end a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// The choice of tokens, with seed 0.
    pub sampling: Sampling,
    /// Tokens that end a reply.
    pub stop: Vec<u32>,
}

impl Defaults {
    /// Reads a model's folder: `generation_config.json`, or where there is none `eos_token_id` of
    /// `config.json` and greedy choice, as transformers does. What a file does not say is as
    /// transformers has it: no sampling, temperature 1, top-k 50, top-p 1, no penalty.
    ///
    /// # Errors
    /// A field of the wrong type, or out of range.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("generation_config.json");
        let own = path.exists();
        let fields = Fields::read(&if own { path } else { folder.join("config.json") })?;
        let stop = match fields.get::<serde_json::Value>("eos_token_id")? {
            Some(serde_json::Value::Array(_)) => fields.get("eos_token_id")?.unwrap_or_default(),
            _ => fields.get("eos_token_id")?.into_iter().collect(),
        };
        if !own || !fields.get("do_sample")?.unwrap_or(false) {
            let penalty = if own { fields.get("repetition_penalty")? } else { None };
            let repetition_penalty = positive(&fields, "repetition_penalty", penalty)?;
            return Ok(Self {
                sampling: Sampling { repetition_penalty, ..Sampling::default() },
                stop,
            });
        }
        let number = |name: &str| positive(&fields, name, fields.get(name)?);
        let sampling = Sampling {
            temperature: number("temperature")?,
            top_k: fields.get("top_k")?.unwrap_or(50),
            top_p: number("top_p")?,
            repetition_penalty: number("repetition_penalty")?,
            seed: 0,
        };
        Ok(Self { sampling, stop })
    }
}

/// 1 where nothing is said.
fn positive(fields: &Fields, name: &str, value: Option<f64>) -> Result<f64, Error> {
    match value.unwrap_or(1.0) {
        value if value > 0.0 && value.is_finite() => Ok(value),
        value => Err(fields.unexpected(name, "a number above 0", value)),
    }
}
