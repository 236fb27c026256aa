//! Secrets of devices that are kept for people.

use adelie_model::{EscrowId, SerialNumber, ServerId, Timestamp, to_millis};
use adelie_store::audit::{AuditAction, secret, secret_settled};
use adelie_store::{
    EscrowFilter, EscrowKind, EscrowState, EscrowStore, Escrowed, NewEscrow, Operator, Result, Sealed, moment,
};
use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::failure::{Attempt, exists, run};
use crate::rows::{maybe, millis, name, word};
use crate::servers::found;
use crate::{SqliteStore, audit};

#[async_trait]
impl EscrowStore for SqliteStore {
    async fn escrow(&self, new: &NewEscrow, by: &Operator) -> Result<()> {
        run("keep a secret of a device", async {
            let mut transaction = self.write().await?;
            let done = sqlx::query(
                "-- escrow
                 INSERT INTO escrow (id, server_id, serial, kind, secret, state, detail, created_at, created_by, since)
                 SELECT ?1, id, ?3, ?4, ?5, 'escrowed', '', ?6, ?7, ?6 FROM mdm_servers WHERE id = ?2",
            )
            .bind(new.id.0)
            .bind(new.server.0)
            .bind(new.serial.as_str())
            .bind(new.kind.as_str())
            .bind(new.secret.0.as_slice())
            .bind(to_millis(by.now).timestamp_millis())
            .bind(&by.name)
            .execute(&mut *transaction)
            .await
            .map_err(|error| exists(error, "secret", &new.id))?;
            found(new.server, done.rows_affected())?;
            let server = audit::server_name(&mut transaction, new.server).await?;
            let entry =
                secret(AuditAction::SecretEscrowed, &server, &new.serial, new.kind, Some(new.id));
            audit::write(&mut transaction, by, &[entry]).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn settle_escrow(
        &self,
        id: EscrowId,
        state: EscrowState,
        detail: &str,
        rotate_at: Option<Timestamp>,
        by: &Operator,
    ) -> Result<bool> {
        run("keep what became of a secret of a device", async {
            let mut transaction = self.write().await?;
            let now = to_millis(by.now).timestamp_millis();
            let Some(kept) = one(&mut transaction, id).await?.filter(|kept| kept.state != EscrowState::Replaced)
            else {
                return Ok(false);
            };
            if state == EscrowState::Active {
                sqlx::query(
                    "-- replace_escrow
                     UPDATE escrow SET state = 'replaced', since = ?2, rotate_at = NULL
                     FROM (SELECT server_id, serial, kind FROM escrow WHERE id = ?1 AND state <> 'replaced') AS new
                     WHERE escrow.id <> ?1 AND escrow.state = 'active' AND escrow.server_id = new.server_id
                         AND escrow.serial = new.serial AND escrow.kind = new.kind",
                )
                .bind(id.0)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            }
            sqlx::query(
                "-- settle_escrow
                 UPDATE escrow SET state = ?2, detail = ?3, rotate_at = ?4,
                     since = CASE WHEN state = ?2 THEN since ELSE ?5 END
                 WHERE id = ?1",
            )
            .bind(id.0)
            .bind(state.as_str())
            .bind(detail)
            .bind(millis(rotate_at))
            .bind(now)
            .execute(&mut *transaction)
            .await?;
            audit::write(&mut transaction, by, &[secret_settled(&kept, state, detail)]).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn view_escrow(&self, id: EscrowId, rotate_at: Option<Timestamp>, by: &Operator) -> Result<bool> {
        run("keep that somebody looks at a secret of a device", async {
            let mut transaction = self.write().await?;
            let Some(kept) = one(&mut transaction, id).await? else { return Ok(false) };
            sqlx::query(
                "-- view_escrow
                 UPDATE escrow SET viewed_at = ?2,
                     rotate_at = CASE WHEN state IN ('escrowed', 'active')
                         THEN min(coalesce(rotate_at, ?3), coalesce(?3, rotate_at)) ELSE rotate_at END
                 WHERE id = ?1",
            )
            .bind(id.0)
            .bind(to_millis(by.now).timestamp_millis())
            .bind(millis(rotate_at))
            .execute(&mut *transaction)
            .await?;
            let entry =
                secret(AuditAction::SecretViewed, &kept.server_name, &kept.serial, kept.kind, Some(id));
            audit::write(&mut transaction, by, &[entry]).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn rotate_escrow(
        &self,
        server: ServerId,
        serial: &SerialNumber,
        kind: EscrowKind,
        by: &Operator,
    ) -> Result<bool> {
        run("have a secret of a device replaced", async {
            let mut transaction = self.write().await?;
            let done = sqlx::query(
                "-- rotate_escrow
                 UPDATE escrow SET rotate_at = ?4
                 WHERE server_id = ?1 AND serial = ?2 AND kind = ?3 AND state = 'active'",
            )
            .bind(server.0)
            .bind(serial.as_str())
            .bind(kind.as_str())
            .bind(to_millis(by.now).timestamp_millis())
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            let at = audit::server_name(&mut transaction, server).await?;
            let entry = secret(AuditAction::SecretRotated, &at, serial, kind, None);
            audit::write(&mut transaction, by, &[entry]).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn escrowed(
        &self,
        filter: &EscrowFilter,
        before: Option<EscrowId>,
        limit: u32,
    ) -> Result<Vec<Escrowed>> {
        run("list secrets of devices", async {
            let found = sqlx::query(
                "-- escrowed
                 SELECT e.*, s.name AS server_name FROM escrow e JOIN mdm_servers s ON s.id = e.server_id
                 WHERE (?1 IS NULL OR e.kind = ?1) AND (?2 IS NULL OR e.server_id = ?2)
                     AND (?3 IS NULL OR e.serial = ?3)
                     AND (?4 IS NULL OR (e.rotate_at <= ?4 AND e.state IN ('escrowed', 'active')))
                     AND (?5 IS NULL OR e.id < ?5)
                 ORDER BY e.id DESC LIMIT ?6",
            )
            .bind(filter.kind.map(EscrowKind::as_str))
            .bind(filter.server.map(|server| server.0))
            .bind(filter.serial.as_ref().map(SerialNumber::as_str))
            .bind(millis(filter.to_rotate_by))
            .bind(before.map(|id| id.0))
            .bind(limit)
            .fetch_all(&mut *self.read().await?)
            .await?;
            found.iter().map(read).collect()
        })
        .await
    }
}

async fn one(transaction: &mut SqliteConnection, id: EscrowId) -> Attempt<Option<Escrowed>> {
    let found = sqlx::query(
        "-- escrowed_one
         SELECT e.*, s.name AS server_name FROM escrow e JOIN mdm_servers s ON s.id = e.server_id WHERE e.id = ?1",
    )
    .bind(id.0)
    .fetch_optional(transaction)
    .await?;
    found.as_ref().map(read).transpose()
}

fn read(row: &SqliteRow) -> Attempt<Escrowed> {
    Ok(Escrowed {
        id: EscrowId(row.try_get("id")?),
        server: ServerId(row.try_get("server_id")?),
        server_name: name("mdm_servers.name", row.try_get("server_name")?)?,
        serial: SerialNumber::from_apple(row.try_get("serial")?),
        kind: word("escrow.kind", row.try_get("kind")?, EscrowKind::parse)?,
        secret: Sealed(row.try_get("secret")?),
        state: word("escrow.state", row.try_get("state")?, EscrowState::parse)?,
        detail: row.try_get("detail")?,
        created_at: moment("escrow.created_at", row.try_get("created_at")?)?,
        created_by: row.try_get("created_by")?,
        since: moment("escrow.since", row.try_get("since")?)?,
        viewed_at: maybe("escrow.viewed_at", row.try_get("viewed_at")?)?,
        rotate_at: maybe("escrow.rotate_at", row.try_get("rotate_at")?)?,
    })
}
