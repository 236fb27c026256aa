use adelie_model::WebhookId;
use schemars::JsonSchema;
use serde::Serialize;

use super::NewEvent;
use crate::Operator;
use crate::audit::without_secrets;

/// Details of what an operator did to an endpoint.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WebhookTouched {
    /// The number of the endpoint.
    #[schemars(with = "i64")]
    pub webhook: WebhookId,
    /// Where it receives, without what of the URL may be a secret: its query.
    pub url: String,
    /// Who did it.
    pub by: String,
    /// Why, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Details of an endpoint that was given up.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WebhookDisabled {
    /// The number of the endpoint.
    #[schemars(with = "i64")]
    pub webhook: WebhookId,
    /// Where it receives, without what of the URL may be a secret: its query.
    pub url: String,
    /// Why, and what to do.
    pub reason: String,
}

impl WebhookDisabled {
    /// Of an endpoint with this URL.
    #[must_use]
    pub fn new(webhook: WebhookId, url: &str, reason: &str) -> Self {
        Self { webhook, url: without_secrets(url), reason: reason.to_owned() }
    }
}

/// Details of deliveries that are sent again.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WebhookReplayed {
    /// Who asked for it.
    pub by: String,
    /// How many deliveries.
    pub deliveries: u64,
}

/// The event of what an operator did to an endpoint.
pub fn webhook_touched(
    kind: &'static str,
    webhook: WebhookId,
    url: &str,
    reason: Option<&str>,
    by: &Operator,
) -> NewEvent {
    let reason = reason.filter(|reason| !reason.is_empty()).map(str::to_owned);
    NewEvent::new(kind, &WebhookTouched { webhook, url: without_secrets(url), by: by.name.clone(), reason })
}
