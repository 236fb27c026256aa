//! Endpoints and their secrets.

use adelie_model::{DeliveryId, ServerId, Timestamp, WebhookId, WebhookSecretId, to_millis};
use adelie_store::audit::{webhook_added, webhook_changed, webhook_removed, webhook_tested};
use adelie_store::event::{NewEvent, WebhookDisabled, webhook_touched};
use adelie_store::{
    NewWebhook, Operator, Sealed, SealedSecret, StoreError, Webhook, WebhookChange, WebhookFormat,
    WebhookState,
};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::fan_out::ring;
use crate::audit;
use crate::batch::{self, text};
use crate::failure::{Attempt, exists};
use crate::rows::{small, word};

/// Adds an endpoint, and tells the others.
pub(super) async fn add(pool: &PgPool, new: &NewWebhook, by: &Operator) -> Attempt<WebhookId> {
    let mut transaction = pool.begin().await?;
    let id: i64 = sqlx::query_scalar(
        "-- add_webhook
         INSERT INTO webhooks (url, events, servers, format, thin, ordered, concurrency, state, reason, since, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'active', '', $8, $8) RETURNING id",
    )
    .bind(text(&new.url))
    .bind(&new.events)
    .bind(batch::column(&new.servers, |server| server.0))
    .bind(new.format.as_str())
    .bind(new.thin)
    .bind(new.ordered)
    .bind(i32::try_from(new.concurrency).unwrap_or(i32::MAX))
    .bind(to_millis(by.now))
    .fetch_one(&mut *transaction)
    .await?;
    let id = WebhookId(id);
    add_secret(&mut transaction, id, &new.secret, by).await?;
    tell(&mut transaction, webhook_touched("webhook.added", id, &new.url, None, by), by.now).await?;
    audit::write(&mut transaction, by, &[webhook_added(id, new)]).await?;
    transaction.commit().await?;
    Ok(id)
}

async fn add_secret(
    transaction: &mut PgConnection,
    webhook: WebhookId,
    secret: &SealedSecret,
    by: &Operator,
) -> Attempt<()> {
    sqlx::query(
        "-- add_webhook_secret
         INSERT INTO webhook_secrets (id, webhook_id, secret, created_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(secret.id.0)
    .bind(webhook.0)
    .bind(&secret.secret.0)
    .bind(to_millis(by.now))
    .execute(transaction)
    .await
    .map_err(|error| exists(error, "secret", &secret.id))?;
    Ok(())
}

/// Writes an event about an endpoint.
async fn tell(transaction: &mut PgConnection, event: NewEvent, now: Timestamp) -> Attempt<()> {
    batch::events(transaction, None::<ServerId>, None, &[event], now).await
}

#[derive(FromRow)]
struct WebhookRow {
    id: i64,
    url: String,
    events: Vec<String>,
    servers: Vec<i64>,
    format: String,
    thin: bool,
    ordered: bool,
    concurrency: i32,
    state: String,
    reason: String,
    since: Timestamp,
    created_at: Timestamp,
    failing_since: Option<Timestamp>,
    last_delivered_at: Option<Timestamp>,
    wait_until: Option<Timestamp>,
    secret_ids: Vec<Uuid>,
    secrets: Vec<Vec<u8>>,
    valid_until: Vec<Option<Timestamp>>,
}

impl TryFrom<WebhookRow> for Webhook {
    type Error = StoreError;

    fn try_from(row: WebhookRow) -> Result<Self, StoreError> {
        let secrets = row.secret_ids.into_iter().zip(row.secrets).zip(row.valid_until);
        Ok(Self {
            id: WebhookId(row.id),
            url: row.url,
            events: row.events,
            servers: row.servers.into_iter().map(ServerId).collect(),
            format: word("webhooks.format", &row.format, WebhookFormat::parse)?,
            thin: row.thin,
            ordered: row.ordered,
            concurrency: small("webhooks.concurrency", row.concurrency)?,
            secrets: secrets
                .map(|((id, secret), valid_until)| SealedSecret {
                    id: WebhookSecretId(id),
                    secret: Sealed(secret),
                    valid_until,
                })
                .collect(),
            state: word("webhooks.state", &row.state, WebhookState::parse)?,
            reason: row.reason,
            since: row.since,
            created_at: row.created_at,
            failing_since: row.failing_since,
            last_delivered_at: row.last_delivered_at,
            wait_until: row.wait_until,
        })
    }
}

/// All endpoints, by number.
pub(super) async fn list(pool: &PgPool) -> Attempt<Vec<Webhook>> {
    let found: Vec<WebhookRow> = sqlx::query_as(
        "-- webhooks
         SELECT w.*, s.secret_ids, s.secrets, s.valid_until FROM webhooks w
         CROSS JOIN LATERAL (
             SELECT coalesce(array_agg(id ORDER BY valid_until DESC NULLS FIRST, created_at DESC), '{}') AS secret_ids,
                 coalesce(array_agg(secret ORDER BY valid_until DESC NULLS FIRST, created_at DESC), '{}') AS secrets,
                 coalesce(array_agg(valid_until ORDER BY valid_until DESC NULLS FIRST, created_at DESC), '{}')
                     AS valid_until
             FROM webhook_secrets WHERE webhook_id = w.id
         ) s
         WHERE w.state <> 'removed' ORDER BY w.id",
    )
    .fetch_all(pool)
    .await?;
    Ok(crate::rows::all(found)?)
}

/// An endpoint as far as its changes need it.
struct Known {
    url: String,
    state: WebhookState,
}

/// Looks an endpoint up, and has its changes come one after the other.
async fn known(transaction: &mut PgConnection, id: WebhookId) -> Attempt<Known> {
    let found: Option<(String, String)> = sqlx::query_as(
        "-- known_webhook
         SELECT url, state FROM webhooks WHERE id = $1 AND state <> 'removed' FOR NO KEY UPDATE",
    )
    .bind(id.0)
    .fetch_optional(transaction)
    .await?;
    let (url, state) = found.ok_or_else(|| StoreError::Missing { what: "endpoint", name: id.to_string() })?;
    Ok(Known { url, state: word("webhooks.state", &state, WebhookState::parse)? })
}

/// Changes an endpoint. `false` when it is so already.
pub(super) async fn change(
    pool: &PgPool,
    id: WebhookId,
    change: &WebhookChange,
    by: &Operator,
) -> Attempt<bool> {
    let mut transaction = pool.begin().await?;
    let known = known(&mut transaction, id).await?;
    let entry = webhook_changed(id, &known.url, known.state, change);
    let (kind, reason) = match change {
        WebhookChange::Pause { reason } if known.state != WebhookState::Paused => {
            set_state(&mut transaction, id, WebhookState::Paused, reason, by.now).await?;
            ("webhook.paused", Some(reason.as_str()))
        }
        WebhookChange::Resume if known.state != WebhookState::Active => {
            set_state(&mut transaction, id, WebhookState::Active, "", by.now).await?;
            due_at_once(&mut transaction, id, by.now).await?;
            ("webhook.resumed", None)
        }
        WebhookChange::Rotate { secret, old_until } => {
            rotate(&mut transaction, id, secret, *old_until, by).await?;
            ("webhook.rotated", None)
        }
        WebhookChange::Pause { .. } | WebhookChange::Resume => return Ok(false),
    };
    tell(&mut transaction, webhook_touched(kind, id, &known.url, reason, by), by.now).await?;
    audit::write(&mut transaction, by, &[entry]).await?;
    transaction.commit().await?;
    Ok(true)
}

async fn set_state(
    transaction: &mut PgConnection,
    id: WebhookId,
    state: WebhookState,
    reason: &str,
    now: Timestamp,
) -> Attempt<()> {
    sqlx::query(
        "-- set_webhook_state
         UPDATE webhooks SET state = $2, reason = $3, since = $4,
             failing_since = CASE WHEN $2 = 'active' THEN NULL ELSE failing_since END,
             wait_until = CASE WHEN $2 = 'active' THEN NULL ELSE wait_until END
         WHERE id = $1",
    )
    .bind(id.0)
    .bind(state.as_str())
    .bind(text(reason))
    .bind(to_millis(now))
    .execute(transaction)
    .await?;
    Ok(())
}

/// All that waits for an endpoint is due, from the start of the ladder; but what is being sent is left alone.
async fn due_at_once(transaction: &mut PgConnection, id: WebhookId, now: Timestamp) -> Attempt<()> {
    sqlx::query(concat!(
        "-- resume_deliveries
         WITH resumed AS (
             UPDATE deliveries SET state = 'pending', failures = 0, due_at = $2, sending = false
             WHERE webhook_id = $1 AND due_at IS NOT NULL AND NOT (sending AND due_at > $2)
                 AND (due_at > $2 OR failures > 0)
         )
         ",
        ring!("webhooks"),
    ))
    .bind(id.0)
    .bind(to_millis(now))
    .execute(transaction)
    .await?;
    Ok(())
}

async fn rotate(
    transaction: &mut PgConnection,
    id: WebhookId,
    secret: &SealedSecret,
    old_until: Timestamp,
    by: &Operator,
) -> Attempt<()> {
    sqlx::query(
        "-- drop_old_secrets\nDELETE FROM webhook_secrets WHERE webhook_id = $1 AND valid_until IS NOT NULL",
    )
    .bind(id.0)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("-- retire_secret\nUPDATE webhook_secrets SET valid_until = $2 WHERE webhook_id = $1")
        .bind(id.0)
        .bind(to_millis(old_until))
        .execute(&mut *transaction)
        .await?;
    add_secret(transaction, id, secret, by).await
}

/// Gives an endpoint up, and tells the others. `false` when it is not active.
pub(super) async fn disable(pool: &PgPool, id: WebhookId, why: &str, now: Timestamp) -> Attempt<bool> {
    let mut transaction = pool.begin().await?;
    let known = known(&mut transaction, id).await?;
    if known.state != WebhookState::Active {
        return Ok(false);
    }
    set_state(&mut transaction, id, WebhookState::Disabled, why, now).await?;
    let details = WebhookDisabled::new(id, &known.url, why);
    tell(&mut transaction, NewEvent::new("webhook.disabled", &details), now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Removes an endpoint. Its row stays until its deliveries are forgotten, which may be many.
pub(super) async fn remove(pool: &PgPool, id: WebhookId, by: &Operator) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
    let known = known(&mut transaction, id).await?;
    sqlx::query(
        "-- remove_webhook\nUPDATE webhooks SET state = 'removed', reason = '', since = $2 WHERE id = $1",
    )
    .bind(id.0)
    .bind(to_millis(by.now))
    .execute(&mut *transaction)
    .await?;
    sqlx::query("-- remove_secrets\nDELETE FROM webhook_secrets WHERE webhook_id = $1")
        .bind(id.0)
        .execute(&mut *transaction)
        .await?;
    tell(&mut transaction, webhook_touched("webhook.removed", id, &known.url, None, by), by.now).await?;
    audit::write(&mut transaction, by, &[webhook_removed(id, &known.url, known.state)]).await?;
    transaction.commit().await?;
    Ok(())
}

/// Writes a test event with its delivery, which nobody else gets.
pub(super) async fn test(pool: &PgPool, id: WebhookId, by: &Operator) -> Attempt<DeliveryId> {
    let mut transaction = pool.begin().await?;
    let known = known(&mut transaction, id).await?;
    let event = webhook_touched("webhook.test", id, &known.url, None, by);
    let delivery: i64 = sqlx::query_scalar(
        "-- add_test_delivery
         WITH e AS (INSERT INTO events (at, kind, data) VALUES ($2, $3, $4) RETURNING id)
         INSERT INTO deliveries (webhook_id, event_id, at, ordered, state, due_at)
         SELECT w.id, e.id, $2, w.ordered, 'pending', $2 FROM webhooks w CROSS JOIN e WHERE w.id = $1
         RETURNING id",
    )
    .bind(id.0)
    .bind(to_millis(by.now))
    .bind(event.kind)
    .bind(batch::value(&event.data).into_owned())
    .fetch_one(&mut *transaction)
    .await?;
    let delivery = DeliveryId(delivery);
    audit::write(&mut transaction, by, &[webhook_tested(id, &known.url, delivery)]).await?;
    transaction.commit().await?;
    Ok(delivery)
}
