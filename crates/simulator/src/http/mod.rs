//! HTTP over the state: one pipeline for Apple's paths, and the control API.

mod account;
mod control;
mod devices;
mod gate;
mod lists;
mod other;
mod profiles;
mod reply;
mod session;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bytes::Bytes;

use crate::Simulator;
use crate::faults::Fault;
use crate::request_log::LoggedRequest;
pub use reply::Cut;
use reply::Reply;

/// The largest body that is read: far more than a client of a thousand serial numbers sends.
const LARGEST_BODY: usize = 32 << 20;

/// Apple's paths and the control API.
pub(crate) fn router(simulator: Simulator) -> axum::Router {
    let control = control::router(simulator.clone());
    axum::Router::new().nest("/_control", control).fallback(apple).with_state(simulator)
}

/// A request to one of Apple's paths, read in full.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Ask {
    /// A header as text; header names know no case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All of it as a text.
    fn echo(&self) -> String {
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let mut text = format!("{} {}{query}\n", self.method, self.path);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        }
        text + &String::from_utf8_lossy(&self.body)
    }

    /// A parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_deref()?.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// Apple's paths over a socket.
async fn apple(State(simulator): State<Simulator>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY).await.ok();
    reply(&simulator, parts, body).await.into_response()
}

/// Apple's paths without a socket.
pub(crate) async fn answer(simulator: &Simulator, request: Request<Bytes>) -> Result<Response<Bytes>, Cut> {
    let (parts, body) = request.into_parts();
    let body = (body.len() <= LARGEST_BODY).then_some(body);
    reply(simulator, parts, body).await.into_answer()
}

/// The way of every request: wait, fault, effect, fault, log, wait. No body is one that is too large.
async fn reply(simulator: &Simulator, parts: Parts, body: Option<Bytes>) -> Reply {
    let mut headers = parts.headers;
    // HTTP/2 has the host in the address only.
    if let (false, Some(authority)) = (headers.contains_key("host"), parts.uri.authority())
        && let Ok(host) = authority.as_str().parse()
    {
        headers.insert("host", host);
    }
    let ask = Ask {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers,
        body: body.clone().unwrap_or_default(),
    };
    simulator.pause(simulator.settings().latency).await;
    let fault = simulator.faults().take(ask.method.as_str(), &ask.path);
    if let Some(fault) = &fault {
        simulator.pause(fault.delay()).await;
    }

    let settings = simulator.settings();
    let mut reply = match &fault {
        Some(fault) if !fault.takes_effect() => Reply::status(200),
        _ if body.is_none() => Reply::code(413, ""),
        _ => gate::answer(simulator, &ask, &settings, fault.as_ref()),
    };
    if let Some(fault) = &fault {
        reply = hurt(reply, fault, simulator, &ask);
    }
    // The passed-in clock, not the machine's: a client may measure `Retry-After` dates from this header.
    // A fault may have set another one: Apple's clock is right then, and the client's is wrong.
    if !reply.extra.iter().any(|(name, _)| name.eq_ignore_ascii_case("date")) {
        reply.extra.push(("Date".to_owned(), httpdate::fmt_http_date(simulator.clock().base_now().into())));
    }
    // Before the wait: a client that is killed meanwhile has asked all the same.
    note(simulator, &ask, &reply, fault.is_some());
    if let Some(fault) = &fault {
        simulator.pause(fault.answer_delay()).await;
    }
    reply.gzip =
        settings.gzip && ask.header("accept-encoding").is_some_and(|accepted| accepted.contains("gzip"));
    let quoted = settings.quoted_errors || settings.depsim;
    reply.quoted(quoted && fault.as_ref().is_none_or(|fault| !fault.answers()))
}

/// What a fault makes of an answer.
fn hurt(reply: Reply, fault: &Fault, simulator: &Simulator, ask: &Ask) -> Reply {
    let mut reply = if fault.answers() {
        let status = fault.status.unwrap_or(200);
        let mut body = fault.body.clone().unwrap_or_default();
        if fault.echo {
            body.push_str(&ask.echo());
        }
        Reply { server: reply.server, ..Reply::code(status, &body) }
    } else {
        reply
    };
    if fault.answers() && reply.status < 300 {
        reply.content_type = reply::JSON;
    }
    if fault.empty {
        reply.body = Vec::new();
    }
    reply.extra.extend(fault.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    if let Some(seconds) = fault.retry_after_seconds {
        reply.extra.push(("Retry-After".to_owned(), seconds.to_string()));
    }
    if let Some(seconds) = fault.retry_after_date {
        // The client compares with its own clock, so this is not simulated time.
        let moment = simulator.clock().base_now() + std::time::Duration::from_secs(seconds);
        reply.extra.push(("Retry-After".to_owned(), httpdate::fmt_http_date(moment.into())));
    }
    reply.cut_after = if fault.cut { Some(0) } else { fault.truncate_to };
    if fault.cut {
        reply.status = 0;
    }
    reply
}

fn note(simulator: &Simulator, ask: &Ask, reply: &Reply, fault: bool) {
    let settings = simulator.settings();
    let server =
        reply.server.and_then(|number| simulator.world().server(number).map(|server| server.name.clone()));
    let kept = &ask.body[..ask.body.len().min(settings.log_body_bytes)];
    let text = |name: &str| ask.header(name).map(str::to_owned);
    let entry = LoggedRequest {
        number: 0,
        at_ms: simulator.clock().now_ms(),
        method: ask.method.to_string(),
        path: ask.path.clone(),
        query: ask.query.clone(),
        server,
        user_agent: text("user-agent"),
        content_type: text("content-type"),
        protocol_version: text("x-server-protocol-version"),
        authorization: text("authorization"),
        session: text("x-adm-auth-session"),
        body: String::from_utf8_lossy(kept).into_owned(),
        body_bytes: ask.body.len(),
        status: reply.status,
        error: reply.error.clone(),
        devices: reply.devices,
        fault,
    };
    simulator.log().push(entry, settings.log_size);
}

/// JSON as a body, for the control API.
pub(crate) fn json_body(value: &serde_json::Value) -> Body {
    Body::from(value.to_string())
}
