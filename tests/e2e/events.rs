//! Events: what happened, read back, followed and explained.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{LAB, World, eventually, text};

/// The types of the listed events, newest first.
fn kinds(world: &World, options: &[&str]) -> Vec<String> {
    let events = world.objects(&[&["events", "list"], options].concat());
    events.iter().map(|event| text(event, "type").to_owned()).collect()
}

on_both_databases! {
    /// Everything is listed with its words, and found by type, device, MDM server and time.
    fn what_happened_is_listed(database) {
        let world = World::synced(database, 20);
        let serial = world.apple.some(LAB, 1).remove(0);
        world.run(&["device", "tag", &serial, "--add", "lab"]).exits(0);
        world.run(&["rule", "add", "labs", "--when", "tag=lab", "--profile", "standard"]).exits(0);
        world.run(&["server", "pause", "lab"]).exits(0);
        let all = kinds(&world, &[]);
        for kind in ["server.paused", "rules.changed", "device.tagged", "sync.completed", "assignment.succeeded",
            "devices.imported", "server.defaults_changed", "token.renewed", "profile.revised"] {
            assert!(all.iter().any(|one| one == kind), "{kind} is not among {all:?}");
        }
        assert_eq!(all[0], "server.paused");
        assert_eq!(kinds(&world, &["--type", "device.*"]), ["device.tagged"]);
        assert_eq!(kinds(&world, &["--limit", "2"]), all[..2]);
        let of_device = kinds(&world, &["--serial", &serial]);
        assert_eq!(of_device, ["device.tagged", "assignment.succeeded", "devices.imported"]);
        assert!(!kinds(&world, &["--server", "lab"]).contains(&"rules.changed".to_owned()));
        assert_eq!(kinds(&world, &["--since", "1h"]), all);
        assert_eq!(kinds(&world, &["--since", "2100-01-01"]), Vec::<String>::new());
        let table = world.run(&["events", "list", "--type", "device.tagged"]).exits(0).stdout;
        assert!(table.contains("+lab") && table.contains(&serial), "{table}");
        let id = text(&world.objects(&["events", "list", "--limit", "1"])[0], "id").to_owned();
        let shown = world.object(&["events", "show", &id]);
        assert_eq!((text(&shown, "type"), &shown["deliveries"]), ("server.paused", &Value::Array(Vec::new())));
        world.run(&["events", "show", "evt_000000000000_1"]).exits(2).complains("not of this database");
        world.run(&["events", "list", "--type", "devise.*"]).exits(2).complains("events types");
    }

    /// `follow` prints what happens from now on, once each, and ends with a signal.
    fn what_happens_is_followed(database) {
        let world = World::synced(database, 5);
        let serials = world.apple.some(LAB, 3);
        world.run(&["device", "tag", &serials[0], "--add", "before"]).exits(0);
        let following = world.start(&["events", "follow", "--json", "--type", "device.*"]);
        // What is there when it starts is not told; when it has started cannot be seen from outside.
        let mut round = 0;
        eventually("it follows", || {
            round += 1;
            world.run(&["device", "tag", &serials[1], "--add", &format!("t{round}")]).exits(0);
            std::thread::sleep(Duration::from_millis(300));
            (!following.so_far(None).stdout.is_empty()).then_some(())
        });
        world.run(&["device", "tag", &serials[2], "--add", "after"]).exits(0);
        eventually("the last one", || {
            following.so_far(None).stdout.contains("after").then_some(())
        });
        std::thread::sleep(Duration::from_millis(1200));
        following.terminate();
        let told = following.wait().exits(0).objects();
        let mut ids: Vec<&str> = told.iter().map(|event| text(event, "id")).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), told.len(), "each once");
        assert!(told.iter().all(|event| event["data"]["tags"] != serde_json::json!(["before"])));
    }
}

/// The published schema is what the program prints, and it holds for what is posted.
#[test]
fn types_and_schema_need_no_database() {
    let world = World::empty(crate::harness::Database::Sqlite, adelie_simulator::Settings::default());
    let types = world.objects(&["events", "types"]);
    assert!(types.len() > 30);
    let page = include_str!("../../docs/webhooks.md");
    for known in &types {
        let row =
            format!("| `{}` | {} | {} |", text(known, "type"), text(known, "severity"), text(known, "about"));
        assert!(page.contains(&row), "docs/webhooks.md lacks the row\n{row}");
    }
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('|').count() == 4 && line.contains('.'))
        .count();
    assert!(rows >= types.len());
    let printed = world.run(&["events", "schema"]).exits(0).stdout;
    assert_eq!(
        printed,
        include_str!("../../docs/events.schema.json"),
        "run `adelie events schema > docs/events.schema.json`"
    );
    assert!(!world.data_dir().exists(), "nothing was made");
}
