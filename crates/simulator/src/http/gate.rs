//! What every request passes before it reaches its endpoint.

use adelie_dep::Endpoint;
use adelie_dep::endpoints as wire;
use axum::http::Method;

use super::reply::{JSON, Refusal, Reply};
use super::{Ask, account, devices, lists, other, profiles, session};
use crate::Simulator;
use crate::faults::Fault;
use crate::settings::Settings;
use crate::state::{Moment, SessionError, Terms};

/// A request that was let in.
pub(crate) struct Visit<'a> {
    pub(crate) simulator: &'a Simulator,
    pub(crate) ask: &'a Ask,
    pub(crate) settings: &'a Settings,
    pub(crate) moment: Moment<'a>,
    pub(crate) server: u16,
    /// The protocol version, within what there is.
    pub(crate) version: u8,
    pub(crate) fault: Option<&'a Fault>,
}

/// What an endpoint answers.
pub(crate) type Answer = Result<Reply, Refusal>;

type Handler = fn(&Visit<'_>) -> Answer;

const SESSION: &str = wire::session::PATH;

/// The endpoint behind a path and method. `Err` carries the methods that the path has.
fn route(method: &Method, path: &str, put_only: bool) -> Option<Result<Handler, &'static str>> {
    type Fetch = wire::fetch_devices::Request;
    type Sync = wire::sync_devices::Request;
    type Details = wire::device_details::Request;
    type Assign = wire::assign_profile::Request;
    type Disown = wire::disown::Request;
    type Lock = wire::activation_lock::Request;
    type Replacement = wire::replacement_details::Request;
    type Beta = wire::beta_tokens::Request;
    type Account = wire::account::Request;
    type Define = wire::define_profile::Request;

    let (allowed, handler): (&'static str, Option<Handler>) = match path {
        Account::PATH => ("GET", (method == Method::GET).then_some(account::account)),
        Fetch::PATH => ("POST", (method == Method::POST).then_some(lists::fetch)),
        Sync::PATH => ("POST", (method == Method::POST).then_some(lists::sync)),
        Details::PATH => ("POST", (method == Method::POST).then_some(devices::details)),
        Define::PATH => match *method {
            Method::POST => ("", Some(profiles::define)),
            Method::GET => ("", Some(profiles::get)),
            _ => ("GET, POST", None),
        },
        Assign::PATH => match *method {
            Method::PUT => ("", Some(profiles::assign)),
            Method::POST if !put_only => ("", Some(profiles::assign)),
            Method::DELETE => ("", Some(profiles::remove)),
            _ => ("DELETE, POST, PUT", None),
        },
        Disown::PATH => ("POST", (method == Method::POST).then_some(devices::disown)),
        Lock::PATH => ("POST", (method == Method::POST).then_some(devices::lock)),
        Replacement::PATH => ("GET", (method == Method::GET).then_some(devices::replacement)),
        Beta::PATH => ("GET", (method == Method::GET).then_some(other::beta_tokens)),
        wire::account_driven_enrollment::PATH => match *method {
            Method::GET => ("", Some(other::get_discovery)),
            Method::POST => ("", Some(other::set_discovery)),
            Method::DELETE => ("", Some(other::remove_discovery)),
            _ => ("DELETE, GET, POST", None),
        },
        _ => return None,
    };
    Some(handler.ok_or(allowed))
}

/// The answer to a request.
pub(crate) fn answer(simulator: &Simulator, ask: &Ask, settings: &Settings, fault: Option<&Fault>) -> Reply {
    let is_session = ask.path == SESSION;
    let handler = if is_session {
        if ask.method != Method::GET {
            return Reply::status(405).header("Allow", "GET");
        }
        None
    } else {
        match route(&ask.method, &ask.path, settings.depsim) {
            None => return Reply::status(404),
            Some(Err(allowed)) => return Reply::status(405).header("Allow", allowed),
            Some(Ok(handler)) => Some(handler),
        }
    };
    if let Err(refusal) = headers(ask, settings) {
        return refusal.into();
    }
    let moment = Moment { now_ms: simulator.clock().now_ms(), settings };
    let Some(handler) = handler else { return session::open(simulator, ask, &moment) };
    let (server, rotated) = match enter(simulator, ask, &moment) {
        Ok(entered) => entered,
        Err(refusal) => return refusal.into(),
    };
    let version = ask
        .header("x-server-protocol-version")
        .and_then(|text| text.trim().parse::<u64>().ok())
        .map_or(settings.default_protocol_version, |version| u8::try_from(version).unwrap_or(u8::MAX))
        .clamp(1, settings.newest_protocol_version.max(1));
    let terms = simulator.world().server(server).map(|server| server.terms);
    let mut reply = if terms == Some(Terms::Signed) {
        handler(&Visit { simulator, ask, settings, moment, server, version, fault })
            .unwrap_or_else(Reply::from)
    } else {
        Reply::code(403, "T_C_NOT_SIGNED")
    };
    reply.server = Some(server);
    match rotated {
        Some(session) => reply.header(wire::session::SESSION_HEADER, &session),
        None => reply,
    }
}

fn headers(ask: &Ask, settings: &Settings) -> Result<(), Refusal> {
    let agent = ask.header("user-agent").map_or("", str::trim);
    if agent.is_empty() && settings.user_agent_required {
        return Err(Refusal(400, "USER_AGENT_MISSING"));
    }
    if settings
        .user_agents_refused
        .iter()
        .any(|refused| !refused.is_empty() && agent.starts_with(refused.as_str()))
    {
        return Err(Refusal(400, "USER_AGENT_INVALID"));
    }
    if settings.depsim && ask.header("content-type") != Some(JSON) {
        return Err(Refusal(400, "MALFORMED_REQUEST_BODY"));
    }
    Ok(())
}

fn enter(simulator: &Simulator, ask: &Ask, moment: &Moment<'_>) -> Result<(u16, Option<String>), Refusal> {
    let world = simulator.world();
    let session = ask.header("x-adm-auth-session");
    let entered = simulator.access().enter(session, moment.settings, moment.now_ms, &world.entropy);
    match entered {
        Ok((server, token, rotated)) if world.token_is_live(server, token, moment.now_ms) => {
            Ok((server, rotated))
        }
        // The token behind the session is no longer good; `/session` says why.
        Ok(_) | Err(SessionError::Over) => Err(Refusal(401, "UNAUTHORIZED")),
        Err(SessionError::Unknown) => Err(Refusal(403, "FORBIDDEN")),
    }
}

/// The JSON body of a request, or Apple's refusal.
pub(crate) fn body<T: serde::de::DeserializeOwned>(ask: &Ask) -> Result<T, Refusal> {
    serde_json::from_slice(&ask.body).map_err(|_| Refusal(400, "MALFORMED_REQUEST_BODY"))
}
