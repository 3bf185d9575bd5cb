//! One request, and when it is made again.

use std::io::Read;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, Body};

use super::stream::Streamed;
use super::{Choice, Endpoint, EndpointError, Failure, Patience, answer};
use crate::http::{CONNECT, settings, text};

/// The largest answer that is read, in bytes: some thousand times the longest replies.
const LARGEST: u64 = 16 << 20;
/// So much of a refusal is read.
const LARGEST_REFUSAL: u64 = 64 << 10;
/// And so many characters of it are shown.
const LONGEST_MESSAGE: usize = 500;
/// The longest wait between two attempts, whatever the server asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait for a list of models.
const LISTING: Duration = Duration::from_secs(30);

/// An attempt that failed.
pub(super) struct Stop {
    pub failure: Failure,
    pub again: Again,
}

/// Whether there may be a further attempt, if the failure may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// After the usual wait.
    AfterWait,
    /// When the server said.
    After(Duration),
    /// Part of the reply was shown already.
    Never,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self { failure, again: Again::AfterWait }
    }
}

/// The root of the protocol as a URL, if it can be asked.
pub(super) fn address(root: &str) -> Result<Uri, String> {
    let uri: Uri = root.parse().map_err(|_| "its address is not a URL".to_owned())?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    match uri.authority() {
        _ if !is_web => Err("its address does not begin with http:// or https://".to_owned()),
        None => Err("its address names no host".to_owned()),
        Some(host) if host.as_str().contains('@') => {
            Err("its address has a password in it".to_owned())
        }
        Some(_) if uri.query().is_some() => Err("its address has a query in it".to_owned()),
        Some(_) => Ok(uri),
    }
}

/// An address as it may be shown: passwords and keys stand before `@` or behind `?`.
pub(super) fn without_secrets(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        _ => url.to_owned(),
    }
}

pub(super) fn agent(uri: &Uri, patience: Patience) -> Agent {
    let settings = settings()
        .timeout_connect(Some(CONNECT.min(patience.timeout)))
        .timeout_global(Some(patience.timeout))
        // As many as ask at once. vLLM closes what was idle for 5 seconds.
        .max_idle_connections(256)
        .max_idle_connections_per_host(256)
        .max_idle_age(Duration::from_secs(4));
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    // No proxy knows what this machine calls itself.
    let settings = if is_here { settings.proxy(None) } else { settings };
    settings.build().new_agent()
}

impl Endpoint {
    /// The body of the answer to `GET`.
    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>, Stop> {
        // A server that fails to list models may hang up behind its answer, without a word.
        let request = self.agent.get(format!("{}/{path}", self.url));
        let mut request = request.header("connection", "close");
        if let Some(key) = &self.key {
            request = request.header("authorization", key);
        }
        let timeout = LISTING.min(self.patience.timeout);
        let answer = request.config().timeout_global(Some(timeout)).build().call();
        Ok(self.read(&mut self.accepted(answer)?)?)
    }

    /// A completion that is sent as a whole.
    pub(super) fn complete(&self, body: &[u8]) -> Result<Vec<Choice>, Stop> {
        let mut response = self.post(body, self.patience.timeout)?;
        let bytes = self.read(&mut response)?;
        let is_said = |name: &&str| response.headers().contains_key(*name);
        let ends_unsaid = !["content-length", "transfer-encoding"].iter().any(is_said);
        answer::choices(&bytes).map_err(|failure| match failure {
            // Nothing but the end of the connection says where such an answer ends.
            Failure::Malformed(what) if ends_unsaid && answer::is_cut(&bytes) => {
                Failure::CutConnection(what).into()
            }
            failure => failure.into(),
        })
    }

    /// A completion whose pieces are shown as they come.
    pub(super) fn stream(
        &self,
        body: &[u8],
        show: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Choice, Stop> {
        let mut response = self.post(body, self.patience.stall)?;
        let mut reader = response.body_mut().as_reader().take(LARGEST + 1);
        let (mut streamed, mut buffer) = (Streamed::default(), [0; 16 << 10]);
        let mut has_shown = false;
        let mut show = |piece: &str| {
            has_shown = true;
            show(piece)
        };
        let result = loop {
            match reader.read(&mut buffer) {
                Ok(0) if reader.limit() == 0 => break Err(too_large()),
                Ok(0) => break streamed.finish(&mut show),
                Ok(count) => match streamed.push(&buffer[..count], &mut show) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => break streamed.finish(&mut show),
                    Err(failure) => break Err(failure),
                },
                Err(_) if streamed.is_finished() => break streamed.finish(&mut show),
                Err(error) => break Err(Failure::of_transport(error.into(), &self.patience)),
            }
        };
        let again = if has_shown { Again::Never } else { Again::AfterWait };
        result.map_err(|failure| Stop { failure, again })
    }

    fn post(&self, body: &[u8], silence: Duration) -> Result<Response<Body>, Stop> {
        let mut request = self.agent.post(format!("{}/chat/completions", self.url));
        request = request.header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", key);
        }
        let config = request.config().timeout_per_write(Some(self.patience.stall));
        self.accepted(config.timeout_per_read(Some(silence)).build().send(body))
    }

    /// An answer of status 200 or nearly so.
    fn accepted(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>, Stop> {
        let mut response = answer.map_err(|error| Failure::of_transport(error, &self.patience))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let again = pause(response.headers(), SystemTime::now());
        let mut bytes = Vec::new();
        let reader = response.body_mut().as_reader().take(LARGEST_REFUSAL);
        // What has come of its words will do.
        let _ = { reader }.read_to_end(&mut bytes);
        let mut message = answer::message(&bytes);
        if let (true, Some(to)) = (status.is_redirection(), text(response.headers(), "location")) {
            message = format!("sends on to {to}");
        }
        let failure = Failure::of_status(status.as_u16(), message);
        Err(Stop { failure, again: again.map_or(Again::AfterWait, Again::After) })
    }

    fn read(&self, response: &mut Response<Body>) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let mut reader = response.body_mut().as_reader().take(LARGEST + 1);
        let read = reader.read_to_end(&mut bytes);
        read.map_err(|error| Failure::of_transport(error.into(), &self.patience))?;
        if bytes.len() as u64 > LARGEST { Err(too_large()) } else { Ok(bytes) }
    }

    /// Tries again, waiting twice as long each time, while there is hope.
    pub(super) fn patiently<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, Stop>,
    ) -> Result<T, EndpointError> {
        let (mut wait, mut attempts) = (self.patience.wait, 1);
        loop {
            let Stop { failure, again } = match attempt() {
                Ok(answer) => return Ok(answer),
                Err(stop) => stop,
            };
            let is_last = attempts >= self.patience.attempts || !failure.is_transient();
            let pause = match again {
                Again::AfterWait => wait,
                Again::After(pause) => pause,
                Again::Never => return Err(self.error(failure, attempts)),
            };
            if is_last {
                return Err(self.error(failure, attempts));
            }
            std::thread::sleep(pause.min(LONGEST_WAIT));
            (wait, attempts) = (wait.saturating_mul(2), attempts + 1);
        }
    }

    /// What others wrote is shortened, cannot command a terminal, and has no key in it.
    pub(super) fn error(&self, failure: Failure, attempts: u32) -> EndpointError {
        let key = self.key.as_ref().and_then(|key| key.to_str().ok()?.strip_prefix("Bearer "));
        let failure = failure.map_text(|text| {
            let text = key.map_or_else(|| text.to_owned(), |key| text.replace(key, "[key]"));
            let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
            let mut plain: String = plain.take(LONGEST_MESSAGE + 1).collect();
            if let Some((end, _)) = plain.char_indices().nth(LONGEST_MESSAGE) {
                plain.truncate(end);
                plain += "…";
            }
            plain.trim().to_owned()
        });
        EndpointError { url: self.url.clone(), failure, attempts }
    }
}

fn too_large() -> Failure {
    Failure::Malformed(format!("it sent more than {} MiB", LARGEST >> 20))
}

/// How long the server asks to wait, in seconds or as a date
/// (<https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>).
pub(super) fn pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = text(headers, "retry-after")?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at: SystemTime = chrono::DateTime::parse_from_rfc2822(value).ok()?.into();
    Some(at.duration_since(now).unwrap_or_default())
}
