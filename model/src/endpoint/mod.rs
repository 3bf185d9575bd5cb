//! Reasoners behind OpenAI's protocol: vLLM, SGLang, llama.cpp's server, hosted ones.
//!
//! ```text
//! request  image, text and settings → the body of a request; what of it a server may refuse
//! http     one request; what is tried again, when and how often
//! answer   the body of an answer → choices
//! stream   server-sent events → pieces of text
//! ```
//!
//! Such servers differ in what they take and in what they do unasked
//! (<https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html>,
//! <https://github.com/ggml-org/llama.cpp/tree/master/tools/server>,
//! <https://platform.openai.com/docs/api-reference/chat>); each difference is met where it matters,
//! and said there. async-openai was looked at: with reqwest and tokio for what are two requests.

mod answer;
mod error;
mod http;
mod request;
mod stream;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use segzero_prep::image::Rgb;
use ureq::Agent;
use ureq::http::HeaderValue;

use crate::qwen_vl::Sampling;
pub use error::{EndpointError, Failure};
use request::Question;

/// A server and one of its models. Many threads may ask it at once.
#[derive(Debug)]
pub struct Endpoint {
    /// Without a slash at the end.
    url: String,
    model: String,
    /// `Bearer KEY`, marked so that it is never shown.
    key: Option<HeaderValue>,
    patience: Patience,
    agent: Agent,
    /// Fields that the server was seen to refuse, and is asked without.
    refused: Mutex<Vec<&'static str>>,
}

/// When a request has failed, and how often it is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Attempts in all.
    pub attempts: u32,
    /// Before the second, unless the server says when; twice as long before each further one.
    pub wait: Duration,
    /// The longest that an attempt may take, from the first byte sent to the last one received.
    pub timeout: Duration,
    /// The longest silence while an answer streams, the wait for its first word included. (An answer
    /// that does not stream is silent until it is complete.)
    pub stall: Duration,
}

impl Default for Patience {
    /// Four attempts of five minutes.
    fn default() -> Self {
        let (timeout, stall) = (Duration::from_secs(300), Duration::from_secs(120));
        Self { attempts: 4, wait: Duration::from_secs(1), timeout, stall }
    }
}

/// How replies are to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Longest reply, in tokens.
    pub max_new_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Replies to the one question. Those of the greedy choice (temperature 0) are one, repeated.
    pub samples: usize,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What the model wrote, its thinking included where the server gives it apart.
    pub text: String,
    /// Why it ended, in the server's words: mostly `stop` or `length`. None where the server does
    /// not say, and for a stream that was ended here.
    pub finish_reason: Option<String>,
}

impl Endpoint {
    /// A model of an endpoint, which is not asked yet. The address is that of the protocol's root,
    /// such as `http://localhost:8000/v1`.
    ///
    /// # Errors
    /// An address that is no http or https URL, or has a password or a query in it; a key that no
    /// header can hold.
    pub fn new(
        url: &str,
        model: &str,
        key: Option<&str>,
        patience: Patience,
    ) -> Result<Self, EndpointError> {
        let root = url.trim_end_matches('/');
        let root = root.strip_suffix("/chat/completions").unwrap_or(root).trim_end_matches('/');
        let setting = |what: String| EndpointError {
            url: http::without_secrets(root),
            failure: Failure::Setting(what),
            attempts: 0,
        };
        let uri = http::address(root).map_err(setting)?;
        let key = key.map(str::trim).filter(|key| !key.is_empty());
        let key = key.map(|key| HeaderValue::try_from(format!("Bearer {key}"))).transpose();
        let mut key = key.map_err(|_| setting("its key is not plain text".to_owned()))?;
        if let Some(key) = &mut key {
            key.set_sensitive(true);
        }
        Ok(Self {
            url: root.to_owned(),
            model: model.to_owned(),
            key,
            patience,
            agent: http::agent(&uri, patience),
            refused: Mutex::default(),
        })
    }

    /// A model of an endpoint that was asked for its models: the one of that name, or the only one.
    ///
    /// # Errors
    /// As [`Self::new`]; an endpoint that does not answer; a model that it does not list, or several
    /// to choose from. An endpoint without a list is believed to have what is asked for.
    pub fn open(
        url: &str,
        model: Option<&str>,
        key: Option<&str>,
        patience: Patience,
    ) -> Result<Self, EndpointError> {
        let mut endpoint = Self::new(url, model.unwrap_or_default(), key, patience)?;
        let models = match endpoint.models() {
            Ok(models) => models,
            Err(error) if may_have(&error.failure, model) => Vec::new(),
            Err(error) => return Err(error),
        };
        match (model, models.as_slice()) {
            (None, [only]) => endpoint.model.clone_from(only),
            (Some(_), []) => {}
            (Some(wanted), models) if models.iter().any(|name| is_same(name, wanted)) => {}
            _ => {
                let failure = Failure::Model { wanted: model.map(str::to_owned), models };
                return Err(EndpointError { url: endpoint.url, failure, attempts: 1 });
            }
        }
        Ok(endpoint)
    }

    /// The address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The model that is asked.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The names of the endpoint's models.
    ///
    /// # Errors
    /// An endpoint that does not answer, or not with a list.
    pub fn models(&self) -> Result<Vec<String>, EndpointError> {
        self.patiently(|| answer::models(&self.get("models")?).map_err(http::Stop::from))
    }

    /// Asks about an image, which stands before the text, as a PNG of just these pixels. As many
    /// replies come back as are asked for: a server that gives fewer at once is asked again.
    ///
    /// # Errors
    /// An endpoint that does not answer, in spite of all patience; see [`Failure`].
    pub fn ask(
        &self,
        image: &Rgb,
        text: &str,
        options: &Options,
    ) -> Result<Vec<Choice>, EndpointError> {
        let question = self.question(image, text)?;
        // vLLM refuses to give several greedy replies, which are one and the same.
        let is_greedy = options.sampling.temperature == 0.0;
        let wanted = if is_greedy { options.samples.min(1) } else { options.samples };
        let mut choices: Vec<Choice> = Vec::new();
        while choices.len() < wanted {
            let missing = wanted - choices.len();
            let more = self.negotiate(options, |refused| {
                let body = question.body(options, choices.len(), missing, refused);
                self.patiently(|| self.complete(&body))
            })?;
            choices.extend(more.into_iter().take(missing));
        }
        if let Some(first) = choices.first().cloned() {
            choices.resize(options.samples, first);
        }
        Ok(choices)
    }

    /// As [`Self::ask`], for one reply, whose pieces are shown as they come until `show` breaks; then
    /// the reply is what has come. A server that does not stream is read all the same.
    ///
    /// # Errors
    /// As [`Self::ask`]. A reply of which something was shown is not asked for again.
    pub fn ask_streaming(
        &self,
        image: &Rgb,
        text: &str,
        options: &Options,
        mut show: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Choice, EndpointError> {
        let question = self.question(image, text)?;
        self.negotiate(options, |refused| {
            let body = question.streaming_body(options, refused);
            self.patiently(|| self.stream(&body, &mut show))
        })
    }

    fn question(&self, image: &Rgb, text: &str) -> Result<Question<'_>, EndpointError> {
        Question::new(&self.model, image, text).map_err(|failure| EndpointError {
            url: self.url.clone(),
            failure,
            attempts: 0,
        })
    }

    /// Asks, and once more without each field that is refused and can be done without. What is
    /// refused is remembered.
    fn negotiate<T>(
        &self,
        options: &Options,
        mut ask: impl FnMut(&[&'static str]) -> Result<T, EndpointError>,
    ) -> Result<T, EndpointError> {
        let known = || self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = known().clone();
        loop {
            match ask(&refused) {
                Ok(answer) => {
                    *known() = refused;
                    return Ok(answer);
                }
                Err(error) => match request::dispensable(&error.failure, options, &refused) {
                    Some(field) => refused.push(field),
                    None => return Err(error),
                },
            }
        }
    }
}

/// Whether an endpoint that failed to list its models may have this one all the same: there are such
/// without a list, or with one that fails.
fn may_have(failure: &Failure, model: Option<&str>) -> bool {
    match failure {
        Failure::Refused { status, .. } => matches!(status, 400 | 404 | 405 | 410),
        Failure::Malformed(_) => true,
        Failure::ServerError { .. } | Failure::RateLimited(_) => model.is_some(),
        _ => false,
    }
}

/// Whether a name in a list is the one that is wanted. Behind a colon stands a tag (Ollama) or a way
/// to serve it (OpenRouter), which lists and users leave out.
fn is_same(listed: &str, wanted: &str) -> bool {
    let plain = |name: &str| name.split(':').next().map(str::to_owned);
    listed == wanted || plain(listed) == plain(wanted)
}
