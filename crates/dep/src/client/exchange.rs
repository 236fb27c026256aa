//! One HTTP exchange: out with the headers, back with a bounded body and what the headers tell.

use std::sync::atomic::Ordering;
use std::time::Instant;

use adelie_model::{Secret, Timestamp};
use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use secrecy::ExposeSecret;
use url::Url;

use super::session::Session;
use super::{Shared, locked};
use crate::endpoint::{MalformedAnswer, Method};
use crate::endpoints::session::SESSION_HEADER;
use crate::error::{Answer, Call, Error};
use crate::{AppleCode, retry_after};

/// Without a dash in `UTF8`, and on requests without a body too: Apple's old simulator demands it.
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF8");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("x-server-protocol-version");

/// A request that can be sent any number of times.
pub(super) struct Prepared {
    pub(super) call: Call,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Bytes>,
    pub(super) writes: bool,
}

/// With what a request shows who sends it.
#[derive(Clone, Copy)]
pub(super) enum Auth<'a> {
    OAuth(&'a Secret),
    Session(&'a Session),
}

/// What came back.
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Apple's word, in a refusal.
    pub(super) code: Option<AppleCode>,
    /// When Apple wants to be asked again, on our clock.
    pub(super) until: Option<Timestamp>,
    pub(super) new_session: Option<Secret>,
    /// Where a redirect points.
    pub(super) location: Option<String>,
}

impl Raw {
    /// Whether a new session would help. Never where Apple names another reason (field lesson L17); an empty
    /// body counts, because Apple documents some of these answers by their status alone.
    pub(super) fn session_has_ended(&self) -> bool {
        match self.status {
            401 | 403 => match &self.code {
                Some(AppleCode::Unauthorized | AppleCode::Forbidden) => true,
                Some(_) => false,
                None => self.body.trim_ascii().is_empty(),
            },
            _ => false,
        }
    }
}

impl Shared {
    /// The URL of a path and its query.
    pub(super) fn url(&self, path: &str, query: &[(&'static str, String)]) -> Url {
        let mut url = self.options.base_url.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}{path}"));
        url.set_query(None);
        url.set_fragment(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Sends a request once, unless Apple has asked to wait, and takes note of what every answer tells.
    pub(super) async fn exchange(&self, prepared: &Prepared, auth: Auth<'_>) -> Result<Raw, Error> {
        let call = prepared.call;
        self.pass_gate(call)?;
        let request = self.build(prepared, auth);
        self.requests.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let result = self.round_trip(prepared, request).await;
        let elapsed_ms = started.elapsed().as_millis();
        match &result {
            Ok(raw) => {
                tracing::debug!(method = %call.method, path = call.path, status = raw.status, bytes = raw.body.len(), elapsed_ms, "Apple answered");
            }
            Err(error) => {
                tracing::debug!(method = %call.method, path = call.path, %error, elapsed_ms, "no answer from Apple");
            }
        }
        result
    }

    fn pass_gate(&self, call: Call) -> Result<(), Error> {
        let mut gate = locked(&self.gate);
        match *gate {
            Some(until) if self.clock.now() < until => {
                Err(Error::Wait { call, until: Some(until), answer: None, may_have_taken_effect: false })
            }
            _ => {
                *gate = None;
                Ok(())
            }
        }
    }

    fn build(&self, prepared: &Prepared, auth: Auth<'_>) -> reqwest::RequestBuilder {
        let method = match prepared.call.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let (name, secret) = match auth {
            Auth::OAuth(header) => (AUTHORIZATION.as_str(), header),
            Auth::Session(session) => (SESSION_HEADER, &session.value),
        };
        let request = self
            .http
            .request(method, self.url(prepared.call.path, &prepared.query))
            .header(CONTENT_TYPE, JSON)
            .header(ACCEPT, JSON)
            .header(PROTOCOL_VERSION, self.options.protocol_version);
        // A value that is no header value fails the request when it is sent.
        let request = match HeaderValue::from_str(secret.expose_secret()) {
            Ok(mut value) => {
                value.set_sensitive(true);
                request.header(name, value)
            }
            Err(_) => request.header(name, secret.expose_secret()),
        };
        match &prepared.body {
            Some(body) => request.body(body.clone()),
            None => request,
        }
    }

    async fn round_trip(&self, prepared: &Prepared, request: reqwest::RequestBuilder) -> Result<Raw, Error> {
        let Prepared { call, writes, .. } = *prepared;
        let failed = |source: reqwest::Error| {
            let source = source.without_url();
            if source.is_connect() || source.is_builder() {
                Error::Unreachable { call, source }
            } else {
                Error::Ambiguous { call, writes, source }
            }
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let now = self.clock.now();
        self.note_date(response.headers(), now);
        let until = self.note_retry_after(status, response.headers(), now);
        let new_session = text(response.headers(), SESSION_HEADER).filter(|value| !value.trim().is_empty());
        let location = text(response.headers(), LOCATION.as_str()).map(str::to_owned);
        let new_session = new_session.map(Secret::from);
        let reason = response
            .extensions()
            .get::<hyper::ext::ReasonPhrase>()
            .map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());

        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.options.max_answer {
                let answer = Answer { call, status, code: None, excerpt: String::new() };
                let source = MalformedAnswer::Missing("it is larger than any answer of Apple's");
                return Err(Error::Malformed { answer: Box::new(answer), writes, source });
            }
            body.extend_from_slice(&chunk);
        }
        let code = if status >= 300 { code(&body, reason.as_deref()) } else { None };
        Ok(Raw { status, body, code, until, new_session, location })
    }

    fn note_date(&self, headers: &HeaderMap, now: Timestamp) {
        let date = text(headers, DATE.as_str()).and_then(|value| httpdate::parse_http_date(value).ok());
        if let Some(date) = date {
            *locked(&self.skew) = Some(Timestamp::from(date) - now);
        }
    }

    /// Closes the gate when Apple asks for it. A shorter wait never opens it earlier.
    fn note_retry_after(&self, status: u16, headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
        if !matches!(status, 429 | 503) {
            return None;
        }
        let wait = retry_after::parse(text(headers, RETRY_AFTER.as_str())?, now)?;
        let until = now + wait;
        let mut gate = locked(&self.gate);
        *gate = Some(gate.map_or(until, |other| other.max(until)));
        Some(until)
    }
}

/// The code of a refusal. The body is asked first; one endpoint has it in the reason phrase (protocol
/// section 3.12), which HTTP/2 does not have.
fn code(body: &[u8], reason: Option<&str>) -> Option<AppleCode> {
    let in_body = AppleCode::parse(&String::from_utf8_lossy(body));
    let in_reason = || reason.and_then(AppleCode::parse).filter(|code| !matches!(code, AppleCode::Other(_)));
    in_body.or_else(in_reason)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
