//! Syncs: runs, pages, positions.

use std::time::Instant;

use adelie_model::{
    Counts, Device, RunId, RunOutcome, SerialNumber, ServerId, SyncKind, SyncPhase, SyncRun, Timestamp,
    Trigger, halt, to_millis,
};
use adelie_store::audit::sync_begun;
use adelie_store::event::{self, DeviceRemoved, Ended, NewEvent};
use adelie_store::page::{self, Answer, Intended, PagePlan};
use adelie_store::{
    AbsentCount, Committed, Lease, PageCommit, Result, Retention, RunEnd, RunStart, SendAhead, StoreError,
    SyncPosition, SyncStore, Turn,
};
use async_trait::async_trait;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;

use crate::beside::beside;
use crate::failure::{Attempt, run};
use crate::policy::policy;
use crate::rows::{self, PositionRow, RunRow};
use crate::{PostgresStore, audit, batch, fence, history, intents};

#[async_trait]
impl SyncStore for PostgresStore {
    async fn position(&self, server: ServerId) -> Result<SyncPosition> {
        run("read where a sync stands", move || position(&self.pool, server)).await
    }

    async fn begin_run(&self, lease: &Lease, start: &RunStart) -> Result<SyncRun> {
        run("begin a sync", move || begin(&self.pool, lease, start)).await
    }

    async fn commit_pages(
        &self,
        lease: &Lease,
        pages: &[PageCommit],
        ahead: Option<SendAhead>,
    ) -> Result<Committed> {
        run("commit pages", move || commit(self, lease, pages, ahead)).await
    }

    async fn any_stored(&self, server: ServerId) -> Result<bool> {
        run("look for stored devices", move || any_stored(&self.pool, server)).await
    }

    async fn intend_pages(
        &self,
        lease: &Lease,
        pages: Vec<PageCommit>,
        ahead: SendAhead,
    ) -> Result<Result<Intended, Vec<PageCommit>>> {
        let (store, lease) = (self.clone(), lease.clone());
        beside(async move { intents::intend(&store, &lease, pages, ahead).await }).await
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
        beside(async move {
            // A try that PostgreSQL breaks off leaves what it has settled as it is: the next one settles it the same.
            let (intended, turn) = (&Mutex::new(intended), &Mutex::new(turn));
            let (store, lease, answers) = (&store, &lease, &answers);
            run("store pages with their assignments", move || {
                intents::commit(store, lease, intended, answers, now, turn)
            })
            .await
        })
        .await
    }

    /// One commits while the next is copied, each by a process of PostgreSQL, and the requests of another are under way.
    fn groups_at_once(&self) -> usize {
        3
    }

    async fn open_intents(&self, server: ServerId) -> Result<Vec<SerialNumber>> {
        run("look for open intents", move || intents::open(&self.pool, server)).await
    }

    async fn close_intents(&self, lease: &Lease) -> Result<()> {
        run("forget intents", move || intents::close(&self.pool, lease)).await
    }

    async fn forget_delta_cursor(&self, lease: &Lease) -> Result<()> {
        run("forget a cursor", move || forget_cursor(&self.pool, lease)).await
    }

    async fn set_stuck(&self, lease: &Lease, stuck: bool) -> Result<u32> {
        run("count syncs that are stuck", move || set_stuck(&self.pool, lease, stuck)).await
    }

    async fn absent(&self, server: ServerId, generation: RunId) -> Result<AbsentCount> {
        run("count absent devices", move || absent(&self.pool, server, generation)).await
    }

    async fn remove_absent(
        &self,
        lease: &Lease,
        run_id: RunId,
        generation: RunId,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64> {
        run("remove absent devices", move || remove_absent(&self.pool, lease, run_id, generation, limit, now))
            .await
    }

    async fn end_run(&self, lease: &Lease, end: &RunEnd) -> Result<()> {
        run("end a sync", move || end_run(&self.pool, lease, end)).await
    }

    async fn runs(
        &self,
        server: Option<ServerId>,
        before: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<SyncRun>> {
        run("list syncs", move || runs(&self.pool, server, before, limit)).await
    }

    async fn forget_old(&self, lease: &Lease, keep: &Retention, limit: u32) -> Result<u64> {
        run("forget what is old", move || history::forget_old(&self.pool, lease, keep, limit)).await
    }
}

async fn position(pool: &PgPool, server: ServerId) -> Attempt<SyncPosition> {
    let found: Option<PositionRow> = sqlx::query_as(
        "-- position
         SELECT delta_cursor, full_generation, full_phase, fetch_cursor, stuck FROM mdm_servers WHERE id = $1",
    )
    .bind(server.0)
    .fetch_optional(pool)
    .await?;
    Ok(found.ok_or_else(|| StoreError::no_server(server))?.try_into()?)
}

async fn begin(pool: &PgPool, lease: &Lease, start: &RunStart) -> Attempt<SyncRun> {
    let mut transaction = pool.begin().await?;
    let fenced = fence::alone(&mut transaction, lease).await?;
    sqlx::query(
        "-- end_killed_runs
         UPDATE sync_runs SET outcome = 'failed', finished_at = $2,
             error = 'interrupted: its process ended before the run did; the next run goes on from its last page'
         WHERE server_id = $1 AND outcome = 'running'",
    )
    .bind(lease.server.0)
    .bind(to_millis(start.now))
    .execute(&mut *transaction)
    .await?;
    let begun: RunRow = sqlx::query_as(
        "-- begin_run
         INSERT INTO sync_runs (server_id, kind, trigger, requested_by, started_at, outcome, epoch)
         VALUES ($1, $2, $3, $4, $5, 'running', $6)
         RETURNING id, server_id, kind, trigger, requested_by, started_at, finished_at, outcome, error, pages,
             records, added, modified, removed",
    )
    .bind(lease.server.0)
    .bind(start.kind.as_str())
    .bind(start.trigger.as_str())
    .bind(start.requested_by.as_ref().map(|by| batch::text(&by.name)))
    .bind(to_millis(start.now))
    .bind(lease.epoch)
    .fetch_one(&mut *transaction)
    .await?;
    let begun = SyncRun::try_from(begun)?;
    if start.kind == SyncKind::Full && start.trigger == Trigger::Recovery {
        tell_of_recovery(&mut transaction, lease.server, begun.id, start.now).await?;
    }
    if start.kind == SyncKind::Full && (start.restart || fenced.full_generation.is_none()) {
        sqlx::query(
            "-- begin_full
             UPDATE mdm_servers SET full_generation = $2, full_phase = 'fetch', fetch_cursor = NULL, stuck = 0
             WHERE id = $1",
        )
        .bind(lease.server.0)
        .bind(begun.id.0)
        .execute(&mut *transaction)
        .await?;
    }
    if let Some(by) = &start.requested_by {
        let name = audit::server_name(&mut transaction, lease.server).await?;
        audit::write(&mut transaction, &by.at(start.now), &sync_begun(&name, start, begun.id)).await?;
    }
    transaction.commit().await?;
    Ok(begun)
}

/// Tells that a position is lost, unless that was told when its cursor was forgotten.
async fn tell_of_recovery(
    transaction: &mut PgConnection,
    server: ServerId,
    run: RunId,
    now: Timestamp,
) -> Attempt<()> {
    let untold: bool = sqlx::query_scalar(
        "-- is_untold_loss
         SELECT delta_cursor IS NOT NULL OR (last_full_at IS NULL AND full_phase IS NOT DISTINCT FROM 'fetch')
         FROM mdm_servers WHERE id = $1",
    )
    .bind(server.0)
    .fetch_one(&mut *transaction)
    .await?;
    if untold {
        batch::events(transaction, server, Some(run), &[event::full_sync_required()], now).await?;
    }
    Ok(())
}

async fn commit(
    store: &PostgresStore,
    lease: &Lease,
    pages: &[PageCommit],
    ahead: Option<SendAhead>,
) -> Attempt<Committed> {
    let started = Instant::now();
    let server = lease.server;
    let mut transaction = store.pool.begin().await?;
    let fenced = fence::alone(&mut transaction, lease).await?;
    let policy = policy(store, &mut transaction, server).await?;
    // All of them at once, in the order in which everybody locks them.
    let serials: Vec<_> = pages.iter().flat_map(|page| page::serials(&page.records)).collect();
    let existing = batch::load_by_serial(&mut transaction, server, &serials).await?;
    let mut group = page::plan_group(server, fenced.first_import, pages, existing, &policy, ahead);
    if fenced.pages_wanted {
        for (page, plan) in pages.iter().zip(&mut group.pages) {
            plan.events.push(event::sync_page(page));
        }
    }
    let counts = write_pages(&mut transaction, lease, pages, &mut group.pages).await?;
    halt::point("page.before_commit");
    transaction.commit().await?;
    tracing::debug!(
        %server, pages = pages.len(), records = counts.records,
        millis = started.elapsed().as_millis(), "committed pages"
    );
    Ok(Committed { counts, ready: group.ready })
}

/// Writes what pages change, with the last one's cursor. Returns what they did.
async fn write_pages(
    transaction: &mut PgConnection,
    lease: &Lease,
    pages: &[PageCommit],
    plans: &mut [PagePlan],
) -> Attempt<Counts> {
    let server = lease.server;
    let mut counts = Counts::default();
    for (page, plan) in pages.iter().zip(plans) {
        batch::write(transaction, server, &mut plan.writes, None).await?;
        batch::write(transaction, server, &mut plan.sent, Some(lease)).await?;
        batch::seen(transaction, server, &plan.seen, Some(page.seen_run), page.now).await?;
        batch::events(transaction, server, Some(page.run), &plan.events, page.now).await?;
        count(transaction, server, page.run, &plan.counts).await?;
        move_on(transaction, server, page).await?;
        counts += plan.counts;
    }
    Ok(counts)
}

/// Adds to what a run has counted.
pub(crate) async fn count(
    transaction: &mut PgConnection,
    server: ServerId,
    run: RunId,
    counts: &Counts,
) -> Attempt<()> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let updated = sqlx::query(
        "-- count_run
         UPDATE sync_runs SET pages = pages + $3, records = records + $4, added = added + $5,
             modified = modified + $6, removed = removed + $7
         WHERE id = $1 AND server_id = $2",
    )
    .bind(run.0)
    .bind(server.0)
    .bind(number(counts.pages))
    .bind(number(counts.records))
    .bind(number(counts.added))
    .bind(number(counts.modified))
    .bind(number(counts.removed))
    .execute(transaction)
    .await?;
    if updated.rows_affected() == 0 {
        return Err(no_run(run).into());
    }
    Ok(())
}

/// Stores the cursor behind a page. Late in its transaction, so that the lease can be renewed until then.
pub(crate) async fn move_on(
    transaction: &mut PgConnection,
    server: ServerId,
    page: &PageCommit,
) -> Attempt<()> {
    let statement = match (page.phase, page.more) {
        (SyncPhase::Fetch, true) => "-- page_fetched\nUPDATE mdm_servers SET fetch_cursor = $2 WHERE id = $1",
        (SyncPhase::Fetch, false) => {
            "-- listing_fetched
             UPDATE mdm_servers SET delta_cursor = $2, fetch_cursor = NULL, full_phase = 'sync' WHERE id = $1"
        }
        (SyncPhase::Sync, _) => "-- page_synced\nUPDATE mdm_servers SET delta_cursor = $2 WHERE id = $1",
    };
    sqlx::query(statement).bind(server.0).bind(page.cursor.as_str()).execute(transaction).await?;
    Ok(())
}

async fn any_stored(pool: &PgPool, server: ServerId) -> Attempt<bool> {
    let any = sqlx::query_scalar("-- any_stored\nSELECT EXISTS (SELECT 1 FROM devices WHERE server_id = $1)");
    Ok(any.bind(server.0).fetch_one(pool).await?)
}

async fn forget_cursor(pool: &PgPool, lease: &Lease) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
    fence::alone(&mut transaction, lease).await?;
    let now: Option<Timestamp> = sqlx::query_scalar(
        "-- forget_delta_cursor
         UPDATE mdm_servers SET delta_cursor = NULL WHERE id = $1 AND delta_cursor IS NOT NULL
         RETURNING clock_timestamp()",
    )
    .bind(lease.server.0)
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(now) = now {
        let event = event::full_sync_required();
        batch::events(&mut transaction, lease.server, None, &[event], now).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn set_stuck(pool: &PgPool, lease: &Lease, stuck: bool) -> Attempt<u32> {
    let count: Option<i32> = sqlx::query_scalar(
        "-- set_stuck
         UPDATE mdm_servers SET stuck = CASE WHEN $4 THEN stuck + 1 ELSE 0 END
         WHERE id = $1 AND lease_epoch = $2 AND lease_owner = $3 RETURNING stuck",
    )
    .bind(lease.server.0)
    .bind(lease.epoch)
    .bind(&lease.owner)
    .bind(stuck)
    .fetch_optional(pool)
    .await?;
    let count = count.ok_or(StoreError::LeaseLost(lease.server))?;
    Ok(u32::try_from(count).map_err(|_| StoreError::damaged("mdm_servers.stuck", count))?)
}

async fn absent(pool: &PgPool, server: ServerId, generation: RunId) -> Attempt<AbsentCount> {
    // A run that began after the generation and has seen a device knows better.
    let (absent, present): (i64, i64) = sqlx::query_as(
        "-- absent
         SELECT count(*) FILTER (WHERE seen_run < $2), count(*) FROM devices
         WHERE server_id = $1 AND removed_at IS NULL",
    )
    .bind(server.0)
    .bind(generation.0)
    .fetch_one(pool)
    .await?;
    let count = |number| rows::count("count of devices", number);
    Ok(AbsentCount { absent: count(absent)?, present: count(present)? })
}

async fn remove_absent(
    pool: &PgPool,
    lease: &Lease,
    run: RunId,
    generation: RunId,
    limit: u32,
    now: Timestamp,
) -> Attempt<u64> {
    let server = lease.server;
    let mut transaction = pool.begin().await?;
    fence::alone(&mut transaction, lease).await?;
    let serials: Vec<String> = sqlx::query_scalar(
        "-- pick_absent
         SELECT serial FROM devices WHERE server_id = $1 AND removed_at IS NULL AND seen_run < $2
         ORDER BY serial LIMIT $3",
    )
    .bind(server.0)
    .bind(generation.0)
    .bind(i64::from(limit))
    .fetch_all(&mut *transaction)
    .await?;
    let serials: Vec<_> = serials.into_iter().map(SerialNumber::from_apple).collect();
    let devices = batch::load(&mut transaction, server, &serials).await?;
    let (mut devices, events) =
        remove(devices, "A complete list of Apple's did not show it at this MDM server any more", now);
    let removed = devices.len() as u64;
    batch::upsert(&mut transaction, server, &mut devices, None).await?;
    batch::events(&mut transaction, server, Some(run), &events, now).await?;
    count(&mut transaction, server, run, &Counts { removed, ..Counts::default() }).await?;
    transaction.commit().await?;
    Ok(removed)
}

/// Makes devices tombstones, with the events that say so.
pub(crate) fn remove(
    devices: Vec<Device>,
    reason: &'static str,
    now: Timestamp,
) -> (Vec<Device>, Vec<NewEvent>) {
    let devices = devices.into_iter().filter(|device| device.removed_at.is_none());
    devices
        .map(|device| {
            let details = DeviceRemoved { was: Some(device.assignment.state.as_str()), by: None };
            let event = NewEvent::of_device(device.serial.clone(), "device.removed", &details);
            (page::remove(device, reason, to_millis(now)), event)
        })
        .unzip()
}

async fn end_run(pool: &PgPool, lease: &Lease, end: &RunEnd) -> Attempt<()> {
    let done = end.outcome == RunOutcome::Done;
    let error = end.error.as_deref().map(batch::text);
    let mut transaction = pool.begin().await?;
    fence::alone(&mut transaction, lease).await?;
    let (failures_before, error_before, attention_before): (i32, Option<String>, Option<String>) =
        sqlx::query_as(
            "-- before_run_ended
             SELECT failures, last_error, attention FROM mdm_servers WHERE id = $1",
        )
        .bind(lease.server.0)
        .fetch_one(&mut *transaction)
        .await?;
    let ended: Option<RunRow> = sqlx::query_as(
        "-- end_run
         UPDATE sync_runs SET finished_at = $3, outcome = $4, error = $5 WHERE id = $1 AND server_id = $2
         RETURNING id, server_id, kind, trigger, requested_by, started_at, finished_at, outcome, error, pages,
             records, added, modified, removed",
    )
    .bind(end.run.0)
    .bind(lease.server.0)
    .bind(to_millis(end.now))
    .bind(end.outcome.as_str())
    .bind(&error)
    .fetch_optional(&mut *transaction)
    .await?;
    let ended = SyncRun::try_from(ended.ok_or_else(|| no_run(end.run))?)?;
    sqlx::query(
        "-- end_run_of_server
         UPDATE mdm_servers SET next_sync_at = $2, attention = $3,
             last_sync_at = CASE WHEN $4 THEN $5 ELSE last_sync_at END,
             failures = CASE WHEN $4 THEN 0 ELSE failures + 1 END,
             last_error = CASE WHEN $4 THEN NULL ELSE $6 END,
             last_full_at = CASE WHEN $7 THEN $5 ELSE last_full_at END,
             full_generation = CASE WHEN $7 THEN NULL ELSE full_generation END,
             full_phase = CASE WHEN $7 THEN NULL ELSE full_phase END,
             fetch_cursor = CASE WHEN $7 THEN NULL ELSE fetch_cursor END
         WHERE id = $1",
    )
    .bind(lease.server.0)
    .bind(to_millis(end.next_sync_at))
    .bind(end.attention.as_deref().map(batch::text))
    .bind(done)
    .bind(to_millis(end.now))
    .bind(&error)
    .bind(end.full_completed)
    .execute(&mut *transaction)
    .await?;
    let ended = Ended {
        kind: ended.kind,
        trigger: ended.trigger,
        counts: ended.counts,
        error: error.as_deref(),
        failures_before: rows::small("mdm_servers.failures", failures_before)?,
        error_before: error_before.as_deref(),
    };
    let attention = event::attention_changed(attention_before.as_deref(), end.attention.as_deref());
    let events: Vec<_> = event::run_ended(&ended).into_iter().chain(attention).collect();
    batch::events(&mut transaction, lease.server, Some(end.run), &events, end.now).await?;
    transaction.commit().await?;
    Ok(())
}

async fn runs(
    pool: &PgPool,
    server: Option<ServerId>,
    before: Option<RunId>,
    limit: u32,
) -> Attempt<Vec<SyncRun>> {
    let found: Vec<RunRow> = sqlx::query_as(
        "-- runs
         SELECT id, server_id, kind, trigger, requested_by, started_at, finished_at, outcome, error, pages,
             records, added, modified, removed
         FROM sync_runs
         WHERE ($1::bigint IS NULL OR server_id = $1) AND ($2::bigint IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
    )
    .bind(server.map(|server| server.0))
    .bind(before.map(|before| before.0))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    Ok(rows::all(found)?)
}

fn no_run(run: RunId) -> StoreError {
    StoreError::Missing { what: "run of a sync", name: run.to_string() }
}
