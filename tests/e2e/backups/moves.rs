use adelie_simulator::Settings;

use super::{another, backup, devices, key_of, start_anew};
use crate::harness::{Database, World, eventually};
use crate::keys::installation::Installation;
use crate::secrets::mode;

/// Restores a backup of one database into another, and works with it.
fn moves(from: Database, to: Database) {
    let mut installation = Installation::new(from);
    let world = &installation.world;
    let serials = world.apple.some("Lab", 3);
    world.run(&["assign", "hold", &serials[0], "--reason", "in \"repair\", ü"]).exits(0);
    world.run(&["device", "tag", &serials[1], "--add", "loan"]).exits(0);
    world.run(&["rule", "add", "loans", "--when", "tag=loan", "--profile", "standard"]).exits(0);
    world.run(&["sync", "lab", "--force"]).exits(0);
    let file = backup(world, "all.backup");
    assert_eq!(mode(file.as_ref()), 0o600);
    let before = (devices(world).stdout, world.decided(), installation.masters());
    let made = world.run(&["audit", "list", "--action", "backup.*", "--json"]).exits(0).object();
    assert_eq!(
        (&made["action"], &made["object"]["name"]),
        (&"backup.made".into(), &file.as_str().into()),
        "{made}"
    );

    let key = key_of(world);
    start_anew(&mut installation.world, "new", to, &key);
    let world = &installation.world;
    let checked = world.object(&["restore", &file, "--check"]);
    assert_eq!(
        (&checked["restored"], &checked["tables"]["devices"]),
        (&false.into(), &6.into()),
        "{checked}"
    );
    assert!(!world.data_dir().join("adelie.db").exists(), "a check makes nothing");
    world.run(&["restore", &file]).exits(0).complains("old installation is stopped");
    assert_eq!(devices(world).stdout, before.0);
    assert_eq!(world.decided(), before.1);
    assert_eq!(installation.masters(), before.2);
    world.run(&["audit", "verify"]).exits(0);
    let last = world.run(&["audit", "list", "--limit", "1", "--json"]).exits(0).object();
    assert_eq!(last["action"], "backup.restored", "{last}");

    let mark = world.apple.mark();
    world.run(&["sync", "lab", "--force"]).exits(0);
    assert_eq!(world.apple.assignments(mark), [], "everything is as it was left");
    assert_eq!(world.state(&serials[0]), "held");
    world.run(&["assign", "unhold", &serials[0]]).exits(0);
    world.settle();
    installation.opens();
    let _service = world.start(&["serve", "--listen", "127.0.0.1:0"]);
    installation.delivers();
}

#[test]
fn from_sqlite_to_sqlite() {
    moves(Database::Sqlite, Database::Sqlite);
}

#[test]
fn from_sqlite_to_postgres() {
    if let Some(to) = Database::postgres() {
        moves(Database::Sqlite, to);
    }
}

#[test]
fn from_postgres_to_sqlite() {
    if let Some(from) = Database::postgres() {
        moves(from, Database::Sqlite);
    }
}

#[test]
fn from_postgres_to_postgres() {
    if let Some((from, to)) = Database::postgres().zip(Database::postgres()) {
        moves(from, to);
    }
}

on_both_databases! {
    /// A service that was started on an empty database, and has made a data key for it, goes on with what is restored.
    fn a_service_that_runs_already(database) {
        let empty = another(&database);
        let mut installation = Installation::new(database);
        let (file, key) = (backup(&installation.world, "all.backup"), key_of(&installation.world));
        start_anew(&mut installation.world, "new", empty, &key);
        installation.world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        let world = &installation.world;
        let service = world.start(&["serve", "--listen", "127.0.0.1:0"]);
        eventually("the service", || service.log().contains("Adelie serves").then_some(()));
        let mark = world.apple.mark();
        world.run(&["restore", &file]).exits(0);
        eventually("syncs", || (world.apple.count(mark, "POST", "/devices/sync") > 1).then_some(()));
        installation.delivers();
        installation.opens();
        let log = service.log();
        assert!(!log.contains("cannot be opened") && !log.contains("does not open"), "{log}");
    }

    /// Backups that are made while devices are imported each show one moment, and restore.
    fn while_a_service_syncs(database) {
        let mut world = World::ready(database, Settings { devices: 4000, ..Settings::default() });
        let key = key_of(&world);
        let mut service = world.start(&["serve", "--listen", "127.0.0.1:0"]);
        let mut files = Vec::new();
        let all = || world.ledger().column("-- devices\nSELECT CAST(count(*) AS text) FROM devices")[0] == "4000";
        eventually("an import", || {
            files.push(backup(&world, &format!("{}.backup", files.len())));
            all().then_some(())
        });
        service.kill();
        assert!(files.len() > 1, "the import was over before the first backup was");
        let mut counts = Vec::new();
        for (number, file) in files.iter().enumerate() {
            start_anew(&mut world, &format!("new{number}"), Database::Sqlite, &key);
            world.run(&["restore", file]).exits(0);
            let ledger = world.ledger();
            let number = |what: &str| ledger.column(&format!("-- number\nSELECT CAST({what} AS text)"))[0].clone();
            let (devices, added) = (
                number("(SELECT count(*) FROM devices)"),
                number("(SELECT COALESCE(sum(added), 0) FROM sync_runs)"),
            );
            assert_eq!(devices, added, "devices and their counts are written together");
            assert!(ledger.rows("-- broken_keys\nSELECT \"table\" FROM pragma_foreign_key_check").is_empty());
            counts.push(devices);
        }
        // The last of them goes on where the import stood.
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
    }
}
