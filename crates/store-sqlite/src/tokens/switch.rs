//! Which token is in use: one transaction for a new one and for a former one that comes back.

use adelie_model::{ServerId, ServerTokenId, Timestamp};
use adelie_store::audit::{AuditAction, token_switched};
use adelie_store::event::{NewEvent, TokenRenewed};
use adelie_store::{Account, NewServerToken, Operator, StoreError, TokenSeen, moment};
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::failure::{Attempt, exists};
use crate::rows::{millis, to_json};
use crate::servers::found;
use crate::{audit, batch};

/// Stores a token and puts it into use.
pub(super) async fn import(
    transaction: &mut SqliteConnection,
    token: &NewServerToken,
    seen: &TokenSeen<'_>,
    by: &Operator,
) -> Attempt<()> {
    let account = token.account.as_ref();
    let another_server =
        retire(transaction, token.server, &token.consumer_key, account, seen, by.now).await?;
    let done = sqlx::query(
        "-- import_token
         INSERT INTO server_tokens (id, server_id, key_id, consumer_key, secrets, expires_at, account, imported_at,
             imported_by, is_current)
         SELECT ?1, ?2, id, ?4, ?5, ?6, ?7, ?8, ?9, 1 FROM token_keys WHERE id = ?3",
    )
    .bind(token.id.0)
    .bind(token.server.0)
    .bind(token.key.0)
    .bind(&token.consumer_key)
    .bind(token.secrets.0.as_slice())
    .bind(token.expires_at.timestamp_millis())
    .bind(account.map(|account| to_json("server_tokens.account", account)).transpose()?)
    .bind(by.now.timestamp_millis())
    .bind(&by.name)
    .execute(&mut *transaction)
    .await
    .map_err(|error| exists(error, "server token", &token.id))?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Missing { what: "token key", name: token.key.to_string() }.into());
    }
    tell(transaction, (token.server, token.id), token.expires_at, another_server, false, by).await
}

/// Puts a former token back into use.
pub(super) async fn restore(
    transaction: &mut SqliteConnection,
    (server, token): (ServerId, ServerTokenId),
    account: Option<&Account>,
    seen: &TokenSeen<'_>,
    by: &Operator,
) -> Attempt<()> {
    let former: Option<(String, i64, bool)> = sqlx::query_as(
        "-- former_token
         SELECT consumer_key, expires_at, is_current FROM server_tokens WHERE id = ?1 AND server_id = ?2",
    )
    .bind(token.0)
    .bind(server.0)
    .fetch_optional(&mut *transaction)
    .await?;
    let (consumer_key, expires_at, is_current) =
        former.ok_or_else(|| StoreError::Missing { what: "server token", name: token.to_string() })?;
    if is_current {
        return Ok(());
    }
    let another_server = retire(transaction, server, &consumer_key, account, seen, by.now).await?;
    sqlx::query(
        "-- restore_token
         UPDATE server_tokens SET is_current = 1, replaced_at = NULL, restored_at = ?2, restored_by = ?3,
             account = coalesce(?4, account)
         WHERE id = ?1",
    )
    .bind(token.0)
    .bind(by.now.timestamp_millis())
    .bind(&by.name)
    .bind(account.map(|account| to_json("server_tokens.account", account)).transpose()?)
    .execute(&mut *transaction)
    .await?;
    let expires_at = moment("server_tokens.expires_at", expires_at)?;
    tell(transaction, (server, token), expires_at, another_server, true, by).await
}

async fn tell(
    transaction: &mut SqliteConnection,
    (server, token): (ServerId, ServerTokenId),
    expires_at: Timestamp,
    another_server: bool,
    restored: bool,
    by: &Operator,
) -> Attempt<()> {
    let details = TokenRenewed { expires_at, another_server, restored, by: by.name.clone() };
    batch::events(&mut *transaction, server, None, &[NewEvent::new("token.renewed", &details)], by.now)
        .await?;
    let former: Option<Uuid> = sqlx::query_scalar(
        "-- former_token_id
         SELECT id FROM server_tokens WHERE server_id = ?1 AND replaced_at IS NOT NULL
         ORDER BY replaced_at DESC, imported_at DESC LIMIT 1",
    )
    .bind(server.0)
    .fetch_optional(&mut *transaction)
    .await?;
    let action = if restored { AuditAction::TokenRestored } else { AuditAction::TokenImported };
    let name = audit::server_name(&mut *transaction, server).await?;
    let entry = token_switched(action, &name, former.map(ServerTokenId), token, expires_at);
    audit::write(transaction, by, &[entry]).await?;
    Ok(())
}

/// Takes the token in use out of use, and makes the MDM server's row that of the next one. Says whether the next one is
/// for another MDM server of Apple's.
async fn retire(
    transaction: &mut SqliteConnection,
    server: ServerId,
    consumer_key: &str,
    account: Option<&Account>,
    seen: &TokenSeen<'_>,
    now: Timestamp,
) -> Attempt<bool> {
    let done = sqlx::query(
        "-- token_switched
         UPDATE mdm_servers SET token_state = ?2, token_detail = ?4, token_since = ?3, token_check_at = ?5,
             account = coalesce(?6, account), next_sync_at = ?3, wait_until = NULL, work_at = 0,
             lease_epoch = lease_epoch + 1, lease_owner = NULL, lease_expires_at = NULL
         WHERE id = ?1",
    )
    .bind(server.0)
    .bind(seen.state.as_str())
    .bind(now.timestamp_millis())
    .bind(seen.detail)
    .bind(millis(seen.next_check_at))
    .bind(account.map(|account| to_json("mdm_servers.account", account)).transpose()?)
    .execute(&mut *transaction)
    .await?;
    found(server, done.rows_affected())?;
    let another_server = another_server(transaction, server, consumer_key, account).await?;
    sqlx::query(
        "-- retire_token
         UPDATE server_tokens SET is_current = 0, replaced_at = ?2 WHERE server_id = ?1 AND is_current = 1",
    )
    .bind(server.0)
    .bind(now.timestamp_millis())
    .execute(transaction)
    .await?;
    Ok(another_server)
}

/// Forgets what belongs to the former MDM server of Apple's, when the token in use has another consumer key;
/// says whether it has.
async fn another_server(
    transaction: &mut SqliteConnection,
    server: ServerId,
    consumer_key: &str,
    account: Option<&Account>,
) -> Attempt<bool> {
    let another: bool = sqlx::query_scalar(
        "-- another_consumer_key
         SELECT EXISTS (SELECT 1 FROM server_tokens WHERE server_id = ?1 AND is_current = 1 AND consumer_key <> ?2)",
    )
    .bind(server.0)
    .bind(consumer_key)
    .fetch_one(&mut *transaction)
    .await?;
    if !another {
        return Ok(false);
    }
    sqlx::query(
        "-- forget_position
         UPDATE mdm_servers SET delta_cursor = NULL, full_generation = NULL, full_phase = NULL,
             fetch_cursor = NULL, stuck = 0, account = CASE WHEN ?2 THEN account END
         WHERE id = ?1",
    )
    .bind(server.0)
    .bind(account.is_some())
    .execute(&mut *transaction)
    .await?;
    sqlx::query("-- forget_profiles\nDELETE FROM published_profiles WHERE server_id = ?1")
        .bind(server.0)
        .execute(transaction)
        .await?;
    Ok(true)
}
