//! MDM servers, their defaults and accounts.

use adelie_model::{RevisionId, ServerId, ServerName, Timestamp};
use adelie_rules::Scope;
use adelie_store::audit::{server_added, server_paused};
use adelie_store::event::{NewEvent, OperatorAction};
use adelie_store::{Account, MdmServer, NewServer, Operator, Result, ServerDefault, ServerStore, StoreError};
use async_trait::async_trait;
use sqlx::{Row, SqliteConnection};

use crate::failure::{Attempt, exists, run};
use crate::rows::{self, to_json};
use crate::{SqliteStore, audit, batch};

#[async_trait]
impl ServerStore for SqliteStore {
    async fn add_server(&self, server: &NewServer, by: &Operator) -> Result<ServerId> {
        run("add an MDM server", async {
            let mut transaction = self.write().await?;
            let id: i64 = sqlx::query_scalar(
                "-- add_server
                 INSERT INTO mdm_servers (name, base_url, paused, created_at) VALUES (?1, ?2, ?3, ?4)
                 RETURNING id",
            )
            .bind(server.name.as_str())
            .bind(&server.base_url)
            .bind(server.paused)
            .bind(by.now.timestamp_millis())
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| exists(error, "MDM server", &server.name))?;
            audit::write(&mut transaction, by, &[server_added(server)]).await?;
            transaction.commit().await?;
            Ok(ServerId(id))
        })
        .await
    }

    async fn servers(&self) -> Result<Vec<MdmServer>> {
        run("list the MDM servers", async {
            let found = sqlx::query(
                "-- servers
                 SELECT s.*, t.expires_at FROM mdm_servers s
                 LEFT JOIN server_tokens t ON t.server_id = s.id AND t.is_current = 1 ORDER BY s.name",
            )
            .fetch_all(&mut *self.read().await?)
            .await?;
            found.iter().map(rows::server).collect()
        })
        .await
    }

    async fn server(&self, name: &ServerName) -> Result<Option<MdmServer>> {
        run("find an MDM server", async {
            let found = sqlx::query(
                "-- server_by_name
                 SELECT s.*, t.expires_at FROM mdm_servers s
                 LEFT JOIN server_tokens t ON t.server_id = s.id AND t.is_current = 1 WHERE s.name = ?1",
            )
            .bind(name.as_str())
            .fetch_optional(&mut *self.read().await?)
            .await?;
            found.as_ref().map(rows::server).transpose()
        })
        .await
    }

    async fn server_by_id(&self, id: ServerId) -> Result<Option<MdmServer>> {
        run("find an MDM server", async {
            let found = sqlx::query(
                "-- server_by_id
                 SELECT s.*, t.expires_at FROM mdm_servers s
                 LEFT JOIN server_tokens t ON t.server_id = s.id AND t.is_current = 1 WHERE s.id = ?1",
            )
            .bind(id.0)
            .fetch_optional(&mut *self.read().await?)
            .await?;
            found.as_ref().map(rows::server).transpose()
        })
        .await
    }

    async fn set_paused(&self, id: ServerId, paused: bool, by: &Operator) -> Result<()> {
        run("pause or resume an MDM server", async {
            let mut transaction = self.write().await?;
            let was: Option<bool> =
                sqlx::query_scalar("-- was_paused\nSELECT paused FROM mdm_servers WHERE id = ?1")
                    .bind(id.0)
                    .fetch_optional(&mut *transaction)
                    .await?;
            if was.ok_or_else(|| StoreError::no_server(id))? == paused {
                return Ok(());
            }
            sqlx::query(
                "-- set_paused
                 UPDATE mdm_servers SET paused = ?2, work_at = CASE WHEN ?2 THEN work_at ELSE 0 END WHERE id = ?1",
            )
            .bind(id.0)
            .bind(paused)
            .execute(&mut *transaction)
            .await?;
            let kind = if paused { "server.paused" } else { "server.resumed" };
            let event = NewEvent::new(kind, &OperatorAction { by: by.name.clone() });
            changed(&mut transaction, id, event, by).await?;
            let name = audit::server_name(&mut transaction, id).await?;
            audit::write(&mut transaction, by, &[server_paused(&name, paused)]).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn set_wait_until(&self, id: ServerId, until: Timestamp) -> Result<()> {
        run("keep how long Apple is to be left alone", async {
            let mut transaction = self.write().await?;
            let done = sqlx::query(
                "-- set_wait_until
                 UPDATE mdm_servers SET wait_until = max(coalesce(wait_until, 0), ?2) WHERE id = ?1",
            )
            .bind(id.0)
            .bind(until.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
            found(id, done.rows_affected())?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn defaults(&self, id: ServerId) -> Result<Vec<ServerDefault>> {
        run("list the defaults of an MDM server", async {
            let found = sqlx::query(
                "-- defaults
                 SELECT d.scope, p.name, p.in_force_id FROM server_defaults d
                 JOIN profiles p ON p.id = d.profile_id WHERE d.server_id = ?1",
            )
            .bind(id.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
            let mut defaults: Vec<ServerDefault> = found
                .iter()
                .map(|row| -> Attempt<_> {
                    Ok(ServerDefault {
                        scope: Scope::of_word(row.try_get("scope")?),
                        profile: rows::name("profiles.name", row.try_get("name")?)?,
                        revision: RevisionId(row.try_get("in_force_id")?),
                    })
                })
                .collect::<Attempt<_>>()?;
            defaults.sort_by(|a, b| a.scope.order().cmp(&b.scope.order()));
            Ok(defaults)
        })
        .await
    }

    async fn set_account(&self, id: ServerId, account: &Account) -> Result<()> {
        run("keep the account of an MDM server", async {
            let mut transaction = self.write().await?;
            let account = to_json("mdm_servers.account", account)?;
            let done = sqlx::query("-- set_account\nUPDATE mdm_servers SET account = ?2 WHERE id = ?1")
                .bind(id.0)
                .bind(&account)
                .execute(&mut *transaction)
                .await?;
            found(id, done.rows_affected())?;
            sqlx::query(
                "-- set_token_account
                 UPDATE server_tokens SET account = ?2 WHERE server_id = ?1 AND is_current = 1",
            )
            .bind(id.0)
            .bind(&account)
            .execute(&mut *transaction)
            .await?;
            Ok(transaction.commit().await?)
        })
        .await
    }
}

/// Writes what an operator has changed about an MDM server (field lesson L32).
pub(crate) async fn changed(
    transaction: &mut SqliteConnection,
    id: ServerId,
    event: NewEvent,
    by: &Operator,
) -> Attempt<()> {
    batch::events(transaction, id, None, &[event], by.now).await
}

/// Refuses to have written to an MDM server that does not exist.
pub(crate) fn found(id: ServerId, rows: u64) -> std::result::Result<(), StoreError> {
    if rows == 0 { Err(StoreError::no_server(id)) } else { Ok(()) }
}
