use adelie_simulator::Settings;

use super::installation::Installation;
use crate::harness::{Database, Run, World};
use crate::secrets::mode;

/// Where nobody can make a file, not even root.
const NOWHERE: &str = "/sys/kernel";

/// Runs a command that can write nothing to any disk, as if each were full. Its outputs go through a pipe; the last word on
/// stdout is its exit code.
fn on_a_full_disk(world: &World, command: &str) -> Run {
    world.shell(&format!(
        "{{ (trap '' XFSZ; ulimit -f 0; exec adelie {command}) 2>&1 || echo \"ends with $?\"; }} | cat"
    ))
}

/// The files of the data directory that could be a key or a half of one.
fn keys(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.data_dir()).expect("the data directory").flatten();
    let names = entries.map(|entry| entry.file_name().display().to_string());
    names.filter(|name| name.contains("key")).collect()
}

on_both_databases! {
    /// The first start cannot write the key file: it says so, and the next one begins anew.
    fn the_first_key_file_cannot_be_written(database) {
        let mut world = World::empty(database, Settings::default());
        if let Database::Sqlite = &world.database {
            let url = format!("sqlite:{}", world.path("elsewhere.db"));
            world.set("ADELIE_DATABASE_URL", &url);
        }
        let run = world.run_with(&[("ADELIE_DATA_DIR", NOWHERE)], &["server", "list"]).exits(1);
        run.complains("/sys/kernel/master.key could not be written").complains("nothing was sealed yet");
        world.run(&["server", "add", "lab", "--base-url", &world.apple.url]).exits(0).complains("made the key file");
        world.run(&["token", "key", "lab"]).exits(0);
        assert_eq!(keys(&world), ["master.key"]);
        assert_eq!(mode(&world.data_dir().join("master.key")), 0o600);
    }

    /// A key file that cannot be exchanged stays whole, and everything opens with its old key; the same command goes on once
    /// there is room.
    fn the_key_file_cannot_be_exchanged(database) {
        let installation = Installation::new(database);
        let world = &installation.world;
        let (new, id) = installation.make_key("new.key");
        let before = std::fs::read(installation.key_file()).expect("the key file");
        let (secrets, draft) = (installation.secrets(), world.data_dir().join("master.key.new"));
        // A folder where the draft is written can be neither removed nor written.
        std::fs::create_dir(&draft).expect("a folder");
        let run = installation.rotate(&["--to", &new]).exits(1);
        run.complains("master.key could not be written").complains("its keys open everything");
        assert_eq!(std::fs::read(installation.key_file()).expect("the key file"), before);
        assert_eq!(installation.secrets(), secrets, "nothing was sealed anew");
        std::fs::remove_dir(&draft).expect("removed");
        installation.opens();
        if world.database.is_postgres() {
            // With SQLite the database itself could not be opened.
            let run = on_a_full_disk(world, &format!("key rotate --to {new}"));
            for told in ["master.key could not be written", "its keys open everything", "ends with 1"] {
                assert!(run.stdout.contains(told), "{told} is missing in {run}");
            }
            assert_eq!(std::fs::read(installation.key_file()).expect("the key file"), before);
            assert_eq!(keys(world), ["master.key"]);
            installation.opens();
        }
        installation.rotate(&["--to", &new]).exits(0);
        assert_eq!(installation.masters()[0], id);
        assert_eq!(keys(world), ["master.key"]);
        installation.opens();
    }
}

/// A master key is written whole or not at all.
#[test]
fn a_master_key_on_a_full_disk() {
    let world = World::empty(Database::Sqlite, Settings::default());
    let run = on_a_full_disk(&world, "key make new.key");
    for told in [
        "the master key cannot be written to new.key",
        "hint: check the folder, its permissions and the disk",
        "ends with 2",
    ] {
        assert!(run.stdout.contains(told), "{told} is missing in {run}");
    }
    let left: Vec<_> = std::fs::read_dir(world.home.path()).expect("a folder").flatten().collect();
    let left: Vec<_> = left.iter().map(|entry| entry.file_name().display().to_string()).collect();
    assert!(!left.iter().any(|name| name.contains("new.key")), "{left:?}");
}
