//! Assignments: deciding anew, claiming, settling, reading back.

use std::borrow::Cow;
use std::collections::HashMap;

use adelie_model::{Device, RevisionId, RunId, SerialNumber, ServerId, Timestamp};
use adelie_store::page::{self, Action, Operated, PageContext, Record, Source};
use adelie_store::{AssignStore, Claim, Details, DueGroup, Lease, Operator, Result, Settlement, Trouble};
use async_trait::async_trait;
use sqlx::SqliteConnection;

use crate::failure::{Attempt, run};
use crate::policy::policy;
use crate::rows::{self, count, device_columns};
use crate::{SqliteStore, absent, batch, fence, operate, settle, troubles, work};

/// Whether Apple must be asked about a device at `?2` before anything is sent, under the epoch `?3`. A plus sign keeps
/// SQLite from looking for it by its state.
macro_rules! to_read_back {
    ($plus:literal) => {
        concat!(
            $plus,
            "assign_state IN ('sent', 'throttled', 'failed', 'drifted', 'not_accessible')
             AND (next_attempt_at <= ?2 OR (assign_state = 'sent' AND sent_epoch <> ?3))"
        )
    };
}

#[async_trait]
impl AssignStore for SqliteStore {
    async fn decisions_pending(&self, server: ServerId) -> Result<bool> {
        run("look for decisions to be made", async {
            let pending: Option<bool> = sqlx::query_scalar(
                "-- decisions_pending
                 SELECT decide_after IS NOT NULL FROM mdm_servers WHERE id = ?1",
            )
            .bind(server.0)
            .fetch_optional(&mut *self.read().await?)
            .await?;
            Ok(pending.unwrap_or(false))
        })
        .await
    }

    async fn decide_anew(&self, lease: &Lease, now: Timestamp, limit: u32) -> Result<bool> {
        run("decide devices anew", async {
            let mut transaction = self.write().await?;
            let Some(after) = fence::pass(&mut transaction, lease).await?.decide_after else {
                return Ok(true);
            };
            let found = sqlx::query(concat!(
                "-- decide_batch\nSELECT ",
                device_columns!(),
                " FROM devices d WHERE d.server_id = ?1 AND d.serial > ?2 AND d.removed_at IS NULL
                 ORDER BY d.serial LIMIT ?3",
            ))
            .bind(lease.server.0)
            .bind(after)
            .bind(limit)
            .fetch_all(&mut *transaction)
            .await?;
            let devices: Vec<Device> =
                found.iter().map(rows::device).collect::<std::result::Result<_, _>>()?;
            let done = devices.len() < limit as usize;
            let last = devices.last().map(|device| device.serial.as_str().to_owned());
            let policy = policy(self, &mut transaction, lease.server).await?;
            let changed = page::decide_anew(devices, &policy, now);
            batch::upsert(&mut transaction, &changed, None).await?;
            sqlx::query("-- decided_up_to\nUPDATE mdm_servers SET decide_after = ?2 WHERE id = ?1")
                .bind(lease.server.0)
                .bind(last.filter(|_| !done))
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(done)
        })
        .await
    }

    async fn due_groups(&self, server: ServerId, now: Timestamp) -> Result<Vec<DueGroup>> {
        run("look for due assignments", async {
            let found: Vec<(i64, i64)> = sqlx::query_as(
                "-- due_groups
                 SELECT d.wanted_revision_id, count(*) AS devices
                 FROM devices d INDEXED BY devices_by_state
                 WHERE d.server_id = ?1 AND d.assign_state = 'due' AND d.next_attempt_at <= ?2
                     AND NOT EXISTS (SELECT 1 FROM published_profiles p
                         WHERE p.server_id = ?1 AND p.revision_id = d.wanted_revision_id
                             AND p.error IS NOT NULL AND p.next_attempt_at > ?2)
                 GROUP BY d.wanted_revision_id ORDER BY devices DESC, d.wanted_revision_id",
            )
            .bind(server.0)
            .bind(now.timestamp_millis())
            .fetch_all(&mut *self.read().await?)
            .await?;
            found
                .into_iter()
                .map(|(revision, devices)| {
                    Ok(DueGroup { revision: RevisionId(revision), devices: count("devices", devices)? })
                })
                .collect()
        })
        .await
    }

    async fn claim_due(
        &self,
        lease: &Lease,
        revision: RevisionId,
        limit: u32,
        now: Timestamp,
        verify_at: Timestamp,
    ) -> Result<Vec<Claim>> {
        run("claim due assignments", async {
            let mut transaction = self.write().await?;
            fence::pass(&mut transaction, lease).await?;
            let claimed: Vec<(String, i64, String)> = sqlx::query_as(
                "-- claim_due
                 UPDATE devices SET assign_state = 'sent', attempts = attempts + 1, next_attempt_at = ?5,
                     sent_epoch = ?6
                 WHERE id IN (SELECT id FROM devices INDEXED BY devices_by_state
                     WHERE server_id = ?1 AND assign_state = 'due' AND wanted_revision_id = ?2
                         AND next_attempt_at <= ?3
                     LIMIT ?4)
                 RETURNING serial, attempts, assign_reason",
            )
            .bind(lease.server.0)
            .bind(revision.0)
            .bind(now.timestamp_millis())
            .bind(limit)
            .bind(verify_at.timestamp_millis())
            .bind(lease.epoch)
            .fetch_all(&mut *transaction)
            .await?;
            transaction.commit().await?;
            claimed
                .into_iter()
                .map(|(serial, attempts, reason)| {
                    let attempts = count("devices.attempts", attempts)?;
                    let drifted = page::has_drifted(&reason);
                    Ok(Claim { serial: SerialNumber::from_apple(serial), attempts, drifted })
                })
                .collect()
        })
        .await
    }

    async fn settle(
        &self,
        lease: &Lease,
        revision: RevisionId,
        settlements: &[Settlement],
        now: Timestamp,
    ) -> Result<()> {
        run("store the outcome of assignments", async {
            settle::settle(self, lease, revision, settlements, now).await
        })
        .await
    }

    async fn to_read_back(&self, lease: &Lease, now: Timestamp, limit: u32) -> Result<Vec<SerialNumber>> {
        run("look for devices to read back", async {
            let found: Vec<String> = sqlx::query_scalar(concat!(
                "-- to_read_back
                 SELECT serial FROM devices INDEXED BY devices_by_state
                 WHERE server_id = ?1 AND ",
                to_read_back!(""),
                " ORDER BY next_attempt_at LIMIT ?4",
            ))
            .bind(lease.server.0)
            .bind(now.timestamp_millis())
            .bind(lease.epoch)
            .bind(limit)
            .fetch_all(&mut *self.read().await?)
            .await?;
            Ok(found.into_iter().map(SerialNumber::from_apple).collect())
        })
        .await
    }

    async fn not_told(
        &self,
        lease: &Lease,
        serials: &[SerialNumber],
        reason: &str,
        now: Timestamp,
        again_at: Timestamp,
    ) -> Result<()> {
        run("store that Apple said nothing of devices", async {
            let mut transaction = self.write().await?;
            fence::pass(&mut transaction, lease).await?;
            // What an operator has taken hold of meanwhile stays with them.
            sqlx::query(concat!(
                "-- not_told
                 UPDATE devices SET
                     assign_state = CASE WHEN hold IS NOT NULL THEN 'held'
                         WHEN assign_state IN ('drifted', 'not_accessible') THEN assign_state ELSE 'due' END,
                     assign_reason = CASE WHEN hold IS NOT NULL THEN hold
                         WHEN assign_state IN ('drifted', 'not_accessible') THEN assign_reason ELSE ?5 END,
                     next_attempt_at = CASE WHEN hold IS NULL THEN ?6 END
                 WHERE server_id = ?1 AND serial IN (SELECT value FROM json_each(?4)) AND ",
                to_read_back!("+"),
            ))
            .bind(lease.server.0)
            .bind(now.timestamp_millis())
            .bind(lease.epoch)
            .bind(batch::list(serials)?)
            .bind(reason)
            .bind(again_at.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn unclaim(
        &self,
        lease: &Lease,
        serials: &[SerialNumber],
        reason: &str,
        at: Timestamp,
    ) -> Result<()> {
        run("give back claimed assignments", async {
            let mut transaction = self.write().await?;
            fence::pass(&mut transaction, lease).await?;
            sqlx::query(
                "-- unclaim
                 UPDATE devices SET assign_state = CASE WHEN hold IS NULL THEN 'due' ELSE 'held' END,
                     assign_reason = coalesce(hold, ?3),
                     next_attempt_at = CASE WHEN hold IS NULL THEN ?4 END,
                     attempts = max(attempts - 1, 0)
                 WHERE server_id = ?1 AND serial IN (SELECT value FROM json_each(?2)) AND +assign_state = 'sent'",
            )
            .bind(lease.server.0)
            .bind(batch::list(serials)?)
            .bind(reason)
            .bind(at.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn commit_details(&self, lease: &Lease, details: &Details, now: Timestamp) -> Result<()> {
        run("store device details", async {
            let mut transaction = self.write().await?;
            fence::pass(&mut transaction, lease).await?;
            let serials = page::serials(&details.records);
            let mut existing = batch::load(&mut transaction, lease.server, &serials).await?;
            let listed = |device: &Device| device.removed_at.is_none();
            // Only a listing says that a device is listed, so that the stamp stays what it was.
            let stamps: HashMap<SerialNumber, RunId> = existing
                .iter()
                .filter(|(_, device)| listed(device))
                .map(|(serial, device)| (serial.clone(), device.seen_run))
                .collect();
            let records = if details.add {
                Cow::Borrowed(&details.records)
            } else {
                // Details may be older than the list that has told us that a device left: they bring none back.
                existing.retain(|_, device| listed(device));
                let known = |record: &&Record| existing.contains_key(&record.serial);
                Cow::Owned(details.records.iter().filter(known).cloned().collect())
            };
            let policy = policy(self, &mut transaction, lease.server).await?;
            let context = PageContext {
                server: lease.server,
                // A full sync under way must not take for absent what came after its listing.
                seen_run: newest_run(&mut transaction, lease.server).await?,
                now,
                source: Source::ReadBack,
                first_import: false,
            };
            let mut plan = page::plan(&context, &records, existing, &policy);
            for device in &mut plan.writes.known {
                if let Some(stamp) = stamps.get(&device.serial) {
                    device.seen_run = *stamp;
                }
            }
            batch::write(&mut transaction, &plan.writes, None).await?;
            batch::seen(&mut transaction, lease.server, &plan.seen, None, now).await?;
            batch::events(&mut transaction, lease.server, None, &plan.events, now).await?;
            let reason = "Apple says that it is not this MDM server's";
            absent::remove(&mut transaction, lease.server, &details.gone, reason, None, now).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn next_attempt_at(&self, server: ServerId) -> Result<Option<Timestamp>> {
        run("look for the next assignment", async {
            work::next_attempt(&mut *self.read().await?, server).await
        })
        .await
    }

    async fn troubles(&self, server: Option<ServerId>, limit: u32) -> Result<Vec<Trouble>> {
        run("look for trouble", async { troubles::troubles(&mut *self.read().await?, server, limit).await })
            .await
    }

    async fn operate(
        &self,
        server: ServerId,
        serials: &[SerialNumber],
        action: &Action,
        by: &Operator,
    ) -> Result<Vec<Operated>> {
        run("do what an operator asks for", async {
            let mut transaction = self.write().await?;
            let operated = operate::devices(self, &mut transaction, server, serials, action, by).await?;
            transaction.commit().await?;
            Ok(operated)
        })
        .await
    }

    async fn retry_profiles(&self, server: ServerId, by: &Operator) -> Result<u64> {
        run("try refused profiles again", async {
            let mut transaction = self.write().await?;
            let profiles = operate::profiles(&mut transaction, server, by).await?;
            transaction.commit().await?;
            Ok(profiles)
        })
        .await
    }
}

/// The run of an MDM server that began last.
async fn newest_run(transaction: &mut SqliteConnection, server: ServerId) -> Attempt<RunId> {
    let newest: Option<i64> =
        sqlx::query_scalar("-- newest_run\nSELECT max(id) FROM sync_runs WHERE server_id = ?1")
            .bind(server.0)
            .fetch_one(transaction)
            .await?;
    Ok(RunId(newest.unwrap_or(0)))
}
