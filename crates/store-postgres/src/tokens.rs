//! Token keys and server tokens, sealed.

mod health;
mod switch;

use adelie_model::{ServerId, ServerTokenId, Timestamp, to_millis};
use adelie_store::audit::token_key_added;
use adelie_store::{
    Account, NewServerToken, Operator, Result, StoreError, StoredKey, StoredToken, TokenSeen, TokenStore,
};
use async_trait::async_trait;
use chrono::TimeDelta;
use sqlx::PgPool;

use crate::failure::{Attempt, Failure, run};
use crate::rows::{KeyRow, TokenRow};
use crate::{PostgresStore, audit};

#[async_trait]
impl TokenStore for PostgresStore {
    async fn add_token_key(&self, key: &StoredKey, by: &Operator) -> Result<()> {
        run("add a token key", move || add_key(&self.pool, key, by)).await
    }

    async fn token_keys(&self, server: ServerId) -> Result<Vec<StoredKey>> {
        run("list token keys", move || keys(&self.pool, server)).await
    }

    async fn import_token(&self, token: &NewServerToken, seen: &TokenSeen<'_>, by: &Operator) -> Result<()> {
        run("import a server token", move || switch::import(&self.pool, token, seen, by)).await
    }

    async fn restore_token(
        &self,
        server: ServerId,
        token: ServerTokenId,
        account: Option<&Account>,
        seen: &TokenSeen<'_>,
        by: &Operator,
    ) -> Result<()> {
        run("restore a server token", move || switch::restore(&self.pool, (server, token), account, seen, by))
            .await
    }

    async fn current_token(&self, server: ServerId) -> Result<Option<StoredToken>> {
        run("read the server token", move || current(&self.pool, server)).await
    }

    async fn tokens(&self, server: ServerId) -> Result<Vec<StoredToken>> {
        run("list server tokens", move || all(&self.pool, server)).await
    }

    async fn set_token_state(&self, server: ServerId, seen: &TokenSeen<'_>, now: Timestamp) -> Result<()> {
        run("keep the state of a server token", move || health::set_state(&self.pool, server, seen, now))
            .await
    }

    async fn set_clock_skew(&self, server: ServerId, skew: Option<TimeDelta>) -> Result<()> {
        run("keep how far Apple's clock is ahead", move || health::set_skew(&self.pool, server, skew)).await
    }

    async fn tell_expiry(&self, now: Timestamp) -> Result<u64> {
        run("tell of server tokens that expire", move || health::tell_expiry(&self.pool, now)).await
    }
}

async fn add_key(pool: &PgPool, key: &StoredKey, by: &Operator) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
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
    .execute(&mut *transaction)
    .await
    .map_err(|error| missing(error, || StoreError::no_server(key.server)))?;
    let server = audit::server_name(&mut transaction, key.server).await?;
    audit::write(&mut transaction, by, &[token_key_added(&server, key.id)]).await?;
    Ok(transaction.commit().await?)
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

/// The columns of a [`TokenRow`].
macro_rules! token_columns {
    () => {
        "id, server_id, key_id, consumer_key, secrets, expires_at, account, imported_at, imported_by, replaced_at, \
         restored_at, restored_by, is_current"
    };
}

async fn current(pool: &PgPool, server: ServerId) -> Attempt<Option<StoredToken>> {
    let found: Option<TokenRow> = sqlx::query_as(concat!(
        "-- current_token\nSELECT ",
        token_columns!(),
        " FROM server_tokens WHERE server_id = $1 AND is_current",
    ))
    .bind(server.0)
    .fetch_optional(pool)
    .await?;
    Ok(found.map(StoredToken::from))
}

async fn all(pool: &PgPool, server: ServerId) -> Attempt<Vec<StoredToken>> {
    let found: Vec<TokenRow> = sqlx::query_as(concat!(
        "-- tokens\nSELECT ",
        token_columns!(),
        " FROM server_tokens WHERE server_id = $1 ORDER BY imported_at DESC, id DESC",
    ))
    .bind(server.0)
    .fetch_all(pool)
    .await?;
    Ok(found.into_iter().map(StoredToken::from).collect())
}

/// The error of a row that refers to one that does not exist, or whatever else it was.
pub(crate) fn missing(error: sqlx::Error, what: impl FnOnce() -> StoreError) -> Failure {
    if error.as_database_error().is_some_and(|error| error.is_foreign_key_violation()) {
        return what().into();
    }
    error.into()
}
