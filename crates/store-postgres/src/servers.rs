//! MDM servers and their settings.

use adelie_model::{RevisionId, ServerId, ServerName, Timestamp, to_millis};
use adelie_rules::Scope;
use adelie_store::audit::{server_added, server_paused};
use adelie_store::event::{NewEvent, OperatorAction};
use adelie_store::{Account, MdmServer, NewServer, Operator, Result, ServerDefault, ServerStore, StoreError};
use async_trait::async_trait;
use sqlx::postgres::PgQueryResult;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::batch::text;
use crate::failure::{Attempt, exists, run};
use crate::rows::{self, ServerRow};
use crate::{PostgresStore, audit, batch, fence};

#[async_trait]
impl ServerStore for PostgresStore {
    async fn add_server(&self, server: &NewServer, by: &Operator) -> Result<ServerId> {
        run("add an MDM server", move || add(&self.pool, server, by)).await
    }

    async fn servers(&self) -> Result<Vec<MdmServer>> {
        run("list MDM servers", move || list(&self.pool, None, None)).await
    }

    async fn server(&self, name: &ServerName) -> Result<Option<MdmServer>> {
        let mut found =
            run("look an MDM server up", move || list(&self.pool, None, Some(name.as_str()))).await?;
        Ok(found.pop())
    }

    async fn server_by_id(&self, id: ServerId) -> Result<Option<MdmServer>> {
        let mut found = run("look an MDM server up", move || list(&self.pool, Some(id), None)).await?;
        Ok(found.pop())
    }

    async fn set_paused(&self, id: ServerId, paused: bool, by: &Operator) -> Result<()> {
        run("pause or resume an MDM server", move || set_paused(&self.pool, id, paused, by)).await
    }

    async fn set_wait_until(&self, id: ServerId, until: Timestamp) -> Result<()> {
        run("keep how long Apple is to be left alone", move || set_wait_until(&self.pool, id, until)).await
    }

    async fn defaults(&self, id: ServerId) -> Result<Vec<ServerDefault>> {
        run("list default profiles", move || defaults(&self.pool, id)).await
    }

    async fn set_account(&self, id: ServerId, account: &Account) -> Result<()> {
        run("keep what Apple says of the account", move || set_account(&self.pool, id, account)).await
    }
}

async fn add(pool: &PgPool, server: &NewServer, by: &Operator) -> Attempt<ServerId> {
    let mut transaction = pool.begin().await?;
    let id = sqlx::query_scalar(
        "-- add_server
         INSERT INTO mdm_servers (name, base_url, paused, created_at) VALUES ($1, $2, $3, $4) RETURNING id",
    )
    .bind(server.name.as_str())
    .bind(&server.base_url)
    .bind(server.paused)
    .bind(to_millis(by.now))
    .fetch_one(&mut *transaction)
    .await
    .map_err(|error| exists(error, "MDM server", &server.name))?;
    audit::write(&mut transaction, by, &[server_added(server)]).await?;
    transaction.commit().await?;
    Ok(ServerId(id))
}

async fn list(pool: &PgPool, id: Option<ServerId>, name: Option<&str>) -> Attempt<Vec<MdmServer>> {
    let found: Vec<ServerRow> = sqlx::query_as(
        "-- servers
         SELECT s.id, s.name, s.base_url, s.paused, s.created_at, s.sync_settings, s.token_state,
             s.token_detail, s.token_since, t.expires_at AS token_expires_at, s.token_check_at, s.clock_skew_ms,
             s.account, s.last_full_at,
             s.last_sync_at, s.next_sync_at, s.failures, s.last_error, s.wait_until, s.attention, s.setbacks,
             s.stuck, s.lease_owner, s.lease_expires_at
         FROM mdm_servers s LEFT JOIN server_tokens t ON t.server_id = s.id AND t.is_current
         WHERE ($1::bigint IS NULL OR s.id = $1) AND ($2::text IS NULL OR s.name = $2)
         ORDER BY s.name",
    )
    .bind(id.map(|id| id.0))
    .bind(name)
    .fetch_all(pool)
    .await?;
    Ok(rows::all(found)?)
}

async fn set_paused(pool: &PgPool, id: ServerId, paused: bool, by: &Operator) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
    fence::without_lease(&mut transaction, id).await?;
    let changed = sqlx::query(
        "-- set_paused
         UPDATE mdm_servers SET paused = $2, work_at = CASE WHEN $2 THEN work_at ELSE 'epoch' END
         WHERE id = $1 AND paused <> $2",
    )
    .bind(id.0)
    .bind(paused)
    .execute(&mut *transaction)
    .await?;
    if changed.rows_affected() > 0 {
        let kind = if paused { "server.paused" } else { "server.resumed" };
        let event = NewEvent::new(kind, &OperatorAction { by: by.name.clone() });
        tell(&mut transaction, id, event, by).await?;
        let name = audit::server_name(&mut transaction, id).await?;
        audit::write(&mut transaction, by, &[server_paused(&name, paused)]).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Writes an event about an MDM server as a whole.
pub(crate) async fn tell(
    transaction: &mut PgConnection,
    id: ServerId,
    event: NewEvent,
    by: &Operator,
) -> Attempt<()> {
    batch::events(transaction, id, None, &[event], by.now).await
}

async fn set_wait_until(pool: &PgPool, id: ServerId, until: Timestamp) -> Attempt<()> {
    let updated = sqlx::query(
        "-- set_wait_until
         UPDATE mdm_servers SET wait_until = greatest(wait_until, $2) WHERE id = $1",
    )
    .bind(id.0)
    .bind(to_millis(until))
    .execute(pool)
    .await?;
    found(&updated, id)
}

async fn set_account(pool: &PgPool, id: ServerId, account: &Account) -> Attempt<()> {
    let account = clean(account);
    let mut transaction = pool.begin().await?;
    let updated = sqlx::query("-- set_account\nUPDATE mdm_servers SET account = $2 WHERE id = $1")
        .bind(id.0)
        .bind(Json(&account))
        .execute(&mut *transaction)
        .await?;
    found(&updated, id)?;
    sqlx::query(
        "-- set_token_account\nUPDATE server_tokens SET account = $2 WHERE server_id = $1 AND is_current",
    )
    .bind(id.0)
    .bind(Json(&account))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// What Apple says of an account, without what PostgreSQL cannot hold.
pub(crate) fn clean(account: &Account) -> Account {
    let clean = |fact: &Option<String>| fact.as_deref().map(|fact| text(fact).into_owned());
    Account {
        server_name: clean(&account.server_name),
        server_uuid: clean(&account.server_uuid),
        admin_id: clean(&account.admin_id),
        org_name: clean(&account.org_name),
        org_email: clean(&account.org_email),
        org_phone: clean(&account.org_phone),
        org_type: clean(&account.org_type),
        page_limit: account.page_limit,
    }
}

async fn defaults(pool: &PgPool, id: ServerId) -> Attempt<Vec<ServerDefault>> {
    let found: Vec<(String, String, i64)> = sqlx::query_as(
        "-- server_defaults
         SELECT d.scope, p.name, p.in_force_id FROM server_defaults d
         JOIN profiles p ON p.id = d.profile_id WHERE d.server_id = $1",
    )
    .bind(id.0)
    .fetch_all(pool)
    .await?;
    let mut defaults = Vec::with_capacity(found.len());
    for (word, profile, revision) in found {
        let profile = rows::profile_name(profile)?;
        defaults.push(ServerDefault {
            scope: Scope::of_word(&word),
            profile,
            revision: RevisionId(revision),
        });
    }
    defaults.sort_by(|a, b| a.scope.order().cmp(&b.scope.order()));
    Ok(defaults)
}

/// Whether an update has found its MDM server.
pub(crate) fn found(updated: &PgQueryResult, id: ServerId) -> Attempt<()> {
    if updated.rows_affected() == 0 {
        return Err(StoreError::no_server(id).into());
    }
    Ok(())
}
