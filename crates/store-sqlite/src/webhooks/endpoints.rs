//! Endpoints and their secrets.

use adelie_model::{DeliveryId, ServerId, Timestamp, WebhookId, WebhookSecretId};
use adelie_store::audit::{webhook_added, webhook_changed, webhook_removed, webhook_tested};
use adelie_store::event::{NewEvent, WebhookDisabled, webhook_touched};
use adelie_store::{
    NewWebhook, Operator, Sealed, SealedSecret, StoreError, Webhook, WebhookChange, WebhookFormat,
    WebhookState, moment,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::failure::{Attempt, exists};
use crate::rows::{self, count, maybe, to_json, word};
use crate::{audit, batch};

/// Adds an endpoint, and tells the others.
pub(super) async fn add(
    transaction: &mut SqliteConnection,
    new: &NewWebhook,
    by: &Operator,
) -> Attempt<WebhookId> {
    let id: i64 = sqlx::query_scalar(
        "-- add_webhook
         INSERT INTO webhooks (url, events, servers, format, thin, ordered, concurrency, state, reason, since, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'active', '', ?8, ?8) RETURNING id",
    )
    .bind(&new.url)
    .bind(to_json("webhooks.events", &new.events)?)
    .bind(to_json("webhooks.servers", &new.servers)?)
    .bind(new.format.as_str())
    .bind(new.thin)
    .bind(new.ordered)
    .bind(new.concurrency)
    .bind(by.now.timestamp_millis())
    .fetch_one(&mut *transaction)
    .await?;
    let id = WebhookId(id);
    add_secret(transaction, id, &new.secret, by).await?;
    tell(transaction, webhook_touched("webhook.added", id, &new.url, None, by), by.now).await?;
    audit::write(transaction, by, &[webhook_added(id, new)]).await?;
    Ok(id)
}

async fn add_secret(
    transaction: &mut SqliteConnection,
    webhook: WebhookId,
    secret: &SealedSecret,
    by: &Operator,
) -> Attempt<()> {
    sqlx::query(
        "-- add_webhook_secret
         INSERT INTO webhook_secrets (id, webhook_id, secret, created_at) VALUES (?1, ?2, ?3, ?4)",
    )
    .bind(secret.id.0)
    .bind(webhook.0)
    .bind(secret.secret.0.as_slice())
    .bind(by.now.timestamp_millis())
    .execute(transaction)
    .await
    .map_err(|error| exists(error, "secret", &secret.id))?;
    Ok(())
}

/// Writes an event about an endpoint.
async fn tell(transaction: &mut SqliteConnection, event: NewEvent, now: Timestamp) -> Attempt<()> {
    batch::events(transaction, None::<ServerId>, None, &[event], now).await
}

/// All endpoints, by number.
pub(super) async fn list(connection: &mut SqliteConnection) -> Attempt<Vec<Webhook>> {
    let found = sqlx::query(
        "-- webhooks
         SELECT w.*, (SELECT json_group_array(json_array(hex(s.id), hex(s.secret), s.valid_until)
                 ORDER BY s.valid_until IS NOT NULL, s.valid_until DESC, s.created_at DESC)
             FROM webhook_secrets s WHERE s.webhook_id = w.id) AS secrets
         FROM webhooks w WHERE w.state <> 'removed' ORDER BY w.id",
    )
    .fetch_all(connection)
    .await?;
    found.iter().map(webhook).collect()
}

fn webhook(row: &SqliteRow) -> Attempt<Webhook> {
    let time = |what, column: &str| -> Attempt<_> { Ok(maybe(what, row.try_get(column)?)?) };
    let servers: Vec<i64> = rows::json("webhooks.servers", row.try_get("servers")?)?;
    Ok(Webhook {
        id: WebhookId(row.try_get("id")?),
        url: row.try_get("url")?,
        events: rows::json("webhooks.events", row.try_get("events")?)?,
        servers: servers.into_iter().map(ServerId).collect(),
        format: word("webhooks.format", row.try_get("format")?, WebhookFormat::parse)?,
        thin: row.try_get("thin")?,
        ordered: row.try_get("ordered")?,
        concurrency: count("webhooks.concurrency", row.try_get("concurrency")?)?,
        secrets: secrets(row.try_get("secrets")?)?,
        state: word("webhooks.state", row.try_get("state")?, WebhookState::parse)?,
        reason: row.try_get("reason")?,
        since: moment("webhooks.since", row.try_get("since")?)?,
        created_at: moment("webhooks.created_at", row.try_get("created_at")?)?,
        failing_since: time("webhooks.failing_since", "failing_since")?,
        last_delivered_at: time("webhooks.last_delivered_at", "last_delivered_at")?,
        wait_until: time("webhooks.wait_until", "wait_until")?,
    })
}

/// Secrets come with their endpoint, in one statement and so in one state.
fn secrets(text: &str) -> Attempt<Vec<SealedSecret>> {
    let damaged = || StoreError::damaged("webhook_secrets", "bytes that are none");
    let found: Vec<(String, String, Option<i64>)> = rows::json("webhook_secrets", text)?;
    let secret = |(id, secret, valid_until): (String, String, Option<i64>)| {
        let id = bytes(&id).and_then(|id| uuid::Uuid::from_slice(&id).ok()).ok_or_else(damaged)?;
        Ok(SealedSecret {
            id: WebhookSecretId(id),
            secret: Sealed(bytes(&secret).ok_or_else(damaged)?),
            valid_until: maybe("webhook_secrets.valid_until", valid_until)?,
        })
    };
    found.into_iter().map(secret).collect()
}

/// Bytes from two digits for each.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

/// An endpoint as far as its changes need it.
struct Known {
    url: String,
    state: WebhookState,
}

async fn known(transaction: &mut SqliteConnection, id: WebhookId) -> Attempt<Known> {
    let found: Option<(String, String)> = sqlx::query_as(
        "-- known_webhook
         SELECT url, state FROM webhooks WHERE id = ?1 AND state <> 'removed'",
    )
    .bind(id.0)
    .fetch_optional(transaction)
    .await?;
    let (url, state) = found.ok_or_else(|| StoreError::Missing { what: "endpoint", name: id.to_string() })?;
    Ok(Known { url, state: word("webhooks.state", &state, WebhookState::parse)? })
}

/// Changes an endpoint. `false` when it is so already.
pub(super) async fn change(
    transaction: &mut SqliteConnection,
    id: WebhookId,
    change: &WebhookChange,
    by: &Operator,
) -> Attempt<bool> {
    let known = known(transaction, id).await?;
    let entry = webhook_changed(id, &known.url, known.state, change);
    let (kind, reason) = match change {
        WebhookChange::Pause { reason } if known.state != WebhookState::Paused => {
            set_state(transaction, id, WebhookState::Paused, reason, by.now).await?;
            ("webhook.paused", Some(reason.as_str()))
        }
        WebhookChange::Resume if known.state != WebhookState::Active => {
            set_state(transaction, id, WebhookState::Active, "", by.now).await?;
            due_at_once(transaction, id, by.now).await?;
            ("webhook.resumed", None)
        }
        WebhookChange::Rotate { secret, old_until } => {
            rotate(transaction, id, secret, *old_until, by).await?;
            ("webhook.rotated", None)
        }
        WebhookChange::Pause { .. } | WebhookChange::Resume => return Ok(false),
    };
    tell(transaction, webhook_touched(kind, id, &known.url, reason, by), by.now).await?;
    audit::write(transaction, by, &[entry]).await?;
    Ok(true)
}

async fn set_state(
    transaction: &mut SqliteConnection,
    id: WebhookId,
    state: WebhookState,
    reason: &str,
    now: Timestamp,
) -> Attempt<()> {
    sqlx::query(
        "-- set_webhook_state
         UPDATE webhooks SET state = ?2, reason = ?3, since = ?4,
             failing_since = CASE WHEN ?2 = 'active' THEN NULL ELSE failing_since END,
             wait_until = CASE WHEN ?2 = 'active' THEN NULL ELSE wait_until END
         WHERE id = ?1",
    )
    .bind(id.0)
    .bind(state.as_str())
    .bind(reason)
    .bind(now.timestamp_millis())
    .execute(transaction)
    .await?;
    Ok(())
}

/// All that waits for an endpoint is due, from the start of the ladder; but what is being sent is left alone.
async fn due_at_once(transaction: &mut SqliteConnection, id: WebhookId, now: Timestamp) -> Attempt<()> {
    sqlx::query(
        "-- resume_deliveries
         UPDATE deliveries INDEXED BY deliveries_due SET state = 'pending', failures = 0, due_at = ?2, sending = 0
         WHERE webhook_id = ?1 AND due_at IS NOT NULL AND NOT (sending AND due_at > ?2)
             AND (due_at > ?2 OR failures > 0)",
    )
    .bind(id.0)
    .bind(now.timestamp_millis())
    .execute(transaction)
    .await?;
    Ok(())
}

async fn rotate(
    transaction: &mut SqliteConnection,
    id: WebhookId,
    secret: &SealedSecret,
    old_until: Timestamp,
    by: &Operator,
) -> Attempt<()> {
    sqlx::query(
        "-- drop_old_secrets\nDELETE FROM webhook_secrets WHERE webhook_id = ?1 AND valid_until IS NOT NULL",
    )
    .bind(id.0)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("-- retire_secret\nUPDATE webhook_secrets SET valid_until = ?2 WHERE webhook_id = ?1")
        .bind(id.0)
        .bind(old_until.timestamp_millis())
        .execute(&mut *transaction)
        .await?;
    add_secret(transaction, id, secret, by).await
}

/// Gives an endpoint up, and tells the others. `false` when it is not active.
pub(super) async fn disable(
    transaction: &mut SqliteConnection,
    id: WebhookId,
    why: &str,
    now: Timestamp,
) -> Attempt<bool> {
    let known = match known(transaction, id).await {
        Ok(known) if known.state == WebhookState::Active => known,
        Ok(_) => return Ok(false),
        Err(error) => return Err(error),
    };
    set_state(transaction, id, WebhookState::Disabled, why, now).await?;
    let details = WebhookDisabled::new(id, &known.url, why);
    tell(transaction, NewEvent::new("webhook.disabled", &details), now).await?;
    Ok(true)
}

/// Removes an endpoint. Its row stays until its deliveries are forgotten, which may be many.
pub(super) async fn remove(transaction: &mut SqliteConnection, id: WebhookId, by: &Operator) -> Attempt<()> {
    let known = known(transaction, id).await?;
    sqlx::query(
        "-- remove_webhook\nUPDATE webhooks SET state = 'removed', reason = '', since = ?2 WHERE id = ?1",
    )
    .bind(id.0)
    .bind(by.now.timestamp_millis())
    .execute(&mut *transaction)
    .await?;
    sqlx::query("-- remove_secrets\nDELETE FROM webhook_secrets WHERE webhook_id = ?1")
        .bind(id.0)
        .execute(&mut *transaction)
        .await?;
    tell(transaction, webhook_touched("webhook.removed", id, &known.url, None, by), by.now).await?;
    audit::write(transaction, by, &[webhook_removed(id, &known.url, known.state)]).await?;
    Ok(())
}

/// Writes a test event with its delivery, which nobody else gets.
pub(super) async fn test(
    transaction: &mut SqliteConnection,
    id: WebhookId,
    by: &Operator,
) -> Attempt<DeliveryId> {
    let known = known(transaction, id).await?;
    let event = webhook_touched("webhook.test", id, &known.url, None, by);
    batch::events(transaction, None::<ServerId>, None, &[event], by.now).await?;
    let delivery: i64 = sqlx::query_scalar(
        "-- add_test_delivery
         INSERT INTO deliveries (webhook_id, event_id, at, ordered, state, due_at)
         SELECT w.id, (SELECT max(id) FROM events), ?2, w.ordered, 'pending', ?2 FROM webhooks w WHERE w.id = ?1
         RETURNING id",
    )
    .bind(id.0)
    .bind(by.now.timestamp_millis())
    .fetch_one(&mut *transaction)
    .await?;
    let delivery = DeliveryId(delivery);
    audit::write(transaction, by, &[webhook_tested(id, &known.url, delivery)]).await?;
    Ok(delivery)
}

/// Whether an endpoint wants to be told of pages.
pub(crate) async fn pages_wanted(connection: &mut SqliteConnection) -> Attempt<bool> {
    let wanted = sqlx::query_scalar(
        "-- pages_wanted
         SELECT EXISTS (SELECT 1 FROM webhooks WHERE format = 'nanodep' AND state <> 'removed')",
    );
    Ok(wanted.fetch_one(connection).await?)
}
