//! MDM servers, their defaults and accounts.

use adelie_model::{ProfileName, RevisionId, ServerId, ServerName, Timestamp};
use adelie_rules::Scope;
use adelie_store::page::NewEvent;
use adelie_store::{
    Account, MdmServer, NewServer, Operator, Result, ServerDefault, ServerStore, StoreError, SyncSettings,
};
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use sqlx::{Row, SqliteConnection};

use crate::failure::{Attempt, exists, run};
use crate::rows::{self, to_json};
use crate::{SqliteStore, batch};

#[async_trait]
impl ServerStore for SqliteStore {
    async fn add_server(&self, server: &NewServer, now: Timestamp) -> Result<ServerId> {
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
            .bind(now.timestamp_millis())
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| exists(error, "MDM server", &server.name))?;
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
            changed(&mut transaction, id, kind, json!({ "by": by.name }), by).await?;
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
                 SELECT d.scope, p.name, (SELECT r.id FROM profile_revisions r WHERE r.profile_id = p.id
                     ORDER BY r.number DESC LIMIT 1) AS revision
                 FROM server_defaults d JOIN profiles p ON p.id = d.profile_id
                 WHERE d.server_id = ?1 ORDER BY d.scope",
            )
            .bind(id.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
            let mut defaults: Vec<_> = found
                .iter()
                .map(|row| -> Attempt<_> {
                    Ok(ServerDefault {
                        scope: rows::scope(row.try_get("scope")?),
                        profile: rows::name("profiles.name", row.try_get("name")?)?,
                        revision: RevisionId(row.try_get("revision")?),
                    })
                })
                .collect::<Attempt<_>>()?;
            let rank = |scope: &Scope| Scope::ALL.iter().position(|known| known == scope);
            defaults.sort_by_key(|default| rank(&default.scope).unwrap_or(usize::MAX));
            Ok(defaults)
        })
        .await
    }

    async fn set_defaults(
        &self,
        id: ServerId,
        defaults: &[(Scope, Option<ProfileName>)],
        by: &Operator,
    ) -> Result<()> {
        run("set the defaults of an MDM server", async {
            let mut transaction = self.write().await?;
            let done = sqlx::query(
                "-- decide_all_anew
                 UPDATE mdm_servers SET decide_after = '', work_at = 0 WHERE id = ?1",
            )
            .bind(id.0)
            .execute(&mut *transaction)
            .await?;
            found(id, done.rows_affected())?;
            for (scope, profile) in defaults {
                match profile {
                    Some(profile) => set_default(&mut transaction, id, scope, profile).await?,
                    None => {
                        sqlx::query(
                            "-- drop_default
                             DELETE FROM server_defaults WHERE server_id = ?1 AND scope = ?2",
                        )
                        .bind(id.0)
                        .bind(scope.as_str())
                        .execute(&mut *transaction)
                        .await?;
                    }
                }
            }
            let set: Map<_, _> = defaults
                .iter()
                .map(|(scope, profile)| (scope.to_string(), json!(profile.as_ref().map(ProfileName::as_str))))
                .collect();
            let data = json!({ "by": by.name, "defaults": set });
            changed(&mut transaction, id, "server.defaults_changed", data, by).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn set_sync_settings(&self, id: ServerId, settings: &SyncSettings, by: &Operator) -> Result<()> {
        run("set the sync settings of an MDM server", async {
            let mut transaction = self.write().await?;
            let before: Option<String> =
                sqlx::query_scalar("-- settings_before\nSELECT sync_settings FROM mdm_servers WHERE id = ?1")
                    .bind(id.0)
                    .fetch_optional(&mut *transaction)
                    .await?;
            let before = before.ok_or_else(|| StoreError::no_server(id))?;
            let before: SyncSettings = rows::json("mdm_servers.sync_settings", &before)?;
            sqlx::query(
                "-- set_sync_settings
                 UPDATE mdm_servers SET sync_settings = ?2, work_at = 0,
                     decide_after = CASE WHEN ?3 THEN '' ELSE decide_after END
                 WHERE id = ?1",
            )
            .bind(id.0)
            .bind(to_json("mdm_servers.sync_settings", settings)?)
            .bind(before.drift.unwrap_or_default() != settings.drift.unwrap_or_default())
            .execute(&mut *transaction)
            .await?;
            let data = json!({ "by": by.name, "settings": settings });
            changed(&mut transaction, id, "server.settings_changed", data, by).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn set_account(&self, id: ServerId, account: &Account) -> Result<()> {
        run("keep the account of an MDM server", async {
            let mut transaction = self.write().await?;
            let done = sqlx::query("-- set_account\nUPDATE mdm_servers SET account = ?2 WHERE id = ?1")
                .bind(id.0)
                .bind(to_json("mdm_servers.account", account)?)
                .execute(&mut *transaction)
                .await?;
            found(id, done.rows_affected())?;
            Ok(transaction.commit().await?)
        })
        .await
    }
}

async fn set_default(
    transaction: &mut SqliteConnection,
    id: ServerId,
    scope: &Scope,
    profile: &ProfileName,
) -> Attempt<()> {
    let done = sqlx::query(
        "-- set_default
         INSERT INTO server_defaults (server_id, scope, profile_id)
         SELECT ?1, ?2, id FROM profiles WHERE name = ?3
         ON CONFLICT (server_id, scope) DO UPDATE SET profile_id = excluded.profile_id",
    )
    .bind(id.0)
    .bind(scope.as_str())
    .bind(profile.as_str())
    .execute(transaction)
    .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Missing { what: "profile", name: profile.to_string() }.into());
    }
    Ok(())
}

/// Writes what an operator has changed about an MDM server (field lesson L32).
pub(crate) async fn changed(
    transaction: &mut SqliteConnection,
    id: ServerId,
    kind: &'static str,
    data: Value,
    by: &Operator,
) -> Attempt<()> {
    batch::events(transaction, id, None, &[NewEvent { kind, serial: None, data }], by.now).await
}

/// Refuses to have written to an MDM server that does not exist.
pub(crate) fn found(id: ServerId, rows: u64) -> std::result::Result<(), StoreError> {
    if rows == 0 { Err(StoreError::no_server(id)) } else { Ok(()) }
}
