use std::net::SocketAddr;
use std::sync::Arc;

use adelie_model::Clock;
use adelie_webhook::{Secret, VerifyingKey, verify};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::commands::serve::listen;
use crate::commands::sync::stop_on_signal;
use crate::exit::{Exit, as_wrong};
use crate::output::Output;
use crate::real::SystemClock;

/// What the receiver knows.
struct Receiver {
    out: Output,
    key: Option<VerifyingKey>,
    status: StatusCode,
}

/// Receives webhooks, verifies and prints them, until Ctrl-C.
pub async fn run(
    out: Output,
    address: SocketAddr,
    secret: Option<&str>,
    status: u16,
) -> anyhow::Result<Exit> {
    let key = secret.map(verifying_key).transpose()?;
    let listener = listen(address, "--listen").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let unverified = key.is_none();
    out.aside(&format!("receiving at {url}; Ctrl-C ends it"))?;
    if unverified {
        out.warn("without --secret nothing is verified")?;
    }
    out.hint(&format!(
        "on this machine: ADELIE_WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8 adelie webhook add {url}"
    ))?;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone());
    let receiver = Arc::new(Receiver { out, key, status: StatusCode::from_u16(status)? });
    let router = Router::new().fallback(receive).with_state(receiver);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(Exit::Done)
}

/// A secret verifies what it signs, and a public key verifies what its secret key signs.
fn verifying_key(text: &str) -> anyhow::Result<VerifyingKey> {
    if text.starts_with("whpk_") {
        return text.parse().map_err(|error: adelie_webhook::SecretError| as_wrong(&error));
    }
    let secret: Secret = text.parse().map_err(|error: adelie_webhook::SecretError| as_wrong(&error))?;
    Ok(VerifyingKey::from(&secret))
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let verified = receiver
        .key
        .as_ref()
        .map(|key| verify(std::slice::from_ref(key), &headers, &body, SystemClock.now()));
    let text = String::from_utf8_lossy(&body);
    let told = if receiver.out.json {
        let body: Value = serde_json::from_slice(&body).unwrap_or_else(|_| json!(text));
        receiver.out.object(&json!({
            "id": header(&headers, "webhook-id"),
            "verified": verified.as_ref().map(Result::is_ok),
            "problem": verified.as_ref().and_then(|result| result.as_ref().err()).map(ToString::to_string),
            "body": body,
        }))
    } else {
        let word = match &verified {
            None => "not verified".to_owned(),
            Some(Ok(())) => "verified".to_owned(),
            Some(Err(error)) => format!("REFUSED: {error}"),
        };
        let readable: String = text.chars().filter(|letter| !letter.is_control()).collect();
        receiver.out.line(&format!("{} {word}\n  {readable}", header(&headers, "webhook-id").unwrap_or("-")))
    };
    match (told, verified) {
        // Nobody reads it: then it was not received.
        (Err(_), _) => StatusCode::SERVICE_UNAVAILABLE,
        (Ok(()), Some(Err(_))) => StatusCode::UNAUTHORIZED,
        (Ok(()), _) => receiver.status,
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
