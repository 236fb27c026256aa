//! When a sync is due, which kind it is, and when one that an operator asks for must wait. Pure.

use adelie_model::{
    Entropy, RunOutcome, ServerId, SyncKind, SyncPhase, SyncRun, Timestamp, TokenState, Trigger,
};
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
    // Up to a seventh early, each server by another share, so that those that were added on one day do not list
    // everything on the same day for ever.
    let full_interval = settings.full_interval - share(server.id, settings.full_interval / 7);
    let full_is_due = position.full.is_some()
        || position.delta_cursor.is_none()
        || position.stuck >= STUCK_LIMIT
        || server.last_full_at.is_none_or(|at| at + full_interval <= now);
    // Fetching the whole list again is the way out of a cursor that does not move.
    let restart = position.stuck >= STUCK_LIMIT;
    let kind = if full_is_due { SyncKind::Full } else { SyncKind::Delta };
    match request {
        Request::Due => match server.next_sync_at {
            // Later than any beat can be is what was left of a longer interval.
            Some(at) if at > now && at <= now + settings.delta_interval * 3 / 2 => Plan::NotDue,
            // The time after a failure was set by the failure, and Apple may have asked for it.
            Some(at) if at > now && server.failures > 0 => Plan::NotDue,
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

/// When the next scheduled sync is due after a good run: at the server's own beat, which comes once every interval,
/// but not before half an interval has passed.
///
/// The beats of all servers lie evenly over the interval, whenever the servers were added and whenever the service
/// was started, so that the starts per second never bunch. A beat that was missed is not made up for.
#[must_use]
pub fn next_after_success(settings: &Settings, server: ServerId, now: Timestamp) -> Timestamp {
    let interval = settings.delta_interval.num_milliseconds().max(1);
    let beat = share(server, TimeDelta::milliseconds(interval)).num_milliseconds();
    let earliest = now.timestamp_millis() + interval / 2;
    let wait = (beat - earliest).rem_euclid(interval);
    now + TimeDelta::milliseconds(interval / 2 + wait)
}

/// The share of a span that is a server's own. Multiples of the golden ratio divide a circle about evenly, however
/// many there are (the three-gap theorem), which random numbers would not.
fn share(server: ServerId, span: TimeDelta) -> TimeDelta {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let fraction = u128::from(server.0.cast_unsigned().wrapping_mul(GOLDEN));
    let span = u128::from(span.num_milliseconds().max(0).unsigned_abs());
    TimeDelta::milliseconds(i64::try_from((fraction * span) >> 64).unwrap_or(0))
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

/// When a token that stands like this is tried again by itself; `None` where Apple does not refuse it, and the syncs
/// show how it stands. Terms may be accepted at any moment; the other troubles end only with another token. With jitter,
/// so that the tokens of an organization that has new terms do not all ask at once.
#[must_use]
pub fn next_token_check(
    settings: &Settings,
    state: TokenState,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Option<Timestamp> {
    let pace = match state {
        TokenState::TermsNotSigned => settings.terms_interval,
        state if state.is_bad() => settings.token_interval,
        _ => return None,
    };
    let pace = pace.max(TimeDelta::seconds(1));
    let jitter = entropy.below(pace.num_milliseconds().unsigned_abs() / 5 + 1);
    Some(now + pace + TimeDelta::milliseconds(i64::try_from(jitter).unwrap_or(0)))
}

/// Whether a complete listing that did not show `absent` of `present` devices may remove them without an
/// operator's word (field lesson L9).
#[must_use]
pub fn removal_is_plausible(settings: &Settings, absent: u64, present: u64) -> bool {
    let share = present.saturating_mul(settings.removal_percent) / 100;
    absent < present && absent <= share.max(settings.removal_floor)
}

#[cfg(test)]
mod tests {
    use adelie_model::{Counts, Cursor, RunId, SeededEntropy};
    use adelie_store::{FullPhase, Operator, SyncSettings, TokenHealth};

    use super::*;

    fn asked(full: bool, force: bool) -> Request {
        Request::Sync { full, force, accept_removals: false, by: Operator::new("kim", at(0)) }
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::days(1000) + TimeDelta::minutes(minutes)
    }

    fn server(last_full: Option<Timestamp>, next: Option<Timestamp>) -> MdmServer {
        MdmServer {
            id: ServerId(1),
            name: "lab".parse().expect("a name"),
            base_url: "http://127.0.0.1:1".to_owned(),
            paused: false,
            created_at: at(0),
            sync: SyncSettings::default(),
            token: TokenHealth::of(TokenState::Valid),
            account: None,
            last_full_at: last_full,
            last_sync_at: last_full,
            next_sync_at: next,
            failures: 0,
            last_error: None,
            wait_until: None,
            attention: None,
            setbacks: 0,
            stuck: 0,
            worked_on: None,
        }
    }

    fn position(cursor: bool) -> SyncPosition {
        SyncPosition { delta_cursor: cursor.then(|| Cursor("c".to_owned())), full: None, stuck: 0 }
    }

    fn run(kind: SyncKind, trigger: Trigger, outcome: RunOutcome, started_at: Timestamp) -> SyncRun {
        SyncRun {
            id: RunId(1),
            server: ServerId(1),
            kind,
            trigger,
            requested_by: None,
            started_at,
            finished_at: Some(started_at),
            outcome,
            error: None,
            counts: Counts::default(),
        }
    }

    fn decide(server: &MdmServer, position: &SyncPosition, recent: &[SyncRun], request: &Request) -> Plan {
        plan(&Settings::default(), server, position, recent, request, at(60))
    }

    fn sync(kind: SyncKind, trigger: Trigger) -> Plan {
        Plan::Sync { kind, trigger, restart: false }
    }

    #[test]
    fn the_first_sync_is_full_and_later_ones_are_deltas_until_a_week_has_passed() {
        let first = decide(&server(None, None), &position(false), &[], &Request::Due);
        assert_eq!(first, sync(SyncKind::Full, Trigger::Schedule));
        let later = server(Some(at(0)), Some(at(50)));
        assert_eq!(
            decide(&later, &position(true), &[], &Request::Due),
            sync(SyncKind::Delta, Trigger::Schedule)
        );
        let week_ago = server(Some(at(60) - TimeDelta::days(7)), Some(at(50)));
        assert_eq!(
            decide(&week_ago, &position(true), &[], &Request::Due),
            sync(SyncKind::Full, Trigger::Schedule)
        );
        let not_yet = server(Some(at(0)), Some(at(61)));
        assert_eq!(decide(&not_yet, &position(true), &[], &Request::Due), Plan::NotDue);
    }

    /// L44: new terms are looked for hourly, other troubles a few times a day, and never all at once.
    #[test]
    fn a_refused_token_is_tried_again_slowly() {
        let (settings, entropy, now) = (Settings::default(), SeededEntropy::new(1), at(0));
        let waits = |state| {
            let next = next_token_check(&settings, state, now, &entropy);
            next.map(|next| (next - now).num_minutes())
        };
        for state in [TokenState::Valid, TokenState::Expiring, TokenState::Unreachable, TokenState::None] {
            assert_eq!(waits(state), None, "{state}");
        }
        for (state, least, most) in [
            (TokenState::TermsNotSigned, 60, 72),
            (TokenState::Rejected, 360, 432),
            (TokenState::Superseded, 360, 432),
            (TokenState::Expired, 360, 432),
        ] {
            let several: std::collections::BTreeSet<_> = (0..20).filter_map(|_| waits(state)).collect();
            assert!(
                several.len() > 5 && several.iter().all(|wait| (least..=most).contains(wait)),
                "{several:?}"
            );
        }
    }

    /// L62: a shorter interval holds at once, not when the longer one has run out.
    #[test]
    fn an_appointment_of_a_longer_interval_is_not_waited_for() {
        let waiting = server(Some(at(50)), Some(at(60) + TimeDelta::days(9)));
        assert_eq!(
            decide(&waiting, &position(true), &[], &Request::Due),
            sync(SyncKind::Delta, Trigger::Schedule)
        );
        let failing = MdmServer { failures: 1, ..waiting };
        assert_eq!(decide(&failing, &position(true), &[], &Request::Due), Plan::NotDue);
    }

    #[test]
    fn an_operator_who_asks_again_too_early_is_told_when() {
        let server = server(Some(at(50)), None);
        let recent = [run(SyncKind::Delta, Trigger::Manual, RunOutcome::Done, at(50))];
        let early = Plan::TooEarly { allowed_at: at(65), kind: SyncKind::Delta };
        assert_eq!(decide(&server, &position(true), &recent, &asked(false, false)), early);
        assert_eq!(
            decide(&server, &position(true), &recent, &asked(false, true)),
            sync(SyncKind::Delta, Trigger::Forced)
        );
        // What the schedule did, and what failed, does not count against the operator.
        let others = [
            run(SyncKind::Delta, Trigger::Schedule, RunOutcome::Done, at(59)),
            run(SyncKind::Delta, Trigger::Manual, RunOutcome::Failed, at(58)),
        ];
        assert_eq!(
            decide(&server, &position(true), &others, &asked(false, false)),
            sync(SyncKind::Delta, Trigger::Manual)
        );
    }

    #[test]
    fn a_manual_full_sync_is_allowed_once_a_week() {
        let server = server(Some(at(0)), None);
        let recent = [run(SyncKind::Full, Trigger::Manual, RunOutcome::Done, at(0))];
        let allowed_at = at(0) + TimeDelta::days(7);
        let early = Plan::TooEarly { allowed_at, kind: SyncKind::Full };
        assert_eq!(decide(&server, &position(true), &recent, &asked(true, false)), early);
        assert_eq!(
            decide(&server, &position(true), &recent, &asked(false, false)),
            sync(SyncKind::Delta, Trigger::Manual)
        );
    }

    #[test]
    fn what_a_killed_run_left_open_may_always_go_on() {
        let open = SyncPosition {
            full: Some(FullPhase { generation: RunId(1), phase: SyncPhase::Fetch, fetch_cursor: None }),
            ..position(true)
        };
        let recent = [run(SyncKind::Delta, Trigger::Manual, RunOutcome::Done, at(59))];
        assert_eq!(
            decide(&server(None, None), &open, &recent, &asked(false, false)),
            sync(SyncKind::Full, Trigger::Manual)
        );
    }

    /// L2: a cursor that does not move leads to a full sync under a new generation.
    #[test]
    fn a_cursor_that_does_not_move_is_left_behind() {
        let stuck = SyncPosition { stuck: STUCK_LIMIT, ..position(true) };
        let plan = decide(&server(Some(at(0)), None), &stuck, &[], &Request::Due);
        assert_eq!(plan, Plan::Sync { kind: SyncKind::Full, trigger: Trigger::Schedule, restart: true });
    }

    #[test]
    fn every_server_has_its_own_beat_once_an_interval() {
        let settings = Settings::default();
        for id in 1..500 {
            let id = ServerId(id);
            let first = next_after_success(&settings, id, at(0));
            assert!((450..=1350).contains(&(first - at(0)).num_seconds()));
            // A run that took a while, or came late, does not move the beat.
            let second = next_after_success(&settings, id, first + TimeDelta::seconds(50));
            assert_eq!(second - first, settings.delta_interval);
            let late = next_after_success(&settings, id, first + TimeDelta::minutes(40));
            assert_eq!((late - first).num_seconds() % 900, 0);
        }
    }

    /// Starts are spread: whatever the number of servers, no second has twice its share (rounded up).
    #[test]
    fn starts_are_spread_evenly_over_the_interval() {
        let settings = Settings::default();
        for servers in [30, 900, 2_000, 10_000] {
            let mut per_second = std::collections::HashMap::<_, u64>::new();
            for id in 1..=servers {
                let next = next_after_success(&settings, ServerId(id), at(0));
                *per_second.entry(next.timestamp().rem_euclid(900)).or_default() += 1;
            }
            let most = per_second.values().max().copied().unwrap_or(0);
            let mean = servers.unsigned_abs().div_ceil(900);
            assert!(most <= 2 * mean, "{servers} servers: {most} in one second, {mean} on average");
        }
    }

    #[test]
    fn failures_back_off() {
        let (settings, entropy) = (Settings::default(), SeededEntropy::new(7));
        for _ in 0..200 {
            let failure = |failures| {
                (next_after_failure(&settings, failures, None, at(0), &entropy) - at(0)).num_seconds()
            };
            assert!((60..=66).contains(&failure(0)));
            assert!((240..=264).contains(&failure(2)));
            assert!((900..=990).contains(&failure(40)));
        }
        let asked = at(500);
        assert_eq!(next_after_failure(&settings, 0, Some(asked), at(0), &entropy), asked);
    }

    /// L9: more than the set share of removals needs an operator's word, and so does an empty list.
    #[test]
    fn implausible_removals_are_held() {
        let plausible = |absent, present| removal_is_plausible(&Settings::default(), absent, present);
        assert!(plausible(100, 1000));
        assert!(!plausible(101, 1000));
        assert!(plausible(5, 8));
        assert!(!plausible(6, 8));
        assert!(!plausible(3, 3));
    }
}
