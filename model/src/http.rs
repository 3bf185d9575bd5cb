//! What requests to hubs and to endpoints share.

use std::time::Duration;

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::http::HeaderMap;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

/// How long a connection may take to come about.
pub(crate) const CONNECT: Duration = Duration::from_secs(20);

/// Settings of an agent that follows no redirect (what it sends must not go elsewhere) and hands over
/// answers of any status.
pub(crate) fn settings() -> ConfigBuilder<AgentScope> {
    // The system's certificates, so that a company's own server is trusted where its machines do.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT))
        .user_agent(concat!("segzero/", env!("CARGO_PKG_VERSION")))
}

/// A header as text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
