//! Why a question to an endpoint was not answered.

use std::time::Duration;

use ureq::Timeout;

use super::Patience;
use crate::http::CONNECT;

/// A question that was not answered. No key stands in it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{url}` {failure}{}", tried(*attempts))]
pub struct EndpointError {
    /// Where it was asked.
    pub url: String,
    /// Why not.
    pub failure: Failure,
    /// How often it was asked.
    pub attempts: u32,
}

/// What can go wrong, as a predicate of the endpoint.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// No address, key or setting with which anything could be asked.
    #[error("cannot be asked: {0}")]
    Setting(String),
    /// The image could not be sent.
    #[error("could not be sent the image: {0}")]
    Image(String),
    /// There is no such model, or it is not clear which is meant.
    #[error("{}", choice(wanted.as_deref(), models))]
    Model {
        /// The model that was asked for, if one was.
        wanted: Option<String>,
        /// Those that the endpoint lists.
        models: Vec<String>,
    },
    /// Nothing within the time that was allowed.
    #[error("did not {what} within {:.1} s", after.as_secs_f64())]
    Timeout {
        /// What it should have done.
        what: &'static str,
        /// In which time.
        after: Duration,
    },
    /// No connection.
    #[error("could not be reached: {0}")]
    Unreachable(String),
    /// Too many requests: status 429.
    #[error("takes no more requests at present (429){}", said(.0))]
    RateLimited(String),
    /// The server has failed: statuses from 500 on.
    #[error("failed with {status}{}", said(message))]
    ServerError {
        /// HTTP status, or the code that it named in an answer.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The server does not want to: other statuses from 300 on.
    #[error("refused with {status}{}", said(message))]
    Refused {
        /// HTTP status, or the code that it named in an answer.
        status: u16,
        /// Its words.
        message: String,
    },
    /// An answer that is none of this protocol.
    #[error("did not answer as such servers do: {0}")]
    Malformed(String),
    /// An answer without a text.
    #[error("gave an empty answer{}", said(.0))]
    Empty(String),
    /// The connection broke in the midst of it.
    #[error("broke the connection: {0}")]
    CutConnection(String),
}

fn tried(attempts: u32) -> String {
    if attempts > 1 { format!(" (asked {attempts} times)") } else { String::new() }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn choice(wanted: Option<&str>, models: &[String]) -> String {
    let wanted = wanted.map_or(String::new(), |name| format!("not `{name}` but "));
    match models {
        [] => "does not say which models it has".to_owned(),
        models => format!("has {wanted}{}", models.join(", ")),
    }
}

impl EndpointError {
    /// The failure's name, as reports count it.
    pub fn name(&self) -> &'static str {
        match self.failure {
            Failure::Setting(_) => "setting",
            Failure::Image(_) => "image",
            Failure::Model { .. } => "model",
            Failure::Timeout { .. } => "timeout",
            Failure::Unreachable(_) => "unreachable",
            Failure::RateLimited(_) => "rate-limited",
            Failure::ServerError { .. } => "server-error",
            Failure::Refused { .. } => "refused",
            Failure::Malformed(_) => "malformed",
            Failure::Empty(_) => "empty",
            Failure::CutConnection(_) => "cut-connection",
        }
    }

    /// What the user can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match &self.failure {
            Failure::Setting(_) => {
                "an address is like http://localhost:8000/v1; a key goes into the environment, \
                 OPENAI_API_KEY"
            }
            Failure::Image(_) => return None,
            Failure::Model { models, .. } if models.is_empty() => {
                "name the model that it should ask (--endpoint-model)"
            }
            Failure::Model { .. } => "name one of them (--endpoint-model)",
            Failure::Timeout { .. } => {
                "allow it more time (--endpoint-timeout), or ask it fewer questions at once"
            }
            Failure::Unreachable(_) => {
                "check that the server runs there, and HTTPS_PROXY and NO_PROXY if you use a proxy"
            }
            Failure::RateLimited(_) => {
                "ask it fewer questions at once, or more often (--endpoint-attempts)"
            }
            Failure::Refused { status: 401 | 403, .. } => {
                "check the key in the environment, OPENAI_API_KEY"
            }
            Failure::Refused { status: 404, .. } => {
                "check the model's name and the address, which mostly ends in /v1"
            }
            Failure::Refused { status: 300..=399, .. } => {
                "give the address that it sends on to: the key goes to no other"
            }
            Failure::Refused { .. } => {
                "its words say what it does not take: perhaps the image, or so long a reply"
            }
            Failure::ServerError { .. } | Failure::CutConnection(_) => "see the server's own log",
            Failure::Malformed(_) => {
                "check the address: it mostly ends in /v1, and the server must know chat completions"
            }
            Failure::Empty(_) => {
                "allow a longer reply (--max-new-tokens), or see the server's own log"
            }
        })
    }
}

impl Failure {
    /// Whether the same question may be answered a little later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Unreachable(_)
            | Self::RateLimited(_)
            | Self::ServerError { .. }
            | Self::CutConnection(_) => true,
            Self::Refused { status, .. } => matches!(status, 408 | 409 | 425),
            _ => false,
        }
    }

    /// The same failure in other words.
    pub(super) fn map_text(mut self, change: impl Fn(&str) -> String) -> Self {
        match &mut self {
            Self::Timeout { .. } => {}
            Self::Model { models, .. } => models.iter_mut().for_each(|name| *name = change(name)),
            Self::ServerError { message: text, .. }
            | Self::Refused { message: text, .. }
            | Self::Setting(text)
            | Self::Image(text)
            | Self::Unreachable(text)
            | Self::RateLimited(text)
            | Self::Malformed(text)
            | Self::Empty(text)
            | Self::CutConnection(text) => *text = change(text),
        }
        self
    }

    /// What a status that is no success says.
    pub(super) fn of_status(status: u16, message: String) -> Self {
        match status {
            429 => Self::RateLimited(message),
            500.. => Self::ServerError { status, message },
            _ => Self::Refused { status, message },
        }
    }

    /// What stopped a request.
    pub(super) fn of_transport(error: ureq::Error, patience: &Patience) -> Self {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match error {
            ureq::Error::Timeout(timeout) => {
                let (what, after) = match timeout {
                    Timeout::Resolve | Timeout::Connect => ("take up a connection", CONNECT),
                    Timeout::PerRead | Timeout::PerWrite => ("send a byte", patience.stall),
                    _ => ("answer", patience.timeout),
                };
                Self::Timeout { what, after: after.min(patience.timeout) }
            }
            ureq::Error::Io(error) => match error.kind() {
                BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => {
                    Self::CutConnection(error.to_string())
                }
                _ => Self::Unreachable(error.to_string()),
            },
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
                Self::Malformed(error.to_string())
            }
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => Self::Setting(error.to_string()),
            error => Self::Unreachable(error.to_string()),
        }
    }
}
