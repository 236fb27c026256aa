//! One HTTP exchange: out with the headers, back with a bounded body and what the headers tell.

use std::sync::atomic::Ordering;
use std::time::Instant;

use adelie_model::{Secret, Timestamp};
use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    USER_AGENT,
};
use http::{Request, Uri};
use secrecy::ExposeSecret;
use url::Url;

use super::session::Session;
use super::{Shared, locked};
use crate::endpoint::{MalformedAnswer, Method};
use crate::endpoints::session::SESSION_HEADER;
use crate::error::{Answer, Call, Error};
use crate::transport::{Delivery, Head, TransportError};
use crate::{AppleCode, retry_after};

/// Without a dash in `UTF8`, and on requests without a body too: Apple's old simulator demands it.
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF8");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("x-server-protocol-version");

/// A request that can be sent any number of times.
pub(super) struct Prepared<'a> {
    pub(super) call: Call,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Bytes>,
    pub(super) writes: bool,
    /// Asked in the moment in which the request leaves.
    pub(super) may_leave: &'a (dyn Fn() -> bool + Sync),
}

/// With what a request shows who sends it.
#[derive(Clone, Copy)]
pub(super) enum Auth<'a> {
    OAuth(&'a Secret),
    Session(&'a Session),
}

impl Auth<'_> {
    /// What of it must not be repeated.
    fn shown(self) -> Vec<Secret> {
        match self {
            Auth::OAuth(header) => {
                // Whoever repeats the header may write it otherwise, and the signature alone is as good.
                let signature = header.expose_secret().split("oauth_signature=\"").nth(1);
                let signature = signature.and_then(|rest| rest.split('"').next()).map(Secret::from);
                signature.into_iter().chain([header.clone()]).collect()
            }
            Auth::Session(session) => vec![session.value.clone()],
        }
    }
}

/// What came back.
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// Apple's word, in a refusal.
    pub(super) code: Option<AppleCode>,
    /// When Apple wants to be asked again, on our clock.
    pub(super) until: Option<Timestamp>,
    pub(super) new_session: Option<Secret>,
    /// Where a redirect points.
    pub(super) location: Option<String>,
    /// What the request has shown who sends it with, and no error may repeat.
    pub(super) shown: Vec<Secret>,
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
    pub(super) async fn exchange(&self, prepared: &Prepared<'_>, auth: Auth<'_>) -> Result<Raw, Error> {
        let call = prepared.call;
        self.pass_gate(call)?;
        let request = self
            .build(prepared, auth)
            .map_err(|error| failed(prepared, TransportError::unreachable(error)))?;
        // Behind every wait for a turn, a session or the gate: nothing is waited for from here on.
        if !(prepared.may_leave)() {
            return Err(Error::Withheld { call });
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let result = self.round_trip(prepared, request, auth).await;
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

    fn build(&self, prepared: &Prepared<'_>, auth: Auth<'_>) -> Result<Request<Bytes>, http::Error> {
        let method = match prepared.call.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Delete => http::Method::DELETE,
        };
        let (name, secret) = match auth {
            Auth::OAuth(header) => (AUTHORIZATION.as_str(), header),
            Auth::Session(session) => (SESSION_HEADER, &session.value),
        };
        let mut secret = HeaderValue::from_str(secret.expose_secret())?;
        secret.set_sensitive(true);
        Request::builder()
            .method(method)
            .uri(Uri::try_from(self.url(prepared.call.path, &prepared.query).as_str())?)
            .header(USER_AGENT, &self.user_agent)
            .header(CONTENT_TYPE, JSON)
            .header(ACCEPT, JSON)
            .header(PROTOCOL_VERSION, self.options.protocol_version)
            .header(name, secret)
            .body(prepared.body.clone().unwrap_or_default())
    }

    async fn round_trip(
        &self,
        prepared: &Prepared<'_>,
        request: Request<Bytes>,
        auth: Auth<'_>,
    ) -> Result<Raw, Error> {
        let result = self.transport.round_trip(request, self.options.max_answer).await;
        let head = match &result {
            Ok(delivery) => Some(&delivery.head),
            // Apple's wish to be left alone counts, even when the rest of the answer is of no use.
            Err(error) => error.head(),
        };
        let until = head.and_then(|head| self.note_head(head));
        let Delivery { head: Head { status, headers, reason }, body } =
            result.map_err(|error| failed(prepared, error))?;
        let new_session = text(&headers, SESSION_HEADER).filter(|value| !value.trim().is_empty());
        let new_session = new_session.map(Secret::from);
        let location = text(&headers, LOCATION.as_str()).map(str::to_owned);
        let code = if status >= 300 { code(&body, reason.as_deref()) } else { None };
        Ok(Raw { status, body, code, until, new_session, location, shown: auth.shown() })
    }

    /// Takes note of Apple's clock, and of the moment before which nothing more may be sent.
    fn note_head(&self, head: &Head) -> Option<Timestamp> {
        let now = self.clock.now();
        self.note_date(&head.headers, now);
        self.note_retry_after(head.status, &head.headers, now)
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

/// The error of a request without a whole answer.
fn failed(prepared: &Prepared<'_>, error: TransportError) -> Error {
    let Prepared { call, writes, .. } = *prepared;
    match error {
        TransportError::Unreachable(_) => Error::Unreachable { call, source: error },
        TransportError::NoAnswer { .. } => Error::Ambiguous { call, writes, source: error },
        TransportError::TooLarge { head } => {
            let answer = Answer { call, status: head.status, code: None, excerpt: String::new() };
            let source = MalformedAnswer::Missing("it is larger than any answer of Apple's");
            Error::Malformed { answer: Box::new(answer), writes, source }
        }
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
