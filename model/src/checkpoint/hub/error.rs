//! Why a model could not be fetched: the address, what came back, and what to do.

use std::path::{Path, PathBuf};

use super::super::Error;

/// A model that could not be found or fetched.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Neither a path that exists nor a name as the hub has them.
    #[error("`{0}` is neither a folder nor the name of a model")]
    NotAName(String),
    /// Not in the cache, and the network must not be used.
    #[error("`{name}` is not in the cache `{}`, and the hub may not be asked", cache.display())]
    Offline {
        /// The model.
        name: String,
        /// Where it was looked for.
        cache: PathBuf,
    },
    /// The hub refused.
    #[error("`{url}` answered {status}{}", reason(message))]
    Status {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
        /// The hub's words, where it gave any (`X-Error-Message`).
        message: String,
    },
    /// No answer.
    #[error("could not reach `{url}`: {source}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why not.
        source: Box<ureq::Error>,
    },
    /// The answer broke off.
    #[error("`{url}` broke off after {received} of {expected} bytes")]
    Interrupted {
        /// What was asked for.
        url: String,
        /// Bytes of it on disk.
        received: u64,
        /// Bytes that it should have.
        expected: u64,
    },
    /// An answer that is not the hub's.
    #[error("`{url}` did not answer as a hub does: {what}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is missing or strange.
        what: String,
    },
    /// The bytes are not those that were promised.
    #[error("what `{url}` sent has hash {found}, not {expected}")]
    Corrupt {
        /// What was asked for.
        url: String,
        /// The hash that the hub gave.
        expected: String,
        /// The hash of what came.
        found: String,
    },
    /// The operating system refused.
    #[error("could not write `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The model has no weights that can be read here.
    #[error("{0}")]
    Weights(#[from] Error),
}

fn reason(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl HubError {
    /// An error about a file of the cache.
    pub(super) fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    /// Whether trying again may help.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 416 | 429 | 500..),
            Self::Unreachable { source, .. } => matches!(
                **source,
                ureq::Error::Io(_)
                    | ureq::Error::Timeout(_)
                    | ureq::Error::HostNotFound
                    | ureq::Error::ConnectionFailed
                    | ureq::Error::Protocol(_)
            ),
            Self::Interrupted { .. } => true,
            _ => false,
        }
    }

    /// What the user can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotAName(_) => {
                "give a folder that exists, or a name such as Qwen/Qwen2.5-VL-3B-Instruct or \
                 NAME@REVISION"
            }
            Self::Offline { .. } => {
                "unset HF_HUB_OFFLINE, or fetch it where there is a network and copy the cache \
                 (HF_HUB_CACHE)"
            }
            Self::Status { status: 401 | 403, .. } => {
                "check the name (there is no such folder either); a gated or private model needs its conditions accepted on its \
                 page and a token (HF_TOKEN, or the file that `hf auth login` writes)"
            }
            Self::Status { status: 404, .. } => {
                "check the name and the revision; there is no such folder either"
            }
            Self::Status { .. } | Self::Interrupted { .. } => {
                "try again later: what has come is kept"
            }
            Self::Unreachable { .. } => {
                "check the network, HTTPS_PROXY, and HF_ENDPOINT if you use a mirror; with \
                 HF_HUB_OFFLINE=1 only the cache is used"
            }
            Self::Answer { .. } => "check HF_ENDPOINT",
            Self::Corrupt { .. } => "try again; if it stays so, the mirror or proxy changes files",
            Self::Io { .. } => "check the space and the rights there, or set HF_HUB_CACHE",
            Self::Weights(e) => return e.hint(),
        };
        Some(text.to_owned())
    }
}
