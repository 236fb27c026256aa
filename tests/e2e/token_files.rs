//! Files that are no server token, or not this server's.

use adelie_simulator::{Settings, TokenCipher, TokenShape};
use serde_json::Value;

use crate::harness::World;

/// What must not change when an import is refused.
fn tokens(world: &World) -> Vec<Value> {
    world
        .objects(&["server", "list"])
        .iter()
        .map(|server| {
            let mut token = world.object(&["token", "show", server["name"].as_str().expect("a name")]);
            token["account"] = server["account"].clone();
            token
        })
        .collect()
}

on_both_databases! {
    /// Each mistake with the file has its message, and changes nothing.
    fn wrong_files_are_refused(database) {
        let world = World::ready(database, Settings { devices: 3, ..Settings::default() });
        world.run(&["server", "add", "other", "--base-url", &world.apple.url]).exits(0);
        let others_pem = world.token_key("other");
        let pem = world.token_key("lab");
        world.apple.add_server("Spare").expect("a new MDM server");
        let good = world.apple.issue_token("Spare", &pem, TokenShape::default()).expect("a token");
        let for_another = world.apple.issue_token("Spare", &others_pem, TokenShape::default()).expect("a token");
        let before = tokens(&world);
        let json = r#"{"consumer_key":"CK_1","consumer_secret":"CS_1","access_token":"AT_1","access_secret":"AS_1"}"#;
        let half = &good[..good.len() / 2];
        let cases: [(&str, &[u8]); 9] = [
            ("empty", b""),
            ("garbage", &[0, 159, 146, 150, 7, 7, 7]),
            ("text", b"hello, this is no token"),
            ("certificate", pem.as_bytes()),
            ("private key", b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"),
            ("json", json.as_bytes()),
            ("truncated", half),
            ("for another key", &for_another),
            ("plist", b"<?xml version=\"1.0\"?><plist version=\"1.0\"><dict/></plist>"),
        ];
        let mut messages = Vec::new();
        for (what, bytes) in cases {
            let file = world.write("wrong.p7m", bytes);
            let run = world.run(&["token", "import", "lab", &file]).exits(2);
            assert!(run.stderr.starts_with("error: ") && run.stderr.contains("wrong.p7m"), "{what}: {run}");
            assert!(run.stdout.is_empty(), "{what}: {run}");
            assert!(!run.stderr.contains("CS_1") && !run.stderr.contains("AS_1"), "{what}: {run}");
            messages.push((what, run.stderr));
        }
        let distinct: std::collections::BTreeSet<_> = messages.iter().map(|(_, text)| text).collect();
        assert!(distinct.len() >= 6, "the mistakes are told apart: {messages:#?}");
        assert_eq!(tokens(&world), before);
        world.run(&["sync", "lab"]).exits(0);
    }

    /// L41: the token of another MDM server is refused, unless forced; L40: the one in use stays meanwhile.
    fn another_servers_token_is_refused(database) {
        let world = World::synced(database, 3);
        world.apple.add_server("Branch").expect("a new MDM server");
        let before = tokens(&world);
        let pem = world.token_key("lab");
        let file = world.issue("branch", "Branch", &pem);
        world.run(&["token", "import", "lab", &file]).exits(2).complains("another MDM server").complains("--force");
        let mut after = tokens(&world);
        after.iter_mut().zip(&before).for_each(|(after, before)| after["keys"] = before["keys"].clone());
        assert_eq!(after, before);
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.run(&["token", "import", "lab", &file, "--force"]).exits(0);
        let shown = world.object(&["token", "show", "lab"]);
        assert_eq!(shown["account"]["server_name"], "Branch", "{shown}");
    }

    /// A renewal by the same key or by a new one is taken, and the old token is out of use.
    fn renewal_by_an_old_and_a_new_key(database) {
        let world = World::empty(database, Settings { devices: 3, ..Settings::default() });
        world.run(&["server", "add", "lab", "--base-url", &world.apple.url]).exits(0);
        let (first, second) = (world.token_key("lab"), world.token_key("lab"));
        assert_ne!(first, second, "every key pair is fresh");
        for pem in [&first, &second, &first] {
            let file = world.issue("lab", "Lab", pem);
            world.run(&["token", "import", "lab", &file]).exits(0);
            assert_eq!(world.object(&["token", "show", "lab"])["state"], "valid");
        }
        assert_eq!(world.object(&["token", "show", "lab"])["keys"].as_array().map(Vec::len), Some(2));
    }

    /// L47: every form of the file opens, also when lines of the JSON begin and end inside its values.
    fn every_form_of_the_file_opens(database) {
        let world = World::empty(database, Settings::default());
        world.run(&["server", "add", "lab", "--base-url", &world.apple.url]).exits(0);
        let pem = world.token_key("lab");
        let shapes = [
            TokenShape::default(),
            TokenShape { cipher: TokenCipher::Des3, markers: false, headers: false, ..TokenShape::default() },
            TokenShape { cipher: TokenCipher::Aes256, definite: true, piece: 0, crlf: false, ..TokenShape::default() },
            TokenShape { cipher: TokenCipher::Aes192, wrap: 40, ..TokenShape::default() },
        ];
        for shape in shapes {
            let bytes = world.apple.issue_token("Lab", &pem, shape.clone()).expect("a token");
            let file = world.write("lab.p7m", bytes);
            let run = world.run(&["token", "import", "lab", &file]);
            assert_eq!(run.code, Some(0), "{shape:?}\n{run}");
        }
    }
}
