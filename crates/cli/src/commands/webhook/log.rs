use adelie_model::DeliveryId;
use adelie_store::event::public_id;
use adelie_store::{Attempt, Delivery, DeliveryFilter};
use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::endpoint;
use crate::commands::events;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::words::{optional_time, span, time};

/// Deliveries per query.
const PAGE: u32 = 1000;

/// Which deliveries.
pub struct Which<'a> {
    pub failed: bool,
    pub endpoint: Option<&'a str>,
    pub event: Option<&'a str>,
}

/// Lists deliveries, newest first.
pub async fn list(context: &Context, which: &Which<'_>, limit: u32) -> anyhow::Result<Exit> {
    let webhook = match which.endpoint {
        Some(text) => Some(endpoint::find(context, text).await?.id),
        None => None,
    };
    let event = match which.event {
        Some(text) => Some(events::number(context, text).await?),
        None => None,
    };
    let filter = DeliveryFilter { webhook, failed: which.failed, event };
    let installation = context.store.installation().await?;
    let mut rows = Vec::new();
    let (mut before, mut left) = (None, limit);
    while left > 0 {
        let page = context.store.deliveries(&filter, before, left.min(PAGE)).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        left -= u32::try_from(page.len()).unwrap_or(left).min(left);
        for delivery in &page {
            if context.out.json {
                context.out.object(&delivery_object(delivery, installation))?;
            } else {
                rows.push(delivery_row(delivery));
            }
        }
    }
    if context.out.json {
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        context.out.note("there is no such delivery")?;
        return Ok(Exit::Done);
    }
    let more = rows.len() >= limit as usize;
    context.out.table(&HEADER, rows)?;
    if more {
        context.out.note(&format!("there may be more than these {limit}: use --limit"))?;
    }
    context.out.hint("`adelie webhook log DELIVERY` shows requests and answers")?;
    Ok(Exit::Done)
}

/// Shows a delivery with its tries.
pub async fn one(context: &Context, number: i64) -> anyhow::Result<Exit> {
    let Some((delivery, event, attempts)) = context.store.delivery(DeliveryId(number)).await? else {
        return Err(wrong(
            format!("there is no delivery {number}"),
            "`adelie webhook log` lists deliveries; they are deleted after a time",
        ));
    };
    if context.out.json {
        let mut object = delivery_object(&delivery, context.store.installation().await?);
        object["data"] = event.data;
        object["attempts"] = attempts.iter().map(attempt_object).collect();
        context.out.object(&object)?;
        return Ok(Exit::Done);
    }
    context.out.table(&HEADER, vec![delivery_row(&delivery)])?;
    if attempts.is_empty() {
        context.out.note("it was not tried yet")?;
    }
    for (place, attempt) in attempts.iter().enumerate() {
        let outcome = match (attempt.status, &attempt.error) {
            (Some(status), None) => status.to_string(),
            (Some(status), Some(error)) => format!("{status}: {error}"),
            (None, error) => error.clone().unwrap_or_default(),
        };
        let took = span(TimeDelta::from_std(attempt.duration).unwrap_or_default());
        let at = attempt.at.format("%F %T UTC");
        context.out.line(&format!("\ntry {} at {at}, {took}: {outcome}\n", place + 1))?;
        context.out.line(&indented(&attempt.request))?;
        if !attempt.answer.is_empty() {
            context.out.line(&format!("\n  answer\n{}", indented(&attempt.answer)))?;
        }
    }
    Ok(Exit::Done)
}

pub const HEADER: [&str; 7] = ["delivery", "endpoint", "time", "type", "state", "failed", "what came of it"];

/// A delivery as a row of a table.
pub fn delivery_row(delivery: &Delivery) -> Vec<String> {
    let outcome = match (delivery.last_status, &delivery.last_error) {
        (_, Some(error)) => error.clone(),
        (Some(status), None) => status.to_string(),
        (None, None) => String::new(),
    };
    let again = delivery.due_at.filter(|_| delivery.failures > 0);
    let again = again.map_or_else(String::new, |at| format!("; tried again at {}", at.format("%F %T UTC")));
    vec![
        delivery.id.to_string(),
        delivery.webhook.to_string(),
        delivery.at.format("%F %T UTC").to_string(),
        delivery.kind.clone(),
        delivery.state.as_str().to_owned(),
        delivery.failures.to_string(),
        format!("{outcome}{again}"),
    ]
}

/// A delivery as JSON has it.
pub fn delivery_object(delivery: &Delivery, installation: Uuid) -> Value {
    json!({
        "delivery": delivery.id,
        "endpoint": delivery.webhook,
        "event": public_id(installation, delivery.event),
        "type": delivery.kind,
        "at": time(delivery.at),
        "state": delivery.state.as_str(),
        "failures": delivery.failures,
        "due_at": optional_time(delivery.due_at),
        "finished_at": optional_time(delivery.finished_at),
        "status": delivery.last_status,
        "error": delivery.last_error,
    })
}

fn attempt_object(attempt: &Attempt) -> Value {
    json!({
        "at": time(attempt.at),
        "duration_ms": u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
        "status": attempt.status,
        "error": attempt.error,
        "request": attempt.request,
        "answer": attempt.answer,
    })
}

/// A text of somebody else's, line by line, without what would move the cursor of a terminal.
fn indented(text: &str) -> String {
    let line = |line: &str| -> String {
        let readable = line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c });
        format!("  {}", readable.collect::<String>())
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
