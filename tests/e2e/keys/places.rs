use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use adelie_simulator::Settings;

use crate::harness::{Database, STANDARD, World, eventually};

fn chmod(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
}

/// A master key in a file beside the data directory: its path, its text and its id.
fn made(world: &World, name: &str) -> (String, String, String) {
    let file = world.path(name);
    let made = world.object(&["key", "make", &file]);
    let text = fs::read_to_string(&file).expect("the key").trim().to_owned();
    (file, text, made["master_key"].as_str().expect("an id").to_owned())
}

/// Adds MDM server `lab` and syncs it.
fn synced(world: &World) {
    world.onboard("lab", "Lab");
    world.add_profile("standard", STANDARD);
    world.run(&["server", "set", "lab", "--default", "any=standard"]).exits(0);
    world.run(&["sync", "lab"]).exits(0);
}

/// A place of the environment, with what is to stand there for a key.
type Place = (&'static str, fn(&World, &str) -> String);

const PLACES: [Place; 3] = [
    ("ADELIE_MASTER_KEY", |_, text| text.to_owned()),
    ("ADELIE_MASTER_KEY_FILE", |world, text| {
        let file = world.write("given.key", text);
        chmod(&file, 0o600);
        file
    }),
    ("CREDENTIALS_DIRECTORY", |world, text| {
        let folder = world.path("credentials");
        fs::create_dir_all(&folder).expect("a folder");
        let file = format!("{folder}/adelie-master-key");
        fs::write(&file, text).expect("a credential");
        // As systemd does.
        chmod(&file, 0o440);
        folder
    }),
];

on_both_databases! {
    /// L61: a master key comes from each place; a wrong one is named with the one expected, the one at hand and where that
    /// came from, before anything is asked of Apple; several in one place open what any of them has sealed.
    fn each_place_has_its_turn(database) {
        let postgres = database.is_postgres();
        for (variable, put) in PLACES {
            let database = if postgres { Database::postgres().expect("there is one") } else { Database::Sqlite };
            let mut world = World::empty(database, Settings { devices: 2, ..Settings::default() });
            let (_, text, id) = made(&world, "right.key");
            let (_, other_text, other_id) = made(&world, "other.key");
            let value = put(&world, &text);
            world.set(variable, &value);
            synced(&world);
            assert!(!world.has_key_file(), "{variable}: a key file would be of no use");

            let value = put(&world, &other_text);
            world.set(variable, &value);
            let mark = world.apple.mark();
            for command in [&["sync", "lab", "--force"][..], &["serve", "--listen", "127.0.0.1:0"]] {
                let wrong = world.run(command).exits(2);
                wrong.complains(&id).complains(&other_id).complains("hint: ");
            }
            assert_eq!(world.apple.mark(), mark, "{variable}: nothing is asked of Apple");
            let wrong = world.run(&["sync", "lab", "--force"]);
            let place = if variable.starts_with("CRED") { "systemd credential" } else { "master key" };
            assert!(wrong.stderr.contains(place) || wrong.stderr.contains(variable), "{wrong}");
            world.run(&["doctor"]).exits(1);

            let value = put(&world, &format!("{other_text}\n{text}\n"));
            world.set(variable, &value);
            world.run(&["sync", "lab", "--force"]).exits(0);
            // The first one seals from the next rotation on, and then the other one may go.
            let rotated = world.run(&["key", "rotate"]).exits(0);
            assert!(rotated.stdout.contains(&other_id) && rotated.stderr.contains(&id), "{rotated}");
            let value = put(&world, &other_text);
            world.set(variable, &value);
            world.run(&["sync", "lab", "--force"]).exits(0);

            for broken in ["garbage", "adelie-key-1:AAAA"] {
                let value = put(&world, broken);
                world.set(variable, &value);
                let run = world.run(&["sync", "lab", "--force"]).exits(2).complains("hint: ");
                assert!(!run.stderr.contains(broken), "{run}");
            }
        }
    }

    /// A master key that a program cannot write is exchanged by hand, and the program says how.
    fn exchanging_by_hand(database) {
        let mut world = World::empty(database, Settings { devices: 2, ..Settings::default() });
        let (_, old_text, old) = made(&world, "old.key");
        let (new_file, new_text, new) = made(&world, "new.key");
        world.set("ADELIE_MASTER_KEY", &old_text);
        synced(&world);
        let refused = world.run(&["key", "rotate", "--to", &new_file]).exits(2);
        refused.complains(&new).complains("ADELIE_MASTER_KEY").complains("docs/keys.md");
        // Blanks, because not every environment can hold lines.
        world.set("ADELIE_MASTER_KEY", &format!("{new_text} {old_text}"));
        let done = world.run(&["key", "rotate", "--to", &new_file]).exits(0);
        done.complains(&format!("nothing is sealed under {old} any more"));
        world.set("ADELIE_MASTER_KEY", &new_text);
        world.run(&["sync", "lab", "--force"]).exits(0);
    }
}

on_both_databases! {
    /// L61: a copy of the service that was forgotten when master keys were exchanged says which one it needs, works with what
    /// it has opened, and goes on once it has the key.
    fn a_copy_that_was_forgotten(database) {
        let mut world = World::empty(database, Settings { devices: 2, ..Settings::default() });
        let (_, old_text, old) = made(&world, "old.key");
        let (_, new_text, new) = made(&world, "new.key");
        let lent = world.write("lent.key", &old_text);
        chmod(&lent, 0o600);
        world.set("ADELIE_MASTER_KEY_FILE", &lent);
        world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        synced(&world);
        let pem = world.token_key("lab");
        let service = world.start(&["serve", "--listen", "127.0.0.1:0"]);
        let done = || world.ledger().column("-- runs
SELECT CAST(id AS text) FROM sync_runs WHERE outcome = 'done'").len();
        let goes_on = |why: &str| {
            let before = done();
            eventually(why, || (done() > before + 1).then_some(()));
        };
        goes_on("it syncs");
        let both = format!("{new_text} {old_text}");
        let both = [("ADELIE_MASTER_KEY", both.as_str())];
        world.run_with(&both, &["key", "rotate"]).exits(0);
        goes_on("it works with what it has opened");
        let token = world.issue("again", "Lab", &pem);
        world.run_with(&both, &["token", "import", "lab", &token]).exits(0);
        let says = format!("was sealed under master key {new}, and the key at hand is {old} from");
        eventually("it says what it needs", || service.log().contains(&says).then_some(()));
        fs::write(&lent, format!("{old_text}
{new_text}
")).expect("both keys");
        goes_on("it has the key");
        assert!(!service.log().contains("panicked"), "{}", service.log());
    }
}

/// What stands in the environment is nowhere in what is printed.
#[test]
fn the_environment_is_not_repeated() {
    let mut world = World::empty(Database::Sqlite, Settings { devices: 1, ..Settings::default() });
    let (_, text, _) = made(&world, "a.key");
    let canary = &text["adelie-key-1:".len()..];
    world.set("ADELIE_MASTER_KEY", &text);
    world.set("ADELIE_LOG", "trace");
    world.onboard("lab", "Lab");
    for command in [
        &["--help"][..],
        &["key", "rotate", "--help"],
        &["key", "show"],
        &["key", "show", "--json"],
        &["key", "rotate"],
        &["sync", "lab"],
        &["doctor", "--json"],
    ] {
        let run = world.run(command);
        assert!(!run.stdout.contains(canary) && !run.stderr.contains(canary), "{run}");
    }
    world.set("ADELIE_MASTER_KEY", &format!("{text}x"));
    let run = world.run(&["sync", "lab", "--force"]).exits(2);
    assert!(!run.stderr.contains(canary), "{run}");
}

/// A file of keys is its owner's alone; one that was named and is not there is not passed over.
#[test]
fn a_named_file() {
    let mut world = World::empty(Database::Sqlite, Settings::default());
    let (file, text, id) = made(&world, "a.key");
    world.set("ADELIE_MASTER_KEY_FILE", &file);
    for mode in [0o644, 0o660, 0o606] {
        chmod(&file, mode);
        world.run(&["server", "list"]).exits(2).complains("a.key").complains("chmod 600");
    }
    chmod(&file, 0o600);
    world.run(&["server", "list"]).exits(0);
    let shown = world.object(&["key", "show"]);
    assert_eq!(shown["data_keys"][0]["master_key"], id.as_str(), "{shown}");
    for missing in ["/nowhere/a.key", &world.path("")] {
        let run = world.run_with(&[("ADELIE_MASTER_KEY_FILE", missing)], &["key", "rotate"]).exits(2);
        run.complains(missing).complains("hint: ");
    }
    // The settings file names it as well, and the environment comes before it.
    let settings = world.write("adelie.toml", format!("master_key_file = {file:?}\n"));
    let by_file = [("ADELIE_MASTER_KEY_FILE", ""), ("ADELIE_CONFIG", settings.as_str())];
    world.run_with(&by_file, &["key", "rotate"]).exits(0);
    let (_, other, _) = made(&world, "b.key");
    let both = [by_file[0], by_file[1], ("ADELIE_MASTER_KEY", &other)];
    world.run_with(&both, &["key", "rotate"]).exits(2).complains("environment variable ADELIE_MASTER_KEY");
    assert!(!world.has_key_file());
    assert!(text.starts_with("adelie-key-1:"));
}
