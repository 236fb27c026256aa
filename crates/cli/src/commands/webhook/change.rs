use adelie_store::WebhookChange;
use serde_json::json;

use super::endpoint;
use crate::context::Context;
use crate::exit::Exit;

/// Nothing is sent until it is resumed.
pub async fn pause(context: &Context, text: &str) -> anyhow::Result<Exit> {
    let reason = context.reason();
    change(context, text, &WebhookChange::Pause { reason }, "paused; what happens meanwhile waits for it")
        .await
}

/// It receives again.
pub async fn resume(context: &Context, text: &str) -> anyhow::Result<Exit> {
    change(context, text, &WebhookChange::Resume, "active; what has waited is sent at once").await
}

async fn change(context: &Context, text: &str, change: &WebhookChange, done: &str) -> anyhow::Result<Exit> {
    let endpoint = endpoint::find(context, text).await?;
    let changed = context.store.change_webhook(endpoint.id, change, &context.operator()).await?;
    if context.out.json {
        context.out.object(
            &json!({ "id": endpoint.id, "url": endpoint::shown_url(&endpoint), "changed": changed }),
        )?;
    } else if changed {
        context.out.line(&format!(
            "endpoint {} ({}) is {done}",
            endpoint.id,
            endpoint::shown_url(&endpoint)
        ))?;
    } else {
        context.out.note(&format!(
            "endpoint {} ({}) was so already",
            endpoint.id,
            endpoint::shown_url(&endpoint)
        ))?;
    }
    Ok(Exit::Done)
}

/// Removes it, and what waits for it.
pub async fn remove(context: &Context, text: &str) -> anyhow::Result<Exit> {
    let endpoint = endpoint::find(context, text).await?;
    context.store.remove_webhook(endpoint.id, &context.operator()).await?;
    if context.out.json {
        context
            .out
            .object(&json!({ "id": endpoint.id, "url": endpoint::shown_url(&endpoint), "removed": true }))?;
    } else {
        context.out.line(&format!(
            "endpoint {} ({}) is removed",
            endpoint.id,
            endpoint::shown_url(&endpoint)
        ))?;
    }
    Ok(Exit::Done)
}
