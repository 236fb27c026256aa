use std::fs;
use std::path::Path;

use super::{another, backup, devices, key_of, start_anew};
use crate::harness::{Background, Database, World, eventually};

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

/// Ctrl-C says that nothing has come of it, and leaves nothing behind.
#[test]
fn a_backup_and_a_restore_that_are_broken_off() {
    let mut world = World::synced(Database::Sqlite, 3);
    let (file, key) = (backup(&world, "all.backup"), key_of(&world));
    let interrupted = |running: Background, waits: &dyn Fn() -> bool| {
        eventually("the middle of it", || waits().then_some(()));
        running.interrupt();
        running.wait().exits(1)
    };
    let new = world.path("new.backup");
    let partial = format!("{new}.partial");
    // The entry in the audit waits for the lock, when everything else is written.
    let lock = world.ledger().lock().expect("the lock");
    let running = world.start(&["backup", &new]);
    let written = || fs::metadata(&partial).is_ok_and(|meta| meta.len() > 0);
    interrupted(running, &written).complains("broken off");
    lock.end();
    assert!(!Path::new(&new).exists() && !Path::new(&partial).exists());

    start_anew(&mut world, "new", Database::Sqlite, &key);
    // Makes the file and its tables.
    world.run(&["restore", &file, "--check"]).exits(0);
    world.run(&["key", "show"]).exits(0);
    let lock = world.ledger().lock().expect("the lock");
    let running = world.start(&["restore", &file]);
    let began = std::time::Instant::now();
    // It waits for the lock for half a minute, and there is nothing to see of it.
    let run = interrupted(running, &|| began.elapsed() > std::time::Duration::from_secs(3));
    lock.end();
    assert!(run.stderr.contains("nothing was loaded") || run.code == Some(1), "{run}");
    world.run(&["restore", &file]).exits(0);
}
