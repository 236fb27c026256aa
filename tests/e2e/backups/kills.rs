use std::fs;
use std::path::Path;
use std::thread::JoinHandle;

use super::{another, backup, devices, key_of, start_anew};
use crate::harness::{Background, Database, Ledger, World, eventually};

/// Runs a command up to a point, and kills it there.
fn killed_at(world: &World, point: &str, args: &[&str]) {
    let mut victim = world.start_with(&[("ADELIE_HALT_AT", point)], args);
    let said = format!("halted at {}\n", point.split(':').next().expect("a name"));
    eventually("a halt", || {
        assert!(!victim.has_ended(), "it never came to {point}:\n{}", victim.so_far(None));
        victim.log().contains(&said).then_some(())
    });
    victim.kill();
}

on_both_databases! {
    /// A backup that is killed leaves the old file, or none; the next one needs nobody to clean up.
    fn a_killed_backup(database) {
        let world = World::synced(database, 3);
        let (new, old) = (world.path("new.backup"), backup(&world, "old.backup"));
        let before = fs::read(&old).expect("the old backup");
        for point in ["backup.after_table:1", "backup.after_table:13", "backup.before_end", "draft.before_rename"] {
            killed_at(&world, point, &["backup", &new]);
            assert!(!Path::new(&new).exists(), "{point}");
            killed_at(&world, point, &["backup", &old, "--force"]);
            assert_eq!(fs::read(&old).expect("the old backup"), before, "{point}");
            // What is there of it is none, or all of it.
            let partial = format!("{old}.partial");
            let checked = world.run(&["restore", &partial, "--check"]);
            assert_eq!(checked.code, Some(if point.starts_with("draft") { 0 } else { 2 }), "{point}: {checked}");
        }
        world.run(&["backup", &new]).exits(0);
        world.run(&["backup", &old, "--force"]).exits(0);
        world.run(&["restore", &old, "--check"]).exits(0);
        let left = fs::read_dir(world.home.path()).expect("a folder").flatten();
        let left: Vec<_> = left.map(|entry| entry.file_name().display().to_string()).collect();
        assert!(!left.iter().any(|name| name.ends_with(".partial")), "{left:?}");
    }

    /// A restore that is killed before its end leaves an empty database, which the next one fills; after it, all is there.
    fn a_killed_restore(database) {
        let kind = another(&database);
        let mut world = World::synced(database, 3);
        let (file, key) = (backup(&world, "all.backup"), key_of(&world));
        let before = devices(&world).stdout;
        start_anew(&mut world, "new", kind, &key);
        for point in ["restore.table:1", "restore.table:14", "restore.before_commit"] {
            killed_at(&world, point, &["restore", &file]);
            let tables = "SELECT CAST((SELECT count(*) FROM data_keys) + (SELECT count(*) FROM mdm_servers)
                + (SELECT count(*) FROM devices) + (SELECT count(*) FROM audit) AS text)";
            assert_eq!(world.ledger().column(&format!("-- rows_left\n{tables}")), ["0"], "{point}");
        }
        killed_at(&world, "restore.after_commit", &["restore", &file]);
        world.run(&["restore", &file]).exits(2).complains("not empty");
        assert_eq!(devices(&world).stdout, before);
        world.run(&["audit", "verify"]).exits(0);
        world.run(&["sync", "lab", "--force"]).exits(0);
    }
}

/// Keeps a table from being written for so many seconds, as somebody else's transaction does.
fn lock(ledger: &Ledger, table: &str, seconds: u32) -> JoinHandle<()> {
    let hold = format!(
        "-- hold_table
         BEGIN; LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"
    );
    let held = ledger.clone();
    let holder = std::thread::spawn(move || held.run(&hold));
    eventually("the lock", || {
        (locks(ledger, "granted AND mode = 'ShareRowExclusiveLock'") > 0).then_some(())
    });
    holder
}

fn locks(ledger: &Ledger, which: &str) -> u32 {
    let count = format!(
        "-- locks\nSELECT CAST(count(*) AS text) FROM pg_locks
         WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND {which}"
    );
    ledger.column(&count)[0].parse().expect("a number")
}

/// Ctrl-C says that nothing has come of it, and leaves nothing behind. Whoever holds the database that is to be filled is
/// waited for, but not for long.
#[test]
fn what_waits_for_somebody_else() {
    let Some((database, empty)) = Database::postgres().zip(Database::postgres()) else { return };
    let mut world = World::synced(database, 3);
    let (file, key) = (backup(&world, "all.backup"), key_of(&world));
    let interrupted = |ledger: &Ledger, running: Background| {
        eventually("the middle of it", || (locks(ledger, "NOT granted") > 0).then_some(()));
        running.interrupt();
        running.wait().exits(1)
    };
    let new = world.path("new.backup");
    // The entry in the audit waits, when everything else is written.
    let holder = lock(&world.ledger(), "audit_head", 6);
    let running = world.start(&["backup", &new]);
    interrupted(&world.ledger(), running).complains("broken off");
    holder.join().expect("it lets go");
    assert!(!Path::new(&new).exists() && !Path::new(&format!("{new}.partial")).exists());

    start_anew(&mut world, "new", empty, &key);
    world.run(&["key", "show"]).exits(0);
    let holder = lock(&world.ledger(), "devices", 4);
    let running = world.start(&["restore", &file]);
    interrupted(&world.ledger(), running).complains("nothing was loaded");
    holder.join().expect("it lets go");
    let holder = lock(&world.ledger(), "devices", 12);
    let refused = world.run(&["restore", &file]).exits(1);
    refused.complains("another process works on the database").complains("nothing was changed");
    holder.join().expect("it lets go");
    world.run(&["restore", &file]).exits(0);
}
