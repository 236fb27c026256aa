//! Secrets of devices that are kept for people.

use adelie_model::{EscrowId, SerialNumber, ServerId, Timestamp, to_millis};
use adelie_store::audit::{AuditAction, secret, secret_settled};
use adelie_store::{
    EscrowFilter, EscrowKind, EscrowState, EscrowStore, Escrowed, NewEscrow, Operator, Result, Sealed,
    StoreError,
};
use async_trait::async_trait;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::batch::text;
use crate::failure::{Attempt, run};
use crate::rows::{server_name, word};
use crate::tokens::missing;
use crate::{PostgresStore, audit};

#[async_trait]
impl EscrowStore for PostgresStore {
    async fn escrow(&self, new: &NewEscrow, by: &Operator) -> Result<()> {
        run("keep a secret of a device", || async {
            let mut transaction = self.pool.begin().await?;
            sqlx::query(
                "-- escrow
                 INSERT INTO escrow (id, server_id, serial, kind, secret, state, detail, created_at, created_by, since)
                 VALUES ($1, $2, $3, $4, $5, 'escrowed', '', $6, $7, $6)",
            )
            .bind(new.id.0)
            .bind(new.server.0)
            .bind(text(new.serial.as_str()))
            .bind(new.kind.as_str())
            .bind(&new.secret.0)
            .bind(to_millis(by.now))
            .bind(text(&by.name))
            .execute(&mut *transaction)
            .await
            .map_err(|error| missing(error, || StoreError::no_server(new.server)))?;
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
        run("keep what became of a secret of a device", || async {
            let mut transaction = self.pool.begin().await?;
            let Some(kept) = one(&mut transaction, id).await?.filter(|kept| kept.state != EscrowState::Replaced)
            else {
                return Ok(false);
            };
            if state == EscrowState::Active {
                sqlx::query(
                    "-- replace_escrow
                     UPDATE escrow SET state = 'replaced', since = $2, rotate_at = NULL
                     FROM (SELECT server_id, serial, kind FROM escrow WHERE id = $1 AND state <> 'replaced') AS new
                     WHERE escrow.id <> $1 AND escrow.state = 'active' AND escrow.server_id = new.server_id
                         AND escrow.serial = new.serial AND escrow.kind = new.kind",
                )
                .bind(id.0)
                .bind(to_millis(by.now))
                .execute(&mut *transaction)
                .await?;
            }
            sqlx::query(
                "-- settle_escrow
                 UPDATE escrow SET state = $2, detail = $3, rotate_at = $4,
                     since = CASE WHEN state = $2 THEN since ELSE $5 END
                 WHERE id = $1",
            )
            .bind(id.0)
            .bind(state.as_str())
            .bind(text(detail))
            .bind(rotate_at.map(to_millis))
            .bind(to_millis(by.now))
            .execute(&mut *transaction)
            .await?;
            audit::write(&mut transaction, by, &[secret_settled(&kept, state, detail)]).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn view_escrow(&self, id: EscrowId, rotate_at: Option<Timestamp>, by: &Operator) -> Result<bool> {
        run("keep that somebody looks at a secret of a device", || async {
            let mut transaction = self.pool.begin().await?;
            let Some(kept) = one(&mut transaction, id).await? else { return Ok(false) };
            sqlx::query(
                "-- view_escrow
                 UPDATE escrow SET viewed_at = $2,
                     rotate_at = CASE WHEN state IN ('escrowed', 'active') THEN least(rotate_at, $3) ELSE rotate_at END
                 WHERE id = $1",
            )
            .bind(id.0)
            .bind(to_millis(by.now))
            .bind(rotate_at.map(to_millis))
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
        run("have a secret of a device replaced", || async {
            let mut transaction = self.pool.begin().await?;
            let done = sqlx::query(
                "-- rotate_escrow
                 UPDATE escrow SET rotate_at = $4
                 WHERE server_id = $1 AND serial = $2 AND kind = $3 AND state = 'active'",
            )
            .bind(server.0)
            .bind(text(serial.as_str()))
            .bind(kind.as_str())
            .bind(to_millis(by.now))
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
        run("list secrets of devices", || async {
            let found: Vec<EscrowRow> = sqlx::query_as(
                "-- escrowed
                 SELECT e.*, s.name AS server_name FROM escrow e JOIN mdm_servers s ON s.id = e.server_id
                 WHERE ($1::text IS NULL OR e.kind = $1) AND ($2::bigint IS NULL OR e.server_id = $2)
                     AND ($3::text IS NULL OR e.serial = $3)
                     AND ($4::timestamptz IS NULL OR (e.rotate_at <= $4 AND e.state IN ('escrowed', 'active')))
                     AND ($5::uuid IS NULL OR e.id < $5)
                 ORDER BY e.id DESC LIMIT $6",
            )
            .bind(filter.kind.map(EscrowKind::as_str))
            .bind(filter.server.map(|server| server.0))
            .bind(filter.serial.as_ref().map(|serial| text(serial.as_str())))
            .bind(filter.to_rotate_by.map(to_millis))
            .bind(before.map(|id| id.0))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
            found.into_iter().map(EscrowRow::read).collect()
        })
        .await
    }
}

/// Locked, so that two who tell what became of it come one after the other.
async fn one(transaction: &mut PgConnection, id: EscrowId) -> Attempt<Option<Escrowed>> {
    let found: Option<EscrowRow> = sqlx::query_as(
        "-- escrowed_one
         SELECT e.*, s.name AS server_name FROM escrow e JOIN mdm_servers s ON s.id = e.server_id
         WHERE e.id = $1 FOR UPDATE OF e",
    )
    .bind(id.0)
    .fetch_optional(transaction)
    .await?;
    found.map(EscrowRow::read).transpose()
}

#[derive(FromRow)]
struct EscrowRow {
    id: Uuid,
    server_id: i64,
    server_name: String,
    serial: String,
    kind: String,
    secret: Vec<u8>,
    state: String,
    detail: String,
    created_at: Timestamp,
    created_by: String,
    since: Timestamp,
    viewed_at: Option<Timestamp>,
    rotate_at: Option<Timestamp>,
}

impl EscrowRow {
    fn read(self) -> Attempt<Escrowed> {
        Ok(Escrowed {
            id: EscrowId(self.id),
            server: ServerId(self.server_id),
            server_name: server_name(self.server_name)?,
            serial: SerialNumber::from_apple(self.serial),
            kind: word("escrow.kind", &self.kind, EscrowKind::parse)?,
            secret: Sealed(self.secret),
            state: word("escrow.state", &self.state, EscrowState::parse)?,
            detail: self.detail,
            created_at: self.created_at,
            created_by: self.created_by,
            since: self.since,
            viewed_at: self.viewed_at,
            rotate_at: self.rotate_at,
        })
    }
}
