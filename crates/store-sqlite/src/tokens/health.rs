//! How tokens stand, and what is told of it.

use adelie_model::{ServerId, ServerTokenId, Timestamp, TokenState, expiry};
use adelie_store::event::{token_changed, token_expires};
use adelie_store::{StoreError, TokenSeen, moment};
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::batch;
use crate::failure::Attempt;
use crate::rows::{maybe, millis, word};

/// Keeps what was found out about a token, unless it is about one that is no longer in use.
pub(super) async fn set_state(
    transaction: &mut SqliteConnection,
    server: ServerId,
    seen: &TokenSeen<'_>,
    now: Timestamp,
) -> Attempt<()> {
    let before: Option<(String, Option<Uuid>, Option<i64>)> = sqlx::query_as(
        "-- token_state_before
         SELECT s.token_state, t.id, t.expires_at FROM mdm_servers s
         LEFT JOIN server_tokens t ON t.server_id = s.id AND t.is_current = 1 WHERE s.id = ?1",
    )
    .bind(server.0)
    .fetch_optional(&mut *transaction)
    .await?;
    let (was, in_use, expires_at) = before.ok_or_else(|| StoreError::no_server(server))?;
    if seen.about.is_some_and(|about| in_use != Some(about.0)) {
        return Ok(());
    }
    let was = word("mdm_servers.token_state", &was, TokenState::parse)?;
    let expires_at = maybe("server_tokens.expires_at", expires_at)?;
    let is = was.after(seen.state);
    sqlx::query(
        "-- set_token_state
         UPDATE mdm_servers SET token_detail = CASE WHEN ?6 THEN ?3 ELSE token_detail END,
             token_since = CASE WHEN token_state = ?2 THEN coalesce(token_since, ?4) ELSE ?4 END,
             token_state = ?2, token_check_at = ?5,
             next_sync_at = CASE WHEN ?7 THEN ?4 ELSE next_sync_at END,
             work_at = CASE WHEN ?7 THEN 0 ELSE min(work_at, coalesce(?5, work_at)) END
         WHERE id = ?1",
    )
    .bind(server.0)
    .bind(is.as_str())
    .bind(seen.detail)
    .bind(now.timestamp_millis())
    .bind(millis(seen.next_check_at))
    .bind(is == seen.state)
    .bind(seen.wakes)
    .execute(&mut *transaction)
    .await?;
    let event = token_changed(was, is, seen.detail, expires_at, now);
    batch::events(transaction, server, None, event.as_slice(), now).await
}

/// A token that stands on a rung of the ladder that was not told.
pub(super) struct Due {
    token: ServerTokenId,
    server: ServerId,
    expires_at: Timestamp,
    rung: i64,
}

pub(super) async fn on_a_new_rung(connection: &mut SqliteConnection, now: Timestamp) -> Attempt<Vec<Due>> {
    let found: Vec<(Uuid, i64, i64, Option<i64>)> = sqlx::query_as(
        "-- tokens_that_expire
         SELECT id, server_id, expires_at, told_rung FROM server_tokens INDEXED BY server_tokens_by_expiry
         WHERE is_current = 1 AND expires_at <= ?1 ORDER BY expires_at, id",
    )
    .bind((now + chrono::TimeDelta::days(expiry::LADDER[0])).timestamp_millis())
    .fetch_all(connection)
    .await?;
    let mut due = Vec::new();
    for (token, server, expires_at, told) in found {
        let expires_at = moment("server_tokens.expires_at", expires_at)?;
        if let Some(rung) = expiry::rung(expires_at, now).filter(|rung| told.is_none_or(|told| *rung < told))
        {
            due.push(Due { token: ServerTokenId(token), server: ServerId(server), expires_at, rung });
        }
    }
    Ok(due)
}

/// Tells of one token, unless another copy has done so meanwhile or it is no longer in use.
pub(super) async fn tell(transaction: &mut SqliteConnection, due: &Due, now: Timestamp) -> Attempt<bool> {
    let ours = sqlx::query(
        "-- note_rung
         UPDATE server_tokens SET told_rung = ?2
         WHERE id = ?1 AND is_current = 1 AND (told_rung IS NULL OR told_rung > ?2)",
    )
    .bind(due.token.0)
    .bind(due.rung)
    .execute(&mut *transaction)
    .await?;
    if ours.rows_affected() == 0 {
        return Ok(false);
    }
    let was: String = sqlx::query_scalar("-- token_state\nSELECT token_state FROM mdm_servers WHERE id = ?1")
        .bind(due.server.0)
        .fetch_one(&mut *transaction)
        .await?;
    let was = word("mdm_servers.token_state", &was, TokenState::parse)?;
    let is = was.at(due.expires_at, now);
    if is != was {
        sqlx::query(
            "-- set_expiry_state
             UPDATE mdm_servers SET token_state = ?2, token_detail = NULL, token_since = ?3 WHERE id = ?1",
        )
        .bind(due.server.0)
        .bind(is.as_str())
        .bind(now.timestamp_millis())
        .execute(&mut *transaction)
        .await?;
    }
    let event = token_expires(was, is, due.expires_at, due.rung);
    batch::events(transaction, due.server, None, &[event], now).await?;
    Ok(true)
}
