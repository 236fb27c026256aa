//! Token keys and server tokens: sealed bytes, all of them.

mod health;
mod switch;

use adelie_model::{ServerId, ServerTokenId, Timestamp, TokenKeyId, halt};
use adelie_store::audit::token_key_added;
use adelie_store::{
    Account, NewServerToken, Operator, Result, Sealed, StoredKey, StoredToken, TokenSeen, TokenStore, moment,
};
use async_trait::async_trait;
use chrono::TimeDelta;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::failure::{Attempt, exists, run};
use crate::rows::{json, maybe};
use crate::servers::found;
use crate::{SqliteStore, audit};

/// The columns that [`stored`] reads.
macro_rules! token_columns {
    () => {
        "id, server_id, key_id, consumer_key, secrets, expires_at, account, imported_at, imported_by, replaced_at, \
         restored_at, restored_by, is_current"
    };
}

#[async_trait]
impl TokenStore for SqliteStore {
    async fn add_token_key(&self, key: &StoredKey, by: &Operator) -> Result<()> {
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
            let server = audit::server_name(&mut transaction, key.server).await?;
            audit::write(&mut transaction, by, &[token_key_added(&server, key.id)]).await?;
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

    async fn import_token(&self, token: &NewServerToken, seen: &TokenSeen<'_>, by: &Operator) -> Result<()> {
        run("import a server token", async {
            let mut transaction = self.write().await?;
            switch::import(&mut transaction, token, seen, by).await?;
            halt::point("token.before_commit");
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn restore_token(
        &self,
        server: ServerId,
        token: ServerTokenId,
        account: Option<&Account>,
        seen: &TokenSeen<'_>,
        by: &Operator,
    ) -> Result<()> {
        run("restore a server token", async {
            let mut transaction = self.write().await?;
            switch::restore(&mut transaction, (server, token), account, seen, by).await?;
            halt::point("token.before_commit");
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn current_token(&self, server: ServerId) -> Result<Option<StoredToken>> {
        run("read the server token", async {
            let found = sqlx::query(concat!(
                "-- current_token\nSELECT ",
                token_columns!(),
                " FROM server_tokens WHERE server_id = ?1 AND is_current = 1",
            ))
            .bind(server.0)
            .fetch_optional(&mut *self.read().await?)
            .await?;
            found.as_ref().map(stored).transpose()
        })
        .await
    }

    async fn tokens(&self, server: ServerId) -> Result<Vec<StoredToken>> {
        run("list the server tokens of an MDM server", async {
            let found = sqlx::query(concat!(
                "-- tokens\nSELECT ",
                token_columns!(),
                " FROM server_tokens WHERE server_id = ?1 ORDER BY imported_at DESC, id DESC",
            ))
            .bind(server.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
            found.iter().map(stored).collect()
        })
        .await
    }

    async fn set_token_state(&self, server: ServerId, seen: &TokenSeen<'_>, now: Timestamp) -> Result<()> {
        run("keep the state of a server token", async {
            let mut transaction = self.write().await?;
            health::set_state(&mut transaction, server, seen, now).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn set_clock_skew(&self, server: ServerId, skew: Option<TimeDelta>) -> Result<()> {
        run("keep how far Apple's clock is ahead", async {
            let mut transaction = self.write().await?;
            let done =
                sqlx::query("-- set_clock_skew\nUPDATE mdm_servers SET clock_skew_ms = ?2 WHERE id = ?1")
                    .bind(server.0)
                    .bind(skew.map(|skew| skew.num_milliseconds()))
                    .execute(&mut *transaction)
                    .await?;
            found(server, done.rows_affected())?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn tell_expiry(&self, now: Timestamp) -> Result<u64> {
        run("tell of server tokens that expire", async {
            let due = health::on_a_new_rung(&mut *self.read().await?, now).await?;
            let mut told = 0;
            for token in due {
                let mut transaction = self.write().await?;
                if health::tell(&mut transaction, &token, now).await? {
                    transaction.commit().await?;
                    told += 1;
                }
            }
            Ok(told)
        })
        .await
    }
}

fn stored(row: &SqliteRow) -> Attempt<StoredToken> {
    let account: Option<&str> = row.try_get("account")?;
    let restored_at = maybe("server_tokens.restored_at", row.try_get("restored_at")?)?;
    Ok(StoredToken {
        token: NewServerToken {
            id: ServerTokenId(row.try_get("id")?),
            server: ServerId(row.try_get("server_id")?),
            key: TokenKeyId(row.try_get("key_id")?),
            consumer_key: row.try_get("consumer_key")?,
            secrets: Sealed(row.try_get("secrets")?),
            expires_at: moment("server_tokens.expires_at", row.try_get("expires_at")?)?,
            account: account.map(|account| json("server_tokens.account", account)).transpose()?,
        },
        imported_at: moment("server_tokens.imported_at", row.try_get("imported_at")?)?,
        imported_by: row.try_get("imported_by")?,
        replaced_at: maybe("server_tokens.replaced_at", row.try_get("replaced_at")?)?,
        restored: restored_at.zip(row.try_get("restored_by")?),
        is_current: row.try_get("is_current")?,
    })
}
