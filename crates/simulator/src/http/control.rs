//! The control API under `/_control`; see `docs/simulator.md`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Simulator;
use crate::control::{COMMANDS, Command, ControlError};
use crate::simulator::{IssueError, truth_of};
use crate::token_file::{TokenCipher, TokenFileError, TokenShape};

pub(super) fn router(simulator: Simulator) -> Router<Simulator> {
    Router::new()
        .route("/", get(index))
        .route("/state", get(state))
        .route("/log", get(log))
        .route("/devices", get(devices))
        .route("/servers/{name}/token", post(token))
        .route("/{command}", post(command))
        .fallback(unknown)
        // A scenario of a test may name a million serial numbers.
        .layer(DefaultBodyLimit::max(64 << 20))
        .with_state(simulator)
}

/// An answer that says what went wrong.
fn refuse(status: StatusCode, text: &str) -> Response {
    answer(status, &json!({ "error": text }))
}

fn answer(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], super::json_body(value)).into_response()
}

fn control_error(error: &ControlError) -> Response {
    let status = match error {
        ControlError::UnknownServer(_) | ControlError::UnknownSerial { .. } => StatusCode::NOT_FOUND,
        ControlError::ServerTaken(_) | ControlError::SerialTaken(_) => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    };
    refuse(status, &error.to_string())
}

async fn index() -> Response {
    answer(
        StatusCode::OK,
        &json!({
            "get": ["/_control/state", "/_control/log", "/_control/devices"],
            "post": COMMANDS.iter().map(|name| format!("/_control/{name}")).collect::<Vec<_>>(),
            "token": "POST /_control/servers/{name}/token with the certificate as the body",
        }),
    )
}

async fn unknown() -> Response {
    refuse(StatusCode::NOT_FOUND, "there is nothing here: `GET /_control/` lists what there is")
}

async fn state(State(simulator): State<Simulator>) -> Response {
    answer(StatusCode::OK, &simulator.state())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    /// Only requests with a larger number.
    after: Option<u64>,
    /// Only so many, the newest.
    limit: Option<usize>,
    /// Only this path.
    path: Option<String>,
}

async fn log(
    State(simulator): State<Simulator>,
    query: Result<Query<LogQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let (entries, total) = {
        let log = simulator.log();
        let mut entries: Vec<_> = log
            .entries()
            .rev()
            .take_while(|entry| query.after.is_none_or(|after| entry.number > after))
            .filter(|entry| query.path.as_deref().is_none_or(|path| entry.path == path))
            .take(query.limit.unwrap_or(usize::MAX))
            .cloned()
            .collect();
        entries.reverse();
        (entries, log.total())
    };
    answer(StatusCode::OK, &json!({ "total": total, "requests": entries }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DevicesQuery {
    /// Only devices of this MDM server.
    server: Option<String>,
    /// Only devices that come after this serial number in the simulator's own order.
    after: Option<String>,
    /// At most so many; 1000 without it.
    limit: Option<usize>,
}

async fn devices(
    State(simulator): State<Simulator>,
    query: Result<Query<DevicesQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let world = simulator.world();
    let server = match query.server.as_deref().map(|name| world.server_number(name)).transpose() {
        Ok(server) => server,
        Err(error) => return control_error(&error),
    };
    let start = match &query.after {
        None => 0,
        Some(serial) => match world.find(serial) {
            Some(number) => number as usize + 1,
            None => return refuse(StatusCode::NOT_FOUND, &format!("`after` names no device: {serial}")),
        },
    };
    let limit = query.limit.unwrap_or(1000).clamp(1, 100_000);
    let mut found = world
        .devices
        .iter()
        .skip(start)
        .filter(|device| server.is_none_or(|server| device.owner == server))
        .map(|device| truth_of(&world, device));
    let shown: Vec<_> = found.by_ref().take(limit).collect();
    let next = found.next().and(shown.last()).map(|device| device.serial_number.clone());
    answer(StatusCode::OK, &json!({ "devices": shown, "next_after": next }))
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TokenQuery {
    cipher: TokenCipher,
    piece: usize,
    definite: bool,
    markers: bool,
    headers: bool,
    crlf: bool,
    wrap: usize,
}

impl Default for TokenQuery {
    fn default() -> Self {
        let TokenShape { cipher, piece, definite, markers, headers, crlf, wrap } = TokenShape::default();
        Self { cipher, piece, definite, markers, headers, crlf, wrap }
    }
}

async fn token(
    State(simulator): State<Simulator>,
    Path(name): Path<String>,
    query: Result<Query<TokenQuery>, axum::extract::rejection::QueryRejection>,
    body: Bytes,
) -> Response {
    let shape = match query {
        Ok(Query(TokenQuery { cipher, piece, definite, markers, headers, crlf, wrap })) => {
            TokenShape { cipher, piece, definite, markers, headers, crlf, wrap }
        }
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    match simulator.issue_token_for(&name, &body, &shape) {
        Ok(file) => {
            let disposition =
                format!("attachment; filename=\"{}_Token_smime.p7m\"", name.replace(['"', '\\'], "_"));
            let mut response = file.into_response();
            let headers = response.headers_mut();
            headers
                .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/octet-stream"));
            if let Ok(disposition) = header::HeaderValue::try_from(disposition) {
                headers.insert(header::CONTENT_DISPOSITION, disposition);
            }
            response
        }
        Err(IssueError::Server(error)) => control_error(&error),
        Err(IssueError::Certificate(error @ TokenFileError::Encryption(_))) => {
            refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
        Err(IssueError::Certificate(error)) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn command(State(simulator): State<Simulator>, Path(name): Path<String>, body: Bytes) -> Response {
    if !COMMANDS.contains(&name.as_str()) {
        let text = format!("there is no command `{name}`: the commands are {}", COMMANDS.join(", "));
        return refuse(StatusCode::NOT_FOUND, &text);
    }
    let text: &[u8] = if body.trim_ascii().is_empty() { b"{}" } else { &body };
    let mut reader = serde_json::Deserializer::from_slice(text);
    let command = match Command::read(&name, &mut reader).and_then(|command| reader.end().map(|()| command)) {
        Ok(command) => command,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &format!("{name}: {error}")),
    };
    match simulator.perform(command) {
        Ok(done) => answer(StatusCode::OK, &done),
        Err(error) => control_error(&error),
    }
}
