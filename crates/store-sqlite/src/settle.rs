//! Writing Apple's answers to the devices that wait for them.

use std::collections::{HashMap, HashSet};

use adelie_model::{AssignState, ProfileUuid, RevisionId, SerialNumber, Timestamp, halt};
use adelie_store::event;
use adelie_store::page;
use adelie_store::{Lease, Settlement};
use sqlx::Row;

use crate::failure::Attempt;
use crate::rows::{self, to_json};
use crate::{SqliteStore, batch, fence};

/// Settles the devices that were sent for a revision under an epoch.
macro_rules! settle_statement {
    () => {
        "-- settle
         UPDATE devices SET
             -- What an operator holds is held once Apple has answered; a cool-down outlasts that.
             assign_state = CASE WHEN hold IS NULL THEN ?1 ELSE 'held' END,
             assign_reason = coalesce(hold, ?2),
             next_attempt_at = CASE WHEN hold IS NULL OR ?1 = 'throttled' THEN ?3 END,
             -- What was sent with its page is an attempt now that it was answered.
             attempts = CASE WHEN ?1 = 'assigned' THEN 0 ELSE max(attempts, 1) END,
             profile_uuid = coalesce(?4, profile_uuid),
             profile_status = CASE WHEN ?4 IS NULL THEN profile_status ELSE 'assigned' END,
             profile_assign_time = CASE WHEN ?4 IS NULL THEN profile_assign_time ELSE ?5 END
         -- The plus signs keep SQLite from walking over everything that is sent.
         WHERE server_id = ?6 AND serial IN (SELECT value FROM json_each(?7))
             AND +assign_state = 'sent' AND +sent_epoch = ?8
             AND CASE WHEN assign_reason = ?10 THEN ?1 = 'throttled' ELSE wanted_revision_id = ?9 END"
    };
}

/// Has Apple asked about devices at `?4` for which the answer to an earlier request means nothing else.
const ASK_NOW: &str = "-- ask_now
     UPDATE devices SET next_attempt_at = ?4
     WHERE server_id = ?1 AND serial IN (SELECT value FROM json_each(?2))
         AND +assign_state = 'sent' AND +sent_epoch = ?3 AND +assign_reason = ?5";

/// Writes answers, and the events of those that settled a device: what came too late is not told. As a rule all of them
/// do, and SQLite need not say which.
pub(crate) async fn settle(
    store: &SqliteStore,
    lease: &Lease,
    revision: RevisionId,
    settlements: &[Settlement],
    now: Timestamp,
) -> Attempt<()> {
    if !try_to_settle(store, lease, revision, settlements, now, Told::All).await? {
        try_to_settle(store, lease, revision, settlements, now, Told::Settled).await?;
    }
    Ok(())
}

/// Of which settlements an event tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// All of them. When one of them settles nothing, nothing at all is written.
    All,
    /// Those that settled a device: what came too late is not told.
    Settled,
}

/// Writes answers of Apple's to the devices that wait for them. `false` when not all of them did, and all were to be
/// told.
async fn try_to_settle(
    store: &SqliteStore,
    lease: &Lease,
    revision: RevisionId,
    settlements: &[Settlement],
    now: Timestamp,
    told: Told,
) -> Attempt<bool> {
    let mut transaction = store.write().await?;
    fence::pass(&mut transaction, lease).await?;
    let mut settled: HashSet<String> = HashSet::new();
    // As a rule Apple says the same of all of them, and one statement writes it to all.
    for (answer, serials) in by_answer(settlements) {
        let statement = match told {
            Told::All => settle_statement!(),
            Told::Settled => concat!(settle_statement!(), " RETURNING serial"),
        };
        let listed = to_json("settlements", &serials)?;
        let query = sqlx::query(statement)
            .bind(answer.state.as_str())
            .bind(&answer.reason)
            .bind(rows::millis(answer.next_attempt_at))
            .bind(answer.profile_uuid.as_ref().map(ProfileUuid::as_str))
            .bind(now.timestamp_millis())
            .bind(lease.server.0)
            .bind(&listed)
            .bind(lease.epoch)
            .bind(revision.0)
            .bind(page::ASKED_FIRST);
        match told {
            Told::All => {
                if query.execute(&mut *transaction).await?.rows_affected() != serials.len() as u64 {
                    return Ok(false);
                }
            }
            Told::Settled => {
                for row in query.fetch_all(&mut *transaction).await? {
                    settled.insert(row.try_get(0)?);
                }
                sqlx::query(ASK_NOW)
                    .bind(lease.server.0)
                    .bind(&listed)
                    .bind(lease.epoch)
                    .bind(now.timestamp_millis())
                    .bind(page::ASKED_FIRST)
                    .execute(&mut *transaction)
                    .await?;
            }
        }
    }
    let of_settled = |settlement: &&Settlement| settled.contains(settlement.serial.as_str());
    let events = match told {
        Told::All => event::settled(revision, settlements),
        Told::Settled => {
            let late_left_out: Vec<_> = settlements.iter().filter(of_settled).cloned().collect();
            event::settled(revision, &late_left_out)
        }
    };
    batch::events(&mut transaction, lease.server, None, &events, now).await?;
    halt::point("settle.before_commit");
    transaction.commit().await?;
    Ok(true)
}

/// The devices of which Apple said the same, with one of the answers.
fn by_answer(settlements: &[Settlement]) -> Vec<(&Settlement, Vec<&SerialNumber>)> {
    type Key<'a> = (AssignState, &'a str, Option<Timestamp>, Option<&'a ProfileUuid>);
    let mut answers: HashMap<Key<'_>, (&Settlement, Vec<&SerialNumber>)> = HashMap::new();
    for one in settlements {
        let key = (one.state, one.reason.as_str(), one.next_attempt_at, one.profile_uuid.as_ref());
        answers.entry(key).or_insert_with(|| (one, Vec::new())).1.push(&one.serial);
    }
    answers.into_values().collect()
}
