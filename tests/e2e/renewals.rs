//! The yearly renewal of server tokens.

use std::collections::BTreeMap;

use adelie_simulator::{Settings, TokenShape, TokenSwitch};
use serde_json::Value;

use crate::harness::{LAB, World, eventually, text};

/// The ids of all tokens of an MDM server, the last imported first, and whether each is in use.
fn history(world: &World, server: &str) -> Vec<(String, bool)> {
    let tokens = world.objects(&["token", "history", server]);
    tokens.iter().map(|token| (text(token, "id").to_owned(), token["in_use"] == true)).collect()
}

/// The devices of `lab` without the moment at which Apple last listed them.
fn table(world: &World) -> BTreeMap<String, Value> {
    let mut table = world.table("lab");
    table.values_mut().for_each(|device| device["last_seen_at"] = Value::Null);
    table
}

fn keys(world: &World, server: &str) -> usize {
    world.object(&["token", "show", server])["keys"].as_array().map_or(0, Vec::len)
}

/// A file that Apple issues for a certificate file.
fn issue(world: &World, at_apple: &str, certificate: &str, name: &str) -> String {
    let pem = std::fs::read_to_string(certificate).expect("a certificate");
    let bytes = world.apple.issue_token(at_apple, &pem, TokenShape::default()).expect("a token");
    world.write(name, bytes)
}

on_both_databases! {
    /// L40: a renewal keeps devices, profiles, cursors and assignments, and asks for no list beyond the delta that is due.
    fn everything_stays_over_a_renewal(database) {
        let world = World::synced(database, 12);
        world.apple.add_devices(LAB, 2).expect("devices");
        world.settle();
        let (table, uuid, decided) = (table(&world), world.profile_uuid("standard", "lab"), world.decided());
        let first = world.object(&["token", "show", "lab"]);

        let guided = world.run(&["token", "renew", "lab"]).exits(1);
        for told in ["lab.pem", "WARNING: downloading a new token ends the old one at once", "Download Token",
            "adelie token renew lab FILE.p7m", text(&first["account"], "admin_id")] {
            assert!(guided.stdout.contains(told), "{told:?} is missing in {guided}");
        }
        world.run(&["token", "check", "lab"]).exits(0);
        let file = issue(&world, LAB, &world.path("lab.pem"), "new.p7m");
        let mark = world.apple.mark();
        world.run(&["token", "renew", "lab", &file]).exits(0);
        assert_eq!(world.apple.since(mark).iter().map(|request| request.path.as_str()).collect::<Vec<_>>(),
            ["/session", "/account"]);
        let report = world.object(&["sync", "lab", "--force"]);
        assert_eq!(report["sync"]["kind"], "delta", "{report}");
        assert_eq!(world.apple.count(mark, "POST", "/server/devices"), 0);
        assert_eq!(world.apple.count(mark, "POST", "/devices/sync"), 1);
        assert!(world.apple.assignments(mark).is_empty());
        assert_eq!(world.profile_uuid("standard", "lab"), uuid);
        assert_eq!(world.decided(), decided);
        for (serial, device) in self::table(&world) {
            assert_eq!(Some(&device), table.get(&serial));
        }
        assert!(world.apple.devices(LAB).values().all(|device| device.assigns == 1));

        let tokens = world.objects(&["token", "history", "lab"]);
        assert_eq!(tokens.len(), 2);
        assert_eq!((&tokens[0]["in_use"], &tokens[1]["in_use"]), (&Value::Bool(true), &Value::Bool(false)));
        assert!(tokens[1]["replaced_at"].is_string() && tokens[0]["imported_by"].is_string(), "{tokens:?}");
        assert_eq!(tokens[0]["account"]["admin_id"], first["account"]["admin_id"]);
        assert_eq!(keys(&world, "lab"), 2);
    }

    /// L40: a renewal that is broken off is taken up again with the same key and the same file; nothing that is there is
    /// overwritten.
    fn a_renewal_is_taken_up_again(database) {
        let world = World::synced(database, 2);
        world.run(&["token", "renew", "lab"]).exits(1);
        let certificate = std::fs::read_to_string(world.path("lab.pem")).expect("a certificate");
        let again = world.run(&["token", "renew", "lab"]).exits(1);
        assert!(again.stdout.contains("interrupted renewal"), "{again}");
        let asked = world.run(&["token", "renew", "lab", "--json"]).exits(1).object();
        assert_eq!(text(&asked, "certificate_file"), "lab.pem");
        assert_eq!(std::fs::read_to_string(world.path("lab.pem")).expect("a certificate"), certificate);
        assert_eq!(keys(&world, "lab"), 2);
        world.write("taken.pem", "something else");
        world.run(&["token", "renew", "lab", "--out", "taken.pem"]).exits(2).complains("another file");
        assert_eq!(std::fs::read_to_string(world.path("taken.pem")).expect("a file"), "something else");
        world.run(&["token", "key", "lab", "--out", "taken.pem"]).exits(2).complains("another file");
        assert_eq!(keys(&world, "lab"), 2, "no key is made for a file that cannot be written");

        let reuse = world.run(&["token", "renew", "lab", "--reuse-key", "--json"]).exits(1).object();
        assert_eq!(reuse["certificate_file"], Value::Null);
        assert_eq!(keys(&world, "lab"), 2);
        let file = issue(&world, LAB, &world.path("lab.pem"), "new.p7m");
        world.run(&["token", "renew", "lab", &file]).exits(0);
        // The same file again changes nothing and is no mistake.
        let twice = world.run(&["token", "renew", "lab", &file]).exits(0);
        assert!(twice.stdout.contains("in use already"), "{twice}");
        assert_eq!(history(&world, "lab").len(), 2);
        // The key has opened a token, so the next renewal makes another, whose certificate takes the place of this one.
        world.run(&["token", "renew", "lab"]).exits(1);
        assert_ne!(std::fs::read_to_string(world.path("lab.pem")).expect("a certificate"), certificate);
        assert_eq!(keys(&world, "lab"), 3);
    }

    /// The file is taken from a folder by itself, not the old one that lies there, nor one for another MDM server.
    fn a_folder_is_watched(database) {
        let world = World::synced(database, 2);
        let folder = world.home.path().join("downloads");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::copy(world.path("lab.p7m"), folder.join("old.p7m")).expect("the file of the token in use");
        std::fs::write(folder.join("half.p7m"), b"MIME-Version: 1.0\n").expect("a file");
        let waiting = world.start(&["token", "renew", "lab", "--watch", "downloads"]);
        eventually("it waits", || waiting.log().contains("4. Save the .p7m file").then_some(()));
        let file = issue(&world, LAB, &world.path("lab.pem"), "new.p7m");
        std::fs::copy(file, folder.join("new.p7m")).expect("a copy");
        let run = waiting.wait().exits(0).complains("found ");
        assert!(run.stdout.contains("imported the server token of lab"), "{run}");
        assert_eq!(history(&world, "lab").len(), 2);
        world.run(&["token", "check", "lab"]).exits(0);
        world.run(&["token", "renew", "lab", "--watch", "nowhere", "--out", "x.pem"]).exits(2).complains("no folder");
    }

    /// Ctrl-C leaves everything as it was, and says how to go on.
    fn ctrl_c_changes_nothing(database) {
        let world = World::synced(database, 2);
        let before = history(&world, "lab");
        let waiting = world.start(&["token", "renew", "lab", "--watch", "."]);
        eventually("it waits", || waiting.log().contains("4. Save the .p7m file").then_some(()));
        waiting.interrupt();
        waiting.wait().exits(1).complains("the token in use stays").complains("go on with `adelie token renew lab`");
        assert_eq!(history(&world, "lab"), before);
        world.run(&["token", "check", "lab"]).exits(0);
    }

    /// L40, L41: many MDM servers at once, each file for the server whose key it is for; one bad file stops no other.
    fn many_servers_at_once(database) {
        let world = World::synced(database, 2);
        let folder = world.home.path().join("files");
        std::fs::create_dir(&folder).expect("a folder");
        world.run(&["token", "renew", "--folder", "files"]).exits(2).complains("no .p7m file");
        for (name, at_apple) in [("east", "East"), ("west", "West"), ("north", "North")] {
            world.apple.add_server(at_apple).expect("a new MDM server");
            world.onboard(name, at_apple);
        }
        let issue = |file: &str, server: &str, at_apple: &str| {
            let pem = world.token_key(server);
            let bytes = world.apple.issue_token(at_apple, &pem, TokenShape::default()).expect("a token");
            std::fs::write(folder.join(file), bytes).expect("a file");
        };
        issue("a.p7m", "east", "East");
        issue("b.p7m", "west", "West");
        // Somebody has uploaded the certificate of another MDM server.
        issue("c.p7m", "north", "Lab");
        std::fs::write(folder.join("d.p7m"), "not a token").expect("a file");
        let stranger = adelie_token::TokenKey::generate("stranger", adelie_model::Timestamp::UNIX_EPOCH
            + chrono::TimeDelta::days(20_000)).expect("a key");
        let bytes = world.apple.issue_token("East", &stranger.certificate_pem(), TokenShape::default());
        std::fs::write(folder.join("e.p7m"), bytes.expect("a token")).expect("a file");
        // That has ended the token in a.p7m.
        issue("f.P7M", "east", "East");
        std::fs::remove_file(folder.join("a.p7m")).expect("gone");

        let run = world.run(&["token", "renew", "--folder", "files", "--json"]).exits(1);
        let mut fates: Vec<_> = run.objects().iter()
            .map(|fate| {
                let file = text(fate, "file").rsplit('/').next().expect("a name").to_owned();
                (file, fate["server"].as_str().unwrap_or("-").to_owned(), text(fate, "result").to_owned())
            })
            .collect();
        fates.sort_unstable();
        let expected = [
            ("b.p7m", "west", "renewed"),
            ("c.p7m", "north", "refused"),
            ("d.p7m", "-", "unreadable"),
            ("e.p7m", "-", "unmatched"),
            ("f.P7M", "east", "renewed"),
        ];
        assert_eq!(fates, expected.map(|(file, server, result)| (file.to_owned(), server.to_owned(), result.to_owned())));
        for file in ["c.p7m", "d.p7m", "e.p7m"] {
            std::fs::remove_file(folder.join(file)).expect("gone");
        }
        let again = world.run(&["token", "renew", "--folder", "files"]).exits(0);
        assert_eq!(again.stdout.matches("in use already").count(), 2, "{again}");
        for name in ["east", "west", "north"] {
            world.run(&["token", "check", name]).exits(0);
        }
    }

    /// L40: a former token comes back if Apple takes it; one that Apple has ended does not, and the one in use stays.
    fn a_former_token_is_restored(database) {
        let world = World::synced(database, 2);
        world.run(&["token", "restore", "lab"]).exits(2).complains("no former server token");
        let renewed = world.issue("lab", LAB, &world.token_key("lab"));
        world.run(&["token", "import", "lab", &renewed]).exits(0);
        let after = history(&world, "lab");
        assert_eq!(after.iter().map(|(_, in_use)| *in_use).collect::<Vec<_>>(), [true, false]);
        // Downloading the new one has ended it at Apple.
        world.run(&["token", "restore", "lab"]).exits(1).complains("token in use stays");
        assert_eq!(history(&world, "lab"), after);
        world.run(&["token", "restore", "lab", "00000000-0000-0000-0000-000000000001"]).exits(2).complains("history");

        // The token of another MDM server was forced upon it by mistake.
        world.apple.add_server("Branch").expect("a new MDM server");
        let wrong = world.issue("branch", "Branch", &world.token_key("lab"));
        world.run(&["token", "import", "lab", &wrong, "--force"]).exits(0);
        world.run(&["token", "restore", "lab"]).exits(2).complains("another MDM server");
        world.run(&["token", "restore", "lab", "--force"]).exits(0);
        let back = world.objects(&["token", "history", "lab"]);
        assert_eq!(back.iter().map(|token| token["in_use"] == true).collect::<Vec<_>>(), [false, true, false]);
        assert!(back[1]["restored_at"].is_string() && back[1]["restored_by"].is_string(), "{back:?}");
        let table = world.run(&["token", "history", "lab"]).exits(0).stdout;
        assert!(table.contains("; restored ") && table.contains("in use") && table.contains("replaced "), "{table}");
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", LAB);
        let told = world.objects(&["events", "list", "--type", "token.renewed", "--limit", "1"]);
        assert_eq!(told[0]["data"]["restored"], true, "{told:?}");
    }

    /// L40: a renewed token that Apple does not take changes nothing, also when it comes by `renew`.
    fn a_renewal_that_apple_refuses(database) {
        let world = World::synced_with(database, Settings { devices: 2, ..Settings::default() });
        let before = history(&world, "lab");
        let file = world.issue("lab", LAB, &world.token_key("lab"));
        world.apple.token(LAB, TokenSwitch::Rejected);
        world.run(&["token", "renew", "lab", &file]).exits(1).complains("token in use stays");
        assert_eq!(history(&world, "lab"), before);
    }
}
