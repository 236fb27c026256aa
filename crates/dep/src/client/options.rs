//! The settings of a client.

use std::time::Duration;

use http::HeaderValue;
use url::Url;

use crate::Error;

/// Apple's service.
pub const DEFAULT_BASE_URL: &str = "https://mdmenrollment.apple.com";

/// The newest protocol version that is known here (protocol section 2.4).
pub const LATEST_PROTOCOL_VERSION: u32 = 10;

/// With which method profiles are assigned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AssignMethod {
    /// As documented today.
    #[default]
    Post,
    /// As in the retired reference; Apple's old simulator takes only this.
    Put,
}

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the service is. A path in it is kept in front of the endpoints' paths.
    pub base_url: Url,
    /// Sent on every request, `/session` included (field lesson L45). Apple refuses some values.
    pub user_agent: String,
    /// Sent as `X-Server-Protocol-Version`; decides which fields Apple sends.
    pub protocol_version: u32,
    /// With which method profiles are assigned.
    pub assign_method: AssignMethod,
    /// How long a connection may take to come about. For [`HttpTransport`](crate::HttpTransport) only.
    pub connect_timeout: Duration,
    /// How long a request may take as a whole, with its answer. For [`HttpTransport`](crate::HttpTransport) only.
    pub request_timeout: Duration,
    /// How many requests may be under way at once; at least 1.
    pub in_flight: usize,
    /// The largest answer in bytes that is read, after decompression.
    pub max_answer: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            base_url: default_base_url(),
            user_agent: concat!("Adelie/", env!("CARGO_PKG_VERSION")).to_owned(),
            protocol_version: LATEST_PROTOCOL_VERSION,
            assign_method: AssignMethod::Post,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            in_flight: 4,
            max_answer: 64 << 20,
        }
    }
}

#[expect(clippy::expect_used, reason = "a constant that a test reads")]
fn default_base_url() -> Url {
    Url::parse(DEFAULT_BASE_URL).expect("a constant URL")
}

impl Options {
    /// How many requests may be under way at once, as a number of permits.
    pub(super) fn lanes(&self) -> u32 {
        u32::try_from(self.in_flight).unwrap_or(u32::MAX).clamp(1, 1024)
    }

    /// Refuses a base URL that cannot be used, and gives the User-Agent as the header that it becomes.
    pub(super) fn check(&self) -> Result<HeaderValue, Error> {
        let wrong = |setting| Error::Setting { setting, source: None };
        let url = &self.base_url;
        // A name and password in it would end up in a second Authorization header.
        let has_login = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() || has_login {
            return Err(wrong("base_url"));
        }
        HeaderValue::from_str(self.user_agent.trim())
            .ok()
            .filter(|value| !value.is_empty())
            .ok_or_else(|| wrong("user_agent"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_used() {
        let options = Options::default();
        assert_eq!(options.base_url.as_str(), "https://mdmenrollment.apple.com/");
        assert!(options.user_agent.starts_with("Adelie/"));
        assert!(options.check().is_ok());
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        let setting = |options: Options| match options.check() {
            Err(Error::Setting { setting, .. }) => setting,
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert_eq!(setting(Options { user_agent: "  ".into(), ..Options::default() }), "user_agent");
        assert_eq!(setting(Options { user_agent: "a\nb".into(), ..Options::default() }), "user_agent");
        for url in ["ftp://example.org", "https://me:secret@example.org"] {
            let base_url = url.parse().expect("a URL");
            assert_eq!(setting(Options { base_url, ..Options::default() }), "base_url", "{url}");
        }
    }
}
