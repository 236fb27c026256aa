use std::collections::BTreeMap;

use adelie_store::seal::{Column, SEALED};
use serde_json::Value;

use super::installation::Installation;
use crate::harness::eventually;
use crate::secrets::mode;

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// A little more than a day, for SQL.
fn a_day(installation: &Installation) -> &'static str {
    if installation.world.database.is_postgres() { "interval '25 hours'" } else { "25 * 3600 * 1000" }
}

on_both_databases! {
    /// L46: everything is sealed under a fresh data key, nothing under the old one, which goes after a day.
    fn a_rotation(database) {
        let installation = Installation::new(database);
        let secrets = installation.secrets();
        let every: u64 = secrets.values().sum();
        assert_eq!(secrets, BTreeMap::from([(1, every)]));
        assert!(every >= SEALED.len() as u64, "something in every column: {every}");
        let before = std::fs::read(installation.key_file()).expect("the key file");

        let told = installation.rotate(&[]).exits(0);
        assert!(told.stdout.contains(&format!("sealed {every} secrets anew under the fresh data key 2")), "{told}");
        assert_eq!(installation.secrets(), BTreeMap::from([(1, 0), (2, every)]));
        assert_eq!(std::fs::read(installation.key_file()).expect("the key file"), before);
        installation.opens();

        let again = installation.rotate(&["--json"]).exits(0).object();
        assert_eq!((&again["data_key"], &again["resumed"]), (&Value::from(3), &Value::from(false)), "{again}");
        assert_eq!(installation.secrets().keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
        let ago = a_day(&installation);
        let a_day_later = format!("-- a_day_later\nUPDATE data_keys SET retired_at = retired_at - {ago}");
        installation.world.ledger().run(&a_day_later);
        let forgot = installation.rotate(&["--json"]).exits(0).object();
        assert_eq!(forgot["forgotten_data_keys"], 2, "{forgot}");
        let versions = || installation.secrets().into_keys().collect::<Vec<_>>();
        assert_eq!(versions(), [3, 4]);
        // So does the service.
        installation.world.ledger().run(&a_day_later);
        let _service = installation.world.start(&SERVE);
        eventually("the service forgets it", || (versions() == [4]).then_some(()));
        installation.opens();
    }

    /// The key file holds the new master key alone, and the old one opens nothing any more.
    fn another_master_key(database) {
        let installation = Installation::new(database);
        let old = installation.world.path("old.key");
        std::fs::copy(installation.key_file(), &old).expect("a copy");
        let (new, id) = installation.make_key("new.key");
        assert_eq!(mode(new.as_ref()), 0o600);
        installation.world.run(&["key", "make", &new]).exits(2).complains("hint: ");

        let done = installation.rotate(&["--to", &new]).exits(0);
        assert!(done.stdout.contains(&id), "{done}");
        assert_eq!(installation.masters(), [id.clone(), id.clone()]);
        assert_eq!(std::fs::read(installation.key_file()).expect("a file"), std::fs::read(&new).expect("a file"));
        assert_eq!(mode(&installation.key_file()), 0o600);
        installation.opens();

        std::fs::copy(&old, installation.key_file()).expect("put back");
        for command in installation.everything() {
            installation.world.run(&command).exits(2).complains(&id).complains("hint: ");
        }
        let shown = installation.world.run(&["key", "show"]).exits(1).complains(&id);
        assert!(shown.stdout.contains("DATA KEY"), "{shown}");
        // With both of them, the same command mends it.
        installation.rotate(&["--to", &new]).exits(0);
        installation.opens();
    }

    /// Two copies of the service go on working while data keys and master keys are exchanged: no sync and no webhook
    /// fails, and what is sealed under a new key opens without a restart.
    fn while_two_copies_work(database) {
        let mut installation = Installation::new(database);
        installation.world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        let installation = installation;
        let world = &installation.world;
        let copies = [world.start(&SERVE), world.start(&SERVE)];
        eventually("both serve", || copies.iter().all(|copy| copy.log().contains("Adelie serves")).then_some(()));
        for round in 1..=4 {
            let (new, _) = installation.make_key(&format!("{round}.key"));
            let how: &[&str] = if round % 2 == 0 { &["--to", &new] } else { &[] };
            let (one, two) = (world.start(&[&["key", "rotate"], how].concat()), world.start(&["key", "rotate"]));
            // Both rotate, or one goes on with what the other one has begun.
            two.wait().exits(0);
            one.wait().exits(0);
            installation.delivers();
            let done = || world.ledger().column("-- runs\nSELECT CAST(id AS text) FROM sync_runs WHERE outcome = 'done'").len();
            let before = done();
            eventually("syncs go on", || (done() > before + 1).then_some(()));
        }
        let log = world.run(&["webhook", "log", "--failed", "--json"]).exits(0);
        assert_eq!(log.stdout, "", "{log}");
        let failed = world.ledger().rows(
            "-- failed_runs\nSELECT outcome, error FROM sync_runs WHERE outcome NOT IN ('done', 'running', 'interrupted')",
        );
        assert!(failed.is_empty(), "{failed:?}");
        for copy in &copies {
            let log = copy.log();
            for word in ["WARN", "ERROR", "panicked", "cannot be opened"] {
                assert!(!log.contains(word), "{word} in\n{log}");
            }
        }
        installation.opens();
    }

    /// Somebody who can write to the database copies one row's secret into another row: it does not open there, and a
    /// rotation names it, in every sealed column, and seals all others.
    fn copied_rows_are_found(database) {
        let installation = Installation::new(database);
        let (world, ledger) = (&installation.world, installation.world.ledger());
        world.apple.add_server("Other").expect("a new MDM server");
        world.onboard("other", "Other");
        let second = world.object(&["webhook", "add", &format!("{}/2", installation.receiver.url())])["id"].to_string();
        let staff = world.write("more.toml", "name = \"More\"\nurl = \"https://mdm.example.org/enroll\"\n\
            platforms = [\"macOS 26.1\"]\n[accounts.primary]\ntype = \"standard\"\nfull_name = \"R\"\naccount_name = \"r\"\n\
            [accounts.administrator]\nshort_name = \"admin\"\npassword = { given = \"canary-Horse7-battery\" }\n");
        world.run(&["profile", "new", "more", "--file", &staff]).exits(0);
        let another = world.apple.some("Lab", 2).remove(1);
        world.run(&["activation-lock", "lock", &another, "--yes"]).exits(0);
        for Column { table, column, row } in SEALED {
            ledger.run(&format!(
                "-- copy_a_row
                 UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE {row} IS NOT NULL ORDER BY {row} LIMIT 1)
                 WHERE {row} = (SELECT {row} FROM {table} WHERE {row} IS NOT NULL ORDER BY {row} DESC LIMIT 1)"
            ));
        }
        // The newest rows are those of the other server, the other profile and the other endpoint.
        world.run(&["sync", "other", "--force"]).exits(1).complains("server_tokens.secrets/").complains("does not open");
        world.run(&["webhook", "test", &second]).exits(1);
        let found = installation.rotate(&[]).exits(1);
        for column in SEALED {
            assert!(found.stderr.contains(&format!("the sealed value of {column}/")), "{column} in\n{found}");
        }
        assert_eq!(found.stderr.matches("warning: ").count(), SEALED.len(), "{found}");
        assert_eq!(installation.secrets()[&1], SEALED.len() as u64, "all others are sealed anew");
        installation.opens();
    }

    /// The doctor finds a rotation that was left alone.
    fn a_rotation_left_alone(database) {
        let installation = Installation::new(database);
        let world = &installation.world;
        let mut victim = world.start_with(&[("ADELIE_HALT_AT", "key.changed")], &["key", "rotate"]);
        eventually("a halt", || victim.log().contains("halted at key.changed").then_some(()));
        victim.kill();
        let of_keys = || {
            let checks = world.run(&["doctor", "--json"]).objects();
            checks.into_iter().find(|check| check["check"] == "data keys")
        };
        assert_eq!(of_keys(), None, "a rotation takes its time");
        let ago = a_day(&installation);
        world.ledger().run(&format!("-- long_ago\nUPDATE data_keys SET created_at = created_at - {ago}"));
        let check = of_keys().expect("a finding");
        assert_eq!((&check["good"], &check["fix"]), (&Value::from(false), &Value::from("adelie key rotate")), "{check}");
        world.run(&["key", "show"]).exits(0).complains("not sealed under the newest data key");
        let went_on = installation.rotate(&["--json"]).exits(0).object();
        assert_eq!((&went_on["data_key"], &went_on["resumed"]), (&Value::from(2), &Value::from(true)), "{went_on}");
        assert_eq!(of_keys(), None);
        installation.opens();
    }
}
