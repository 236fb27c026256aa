//! Syncs: runs, pages, positions.

use adelie_model::{
    Counts, Cursor, RunId, RunOutcome, SerialNumber, ServerId, SyncKind, SyncPhase, SyncRun, Timestamp,
    Trigger, halt,
};
use adelie_store::audit::sync_begun;
use adelie_store::event::{self, Ended};
use adelie_store::page::{self, Answer, Intended, PagePlan};
use adelie_store::{
    AbsentCount, Committed, FullPhase, Lease, PageCommit, Result, Retention, RunEnd, RunStart, SendAhead,
    StoreError, SyncPosition, SyncStore, Turn,
};
use async_trait::async_trait;
use sqlx::{Row, SqliteConnection};

use crate::beside::beside;
use crate::failure::{Attempt, run};
use crate::policy::policy;
use crate::rows::{self, count, word};
use crate::{SqliteStore, absent, audit, batch, fence, intents, retention, webhooks};

#[async_trait]
impl SyncStore for SqliteStore {
    async fn position(&self, server: ServerId) -> Result<SyncPosition> {
        run("read the sync position", async {
            let found = sqlx::query(
                "-- position
                 SELECT delta_cursor, full_generation, full_phase, fetch_cursor, stuck FROM mdm_servers
                 WHERE id = ?1",
            )
            .bind(server.0)
            .fetch_optional(&mut *self.read().await?)
            .await?;
            let row = found.ok_or_else(|| StoreError::no_server(server))?;
            let cursor = |column: &str| row.try_get::<Option<String>, _>(column).map(|at| at.map(Cursor));
            let (generation, phase): (Option<i64>, Option<&str>) =
                (row.try_get("full_generation")?, row.try_get("full_phase")?);
            let full = match generation.zip(phase) {
                Some((generation, phase)) => Some(FullPhase {
                    generation: RunId(generation),
                    phase: word("mdm_servers.full_phase", phase, SyncPhase::parse)?,
                    fetch_cursor: cursor("fetch_cursor")?,
                }),
                None => None,
            };
            Ok(SyncPosition {
                delta_cursor: cursor("delta_cursor")?,
                full,
                stuck: count("mdm_servers.stuck", row.try_get("stuck")?)?,
            })
        })
        .await
    }

    async fn begin_run(&self, lease: &Lease, start: &RunStart) -> Result<SyncRun> {
        run("begin a sync", async {
            let mut transaction = self.write().await?;
            let fenced = fence::pass(&mut transaction, lease).await?;
            sqlx::query(
                "-- end_interrupted_runs
                 UPDATE sync_runs SET outcome = 'failed', finished_at = ?2,
                     error = 'interrupted: its process stopped before the end; the next run went on from there'
                 WHERE server_id = ?1 AND outcome = 'running'",
            )
            .bind(lease.server.0)
            .bind(start.now.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
            let begun = sqlx::query(
                r#"-- begin_run
                 INSERT INTO sync_runs (server_id, kind, "trigger", requested_by, started_at, outcome, epoch)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'running', ?6) RETURNING *"#,
            )
            .bind(lease.server.0)
            .bind(start.kind.as_str())
            .bind(start.trigger.as_str())
            .bind(start.requested_by.as_ref().map(|by| &by.name))
            .bind(start.now.timestamp_millis())
            .bind(lease.epoch)
            .fetch_one(&mut *transaction)
            .await?;
            let begun = rows::run(&begun)?;
            if start.kind == SyncKind::Full && start.trigger == Trigger::Recovery {
                tell_of_recovery(&mut transaction, lease.server, begun.id, start.now).await?;
            }
            if start.kind == SyncKind::Full && (start.restart || fenced.full_generation.is_none()) {
                sqlx::query(
                    "-- begin_full
                     UPDATE mdm_servers SET full_generation = ?2, full_phase = 'fetch', fetch_cursor = NULL, stuck = 0
                     WHERE id = ?1",
                )
                .bind(lease.server.0)
                .bind(begun.id.0)
                .execute(&mut *transaction)
                .await?;
            }
            if let Some(by) = &start.requested_by {
                let name = audit::server_name(&mut transaction, lease.server).await?;
                let by = by.at(start.now);
                audit::write(&mut transaction, &by, &sync_begun(&name, start, begun.id)).await?;
            }
            transaction.commit().await?;
            Ok(begun)
        })
        .await
    }

    async fn commit_pages(
        &self,
        lease: &Lease,
        pages: &[PageCommit],
        ahead: Option<SendAhead>,
    ) -> Result<Committed> {
        run("store pages", async {
            let mut transaction = self.write().await?;
            let fenced = fence::pass(&mut transaction, lease).await?;
            let policy = policy(self, &mut transaction, lease.server).await?;
            let serials: Vec<_> = pages.iter().flat_map(|page| page::serials(&page.records)).collect();
            let existing = batch::load(&mut transaction, lease.server, &serials).await?;
            let group = page::plan_group(lease.server, fenced.first_import, pages, existing, &policy, ahead);
            let counts = write_pages(&mut transaction, lease, pages, group.pages).await?;
            halt::point("page.before_commit");
            transaction.commit().await?;
            Ok(Committed { counts, ready: group.ready })
        })
        .await
    }

    async fn any_stored(&self, server: ServerId) -> Result<bool> {
        run("look for stored devices", async {
            let any = sqlx::query_scalar(
                "-- any_stored\nSELECT EXISTS (SELECT 1 FROM devices WHERE server_id = ?1)",
            );
            Ok(any.bind(server.0).fetch_one(&mut *self.read().await?).await?)
        })
        .await
    }

    async fn intend_pages(
        &self,
        lease: &Lease,
        pages: Vec<PageCommit>,
        ahead: SendAhead,
    ) -> Result<Result<Intended, Vec<PageCommit>>> {
        let (store, lease) = (self.clone(), lease.clone());
        let intend = beside(async move { intents::intend(&store, &lease, pages, ahead).await });
        run("store what pages are to send", intend).await
    }

    async fn commit_intended(
        &self,
        lease: &Lease,
        intended: Intended,
        answers: Vec<Answer>,
        now: Timestamp,
        turn: Turn,
    ) -> Result<Counts> {
        let (store, lease) = (self.clone(), lease.clone());
        let commit =
            beside(async move { intents::commit(&store, &lease, intended, &answers, now, turn).await });
        run("store pages with their assignments", commit).await
    }

    async fn open_intents(&self, server: ServerId) -> Result<Vec<SerialNumber>> {
        run("look for open intents", async { intents::open(self, server).await }).await
    }

    async fn close_intents(&self, lease: &Lease) -> Result<()> {
        run("forget intents", async { intents::close(self, lease).await }).await
    }

    async fn forget_delta_cursor(&self, lease: &Lease) -> Result<()> {
        run("forget a cursor", async {
            let mut transaction = self.write().await?;
            fence::pass(&mut transaction, lease).await?;
            let done = sqlx::query(
                "-- forget_delta_cursor
                 UPDATE mdm_servers SET delta_cursor = NULL WHERE id = ?1 AND delta_cursor IS NOT NULL",
            )
            .bind(lease.server.0)
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() > 0 {
                let event = event::full_sync_required();
                batch::events(&mut transaction, lease.server, None, &[event], self.clock.now()).await?;
            }
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn set_stuck(&self, lease: &Lease, stuck: bool) -> Result<u32> {
        run("count a sync that does not move", async {
            let mut transaction = self.write().await?;
            fence::pass(&mut transaction, lease).await?;
            let number: i64 = sqlx::query_scalar(
                "-- set_stuck
                 UPDATE mdm_servers SET stuck = CASE WHEN ?2 THEN stuck + 1 ELSE 0 END WHERE id = ?1
                 RETURNING stuck",
            )
            .bind(lease.server.0)
            .bind(stuck)
            .fetch_one(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(count("mdm_servers.stuck", number)?)
        })
        .await
    }

    async fn absent(&self, server: ServerId, generation: RunId) -> Result<AbsentCount> {
        run("count the absent devices", async {
            // What a later run has seen is there, whether the listing came to it or not.
            let (absent, present): (i64, i64) = sqlx::query_as(
                "-- absent
                 SELECT count(*) FILTER (WHERE seen_run < ?2), count(*) FROM devices
                 WHERE server_id = ?1 AND removed_at IS NULL",
            )
            .bind(server.0)
            .bind(generation.0)
            .fetch_one(&mut *self.read().await?)
            .await?;
            Ok(AbsentCount { absent: count("devices", absent)?, present: count("devices", present)? })
        })
        .await
    }

    async fn remove_absent(
        &self,
        lease: &Lease,
        run_id: RunId,
        generation: RunId,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64> {
        run("remove absent devices", async {
            let mut transaction = self.write().await?;
            fence::pass(&mut transaction, lease).await?;
            let after = self.sweeps.after(lease.server, generation);
            let mut serials =
                absent::batch(&mut transaction, lease.server, generation, &after, limit).await?;
            if serials.is_empty() && !after.is_empty() {
                serials = absent::batch(&mut transaction, lease.server, generation, "", limit).await?;
            }
            let removed = absent::remove(
                &mut transaction,
                lease.server,
                &serials,
                "a complete listing of this MDM server no longer shows it",
                Some(run_id),
                now,
            )
            .await?;
            let counts = Counts { removed, ..Counts::default() };
            add_counts(&mut transaction, run_id, &counts).await?;
            transaction.commit().await?;
            self.sweeps.reached(lease.server, generation, serials.last());
            Ok(removed)
        })
        .await
    }

    async fn end_run(&self, lease: &Lease, end: &RunEnd) -> Result<()> {
        run("end a sync", async {
            let mut transaction = self.write().await?;
            fence::pass(&mut transaction, lease).await?;
            let (failures_before, error_before, attention_before): (i64, Option<String>, Option<String>) =
                sqlx::query_as(
                    "-- before_run_ended
                     SELECT failures, last_error, attention FROM mdm_servers WHERE id = ?1",
                )
                .bind(lease.server.0)
                .fetch_one(&mut *transaction)
                .await?;
            let ended = sqlx::query(
                "-- end_run
                 UPDATE sync_runs SET outcome = ?3, error = ?4, finished_at = ?5 WHERE id = ?1 AND server_id = ?2
                 RETURNING *",
            )
            .bind(end.run.0)
            .bind(lease.server.0)
            .bind(end.outcome.as_str())
            .bind(&end.error)
            .bind(end.now.timestamp_millis())
            .fetch_optional(&mut *transaction)
            .await?;
            sqlx::query(
                "-- after_run
                 UPDATE mdm_servers SET next_sync_at = ?2, attention = ?3, last_error = ?4,
                     failures = CASE WHEN ?5 THEN 0 ELSE failures + 1 END,
                     last_sync_at = CASE WHEN ?5 THEN ?7 ELSE last_sync_at END,
                     last_full_at = CASE WHEN ?6 THEN ?7 ELSE last_full_at END,
                     full_generation = CASE WHEN ?6 THEN NULL ELSE full_generation END,
                     full_phase = CASE WHEN ?6 THEN NULL ELSE full_phase END,
                     fetch_cursor = CASE WHEN ?6 THEN NULL ELSE fetch_cursor END
                 WHERE id = ?1",
            )
            .bind(lease.server.0)
            .bind(end.next_sync_at.timestamp_millis())
            .bind(&end.attention)
            .bind(&end.error)
            .bind(end.outcome == RunOutcome::Done)
            .bind(end.full_completed)
            .bind(end.now.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
            let mut events = Vec::new();
            if let Some(ended) = ended.as_ref().map(rows::run).transpose()? {
                events.extend(event::run_ended(&Ended {
                    kind: ended.kind,
                    trigger: ended.trigger,
                    counts: ended.counts,
                    error: end.error.as_deref(),
                    failures_before: count("mdm_servers.failures", failures_before)?,
                    error_before: error_before.as_deref(),
                }));
            }
            events.extend(event::attention_changed(attention_before.as_deref(), end.attention.as_deref()));
            batch::events(&mut transaction, lease.server, Some(end.run), &events, end.now).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn runs(
        &self,
        server: Option<ServerId>,
        before: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<SyncRun>> {
        run("list syncs", async {
            // Two statements, so that each is answered by the index of its order.
            let statement = match server {
                Some(_) => {
                    "-- runs
                     SELECT * FROM sync_runs WHERE server_id = ?3 AND id < ?1 ORDER BY id DESC LIMIT ?2"
                }
                None => {
                    "-- all_runs
                     SELECT * FROM sync_runs WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
                }
            };
            let query = sqlx::query(statement).bind(before.map_or(i64::MAX, |run| run.0)).bind(limit);
            let query = match server {
                Some(server) => query.bind(server.0),
                None => query,
            };
            query.fetch_all(&mut *self.read().await?).await?.iter().map(rows::run).collect()
        })
        .await
    }

    async fn forget_old(&self, lease: &Lease, keep: &Retention, limit: u32) -> Result<u64> {
        run("delete what need not be kept", async {
            let mut transaction = self.write().await?;
            let fenced = fence::pass(&mut transaction, lease).await?;
            let forgotten = retention::Forgotten {
                server: lease.server,
                generation: fenced.full_generation,
                limit,
                now: self.clock.now(),
            };
            let rows = forgotten.delete(&mut transaction, keep).await?;
            transaction.commit().await?;
            Ok(rows)
        })
        .await
    }
}

/// Tells that a position is lost, unless that was told when its cursor was forgotten.
async fn tell_of_recovery(
    transaction: &mut SqliteConnection,
    server: ServerId,
    run: RunId,
    now: Timestamp,
) -> Attempt<()> {
    let untold: bool = sqlx::query_scalar(
        "-- is_untold_loss
         SELECT delta_cursor IS NOT NULL OR (last_full_at IS NULL AND full_phase IS 'fetch') FROM mdm_servers
         WHERE id = ?1",
    )
    .bind(server.0)
    .fetch_one(&mut *transaction)
    .await?;
    if untold {
        batch::events(transaction, server, Some(run), &[event::full_sync_required()], now).await?;
    }
    Ok(())
}

/// Writes what pages change, with the last one's cursor. Returns what they did.
async fn write_pages(
    transaction: &mut SqliteConnection,
    lease: &Lease,
    pages: &[PageCommit],
    plans: Vec<PagePlan>,
) -> Attempt<Counts> {
    let mut counts = Counts::default();
    let pages_wanted = webhooks::pages_wanted(transaction).await?;
    for (page, mut plan) in pages.iter().zip(plans) {
        if pages_wanted {
            plan.events.push(event::sync_page(page));
        }
        batch::write(transaction, &plan.writes, None).await?;
        batch::write(transaction, &plan.sent, Some(lease)).await?;
        batch::seen(transaction, lease.server, &plan.seen, Some(page.seen_run), page.now).await?;
        batch::events(transaction, lease.server, Some(page.run), &plan.events, page.now).await?;
        add_counts(transaction, page.run, &plan.counts).await?;
        move_cursor(transaction, lease.server, page).await?;
        counts += plan.counts;
    }
    Ok(counts)
}

pub(crate) async fn add_counts(
    transaction: &mut SqliteConnection,
    run: RunId,
    counts: &Counts,
) -> Attempt<()> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query(
        "-- add_counts
         UPDATE sync_runs SET pages = pages + ?2, records = records + ?3, added = added + ?4,
             modified = modified + ?5, removed = removed + ?6
         WHERE id = ?1",
    )
    .bind(run.0)
    .bind(number(counts.pages))
    .bind(number(counts.records))
    .bind(number(counts.added))
    .bind(number(counts.modified))
    .bind(number(counts.removed))
    .execute(transaction)
    .await?;
    Ok(())
}

/// Stores where the next page starts. The last page of a listing makes its cursor the delta cursor.
pub(crate) async fn move_cursor(
    transaction: &mut SqliteConnection,
    server: ServerId,
    page: &PageCommit,
) -> Attempt<()> {
    let statement = match (page.phase, page.more) {
        (SyncPhase::Fetch, true) => {
            "-- move_fetch_cursor
             UPDATE mdm_servers SET fetch_cursor = ?2 WHERE id = ?1"
        }
        (SyncPhase::Fetch, false) => {
            "-- end_listing
             UPDATE mdm_servers SET delta_cursor = ?2, full_phase = 'sync', fetch_cursor = NULL WHERE id = ?1"
        }
        (SyncPhase::Sync, _) => {
            "-- move_delta_cursor
             UPDATE mdm_servers SET delta_cursor = ?2 WHERE id = ?1"
        }
    };
    sqlx::query(statement).bind(server.0).bind(page.cursor.as_str()).execute(transaction).await?;
    Ok(())
}
