//! Token keys and server tokens, sealed.

use adelie_model::{ServerId, Timestamp, TokenState, to_millis};
use adelie_store::event::{NewEvent, TokenRenewed, token_changed};
use adelie_store::{NewServerToken, Result, StoreError, StoredKey, StoredToken, TokenStore};
use async_trait::async_trait;
use sqlx::{PgConnection, PgPool};

use crate::failure::{Attempt, Failure, run};
use crate::rows::{KeyRow, TokenRow, word};
use crate::servers::found;
use crate::{PostgresStore, batch};

#[async_trait]
impl TokenStore for PostgresStore {
    async fn add_token_key(&self, key: &StoredKey) -> Result<()> {
        run("add a token key", move || add_key(&self.pool, key)).await
    }

    async fn token_keys(&self, server: ServerId) -> Result<Vec<StoredKey>> {
        run("list token keys", move || keys(&self.pool, server)).await
    }

    async fn import_token(&self, token: &NewServerToken, state: TokenState, now: Timestamp) -> Result<()> {
        run("import a server token", move || import(&self.pool, token, state, now)).await
    }

    async fn current_token(&self, server: ServerId) -> Result<Option<StoredToken>> {
        run("read the server token", move || current(&self.pool, server)).await
    }

    async fn set_token_state(
        &self,
        server: ServerId,
        state: TokenState,
        detail: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        run("keep the state of a server token", move || set_state(&self.pool, server, state, detail, now))
            .await
    }
}

async fn add_key(pool: &PgPool, key: &StoredKey) -> Attempt<()> {
    sqlx::query(
        "-- add_token_key
         INSERT INTO token_keys (id, server_id, certificate, private_key, created_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(key.id.0)
    .bind(key.server.0)
    .bind(&key.certificate)
    .bind(&key.private_key.0)
    .bind(to_millis(key.created_at))
    .execute(pool)
    .await
    .map_err(|error| missing(error, || StoreError::no_server(key.server)))?;
    Ok(())
}

async fn keys(pool: &PgPool, server: ServerId) -> Attempt<Vec<StoredKey>> {
    let found: Vec<KeyRow> = sqlx::query_as(
        "-- token_keys
         SELECT id, server_id, certificate, private_key, created_at FROM token_keys
         WHERE server_id = $1 ORDER BY created_at DESC, id DESC",
    )
    .bind(server.0)
    .fetch_all(pool)
    .await?;
    Ok(found.into_iter().map(StoredKey::from).collect())
}

async fn import(pool: &PgPool, token: &NewServerToken, state: TokenState, now: Timestamp) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
    // The server's row first, so that two imports come one after the other.
    let updated = sqlx::query(
        "-- import_token_health
         UPDATE mdm_servers SET token_detail = NULL, next_sync_at = $3, wait_until = NULL, token_state = $2,
             lease_epoch = lease_epoch + 1, lease_owner = NULL, lease_expires_at = NULL, work_at = 'epoch',
             token_since = CASE WHEN token_state = $2 THEN token_since ELSE $3 END
         WHERE id = $1",
    )
    .bind(token.server.0)
    .bind(state.as_str())
    .bind(to_millis(now))
    .execute(&mut *transaction)
    .await?;
    found(&updated, token.server)?;
    let another_server = another_server(&mut transaction, token).await?;
    sqlx::query(
        "-- retire_token
         UPDATE server_tokens SET is_current = false WHERE server_id = $1 AND is_current",
    )
    .bind(token.server.0)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "-- import_token
         INSERT INTO server_tokens
             (id, server_id, key_id, consumer_key, secrets, expires_at, imported_at, is_current)
         VALUES ($1, $2, $3, $4, $5, $6, $7, true)",
    )
    .bind(token.id.0)
    .bind(token.server.0)
    .bind(token.key.0)
    .bind(&token.consumer_key)
    .bind(&token.secrets.0)
    .bind(to_millis(token.expires_at))
    .bind(to_millis(now))
    .execute(&mut *transaction)
    .await
    .map_err(|error| {
        missing(error, || StoreError::Missing { what: "token key", name: token.key.to_string() })
    })?;
    let details = TokenRenewed { expires_at: token.expires_at, another_server };
    let event = NewEvent::new("token.renewed", &details);
    batch::events(&mut transaction, token.server, None, &[event], now).await?;
    transaction.commit().await?;
    Ok(())
}

async fn current(pool: &PgPool, server: ServerId) -> Attempt<Option<StoredToken>> {
    let found: Option<TokenRow> = sqlx::query_as(
        "-- current_token
         SELECT id, server_id, key_id, consumer_key, secrets, expires_at, imported_at FROM server_tokens
         WHERE server_id = $1 AND is_current",
    )
    .bind(server.0)
    .fetch_optional(pool)
    .await?;
    Ok(found.map(StoredToken::from))
}

async fn set_state(
    pool: &PgPool,
    server: ServerId,
    state: TokenState,
    detail: Option<&str>,
    now: Timestamp,
) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
    let before: Option<(String, Option<Timestamp>)> = sqlx::query_as(
        "-- set_token_state
         WITH before AS MATERIALIZED (
             SELECT s.token_state, t.expires_at FROM mdm_servers s
             LEFT JOIN server_tokens t ON t.server_id = s.id AND t.is_current
             WHERE s.id = $1 FOR NO KEY UPDATE OF s
         )
         UPDATE mdm_servers s SET token_detail = $3, token_state = $2,
             token_since = CASE WHEN s.token_state = $2 THEN s.token_since ELSE $4 END
         FROM before WHERE s.id = $1 RETURNING before.token_state, before.expires_at",
    )
    .bind(server.0)
    .bind(state.as_str())
    .bind(detail.map(batch::text))
    .bind(to_millis(now))
    .fetch_optional(&mut *transaction)
    .await?;
    let (was, expires_at) = before.ok_or_else(|| StoreError::no_server(server))?;
    let was = word("mdm_servers.token_state", &was, TokenState::parse)?;
    let event = token_changed(was, state, detail, expires_at);
    batch::events(&mut transaction, server, None, event.as_slice(), now).await?;
    transaction.commit().await?;
    Ok(())
}

/// The error of a row that refers to one that does not exist, or whatever else it was.
pub(crate) fn missing(error: sqlx::Error, what: impl FnOnce() -> StoreError) -> Failure {
    if error.as_database_error().is_some_and(|error| error.is_foreign_key_violation()) {
        return what().into();
    }
    error.into()
}

/// Forgets what belongs to the former MDM server of Apple's, when the token in use has another consumer key;
/// says whether it has.
async fn another_server(transaction: &mut PgConnection, token: &NewServerToken) -> Attempt<bool> {
    let another: bool = sqlx::query_scalar(
        "-- another_consumer_key
         SELECT EXISTS (SELECT 1 FROM server_tokens WHERE server_id = $1 AND is_current AND consumer_key <> $2)",
    )
    .bind(token.server.0)
    .bind(&token.consumer_key)
    .fetch_one(&mut *transaction)
    .await?;
    if !another {
        return Ok(false);
    }
    sqlx::query(
        "-- forget_position
         UPDATE mdm_servers SET delta_cursor = NULL, full_generation = NULL, full_phase = NULL,
             fetch_cursor = NULL, stuck = 0
         WHERE id = $1",
    )
    .bind(token.server.0)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("-- forget_profiles\nDELETE FROM published_profiles WHERE server_id = $1")
        .bind(token.server.0)
        .execute(transaction)
        .await?;
    Ok(true)
}
