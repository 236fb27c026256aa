use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use adelie_simulator::Settings;

use crate::harness::{Run, World};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
}

/// A command that needs the key.
fn needs_the_key(world: &World) -> Run {
    let mark = world.apple.mark();
    let run = world.run(&["sync", "lab", "--force"]);
    assert_eq!(world.apple.mark(), mark, "nothing is asked of Apple without the key");
    assert!(run.stdout.is_empty(), "{run}");
    // Nothing is tried again and nothing is waited for: the service ends as well, before it listens or asks Apple.
    let service = world.run(&["serve", "--listen", "127.0.0.1:0"]).exits(2);
    assert!(!service.stderr.contains("listen="), "{service}");
    assert_eq!(service.stderr, run.stderr);
    assert_eq!(world.apple.mark(), mark, "nothing is asked of Apple without the key");
    run
}

on_both_databases! {
    /// L61: a missing, foreign, broken or open key file is named, with the key that is expected and the fix; when
    /// the right one is back, all is as before.
    fn key_files(database) {
        let world = World::synced(database, 2);
        let path = world.data_dir().join("master.key");
        let right = fs::read(&path).expect("the key file");
        let tokens = world.object(&["token", "show", "lab"]);

        fs::remove_file(&path).expect("removed");
        let missing = needs_the_key(&world).exits(2);
        let missing = missing.complains("master.key").complains("is missing").complains("hint: ");
        assert!(!path.exists(), "a second key would hide that the first is lost");
        let expected = missing.stderr.split("master key ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let expected = expected.expect("the id of the key").to_owned();

        let other = World::empty(crate::harness::Database::Sqlite, Settings::default());
        other.run(&["server", "list"]).exits(0);
        fs::copy(other.data_dir().join("master.key"), &path).expect("copied");
        chmod(&path, 0o600);
        needs_the_key(&world).exits(2).complains(&expected);
        world.run(&["doctor"]).exits(1);

        for wrong in ["", "garbage", "adelie-master-key-v1 AAAA\n"] {
            fs::write(&path, wrong).expect("written");
            chmod(&path, 0o600);
            needs_the_key(&world).exits(2).complains("master.key").complains("hint: ");
        }
        fs::write(&path, &right).expect("written");
        for mode in [0o644, 0o640, 0o606] {
            chmod(&path, mode);
            needs_the_key(&world).exits(2).complains("master.key").complains("chmod 600");
            let doctor = world.run(&["doctor"]).exits(1);
            assert!(doctor.stdout.contains("fix: run `chmod 600"), "{doctor}");
        }
        // What needs no secret works without the key.
        fs::remove_file(&path).expect("removed");
        world.run(&["device", "list"]).exits(0);
        world.run(&["server", "list"]).exits(0);

        fs::write(&path, &right).expect("written");
        chmod(&path, 0o600);
        assert_eq!(world.object(&["token", "show", "lab"]), tokens);
        world.run(&["sync", "lab", "--force"]).exits(0);
    }
}
