//! How tokens stand, and what is told of it.

use adelie_model::{ServerId, Timestamp, TokenState, expiry, to_millis};
use adelie_store::event::{token_changed, token_expires};
use adelie_store::{StoreError, TokenSeen};
use chrono::TimeDelta;
use sqlx::PgPool;
use uuid::Uuid;

use crate::batch;
use crate::failure::Attempt;
use crate::rows::{millis, word};
use crate::servers::found;

/// Keeps what was found out about a token, unless it is about one that is no longer in use.
pub(super) async fn set_state(
    pool: &PgPool,
    server: ServerId,
    seen: &TokenSeen<'_>,
    now: Timestamp,
) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
    let was: Option<String> = sqlx::query_scalar(
        "-- token_state_before\nSELECT token_state FROM mdm_servers WHERE id = $1 FOR NO KEY UPDATE",
    )
    .bind(server.0)
    .fetch_optional(&mut *transaction)
    .await?;
    let was = was.ok_or_else(|| StoreError::no_server(server))?;
    let was = word("mdm_servers.token_state", &was, TokenState::parse)?;
    // A statement of its own, so that it sees which token is in use now that the server's row is ours.
    let in_use: Option<(Uuid, Timestamp)> = sqlx::query_as(
        "-- token_in_use\nSELECT id, expires_at FROM server_tokens WHERE server_id = $1 AND is_current",
    )
    .bind(server.0)
    .fetch_optional(&mut *transaction)
    .await?;
    if seen.about.is_some_and(|about| in_use.is_none_or(|(id, _)| id != about.0)) {
        return Ok(());
    }
    let is = was.after(seen.state);
    sqlx::query(
        "-- set_token_state
         UPDATE mdm_servers SET token_detail = CASE WHEN $6 THEN $3 ELSE token_detail END,
             token_since = CASE WHEN token_state = $2 THEN coalesce(token_since, $4) ELSE $4 END,
             token_state = $2, token_check_at = $5,
             next_sync_at = CASE WHEN $7 THEN $4 ELSE next_sync_at END,
             work_at = CASE WHEN $7 THEN 'epoch' ELSE LEAST(work_at, $5) END
         WHERE id = $1",
    )
    .bind(server.0)
    .bind(is.as_str())
    .bind(seen.detail.map(batch::text))
    .bind(to_millis(now))
    .bind(millis(seen.next_check_at))
    .bind(is == seen.state)
    .bind(seen.wakes)
    .execute(&mut *transaction)
    .await?;
    let event = token_changed(was, is, seen.detail, in_use.map(|(_, expires_at)| expires_at), now);
    batch::events(&mut transaction, server, None, event.as_slice(), now).await?;
    transaction.commit().await?;
    Ok(())
}

/// Keeps how far Apple's clock is ahead of ours.
pub(super) async fn set_skew(pool: &PgPool, server: ServerId, skew: Option<TimeDelta>) -> Attempt<()> {
    let updated = sqlx::query("-- set_clock_skew\nUPDATE mdm_servers SET clock_skew_ms = $2 WHERE id = $1")
        .bind(server.0)
        .bind(skew.map(|skew| skew.num_milliseconds()))
        .execute(pool)
        .await?;
    found(&updated, server)
}

/// Tells of every token that stands on a rung of the ladder that was not told.
pub(super) async fn tell_expiry(pool: &PgPool, now: Timestamp) -> Attempt<u64> {
    let expiring: Vec<(Uuid, i64, Timestamp, Option<i32>)> = sqlx::query_as(
        "-- tokens_that_expire
         SELECT id, server_id, expires_at, told_rung FROM server_tokens
         WHERE is_current AND expires_at <= $1 ORDER BY expires_at, id",
    )
    .bind(to_millis(now + TimeDelta::days(expiry::LADDER[0])))
    .fetch_all(pool)
    .await?;
    let mut told = 0;
    for (token, server, expires_at, before) in expiring {
        let rung = expiry::rung(expires_at, now).filter(|rung| before.is_none_or(|told| *rung < told.into()));
        if let Some(rung) = rung
            && tell(pool, token, ServerId(server), expires_at, rung, now).await?
        {
            told += 1;
        }
    }
    Ok(told)
}

/// Tells of one token, unless another copy has done so meanwhile or it is no longer in use.
async fn tell(
    pool: &PgPool,
    token: Uuid,
    server: ServerId,
    expires_at: Timestamp,
    rung: i64,
    now: Timestamp,
) -> Attempt<bool> {
    let mut transaction = pool.begin().await?;
    // The server's row first, as whoever switches its token does.
    let was: String = sqlx::query_scalar(
        "-- token_state\nSELECT token_state FROM mdm_servers WHERE id = $1 FOR NO KEY UPDATE",
    )
    .bind(server.0)
    .fetch_one(&mut *transaction)
    .await?;
    let ours = sqlx::query(
        "-- note_rung
         UPDATE server_tokens SET told_rung = $2
         WHERE id = $1 AND is_current AND (told_rung IS NULL OR told_rung > $2)",
    )
    .bind(token)
    .bind(i32::try_from(rung).unwrap_or(i32::MIN))
    .execute(&mut *transaction)
    .await?;
    if ours.rows_affected() == 0 {
        return Ok(false);
    }
    let was = word("mdm_servers.token_state", &was, TokenState::parse)?;
    let is = was.at(expires_at, now);
    if is != was {
        sqlx::query(
            "-- set_expiry_state
             UPDATE mdm_servers SET token_state = $2, token_detail = NULL, token_since = $3 WHERE id = $1",
        )
        .bind(server.0)
        .bind(is.as_str())
        .bind(to_millis(now))
        .execute(&mut *transaction)
        .await?;
    }
    let event = token_expires(was, is, expires_at, rung);
    batch::events(&mut transaction, server, None, &[event], now).await?;
    transaction.commit().await?;
    Ok(true)
}
