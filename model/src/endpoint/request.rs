//! What is sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use segzero_prep::image::{PngEffort, Rgb, encode_png};
use serde_json::{Map, Value, json};

use super::{Failure, Options};

/// What does not change between attempts and samples.
pub(super) struct Question<'a> {
    model: &'a str,
    /// As JSON: it holds the image.
    messages: String,
}

impl<'a> Question<'a> {
    /// The image stands first, as Seg-Zero was trained. It is a PNG, because JPEG changes pixels, and
    /// written fast, because that takes longer than anything else here.
    pub fn new(model: &'a str, image: &Rgb, text: &str) -> Result<Self, Failure> {
        let png = encode_png(image, PngEffort::Fast);
        let png = png.map_err(|error| Failure::Image(error.to_string()))?;
        let mut messages = String::with_capacity(png.len() / 3 * 4 + 2 * text.len() + 200);
        messages += r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":""#;
        messages += "data:image/png;base64,";
        STANDARD.encode_string(png, &mut messages);
        messages += &format!(r#""}}}},{{"type":"text","text":{}}}]}}]"#, json!(text));
        Ok(Self { model, messages })
    }

    /// The body that asks for `count` replies when there are `first` already.
    pub fn body(&self, options: &Options, first: usize, count: usize, refused: &[&str]) -> Vec<u8> {
        let mut fields = fields(options, first);
        if count > 1 {
            fields.insert("n".to_owned(), json!(count));
        }
        self.with(fields, refused)
    }

    /// The body that asks for one reply, piece by piece.
    pub fn streaming_body(&self, options: &Options, refused: &[&str]) -> Vec<u8> {
        let mut fields = fields(options, 0);
        fields.insert("stream".to_owned(), json!(true));
        self.with(fields, refused)
    }

    fn with(&self, mut fields: Map<String, Value>, refused: &[&str]) -> Vec<u8> {
        fields.retain(|name, _| !refused.contains(&name.as_str()));
        fields.insert("model".to_owned(), json!(self.model));
        let fields = Value::Object(fields).to_string();
        format!("{{\"messages\":{},{}", self.messages, &fields[1..]).into_bytes()
    }
}

/// Everything that decides what is written, because servers do not agree on what stands where nothing
/// is said: vLLM and SGLang take the model's `generation_config.json`, llama.cpp has its own (`top_k`
/// 40, `top_p` 0.95, `min_p` 0.05).
///
/// The longest reply is said twice. Servers that only know the older `max_tokens` (llama.cpp until
/// 2026) pass over the other and would write on to the end of their memory; OpenAI wants the newer
/// alone, says so, and is then asked so ([`dispensable`]).
fn fields(options: &Options, first: usize) -> Map<String, Value> {
    let sampling = &options.sampling;
    // Servers that give one reply at a time would give the same one again.
    let seed = sampling.seed.wrapping_add(first as u64);
    // All take 31 bits: some want signed numbers, some 32 of them.
    let seed = (seed ^ (seed >> 32)) & 0x7fff_ffff;
    let top_k = if sampling.top_k == 0 { -1 } else { sampling.top_k as i64 };
    let fields = json!({
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": top_k,
        "min_p": 0.0,
        "repetition_penalty": sampling.repetition_penalty,
        "max_completion_tokens": options.max_new_tokens,
        "max_tokens": options.max_new_tokens,
        "seed": seed,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The field that a server refuses by name and that can be left out, because it asks for what is
/// usual without it, or says what another says too. Hosted servers know few of the fields.
///
/// Without `n` one reply comes at a time, without `stream` all of it at once; without `seed` replies
/// that are drawn cannot be had again.
pub(super) fn dispensable(
    failure: &Failure,
    options: &Options,
    refused: &[&str],
) -> Option<&'static str> {
    let (status, message) = match failure {
        Failure::Refused { status: status @ (400 | 422), message }
        | Failure::ServerError { status: status @ 500, message } => (*status, message),
        _ => return None,
    };
    let sampling = &options.sampling;
    let may_go = [
        ("top_k", sampling.top_k == 0),
        ("min_p", true),
        ("top_p", sampling.top_p == 1.0),
        ("repetition_penalty", sampling.repetition_penalty == 1.0),
        ("max_tokens", !refused.contains(&"max_completion_tokens")),
        ("max_completion_tokens", !refused.contains(&"max_tokens")),
        ("seed", true),
        ("stream", true),
        ("n", options.samples > 1),
    ];
    let is_named = |name: &str| {
        let mut words = message.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words.any(|word| word == name)
    };
    let mut left = may_go.into_iter().filter(|(name, may)| *may && !refused.contains(name));
    let named = left.clone().find(|(name, _)| is_named(name));
    // Several replies at once are refused in many words (llama.cpp: "Only one completion choice").
    let several = || left.find(|(name, _)| *name == "n" && (status != 500 || is_named("choice")));
    named.or_else(several).map(|(name, _)| name)
}
