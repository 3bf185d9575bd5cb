//! What comes back, as a whole.

use serde::Deserialize;
use serde_json::Value;

use super::{Choice, Failure};

/// A completion, or a chunk of one that streams.
#[derive(Deserialize)]
pub(super) struct Completion {
    error: Option<Value>,
    choices: Option<Vec<RawChoice>>,
}

/// One reply, or a piece of it.
#[derive(Deserialize)]
pub(super) struct RawChoice {
    index: Option<u64>,
    message: Option<Message>,
    /// In place of the message, where it streams.
    delta: Option<Message>,
    pub finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Content>,
    /// The thinking, which vLLM, SGLang and llama.cpp give apart where they are told to.
    reasoning_content: Option<String>,
    /// The same by its newer name; some servers give both.
    reasoning: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

/// A reply as it grows, with its thinking in the tags that the model wrote it in.
#[derive(Default)]
pub(super) struct Text {
    pub text: String,
    is_thinking: bool,
}

impl Text {
    /// Adds what a message brings, and returns it.
    pub fn push(&mut self, choice: RawChoice) -> &str {
        let start = self.text.len();
        let Some(message) = choice.delta.or(choice.message) else { return "" };
        let thinking = message.reasoning_content.or(message.reasoning).unwrap_or_default();
        if !thinking.is_empty() && !std::mem::replace(&mut self.is_thinking, true) {
            self.text += "<think>";
        }
        self.text += &thinking;
        let content = match message.content {
            None => String::new(),
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => parts.into_iter().filter_map(|part| part.text).collect(),
        };
        if !content.is_empty() && std::mem::take(&mut self.is_thinking) {
            self.text += "</think>";
        }
        self.text += &content;
        &self.text[start..]
    }
}

impl Completion {
    /// Its choices, none if there are none.
    ///
    /// # Errors
    /// The error that a server put in place of them.
    pub fn into_choices(self) -> Result<Vec<RawChoice>, Failure> {
        let Some(error) = self.error else { return Ok(self.choices.unwrap_or_default()) };
        let code = error.get("code").and_then(|code| match code {
            Value::String(code) => code.parse().ok(),
            code => code.as_u64()?.try_into().ok(),
        });
        // What fails behind a status of success is the server's fault, unless it says otherwise.
        let status = code.filter(|code| (400..600).contains(code)).unwrap_or(500);
        Err(Failure::of_status(status, said(&error).unwrap_or_default()))
    }
}

impl RawChoice {
    /// Its place among those of the question.
    pub fn index(&self) -> u64 {
        self.index.unwrap_or(0)
    }
}

/// The replies of an answer, at least one of them with a text.
pub(super) fn choices(bytes: &[u8]) -> Result<Vec<Choice>, Failure> {
    let completion: Completion = serde_json::from_slice(bytes).map_err(|e| malformed(bytes, &e))?;
    let mut raw = completion.into_choices()?;
    raw.sort_by_key(RawChoice::index);
    let reason = raw.first().map(why_empty);
    let choices: Vec<Choice> = raw.into_iter().map(choice).collect();
    match reason {
        _ if choices.iter().any(|choice| !choice.text.trim().is_empty()) => Ok(choices),
        None => Err(Failure::Empty("no choice".to_owned())),
        Some(reason) => Err(Failure::Empty(reason)),
    }
}

fn choice(mut raw: RawChoice) -> Choice {
    let (finish_reason, mut text) = (raw.finish_reason.take(), Text::default());
    text.push(raw);
    Choice { text: text.text, finish_reason }
}

/// What a server says of a reply without a text.
fn why_empty(raw: &RawChoice) -> String {
    let refusal = raw.message.as_ref().and_then(|message| message.refusal.clone());
    refusal.unwrap_or_else(|| empty(raw.finish_reason.as_deref()))
}

/// A reply without a text, in words.
pub(super) fn empty(finish_reason: Option<&str>) -> String {
    let reason = finish_reason.unwrap_or("none is given");
    format!("no text, finish_reason: {reason}")
}

pub(super) fn malformed(bytes: &[u8], error: &serde_json::Error) -> Failure {
    let start = bytes.trim_ascii_start();
    Failure::Malformed(match start.first() {
        None => "it sent nothing".to_owned(),
        Some(b'<') => "it sent a page for people".to_owned(),
        Some(_) => format!("it sent no completion ({error})"),
    })
}

/// Whether bytes are the beginning of JSON.
pub(super) fn is_cut(bytes: &[u8]) -> bool {
    let parsed: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(bytes);
    parsed.is_err_and(|error| error.is_eof())
}

/// The names in a list of models.
pub(super) fn models(bytes: &[u8]) -> Result<Vec<String>, Failure> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| malformed(bytes, &error))?;
    let list = value.get("data").unwrap_or(&value).as_array();
    let list = list.ok_or_else(|| Failure::Malformed("it sent no list of models".to_owned()))?;
    Ok(list.iter().filter_map(|model| model.get("id")?.as_str().map(str::to_owned)).collect())
}

/// The words of a refusal: those in the places where servers put them, or all of it.
pub(super) fn message(bytes: &[u8]) -> String {
    let value = serde_json::from_slice::<Value>(bytes).ok();
    let text = String::from_utf8_lossy(bytes);
    match value.as_ref().and_then(said) {
        Some(message) => message,
        // A page for people.
        None if text.trim_start().starts_with('<') => String::new(),
        None => text.into_owned(),
    }
}

/// The words in an error: OpenAI's form, that of older vLLM and SGLang, FastAPI's.
fn said(value: &Value) -> Option<String> {
    let places = ["/error/message", "/error", "/message", "/detail", ""];
    places.iter().find_map(|place| value.pointer(place)?.as_str().map(str::to_owned))
}
