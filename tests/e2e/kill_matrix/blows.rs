//! How the program is hit.

use adelie_simulator::Fault;

use super::dice::Dice;
use super::stage::{Healer, SERVE, SYNC, Stage};
use crate::harness::{Background, Ledger, Outage, eventually};

const ASSIGN: &str = "/profile/devices";
const FETCH: &str = "/server/devices";
const DELTA: &str = "/devices/sync";
/// Longer than any test runs.
const FOR_EVER: u64 = 3_600_000;

/// What a round did to the program; it has healed since.
pub struct Blow {
    /// How often it was hit.
    pub count: u64,
    /// The place in Apple's log of requests before it went on.
    pub mark: u64,
    /// Whose assignment was in doubt then.
    pub in_doubt: InDoubt,
}

/// What a blow has left in doubt.
pub enum InDoubt {
    /// These devices.
    Devices(Vec<String>),
    /// There was no single moment to ask; what was read back because of it is told by the events after this one.
    After(i64),
}

/// Stopped at a named point and killed there.
pub fn halted(stage: &mut Stage, dice: &Dice, point: &str) -> Blow {
    let passes = match point.split_once('.') {
        Some(("fetch" | "page", _)) => stage.pages,
        _ => 1,
    };
    let program: &[&str] = if dice.once_in(3) { &SERVE } else { &SYNC };
    let pass = dice.between(1, passes);
    let mut victim = stage.victim_halted_at(&format!("{point}:{pass}"), program);
    for _ in 0..5 {
        if stands_at(&mut victim, point) {
            return kill(stage, dice, victim);
        }
        // So many passes were not needed, or a slow machine has made it lose its short lease. There is a first pass
        // whenever something has changed.
        stage.change(dice);
        victim = stage.victim_halted_at(point, &SYNC);
    }
    panic!("it never came to {point}:\n{}", victim.so_far(None));
}

/// Killed when an assignment has taken effect and Apple holds the answer back.
pub fn unanswered(stage: &mut Stage, dice: &Dice) -> Blow {
    let before = stage.assigns();
    let hold = Fault { path: Some(ASSIGN.to_owned()), answer_delay_ms: FOR_EVER, ..Fault::default() };
    let program: &[&str] = if dice.once_in(3) { &SERVE } else { &SYNC };
    let victim = loop {
        stage.world.apple.clear_faults();
        stage.world.apple.fault(hold.clone());
        let mut victim = stage.victim(program);
        let caught = eventually("the assignment takes effect", || {
            let effect = stage.assigns() > before;
            if effect { Some(true) } else { victim.has_ended().then_some(false) }
        });
        if caught {
            break victim;
        }
        // A machine that is slow enough makes it lose its short lease.
    };
    kill(stage, dice, victim)
}

/// Killed inside the migration that a new version begins with.
pub fn migrating(stage: &mut Stage, dice: &Dice) -> Blow {
    const POINT: &str = "migration.before_commit";
    let ledger = stage.world.ledger();
    let migrations = || {
        let versions = "-- migrations\nSELECT CAST(version AS text) FROM _sqlx_migrations ORDER BY version";
        ledger.column(versions)
    };
    assert_eq!(migrations(), ["1"], "it begins with the first schema");
    let program: &[&str] = if dice.once_in(2) { &["device", "list"] } else { &SYNC };
    let mut victim = stage.victim_halted_at(POINT, program);
    assert!(stands_at(&mut victim, POINT), "it never came to {POINT}:\n{}", victim.so_far(None));
    victim.kill();
    assert_eq!(migrations(), ["1"], "nothing of an unfinished migration stays");
    let mark = stage.world.apple.mark();
    stage.change(dice);
    stage.heal(if dice.once_in(2) { Healer::Command } else { Healer::Service });
    assert!(migrations().len() > 1, "it was not migrated");
    Blow { count: 1, mark, in_doubt: InDoubt::Devices(Vec::new()) }
}

/// Frozen while it waits for Apple, until another copy has done everything; then it goes on.
pub fn frozen(stage: &mut Stage, dice: &Dice) -> Blow {
    let ledger = stage.world.ledger();
    let victim = loop {
        let apple = &stage.world.apple;
        let path = if dice.once_in(2) { ASSIGN } else { page_path(&ledger) };
        let (mark, before) = (apple.mark(), stage.assigns());
        // Long enough that it is frozen first, and short enough that the answer waits for it when it thaws.
        let skip =
            if path == FETCH { u32::try_from(dice.between(0, stage.pages - 2)).expect("few") } else { 0 };
        let hold = Fault { path: Some(path.to_owned()), skip, answer_delay_ms: 500, ..Fault::default() };
        apple.fault(hold);
        let mut victim = stage.victim(&SYNC);
        let hit = |request: &adelie_simulator::LoggedRequest| request.path == path && request.fault;
        let caught = eventually("it waits for Apple", || {
            let waits = apple.since(mark).iter().any(hit) && (path != ASSIGN || stage.assigns() > before);
            if waits { Some(true) } else { victim.has_ended().then_some(false) }
        });
        apple.clear_faults();
        if caught && freeze_outside_of_a_transaction(&mut victim, &ledger) {
            break victim;
        }
        stage.change(dice);
    };
    let (mark, in_doubt) = (stage.world.apple.mark(), stage.in_doubt());
    stage.meanwhile(dice);
    // It waits for the lease of the frozen one to run out.
    stage.heal(Healer::Command);
    let before = everything(&ledger);
    victim.thaw();
    let run = victim.wait();
    assert!(matches!(run.code, Some(0 | 1)), "{run}");
    assert_eq!(everything(&ledger), before, "the one that was frozen has changed something:\n{run}");
    Blow { count: 1, mark, in_doubt: InDoubt::Devices(in_doubt) }
}

/// The database goes away under the running service and comes back.
pub fn outage(stage: &mut Stage, dice: &Dice) -> Blow {
    let (mark, event) = (stage.world.apple.mark(), stage.last_event());
    let service = stage.victim(&SERVE);
    // Each moment between the first request and the last may be the one.
    let until = mark + dice.between(1, 3 + 2 * stage.pages) as u64;
    eventually("it is at work", || (stage.world.apple.mark() >= until).then_some(()));
    match stage.world.ledger() {
        Ledger::Postgres(url) => {
            let outage = Outage::begin(&url);
            let deaf = "the store could not say what is due";
            eventually("the service tells of it", || service.log().contains(deaf).then_some(()));
            outage.end();
        }
        ledger @ Ledger::Sqlite(_) => {
            let of_lease = |what: &str| {
                let row = ledger.column(&format!("-- lease\nSELECT CAST({what} AS text) FROM mdm_servers"));
                row.into_iter().next().unwrap_or_default()
            };
            let lock = eventually("the lock while it works", || {
                let lock = ledger.lock()?;
                if !of_lease("lease_owner").is_empty() {
                    return Some(lock);
                }
                lock.end();
                None
            });
            let over = "lease_expires_at < 1000 * (unixepoch('subsec') - 0.5)";
            eventually("its lease has run out", || (of_lease(over) == "1").then_some(()));
            lock.end();
        }
    }
    stage.meanwhile(dice);
    stage.heal(Healer::Copy(service));
    untold_leases_run_out(stage);
    Blow { count: 1, mark, in_doubt: InDoubt::After(event) }
}

/// A lease that could not be given back, or of which nobody knows that it was given, runs out.
fn untold_leases_run_out(stage: &Stage) {
    eventually("no lease is left", || stage.world.ledger().leased().is_empty().then_some(()));
}

/// Every connection to PostgreSQL is cut, several times.
pub fn cuts(stage: &mut Stage, dice: &Dice) -> Blow {
    let ledger = stage.world.ledger();
    let (mark, event) = (stage.world.apple.mark(), stage.last_event());
    let service = stage.world.start(&SERVE);
    let count = dice.between(2, 4);
    for _ in 0..count {
        let until = stage.world.apple.mark() + dice.between(1, 8) as u64;
        eventually("it is at work", || (stage.world.apple.mark() >= until).then_some(()));
        eventually("there is a connection to cut", || (ledger.cut() > 0).then_some(()));
        stage.change(dice);
    }
    stage.heal(Healer::Copy(service));
    untold_leases_run_out(stage);
    Blow { count: count as u64, mark, in_doubt: InDoubt::After(event) }
}

/// Waits until the program stands still at a point; `false` when it came to its end before.
pub fn stands_at(victim: &mut Background, point: &str) -> bool {
    let said = format!("halted at {point}\n");
    eventually("a halt or the end", || {
        if victim.log().contains(&said) {
            return Some(true);
        }
        victim.has_ended().then_some(false)
    })
}

/// Kills it, with or without a copy that is there before, and lets somebody go on.
pub fn kill(stage: &mut Stage, dice: &Dice, mut victim: Background) -> Blow {
    let (mark, in_doubt) = (stage.world.apple.mark(), stage.in_doubt());
    let healer = match dice.between(0, 3) {
        0 => Healer::Copy(stage.world.start(&SERVE)),
        1 => Healer::Service,
        _ => Healer::Command,
    };
    stage.meanwhile(dice);
    victim.kill();
    stage.heal(healer);
    Blow { count: 1, mark, in_doubt: InDoubt::Devices(in_doubt) }
}

/// Freezes it when it holds no lock that would keep everybody else from the database; `false` when it came to its
/// end instead.
fn freeze_outside_of_a_transaction(victim: &mut Background, ledger: &Ledger) -> bool {
    eventually("it stands outside of a transaction", || {
        if victim.has_ended() {
            return Some(false);
        }
        victim.freeze();
        if ledger.is_free() {
            return Some(true);
        }
        victim.thaw();
        None
    })
}

/// Where the next page comes from.
fn page_path(ledger: &Ledger) -> &'static str {
    let cursor = ledger.column("-- delta_cursor\nSELECT delta_cursor FROM mdm_servers");
    if cursor.first().is_some_and(|cursor| !cursor.is_empty()) { DELTA } else { FETCH }
}

/// All that a copy without a lease must not touch.
fn everything(ledger: &Ledger) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for columns in [
        "serial, assign_state, assign_reason, profile_status, profile_uuid, CAST(attempts AS text), \
         CAST(sent_epoch AS text), CAST(seen_run AS text), CAST(last_seen_at AS text) FROM devices ORDER BY serial",
        "CAST(id AS text), serial, kind FROM events ORDER BY id",
        "CAST(id AS text), outcome, CAST(pages AS text), error FROM sync_runs ORDER BY id",
        "delta_cursor, fetch_cursor, lease_owner, CAST(lease_epoch AS text), CAST(work_at AS text), \
         CAST(next_sync_at AS text), token_state, CAST(wait_until AS text) FROM mdm_servers ORDER BY id",
    ] {
        all.extend(ledger.rows(&format!("-- everything\nSELECT {columns}")));
    }
    all
}
