//! Who may ask, and what browsers are told about answers.

use std::net::IpAddr;

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode};

use super::refusal::Refusal;

/// Nothing but what this server serves; pictures also from the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Names under which the server is asked for. A page of a stranger can make the stranger's name lead
/// here (DNS rebinding); then the browser takes us for the stranger's server, and `Host` is the
/// stranger's name. Addresses cannot be made to lead elsewhere.
#[derive(Clone, Debug)]
pub enum Names {
    /// Those of this machine, seen from itself.
    Loopback,
    /// Any address, this machine's own names, and the name that the user gave.
    Open(String),
}

impl Names {
    /// Whether an authority (`localhost:8080`) is ours.
    fn holds(&self, authority: &Authority) -> bool {
        let host = authority.host();
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let is_own = host.eq_ignore_ascii_case("localhost");
        match self {
            Self::Loopback => is_own || address.is_some_and(|address| address.is_loopback()),
            Self::Open(name) => is_own || address.is_some() || host.eq_ignore_ascii_case(name),
        }
    }

    /// Refuses what a stranger's page sends through a browser of ours.
    ///
    /// # Errors
    /// A foreign or missing `Host`; a POST from another origin.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let headers = request.headers();
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let (Some(host), None) = (host, hosts.next()) else {
            return Err(Refusal::bad("the request must name one host"));
        };
        let target = request.uri().authority();
        if !self.holds(&host) || target.is_some_and(|target| !self.holds(target)) {
            let error = format!("this server does not answer to the name `{}`", host.host());
            let refusal = Refusal::new(StatusCode::FORBIDDEN, error);
            return Err(refusal.hint("open it by the address that it printed"));
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            same_origin(headers, &host)?;
        }
        Ok(())
    }
}

/// Programs other than browsers send no origin; what they send is their user's will.
fn same_origin(headers: &HeaderMap, host: &Authority) -> Result<(), Refusal> {
    let foreign = || {
        let error = "the request comes from a page of another origin";
        Err(Refusal::new(StatusCode::FORBIDDEN, error))
    };
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
        if authority != Some(host.as_str()) {
            return foreign();
        }
    }
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => foreign(),
    }
}

/// Refuses a body of another type. None of ours is a type that a form of another page could send
/// without asking first.
///
/// # Errors
/// Another type, or none.
pub fn typed(headers: &HeaderMap, accepted: &[&str]) -> Result<(), Refusal> {
    let found = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let found = found.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let matches = |accepted: &&str| match accepted.strip_suffix('*') {
        Some(family) => found.starts_with(family),
        None => found == *accepted,
    };
    if accepted.iter().any(matches) {
        return Ok(());
    }
    let error = format!("the content type must be {}", accepted.join(" or "));
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error))
}

/// What browsers are told with every answer.
pub fn harden(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &str); 6] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
