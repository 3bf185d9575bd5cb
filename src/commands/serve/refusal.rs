//! Requests that are not answered as they wish: a status and, as JSON, an error and a hint.

use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::Answer;
use crate::failure::Failure;
use crate::pipeline::Miss;

/// Why a request is refused. Neither text names anything of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    #[serde(skip)]
    pub status: StatusCode,
    /// What is wrong.
    pub error: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Methods that would be answered.
    #[serde(skip)]
    allow: Option<&'static str>,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), hint: None, allow: None }
    }

    /// What is asked is not in the form that it must have.
    pub fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// There is too much to do.
    pub fn busy(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error).hint("try again in a moment")
    }

    /// Something broke here; what, is for the one who runs the server.
    pub fn broken() -> Self {
        let error = "the server could not do this";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error).hint("its terminal says why")
    }

    /// Another method than the one that is answered.
    pub fn method(allow: &'static str) -> Self {
        let error = format!("only {allow} is answered here");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, error) }
    }

    /// The same refusal with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As an answer. The connection is closed after it, because the rest of the request may not have
    /// been read.
    pub fn response(&self) -> Response<Answer> {
        let text = serde_json::to_string(self).unwrap_or_default();
        let mut response = Response::new(Answer::whole(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

/// What the models make of what they are asked. Nothing of it names a file.
impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let mut refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, failure.message());
        refusal.hint = failure.advice().map(str::to_owned);
        refusal
    }
}

impl From<Miss> for Refusal {
    fn from(miss: Miss) -> Self {
        Failure::from(miss).into()
    }
}
