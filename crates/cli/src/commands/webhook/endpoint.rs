use adelie_model::WebhookId;
use adelie_store::Webhook;
use adelie_store::audit::without_secrets;
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::wrong;
use crate::words::{optional_time, time};

/// The endpoint that a number or a URL names.
pub async fn find(context: &Context, text: &str) -> anyhow::Result<Webhook> {
    let mut all = context.store.webhooks().await?;
    let known: Vec<String> = all.iter().map(|one| format!("{} ({})", one.id, shown_url(one))).collect();
    let number = text.parse().ok().map(WebhookId);
    all.retain(|one| Some(one.id) == number || one.url == text);
    match all.as_slice() {
        [_] => Ok(all.remove(0)),
        [] => {
            let hint = if known.is_empty() {
                "there is none yet: add one with `adelie webhook add URL`".to_owned()
            } else {
                format!("the endpoints are {}", known.join(", "))
            };
            Err(wrong(format!("there is no endpoint {:?}", without_secrets(text)), hint))
        }
        several => {
            let numbers: Vec<String> = several.iter().map(|one| one.id.to_string()).collect();
            Err(wrong(
                format!("several endpoints have the URL {:?}", without_secrets(text)),
                format!("name one by its number: {}", numbers.join(", ")),
            ))
        }
    }
}

/// The URL of an endpoint where nobody asks for it: its query may be as good as a password.
pub fn shown_url(endpoint: &Webhook) -> String {
    without_secrets(&endpoint.url)
}

/// An endpoint as JSON has it, without its secrets.
pub fn object(endpoint: &Webhook, server_names: &[String]) -> Value {
    json!({
        "id": endpoint.id,
        "url": endpoint.url,
        "events": endpoint.events,
        "servers": server_names,
        "format": endpoint.format.as_str(),
        "thin": endpoint.thin,
        "ordered": endpoint.ordered,
        "concurrency": endpoint.concurrency,
        "state": endpoint.state.as_str(),
        "reason": endpoint.reason,
        "since": time(endpoint.since),
        "created_at": time(endpoint.created_at),
        "failing_since": optional_time(endpoint.failing_since),
        "last_delivered_at": optional_time(endpoint.last_delivered_at),
        "wait_until": optional_time(endpoint.wait_until),
    })
}
