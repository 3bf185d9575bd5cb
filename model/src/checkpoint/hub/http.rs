//! Requests to the hub. Redirects are followed here, because the token must not follow them.

use std::time::Duration;

use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body};

use super::{Hub, HubError};
use crate::http::{settings, text};

/// Redirects that are followed; the hub uses two at most.
const REDIRECTS: usize = 10;

/// Whether headers suffice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// What the file is: `HEAD`, up to the answer that names its hash.
    Head,
    /// The file from that byte on: `GET`.
    From(u64),
}

pub(super) fn agent() -> Agent {
    settings().timeout_recv_response(Some(Duration::from_secs(60))).build().new_agent()
}

impl Hub {
    /// One request and its redirects. The token goes to the hub's own host only.
    pub(super) fn ask(&self, url: &str, ask: Ask) -> Result<Response<Body>, HubError> {
        let mut at = url.to_owned();
        for _ in 0..REDIRECTS {
            let response = self.send(&at, ask).map_err(|source| HubError::Unreachable {
                url: at.clone(),
                source: Box::new(source),
            })?;
            let status = response.status();
            // The hub says what the file is before it sends on to where the file is kept.
            let known = ask == Ask::Head && response.headers().contains_key("x-linked-etag");
            if status.is_success() || status.is_redirection() && known {
                return Ok(response);
            }
            let location = text(response.headers(), "location");
            at = match (status.is_redirection(), location) {
                (true, Some(location)) => join(&at, location),
                _ => return Err(refusal(&at, status, response.headers())),
            };
        }
        let what = format!("more than {REDIRECTS} redirects");
        Err(HubError::Answer { url: url.to_owned(), what })
    }

    fn send(&self, url: &str, ask: Ask) -> Result<Response<Body>, ureq::Error> {
        let mut request = match ask {
            Ask::Head => self.agent.head(url),
            Ask::From(_) => self.agent.get(url),
        };
        // Compressed, the length and the offsets would be of something else.
        request = request.header("accept-encoding", "identity");
        if let Ask::From(first @ 1..) = ask {
            request = request.header("range", format!("bytes={first}-"));
        }
        let token = self.token.as_ref().filter(|_| origin(url) == origin(&self.endpoint));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.config().timeout_per_read(Some(self.patience.stall)).build().call()
    }

    /// Tries again, waiting twice as long each time, while there is hope.
    pub(super) fn patiently<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let mut wait = self.patience.wait;
        for _ in 1..self.patience.attempts {
            match attempt() {
                Err(e) if e.is_transient() => std::thread::sleep(wait),
                result => return result,
            }
            wait *= 2;
        }
        attempt()
    }
}

fn refusal(url: &str, status: StatusCode, headers: &HeaderMap) -> HubError {
    let message = text(headers, "x-error-message").unwrap_or_default().to_owned();
    HubError::Status { url: url.to_owned(), status: status.as_u16(), message }
}

/// Scheme, host and port.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |end| &url[..host + end])
}

/// Where a `Location` points, seen from `base`.
fn join(base: &str, location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    if location.starts_with("//") {
        let scheme = base.split("//").next().unwrap_or_default();
        return format!("{scheme}{location}");
    }
    format!("{}/{}", origin(base), location.trim_start_matches('/'))
}
