//! Token keys and server tokens: sealed bytes, all of them.

use adelie_model::{ServerId, ServerTokenId, Timestamp, TokenKeyId, TokenState};
use adelie_store::event::{NewEvent, TokenRenewed, token_changed};
use adelie_store::{NewServerToken, Result, Sealed, StoreError, StoredKey, StoredToken, TokenStore, moment};
use async_trait::async_trait;
use sqlx::{Row, SqliteConnection};

use crate::failure::{Attempt, exists, run};
use crate::rows::{maybe, word};
use crate::servers::found;
use crate::{SqliteStore, batch};

#[async_trait]
impl TokenStore for SqliteStore {
    async fn add_token_key(&self, key: &StoredKey) -> Result<()> {
        run("store a token key", async {
            let mut transaction = self.write().await?;
            let done = sqlx::query(
                "-- add_token_key
                 INSERT INTO token_keys (id, server_id, certificate, private_key, created_at)
                 SELECT ?1, id, ?3, ?4, ?5 FROM mdm_servers WHERE id = ?2",
            )
            .bind(key.id.0)
            .bind(key.server.0)
            .bind(key.certificate.as_slice())
            .bind(key.private_key.0.as_slice())
            .bind(key.created_at.timestamp_millis())
            .execute(&mut *transaction)
            .await
            .map_err(|error| exists(error, "token key", &key.id))?;
            found(key.server, done.rows_affected())?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn token_keys(&self, server: ServerId) -> Result<Vec<StoredKey>> {
        run("list the token keys of an MDM server", async {
            let found = sqlx::query(
                "-- token_keys
                 SELECT id, server_id, certificate, private_key, created_at FROM token_keys
                 WHERE server_id = ?1 ORDER BY created_at DESC, id DESC",
            )
            .bind(server.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
            found
                .iter()
                .map(|row| {
                    Ok(StoredKey {
                        id: TokenKeyId(row.try_get("id")?),
                        server: ServerId(row.try_get("server_id")?),
                        certificate: row.try_get("certificate")?,
                        private_key: Sealed(row.try_get("private_key")?),
                        created_at: moment("token_keys.created_at", row.try_get("created_at")?)?,
                    })
                })
                .collect()
        })
        .await
    }

    async fn import_token(&self, token: &NewServerToken, state: TokenState, now: Timestamp) -> Result<()> {
        run("import a server token", async {
            let mut transaction = self.write().await?;
            let done = sqlx::query(
                "-- token_imported
                 UPDATE mdm_servers SET token_state = ?2, token_detail = NULL, token_since = ?3,
                     next_sync_at = ?3, wait_until = NULL, work_at = 0, lease_epoch = lease_epoch + 1,
                     lease_owner = NULL, lease_expires_at = NULL
                 WHERE id = ?1",
            )
            .bind(token.server.0)
            .bind(state.as_str())
            .bind(now.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
            found(token.server, done.rows_affected())?;
            let another_server = another_server(&mut transaction, token).await?;
            sqlx::query(
                "-- retire_token
                 UPDATE server_tokens SET is_current = 0 WHERE server_id = ?1 AND is_current = 1",
            )
            .bind(token.server.0)
            .execute(&mut *transaction)
            .await?;
            let done = sqlx::query(
                "-- import_token
                 INSERT INTO server_tokens (id, server_id, key_id, consumer_key, secrets, expires_at,
                     imported_at, is_current)
                 SELECT ?1, ?2, id, ?4, ?5, ?6, ?7, 1 FROM token_keys WHERE id = ?3",
            )
            .bind(token.id.0)
            .bind(token.server.0)
            .bind(token.key.0)
            .bind(&token.consumer_key)
            .bind(token.secrets.0.as_slice())
            .bind(token.expires_at.timestamp_millis())
            .bind(now.timestamp_millis())
            .execute(&mut *transaction)
            .await
            .map_err(|error| exists(error, "server token", &token.id))?;
            if done.rows_affected() == 0 {
                return Err(StoreError::Missing { what: "token key", name: token.key.to_string() }.into());
            }
            let details = TokenRenewed { expires_at: token.expires_at, another_server };
            let event = NewEvent::new("token.renewed", &details);
            batch::events(&mut transaction, token.server, None, &[event], now).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn current_token(&self, server: ServerId) -> Result<Option<StoredToken>> {
        run("read the server token", async {
            let found = sqlx::query(
                "-- current_token
                 SELECT id, server_id, key_id, consumer_key, secrets, expires_at, imported_at
                 FROM server_tokens WHERE server_id = ?1 AND is_current = 1",
            )
            .bind(server.0)
            .fetch_optional(&mut *self.read().await?)
            .await?;
            let Some(row) = found else { return Ok(None) };
            Ok(Some(StoredToken {
                token: NewServerToken {
                    id: ServerTokenId(row.try_get("id")?),
                    server: ServerId(row.try_get("server_id")?),
                    key: TokenKeyId(row.try_get("key_id")?),
                    consumer_key: row.try_get("consumer_key")?,
                    secrets: Sealed(row.try_get("secrets")?),
                    expires_at: moment("server_tokens.expires_at", row.try_get("expires_at")?)?,
                },
                imported_at: moment("server_tokens.imported_at", row.try_get("imported_at")?)?,
            }))
        })
        .await
    }

    async fn set_token_state(
        &self,
        server: ServerId,
        state: TokenState,
        detail: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        run("keep the state of a server token", async {
            let mut transaction = self.write().await?;
            let before: Option<(String, Option<i64>)> = sqlx::query_as(
                "-- token_state_before
                 SELECT s.token_state, t.expires_at FROM mdm_servers s
                 LEFT JOIN server_tokens t ON t.server_id = s.id AND t.is_current = 1 WHERE s.id = ?1",
            )
            .bind(server.0)
            .fetch_optional(&mut *transaction)
            .await?;
            let (was, expires_at) = before.ok_or_else(|| StoreError::no_server(server))?;
            let was = word("mdm_servers.token_state", &was, TokenState::parse)?;
            let expires_at = maybe("server_tokens.expires_at", expires_at)?;
            let done = sqlx::query(
                "-- set_token_state
                 UPDATE mdm_servers SET token_detail = ?3,
                     token_since = CASE WHEN token_state = ?2 THEN coalesce(token_since, ?4) ELSE ?4 END,
                     token_state = ?2
                 WHERE id = ?1",
            )
            .bind(server.0)
            .bind(state.as_str())
            .bind(detail)
            .bind(now.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
            found(server, done.rows_affected())?;
            let event = token_changed(was, state, detail, expires_at);
            batch::events(&mut transaction, server, None, event.as_slice(), now).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }
}

/// Forgets what belongs to the former MDM server of Apple's, when the token in use has another consumer key;
/// says whether it has.
async fn another_server(transaction: &mut SqliteConnection, token: &NewServerToken) -> Attempt<bool> {
    let another: bool = sqlx::query_scalar(
        "-- another_consumer_key
         SELECT EXISTS (SELECT 1 FROM server_tokens WHERE server_id = ?1 AND is_current = 1 AND consumer_key <> ?2)",
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
         WHERE id = ?1",
    )
    .bind(token.server.0)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("-- forget_profiles\nDELETE FROM published_profiles WHERE server_id = ?1")
        .bind(token.server.0)
        .execute(transaction)
        .await?;
    Ok(true)
}
