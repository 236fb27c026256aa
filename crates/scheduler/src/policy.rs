//! When a sync is due, which kind it is, and when one that an operator asks for must wait. Pure.

use adelie_model::{Entropy, RunOutcome, SyncKind, SyncPhase, SyncRun, Timestamp, Trigger};
use adelie_store::{MdmServer, SyncPosition};
use chrono::TimeDelta;

use crate::{Request, Settings};

/// Syncs in a row without a step forward before the whole list is fetched instead (field lesson L2).
const STUCK_LIMIT: u32 = 3;

/// What to do about syncing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Sync now.
    Sync {
        /// What to ask Apple for.
        kind: SyncKind,
        /// Who asked.
        trigger: Trigger,
        /// Whether a full sync that is under way begins anew.
        restart: bool,
    },
    /// Nothing is due.
    NotDue,
    /// An operator asked too early.
    TooEarly {
        /// When it is allowed without force.
        allowed_at: Timestamp,
        /// What was asked for.
        kind: SyncKind,
    },
}

/// Decides what is to be done. `recent` are the latest runs, newest first.
#[must_use]
pub fn plan(
    settings: &Settings,
    server: &MdmServer,
    position: &SyncPosition,
    recent: &[SyncRun],
    request: &Request,
    now: Timestamp,
) -> Plan {
    let full_is_due = position.full.is_some()
        || position.delta_cursor.is_none()
        || position.stuck >= STUCK_LIMIT
        || server.last_full_at.is_none_or(|at| at + settings.full_interval <= now);
    // Fetching the whole list again is the way out of a cursor that does not move.
    let restart = position.stuck >= STUCK_LIMIT;
    let kind = if full_is_due { SyncKind::Full } else { SyncKind::Delta };
    match request {
        Request::Due => match server.next_sync_at {
            Some(at) if at > now => Plan::NotDue,
            _ => Plan::Sync { kind, trigger: Trigger::Schedule, restart },
        },
        Request::Sync { full, force: true, .. } => {
            Plan::Sync { kind: if *full { SyncKind::Full } else { kind }, trigger: Trigger::Forced, restart }
        }
        Request::Sync { full, force: false, .. } => {
            // Going on with what a killed or failed run left open is always allowed.
            let open = position.full.as_ref().is_some_and(|full| full.phase == SyncPhase::Fetch);
            let kind = if *full { SyncKind::Full } else { kind };
            let latest = |wanted: Option<SyncKind>| {
                recent
                    .iter()
                    .filter(|run| run.outcome == RunOutcome::Done)
                    .filter(|run| matches!(run.trigger, Trigger::Manual | Trigger::Forced))
                    .find(|run| wanted.is_none_or(|kind| run.kind == kind))
                    .map(|run| run.started_at)
            };
            let any = latest(None).map(|at| at + settings.manual_interval);
            let whole = if *full {
                latest(Some(SyncKind::Full)).map(|at| at + settings.manual_full_interval)
            } else {
                None
            };
            match any.max(whole) {
                Some(allowed_at) if allowed_at > now && !open => Plan::TooEarly { allowed_at, kind },
                _ => Plan::Sync { kind, trigger: Trigger::Manual, restart },
            }
        }
    }
}

/// When the next scheduled sync is due after a good run: an interval later, give or take a tenth, so that
/// servers that were added together drift apart.
#[must_use]
pub fn next_after_success(settings: &Settings, now: Timestamp, entropy: &dyn Entropy) -> Timestamp {
    let interval = settings.delta_interval.num_milliseconds().max(0);
    let jitter = i64::try_from(entropy.below(interval.unsigned_abs() / 5 + 1)).unwrap_or(0);
    now + TimeDelta::milliseconds(interval - interval / 10 + jitter)
}

/// When the next scheduled sync is due after a failed run: a minute later, doubled with every failure in a
/// row, at most the delta interval, plus jitter; never before `not_before`, which Apple asked for.
#[must_use]
pub fn next_after_failure(
    settings: &Settings,
    failures: u32,
    not_before: Option<Timestamp>,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Timestamp {
    let ceiling = settings.delta_interval.max(TimeDelta::seconds(1));
    let wait = TimeDelta::minutes(1 << failures.min(10)).min(ceiling);
    let jitter = entropy.below(wait.num_milliseconds().unsigned_abs() / 10 + 1);
    let next = now + wait + TimeDelta::milliseconds(i64::try_from(jitter).unwrap_or(0));
    not_before.map_or(next, |at| at.max(next))
}

/// Whether a complete listing that did not show `absent` of `present` devices may remove them without an
/// operator's word (field lesson L9).
#[must_use]
pub fn removal_is_plausible(settings: &Settings, absent: u64, present: u64) -> bool {
    let share = present.saturating_mul(settings.removal_percent) / 100;
    absent < present && absent <= share.max(settings.removal_floor)
}
