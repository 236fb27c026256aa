use std::fs;

use super::{another, backup, key_of, start_anew};
use crate::harness::World;

on_both_databases! {
    /// What is no whole backup is refused with what is wrong with it and what to do, and nothing is made or changed.
    fn what_is_no_whole_backup(database) {
        let empty = another(&database);
        let mut world = World::synced(database, 20);
        let (file, key) = (backup(&world, "all.backup"), key_of(&world));
        let bytes = fs::read(&file).expect("the backup");
        start_anew(&mut world, "new", empty, &key);
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 4;
        let newer = |what: &str, to: &str| {
            let file = world.path(to);
            world.shell(&format!("zcat all.backup | sed '1s/{what}/' | gzip > {to}")).exits(0);
            fs::read(&file).expect("a file")
        };
        let format = newer("\"number\":1/\"number\":7", "format");
        let schema = newer("\"schema\":[0-9]*/\"schema\":700", "schema");
        let changed = newer("\"rows\":[0-9]*/\"rows\":1", "changed");
        for (what, content, says) in [
            ("cut", &bytes[..bytes.len() - 1], "incomplete"),
            ("cut short", &bytes[..bytes.len() / 3], "incomplete"),
            ("empty", &[], "incomplete"),
            ("flipped", &flipped, "damaged"),
            ("changed", &changed, "damaged"),
            ("format", &format, "format 7"),
            ("schema", &schema, "schema 700"),
            ("other", b"SQLite format 3\0", "no backup of Adelie"),
        ] {
            let file = world.write(&format!("{what}.bad"), content);
            for more in [&[][..], &["--check"]] {
                let run = world.run(&[&["restore", &file], more].concat()).exits(2);
                assert!(run.stdout.is_empty(), "{what}: {run}");
                run.complains(says).complains("hint: ");
            }
        }
        // Whatever was tried, the database is as empty as a new one.
        world.run(&["restore", &file]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// L61: without its master key nothing is restored, and nothing is made; the error names the key, where it was looked for
    /// and what to do. With several keys at hand, any may be the one.
    fn without_the_master_key(database) {
        let empty = another(&database);
        let mut world = World::synced(database, 2);
        let (file, key) = (backup(&world, "all.backup"), key_of(&world));
        let id = world.object(&["restore", &file, "--check"])["master_keys"][0].as_str().expect("an id").to_owned();
        world.go_to("new", empty);
        let missing = world.run(&["restore", &file]).exits(2).complains(&id).complains("new/master.key is not there");
        missing.complains("hint: put your copy");
        assert!(!world.data_dir().exists(), "nothing was made");
        // Who only looks whether a copy is whole need not have the key.
        let checked = world.run(&["restore", &file, "--check"]).exits(1).complains(&id);
        assert!(checked.stdout.contains("is whole"), "{checked}");

        let other = world.path("other.key");
        let made = world.object(&["key", "make", &other]);
        let other_id = made["master_key"].as_str().expect("an id");
        world.set("ADELIE_MASTER_KEY_FILE", &other);
        world.run(&["restore", &file]).exits(2).complains(&id).complains(other_id).complains("hint: put your copy");
        assert!(!world.data_dir().exists(), "nothing was made");
        world.set("ADELIE_MASTER_KEY_FILE", "/nonexistent.key");
        world.run(&["restore", &file]).exits(2).complains("/nonexistent.key");

        let both = format!("{} {}", fs::read_to_string(&other).expect("a key").trim(), key.trim());
        world.set("ADELIE_MASTER_KEY", &both);
        world.run(&["restore", &file]).exits(0);
        assert!(!world.has_key_file(), "it is of no use");
        world.run(&["sync", "lab", "--force"]).exits(0);
    }

    /// A backup is made also when the master key is gone, so that it is there when the key turns up; whoever makes one each
    /// night hears of it.
    fn a_backup_without_its_key(database) {
        let world = World::synced(database, 2);
        let key = key_of(&world);
        let file = world.path("all.backup");
        fs::remove_file(world.data_dir().join("master.key")).expect("it was there");
        let made = world.run(&["backup", &file]).exits(1);
        assert!(made.stdout.contains("wrote"), "{made}");
        made.complains("without master key").complains("is missing");
        assert!(!world.has_key_file(), "no new one is made");
        fs::write(world.data_dir().join("master.key"), key).expect("the key");
        world.shell("chmod 600 data/master.key").exits(0);
        world.run(&["restore", &file, "--check"]).exits(0);
    }

    /// Nothing is mixed with what is there, no file is written over unasked, and a full disk leaves neither a backup nor a
    /// piece of one.
    fn what_is_there_already_stays(database) {
        let world = World::synced(database, 400);
        let file = backup(&world, "all.backup");
        let before = world.run(&["device", "list", "--json"]).exits(0).stdout;
        let refused = world.run(&["restore", &file]).exits(2);
        refused.complains("mdm_servers (1)").complains("devices (400)").complains("hint: ");
        assert_eq!(world.run(&["device", "list", "--json"]).exits(0).stdout, before);

        world.run(&["backup", &file]).exits(2).complains("--force");
        world.run(&["backup", &file, "--force"]).exits(0);
        let old = fs::read(&file).expect("the backup");
        world.run(&["backup", "/proc/all.backup"]).exits(2).complains("/proc/all.backup");
        // The limit is in blocks of 512 or 1024 bytes, and SQLite would get no more, either. A signal would end the program
        // before it can tell.
        if world.database.is_postgres() {
            let full = world.shell("trap '' XFSZ; ulimit -f 4; adelie backup all.backup --force").exits(1);
            full.complains("could not be written to").complains("all.backup");
        }
        assert_eq!(fs::read(&file).expect("the backup"), old);
        assert!(!world.home.path().join("all.backup.partial").exists());
        let full = world.shell("adelie backup - > /dev/full").exits(1);
        full.complains("No space left on device");
        let gone = world.shell("{ adelie backup - || echo \"ended with $?\" >&2; } | true").exits(0);
        gone.complains("has gone away").complains("ended with 1");
        world.shell("adelie backup - > piped.backup && cat piped.backup | adelie restore - --check").exits(0);
    }
}
