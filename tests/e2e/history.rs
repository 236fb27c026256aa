//! What happened: past syncs, and the life of a device.

use adelie_simulator::control::ChangeDevices;
use adelie_simulator::{Command, Settings};
use serde_json::json;

use crate::harness::{World, text, these};

on_both_databases! {
    /// L62: every sync can be seen with its kind, who asked, what came of it and how long it took, and when the next
    /// one is due.
    fn every_sync_is_remembered(database) {
        let world = World::synced(database, 6);
        world.apple.add_devices("Lab", 2).expect("devices");
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.run(&["sync", "lab", "--full", "--force"]).exits(0);
        world.apple.token("Lab", adelie_simulator::TokenSwitch::Rejected);
        world.run(&["sync", "lab", "--force"]).exits(1);

        let runs = world.objects(&["sync", "history", "lab"]);
        let told: Vec<_> =
            runs.iter().map(|run| (text(run, "kind"), text(run, "trigger"), text(run, "outcome"))).collect();
        assert_eq!(
            told,
            [
                ("delta", "forced", "failed"),
                ("full", "forced", "done"),
                ("delta", "forced", "done"),
                ("full", "manual", "done"),
            ]
        );
        let who = world.device(&world.apple.some("Lab", 1)[0]);
        assert!(who["hold"].is_null(), "{who}");
        for run in &runs {
            assert!(!text(run, "requested_by").is_empty() && text(run, "server") == "lab", "{run}");
            assert!(run["duration_ms"].as_i64().is_some_and(|ms| ms >= 0), "{run}");
            for field in ["id", "started_at", "finished_at", "pages", "records", "added", "modified", "removed"] {
                assert!(!run[field].is_null(), "{field} is missing in {run}");
            }
        }
        assert_eq!((&runs[3]["added"], &runs[2]["added"]), (&6.into(), &2.into()));
        assert!(text(&runs[0], "error").contains("token"), "{}", runs[0]);
        assert_eq!(world.objects(&["sync", "--json", "history", "--limit", "2"]), runs[..2]);

        let table = world.run(&["sync", "history", "lab"]).exits(0).stdout;
        assert!(table.contains("forced by ") && table.contains("next sync of lab: 20"), "{table}");
        let table = world.run(&["sync", "history"]).exits(0).stdout;
        assert!(table.contains("next sync of lab: 20"), "{table}");
        world.run(&["sync", "history", "nowhere"]).exits(2).complains("nowhere");
    }

    /// A server that is called like the subcommand can be synced all the same.
    fn a_server_of_that_name_can_be_synced(database) {
        let world = World::empty(database, Settings { devices: 2, ..Settings::default() });
        world.onboard("history", "Lab");
        world.run(&["sync", "--", "history"]).exits(1).complains("2 devices unmatched");
        assert_eq!(world.objects(&["sync", "history", "history"]).len(), 1);
    }

    /// A run whose process was killed is not shown as going on.
    fn a_killed_run_is_interrupted(database) {
        let latency = std::time::Duration::from_millis(40);
        let settings = Settings { devices: 300, max_limit: 10, latency, ..Settings::default() };
        let mut world = World::ready(database, settings);
        world.set("ADELIE_LEASE_SECONDS", "1");
        let mark = world.apple.mark();
        let mut run = world.start(&["sync", "lab"]);
        crate::harness::eventually("it is in the middle", || (world.apple.mark() > mark + 6).then_some(()));
        assert_eq!(text(&world.objects(&["sync", "history"])[0], "outcome"), "running");
        run.kill();
        crate::harness::eventually("its lease is gone", || {
            let runs = world.objects(&["sync", "history"]);
            (text(&runs[0], "outcome") == "interrupted").then_some(())
        });
    }

    /// L5, L32: the life of a device on one timeline: Apple's events, our actions and those of operators, with what
    /// changed from what to what.
    fn the_life_of_a_device(database) {
        let world = World::synced(database, 4);
        let serial = world.apple.some("Lab", 1).remove(0);
        let old = text(&world.device(&serial), "color").to_owned();
        let change = json!({ "color": "CERULEAN", "profile_status": "removed" });
        world.apple.tell(Command::ChangeDevices(ChangeDevices {
            choice: these(std::slice::from_ref(&serial)),
            set: change.as_object().cloned().expect("an object"),
            ..ChangeDevices::default()
        }));
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.run(&["assign", "hold", &serial, "--reason", "in repair"]).exits(0);
        world.run(&["assign", "unhold", &serial]).exits(0);
        world.run(&["device", "delete", &serial]).exits(0);

        let events = world.objects(&["device", "history", &serial]);
        let kinds: Vec<_> = events.iter().map(|event| text(event, "kind")).collect();
        assert_eq!(kinds[..3], ["device.removed", "device.unheld", "device.held"], "{kinds:?}");
        assert_eq!(kinds[kinds.len() - 2..], ["assignment.succeeded", "devices.imported"], "{kinds:?}");
        for kind in ["device.modified", "drift.detected", "assignment.succeeded"] {
            assert!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
        }
        let modified = events.iter().find(|event| event["kind"] == "device.modified").expect("there");
        assert_eq!(modified["data"]["changes"]["color"], json!([old, "CERULEAN"]), "{modified}");
        assert!(text(modified, "text").contains(&format!("color: {old} → CERULEAN")), "{modified}");
        let held = text(&events[2], "text");
        assert!(held.starts_with("held by ") && held.ends_with(": in repair"), "{held}");
        let imported = events.last().expect("there");
        assert!(imported["data"]["serial_numbers"].is_null(), "the others are not listed: {imported}");

        let table = world.run(&["device", "history", &serial, "--limit", "2"]).exits(0).stdout;
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(table.contains("put away by "), "{table}");
        assert_eq!(world.objects(&["device", "history", &serial, "--limit", "1"]), events[..1]);
        world.run(&["device", "history", "NOSUCHDEVICE"]).exits(2).complains("NOSUCHDEVICE");
    }
}
