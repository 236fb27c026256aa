//! Assignments: deciding anew, claiming, settling.

use std::collections::{HashMap, HashSet};

use adelie_model::{
    Device, ProfileUuid, RevisionId, RunId, SerialNumber, ServerId, Timestamp, halt, to_millis,
};
use adelie_store::event;
use adelie_store::page::{self, Action, Operated, PageContext, Source};
use adelie_store::{
    AssignStore, Claim, Details, DueGroup, Lease, Operator, Result, Settlement, StoreError, Trouble,
};
use async_trait::async_trait;
use sqlx::{PgConnection, PgPool};

use crate::batch::column;
use crate::failure::{Attempt, run};
use crate::policy::policy;
use crate::rows::millis;
use crate::{PostgresStore, batch, fence, operate, sync, troubles, work};

#[async_trait]
impl AssignStore for PostgresStore {
    async fn decisions_pending(&self, server: ServerId) -> Result<bool> {
        run("tell whether decisions are pending", move || decisions_pending(&self.pool, server)).await
    }

    async fn decide_anew(&self, lease: &Lease, now: Timestamp, limit: u32) -> Result<bool> {
        run("decide devices anew", move || decide_anew(self, lease, now, limit)).await
    }

    async fn due_groups(&self, server: ServerId, now: Timestamp) -> Result<Vec<DueGroup>> {
        run("find due assignments", move || work::due_groups(&self.pool, server, now)).await
    }

    async fn claim_due(
        &self,
        lease: &Lease,
        revision: RevisionId,
        limit: u32,
        now: Timestamp,
        verify_at: Timestamp,
    ) -> Result<Vec<Claim>> {
        run("claim due assignments", move || claim(&self.pool, lease, revision, limit, now, verify_at)).await
    }

    async fn settle(
        &self,
        lease: &Lease,
        revision: RevisionId,
        settlements: &[Settlement],
        now: Timestamp,
    ) -> Result<()> {
        run("settle assignments", move || settle(&self.pool, lease, revision, settlements, now)).await
    }

    async fn to_read_back(&self, lease: &Lease, now: Timestamp, limit: u32) -> Result<Vec<SerialNumber>> {
        run("find devices to read back", move || to_read_back(&self.pool, lease, now, limit)).await
    }

    async fn not_told(
        &self,
        lease: &Lease,
        serials: &[SerialNumber],
        reason: &str,
        now: Timestamp,
        again_at: Timestamp,
    ) -> Result<()> {
        run("store that Apple said nothing of devices", move || {
            not_told(&self.pool, lease, serials, reason, now, again_at)
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
        run("give claimed assignments back", move || unclaim(&self.pool, lease, serials, reason, at)).await
    }

    async fn commit_details(&self, lease: &Lease, details: &Details, now: Timestamp) -> Result<()> {
        run("commit device details", move || commit_details(self, lease, details, now)).await
    }

    async fn next_attempt_at(&self, server: ServerId) -> Result<Option<Timestamp>> {
        run("find the next assignment", move || work::next_attempt_at(&self.pool, server)).await
    }

    async fn troubles(&self, server: Option<ServerId>, limit: u32) -> Result<Vec<Trouble>> {
        run("find what is in trouble", move || troubles::list(&self.pool, server, limit)).await
    }

    async fn operate(
        &self,
        server: ServerId,
        serials: &[SerialNumber],
        action: &Action,
        by: &Operator,
    ) -> Result<Vec<Operated>> {
        run("do what an operator asks for", move || operate::devices(self, server, serials, action, by)).await
    }

    async fn retry_profiles(&self, server: ServerId, by: &Operator) -> Result<u64> {
        run("try refused profiles again", move || operate::retry_profiles(&self.pool, server, by)).await
    }
}

async fn decisions_pending(pool: &PgPool, server: ServerId) -> Attempt<bool> {
    let pending: Option<bool> = sqlx::query_scalar(
        "-- decisions_pending
         SELECT decide_after IS NOT NULL FROM mdm_servers WHERE id = $1",
    )
    .bind(server.0)
    .fetch_optional(pool)
    .await?;
    Ok(pending.ok_or_else(|| StoreError::no_server(server))?)
}

async fn decide_anew(store: &PostgresStore, lease: &Lease, now: Timestamp, limit: u32) -> Attempt<bool> {
    let server = lease.server;
    let mut transaction = store.pool.begin().await?;
    let Some(after) = fence::alone(&mut transaction, lease).await?.decide_after else {
        return Ok(true);
    };
    let policy = policy(store, &mut transaction, server).await?;
    let serials: Vec<String> = sqlx::query_scalar(
        "-- pick_undecided
         SELECT serial FROM devices WHERE server_id = $1 AND serial > $2 AND removed_at IS NULL
         ORDER BY serial LIMIT $3",
    )
    .bind(server.0)
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(&mut *transaction)
    .await?;
    let serials: Vec<_> = serials.into_iter().map(SerialNumber::from_apple).collect();
    let last = if serials.len() < limit as usize { None } else { serials.last().cloned() };
    let devices = batch::load(&mut transaction, server, &serials).await?;
    let mut changed = page::decide_anew(devices, &policy, to_millis(now));
    batch::upsert(&mut transaction, server, &mut changed, None).await?;
    sqlx::query("-- decided_until\nUPDATE mdm_servers SET decide_after = $2 WHERE id = $1")
        .bind(server.0)
        .bind(last.as_ref().map(SerialNumber::as_str))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(last.is_none())
}

async fn claim(
    pool: &PgPool,
    lease: &Lease,
    revision: RevisionId,
    limit: u32,
    now: Timestamp,
    verify_at: Timestamp,
) -> Attempt<Vec<Claim>> {
    let mut transaction = pool.begin().await?;
    fence::shared(&mut transaction, lease).await?;
    let mut claimed: Vec<(String, i32, String)> = sqlx::query_as(
        "-- claim_due
         WITH picked AS MATERIALIZED (
             SELECT id FROM devices
             WHERE server_id = $1 AND wanted_revision_id = $2 AND next_attempt_at <= $3 AND assign_state = 'due'
             ORDER BY next_attempt_at LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED
         )
         UPDATE devices d SET assign_state = 'sent', attempts = attempts + 1, next_attempt_at = $5,
             sent_epoch = $6
         FROM picked WHERE d.id = picked.id RETURNING d.serial, d.attempts, d.assign_reason",
    )
    .bind(lease.server.0)
    .bind(revision.0)
    .bind(to_millis(now))
    .bind(i64::from(limit))
    .bind(to_millis(verify_at))
    .bind(lease.epoch)
    .fetch_all(&mut *transaction)
    .await?;
    transaction.commit().await?;
    claimed.sort_unstable();
    let claims = claimed.into_iter().map(|(serial, attempts, reason)| Claim {
        serial: SerialNumber::from_apple(serial),
        attempts: u32::try_from(attempts).unwrap_or(0),
        drifted: page::has_drifted(&reason),
    });
    Ok(claims.collect())
}

async fn settle(
    pool: &PgPool,
    lease: &Lease,
    revision: RevisionId,
    settlements: &[Settlement],
    now: Timestamp,
) -> Attempt<()> {
    // In the order in which everybody locks devices.
    let mut settlements: Vec<_> = settlements.iter().collect();
    settlements.sort_by(|a, b| a.serial.cmp(&b.serial));
    let settlements = settlements.as_slice();
    let mut transaction = pool.begin().await?;
    fence::shared(&mut transaction, lease).await?;
    let settled: HashSet<String> = sqlx::query_scalar(
        "-- settle
         WITH locked AS MATERIALIZED (
             SELECT d.id, s.state, s.reason, s.next_attempt_at, s.profile_uuid,
                 s.state = 'throttled' OR d.assign_reason <> $10 AS settled
             FROM UNNEST($3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
                 AS s (serial, state, reason, next_attempt_at, profile_uuid)
             CROSS JOIN LATERAL (
                 SELECT id, assign_state, assign_reason, sent_epoch, wanted_revision_id FROM devices
                 WHERE server_id = $1 AND serial = s.serial LIMIT 1 FOR NO KEY UPDATE
             ) d
             WHERE d.assign_state = 'sent' AND d.sent_epoch = $2
                 AND (d.wanted_revision_id = $9 OR d.assign_reason = $10)
         ), asked_first AS (
             UPDATE devices d SET next_attempt_at = $8 FROM locked l WHERE d.id = l.id AND NOT l.settled
         )
         UPDATE devices d SET assign_state = CASE WHEN d.hold IS NULL THEN l.state ELSE 'held' END,
             assign_reason = COALESCE(d.hold, l.reason),
             next_attempt_at = CASE WHEN d.hold IS NULL OR l.state = 'throttled' THEN l.next_attempt_at END,
             -- What was sent with its page is an attempt now that it was answered.
             attempts = CASE WHEN l.state = 'assigned' THEN 0 ELSE GREATEST(d.attempts, 1) END,
             profile_uuid = COALESCE(l.profile_uuid, d.profile_uuid),
             profile_status = CASE WHEN l.profile_uuid IS NULL THEN d.profile_status ELSE 'assigned' END,
             profile_assign_time = CASE WHEN l.profile_uuid IS NULL THEN d.profile_assign_time ELSE $8 END
         FROM locked l WHERE d.id = l.id AND l.settled RETURNING d.serial",
    )
    .bind(lease.server.0)
    .bind(lease.epoch)
    .bind(column(settlements, |s| s.serial.as_str()))
    .bind(column(settlements, |s| s.state.as_str()))
    .bind(column(settlements, |s| batch::text(&s.reason)))
    .bind(column(settlements, |s| millis(s.next_attempt_at)))
    .bind(column(settlements, |s| s.profile_uuid.as_ref().map(ProfileUuid::as_str)))
    .bind(to_millis(now))
    .bind(revision.0)
    .bind(page::ASKED_FIRST)
    .fetch_all(&mut *transaction)
    .await?
    .into_iter()
    .collect();
    // What is left alone is not told.
    let told: Vec<_> = settlements
        .iter()
        .filter(|settlement| settled.contains(settlement.serial.as_str()))
        .map(|settlement| Settlement::clone(settlement))
        .collect();
    let events = event::settled(revision, &told);
    batch::events(&mut transaction, lease.server, None, &events, now).await?;
    halt::point("settle.before_commit");
    transaction.commit().await?;
    Ok(())
}

async fn to_read_back(
    pool: &PgPool,
    lease: &Lease,
    now: Timestamp,
    limit: u32,
) -> Attempt<Vec<SerialNumber>> {
    let serials: Vec<String> = sqlx::query_scalar(
        "-- to_read_back
         SELECT serial FROM (
             (SELECT serial, next_attempt_at FROM devices
              WHERE server_id = $1 AND assign_state IN ('sent', 'drifted', 'not_accessible')
                  AND (next_attempt_at <= $2 OR (assign_state = 'sent' AND sent_epoch <> $3))
              ORDER BY next_attempt_at LIMIT $4)
             UNION ALL
             (SELECT serial, next_attempt_at FROM devices
              WHERE server_id = $1 AND assign_state IN ('throttled', 'failed') AND next_attempt_at <= $2
              ORDER BY next_attempt_at LIMIT $4)
         ) found
         ORDER BY next_attempt_at LIMIT $4",
    )
    .bind(lease.server.0)
    .bind(to_millis(now))
    .bind(lease.epoch)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    Ok(serials.into_iter().map(SerialNumber::from_apple).collect())
}

async fn not_told(
    pool: &PgPool,
    lease: &Lease,
    serials: &[SerialNumber],
    reason: &str,
    now: Timestamp,
    again_at: Timestamp,
) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
    fence::shared(&mut transaction, lease).await?;
    // What an operator has taken hold of meanwhile stays with them.
    sqlx::query(
        "-- not_told
         WITH locked AS MATERIALIZED (
             SELECT d.id FROM UNNEST($4::text[]) AS s (serial)
             CROSS JOIN LATERAL (
                 SELECT id, assign_state, next_attempt_at, sent_epoch FROM devices
                 WHERE server_id = $1 AND serial = s.serial LIMIT 1 FOR NO KEY UPDATE
             ) d
             WHERE d.assign_state IN ('sent', 'throttled', 'failed', 'drifted', 'not_accessible')
                 AND (d.next_attempt_at <= $2 OR (d.assign_state = 'sent' AND d.sent_epoch <> $3))
         )
         UPDATE devices d SET
             assign_state = CASE WHEN d.hold IS NOT NULL THEN 'held'
                 WHEN d.assign_state IN ('drifted', 'not_accessible') THEN d.assign_state ELSE 'due' END,
             assign_reason = CASE WHEN d.hold IS NOT NULL THEN d.hold
                 WHEN d.assign_state IN ('drifted', 'not_accessible') THEN d.assign_reason ELSE $5 END,
             next_attempt_at = CASE WHEN d.hold IS NULL THEN $6::timestamptz END
         FROM locked l WHERE d.id = l.id",
    )
    .bind(lease.server.0)
    .bind(to_millis(now))
    .bind(lease.epoch)
    .bind(batch::in_order(serials))
    .bind(batch::text(reason))
    .bind(to_millis(again_at))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

async fn unclaim(
    pool: &PgPool,
    lease: &Lease,
    serials: &[SerialNumber],
    reason: &str,
    at: Timestamp,
) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
    fence::shared(&mut transaction, lease).await?;
    // What was not sent is no attempt; and what an operator has taken hold of meanwhile stays with them.
    sqlx::query(
        "-- unclaim
         WITH locked AS MATERIALIZED (
             SELECT d.id FROM UNNEST($2::text[]) AS s (serial)
             CROSS JOIN LATERAL (
                 SELECT id, assign_state FROM devices
                 WHERE server_id = $1 AND serial = s.serial LIMIT 1 FOR NO KEY UPDATE
             ) d
             WHERE d.assign_state = 'sent'
         )
         UPDATE devices d SET assign_state = CASE WHEN d.hold IS NULL THEN 'due' ELSE 'held' END,
             assign_reason = COALESCE(d.hold, $3),
             next_attempt_at = CASE WHEN d.hold IS NULL THEN $4::timestamptz END,
             attempts = GREATEST(d.attempts - 1, 0)
         FROM locked l WHERE d.id = l.id",
    )
    .bind(lease.server.0)
    .bind(batch::in_order(serials))
    .bind(batch::text(reason))
    .bind(to_millis(at))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

async fn commit_details(
    store: &PostgresStore,
    lease: &Lease,
    details: &Details,
    now: Timestamp,
) -> Attempt<()> {
    let Details { records, gone, add } = details;
    let server = lease.server;
    let now = to_millis(now);
    let mut transaction = store.pool.begin().await?;
    fence::alone(&mut transaction, lease).await?;
    let policy = policy(store, &mut transaction, server).await?;
    let asked: Vec<_> = page::serials(records).into_iter().chain(gone.iter()).collect();
    let mut existing = batch::load_by_serial(&mut transaction, server, &asked).await?;
    let gone = gone.iter().filter_map(|serial| existing.remove(serial)).collect();
    let (mut gone, mut events) =
        sync::remove(gone, "Apple says, when asked, that it is not at this MDM server", now);

    let here = |device: &Device| device.removed_at.is_none();
    let mut seen_run = RunId(0);
    if *add {
        // A full sync under way counts from a run, and does not take what is added now for absent.
        seen_run = newest_run(&mut transaction, server).await?;
    } else {
        // Details that come late bring no device that is unknown or has left: only lists do.
        existing.retain(|_, device| here(device));
    }
    let known = records.iter().filter(|record| *add || existing.contains_key(&record.serial));
    let known: Vec<_> = known.cloned().collect();
    let before: HashMap<_, _> = existing
        .values()
        .filter(|device| here(device))
        .map(|device| (device.serial.clone(), (device.seen_run, device.last_seen_at)))
        .collect();
    let context = PageContext { server, seen_run, now, source: Source::ReadBack, first_import: false };
    let mut plan = page::plan(&context, &known, existing, &policy);
    // A listing has not seen them by this, so that a full sync under way still finds the absent.
    for device in &mut plan.writes.known {
        if let Some((seen_run, last_seen_at)) = before.get(&device.serial) {
            device.seen_run = *seen_run;
            device.last_seen_at = device.last_seen_at.max(*last_seen_at);
        }
    }
    plan.writes.known.append(&mut gone);
    plan.events.append(&mut events);
    batch::write(&mut transaction, server, &mut plan.writes, None).await?;
    batch::seen(&mut transaction, server, &plan.seen, None, now).await?;
    batch::events(&mut transaction, server, None, &plan.events, now).await?;
    transaction.commit().await?;
    Ok(())
}

async fn newest_run(transaction: &mut PgConnection, server: ServerId) -> Attempt<RunId> {
    let newest: Option<i64> = sqlx::query_scalar(
        "-- newest_run
         SELECT id FROM sync_runs WHERE server_id = $1 ORDER BY id DESC LIMIT 1",
    )
    .bind(server.0)
    .fetch_optional(transaction)
    .await?;
    Ok(RunId(newest.unwrap_or(0)))
}
