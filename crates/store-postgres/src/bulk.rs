//! Changes of many devices at once.

use adelie_model::{Timestamp, to_millis};
use adelie_store::audit::{bulk_begun, bulk_undone};
use adelie_store::{BulkChange, BulkStore, NewBulkChange, Operator, Result, Undo};
use async_trait::async_trait;
use sqlx::types::Json;

use crate::batch::text;
use crate::failure::run;
use crate::{PostgresStore, audit};

#[async_trait]
impl BulkStore for PostgresStore {
    async fn note_bulk(&self, change: &NewBulkChange, by: &Operator) -> Result<i64> {
        run("keep a change of many devices", || async {
            let mut transaction = self.pool.begin().await?;
            let id: i64 = sqlx::query_scalar(
                "-- note_bulk
                 INSERT INTO bulk_changes (at, \"by\", what, undo) VALUES ($1, $2, $3, $4) RETURNING id",
            )
            .bind(to_millis(by.now))
            .bind(text(&by.name))
            .bind(text(&change.what))
            .bind(Json(&change.undo))
            .fetch_one(&mut *transaction)
            .await?;
            sqlx::query("-- forget_old_bulk\nDELETE FROM bulk_changes WHERE id <= $1 - 100")
                .bind(id)
                .execute(&mut *transaction)
                .await?;
            audit::write(&mut transaction, by, &[bulk_begun(id, change)]).await?;
            transaction.commit().await?;
            Ok(id)
        })
        .await
    }

    async fn last_bulk(&self) -> Result<Option<BulkChange>> {
        run("find the last change of many devices", || async {
            let found: Option<(i64, Timestamp, String, String, Json<Vec<Undo>>)> = sqlx::query_as(
                "-- last_bulk
                 SELECT id, at, \"by\", what, undo FROM bulk_changes WHERE undone_at IS NULL
                 ORDER BY id DESC LIMIT 1",
            )
            .fetch_optional(&self.pool)
            .await?;
            Ok(found.map(|(id, at, by, what, Json(undo))| BulkChange { id, at, by, what, undo }))
        })
        .await
    }

    async fn set_undone(&self, id: i64, by: &Operator) -> Result<()> {
        run("keep that a change of many devices was undone", || async {
            let mut transaction = self.pool.begin().await?;
            let undone: Option<String> = sqlx::query_scalar(
                "-- set_undone
                 UPDATE bulk_changes SET undone_at = $2, undone_by = $3 WHERE id = $1 AND undone_at IS NULL
                 RETURNING what",
            )
            .bind(id)
            .bind(to_millis(by.now))
            .bind(text(&by.name))
            .fetch_optional(&mut *transaction)
            .await?;
            if let Some(what) = undone {
                audit::write(&mut transaction, by, &[bulk_undone(id, &what)]).await?;
            }
            transaction.commit().await?;
            Ok(())
        })
        .await
    }
}
