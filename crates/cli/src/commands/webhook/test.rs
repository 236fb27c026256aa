use adelie_store::DeliveryOutcome;
use chrono::TimeDelta;
use serde_json::json;

use super::endpoint;
use crate::context::Context;
use crate::exit::Exit;
use crate::words::span;

/// Sends a test event now, whatever the state of the endpoint is, and tells what came of it.
pub async fn run(context: &Context, text: &str) -> anyhow::Result<Exit> {
    let endpoint = endpoint::find(context, text).await?;
    let pump = context.pump().await?;
    let delivery = context.store.add_test_delivery(endpoint.id, &context.operator()).await?;
    let Some(attempted) = pump.send_one(delivery).await? else {
        context.out.note("a running service was faster: it sends the test")?;
        context.out.hint(&format!("`adelie webhook log {delivery}` shows what came of it"))?;
        return Ok(Exit::Done);
    };
    let attempt = &attempted.attempt;
    let good = attempted.outcome == DeliveryOutcome::Delivered;
    let took = TimeDelta::from_std(attempt.duration).unwrap_or_default();
    if context.out.json {
        context.out.object(&json!({
            "delivery": delivery,
            "endpoint": endpoint.id,
            "url": endpoint::shown_url(&endpoint),
            "state": if good { "delivered" } else { "failed" },
            "status": attempt.status,
            "error": attempt.error,
            "duration_ms": took.num_milliseconds(),
            "answer": attempt.answer,
        }))?;
    }
    let id = endpoint.id;
    if good {
        if !context.out.json {
            let status = attempt.status.unwrap_or_default();
            context.out.line(&format!(
                "endpoint {id} ({}) answered {status} after {}",
                endpoint::shown_url(&endpoint),
                span(took)
            ))?;
        }
        return Ok(Exit::Done);
    }
    let error = attempt.error.as_deref().unwrap_or("it was not received");
    context.out.warn(&format!("endpoint {id} ({}): {error}", endpoint::shown_url(&endpoint)))?;
    context.out.hint(&format!("`adelie webhook log {delivery}` shows what was sent and answered"))?;
    Ok(Exit::Attention)
}
