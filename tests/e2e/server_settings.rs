//! Settings of one MDM server, who changed them, and what `server show` tells.

use adelie_simulator::{Departure, Settings, TokenSwitch};
use serde_json::{Value, json};

use crate::harness::{World, text};

/// The codes of the alerts of `lab`.
fn alerts(world: &World) -> Vec<String> {
    let shown = world.object(&["server", "show", "lab"]);
    let alerts = shown["alerts"].as_array().expect("a list");
    for alert in alerts {
        assert!(!text(alert, "text").is_empty() && !text(alert, "remedy").is_empty(), "{alert}");
    }
    alerts.iter().map(|alert| text(alert, "code").to_owned()).collect()
}

/// The token of `lab` as `server show` tells it.
fn token(world: &World) -> Value {
    world.object(&["server", "show", "lab"])["token"].clone()
}

on_both_databases! {
    /// Each setting holds for its server alone, and `default` goes back.
    fn settings_of_one_server(database) {
        let mut world = World::synced(database, 2);
        world.set("ADELIE_TOMBSTONE_DAYS", "30");
        let usual = world.object(&["server", "show", "lab"])["settings"].clone();
        assert_eq!((&usual["delta_interval_seconds"], &usual["tombstone_days"]), (&900.into(), &30.into()));
        assert_eq!((&usual["own"], text(&usual, "drift")), (&json!({}), "repair"));
        let told = world
            .run(&[
                "server", "set", "lab", "--delta-interval", "20m", "--full-interval", "2d", "--manual-interval", "1s",
                "--manual-full-interval", "1h 30m", "--progress-deadline", "90s", "--removal-percent", "25",
                "--tombstone-days", "7", "--drift", "report",
            ])
            .exits(0);
        assert!(told.stdout.contains("delta interval: 20m\n") && told.stdout.contains("drift: report\n"), "{told}");
        assert_eq!(told.stderr.matches("every 15 minutes").count(), 1, "a second is less: {told}");
        let quiet = world.run(&["server", "set", "lab", "--delta-interval", "20m", "--removal-percent", "25"]).exits(0);
        assert!(quiet.stderr.is_empty(), "{quiet}");
        world.run(&["server", "set", "lab", "--removal-percent", "100"]).exits(0).complains("guard is off");
        world.run(&["server", "set", "lab", "--removal-percent", "25"]).exits(0);
        let own = world.object(&["server", "show", "lab"])["settings"].clone();
        let expected = json!({
            "delta_interval_seconds": 1200, "full_interval_seconds": 172_800, "manual_interval_seconds": 1,
            "manual_full_interval_seconds": 5400, "progress_deadline_seconds": 90, "removal_percent": 25,
            "tombstone_days": 7, "drift": "report",
        });
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&own[name], value, "{name} in {own}");
        }
        let text = world.run(&["server", "show", "lab"]).exits(0).stdout;
        assert!(text.contains("every 20m, full every 2d") && text.contains("reported only"), "{text}");
        for line in ["at most 25 % of the devices", "kept for 7 days", "1m 30s"] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }

        // An own setting is heeded: a second has certainly passed when the next command has started.
        world.run(&["sync", "lab", "--full", "--force"]).exits(0);
        crate::harness::eventually("a manual sync is allowed again", || {
            (world.run(&["sync", "lab"]).code == Some(0)).then_some(())
        });

        world.run(&["server", "set", "lab", "--delta-interval", "1m"]).exits(0).complains("15 minutes");
        let back = world.run(&["server", "set", "lab", "--delta-interval", "default", "--tombstone-days", "default"]);
        assert!(back.stdout.contains("delta interval: default (15m)\n"), "{back}");
        assert!(back.stdout.contains("kept: default (30 days)\n"), "{back}");
        let back = world.object(&[
            "server", "set", "lab", "--delta-interval", "default", "--full-interval", "default", "--manual-interval",
            "default", "--manual-full-interval", "default", "--progress-deadline", "default", "--removal-percent",
            "default", "--tombstone-days", "default", "--drift", "default",
        ]);
        assert_eq!(back["settings"], usual);
    }

    /// L62: what is wrong, from the token to the last device, is in `server show` with its remedy, and `server list`,
    /// `doctor` and the codes agree.
    fn what_is_wrong_is_told_with_its_remedy(database) {
        let world = World::ready(database, Settings { devices: 40, ..Settings::default() });
        world.run(&["server", "add", "bare", "--base-url", &world.apple.url]).exits(0);
        world.run(&["sync", "lab"]).exits(0);
        assert_eq!(alerts(&world), Vec::<String>::new());
        let new = world.apple.add_devices("Lab", 3).expect("devices");
        world.apple.fail(&new[..1], 1);
        world.apple.throttle(&new[1..2], Some(3600));
        world.run(&["sync", "lab", "--force"]).exits(1);
        assert_eq!(alerts(&world), ["devices_failed", "devices_throttled"]);
        let shown = world.run(&["server", "show", "lab"]).exits(0).stdout;
        assert!(shown.contains("see: `adelie device list --server lab --state failed`"), "{shown}");

        let gone = world.apple.some("Lab", 20);
        world.apple.remove_devices("Lab", &gone, Departure::Silent).expect("a release");
        world.run(&["sync", "lab", "--full", "--force"]).exits(1).complains("--accept-removals");
        assert!(alerts(&world).contains(&"removals_held".to_owned()));
        // The word that is asked for is enough: it means a full sync, now.
        let accepted = world.run(&["sync", "lab", "--accept-removals", "--json"]).object();
        assert_eq!((text(&accepted["sync"], "kind"), text(&accepted["sync"], "trigger")), ("full", "forced"));
        assert_eq!(accepted["sync"]["removed"], 20, "{accepted}");
        assert!(!alerts(&world).contains(&"removals_held".to_owned()));

        world.apple.token("Lab", TokenSwitch::Rejected);
        world.run(&["sync", "lab", "--force"]).exits(1);
        assert_eq!(alerts(&world)[..2], ["token_rejected", "sync_failing"]);
        let shown = world.run(&["server", "show", "lab"]).exits(0).stdout;
        assert!(shown.contains("PROBLEM the server token is rejected") && shown.contains("fix: "), "{shown}");
        assert!(!text(&token(&world), "remedy").contains("NAME"));
        let table = world.run(&["server", "list"]).exits(0).stdout;
        assert!(table.contains("the server token is rejected") && table.contains(" more)"), "{table}");
        let listed = world.objects(&["server", "list"]);
        let lab = listed.iter().find(|server| server["name"] == "lab").expect("there");
        assert_eq!(text(&lab["alerts"][0], "code"), "token_rejected");
        let doctor = world.run(&["doctor"]).exits(1).stdout;
        assert!(doctor.contains("BAD  token of lab: the server token is rejected"), "{doctor}");
        assert!(doctor.contains("BAD  token of bare: there is no server token"), "{doctor}");
    }

    /// L30: a server that is added paused is told to get its default first; L32: a default stays as it was set, through
    /// settings, syncs and refused changes.
    fn a_default_stays_as_it_was_set(database) {
        let world = World::ready(database, Settings { devices: 2, ..Settings::default() });
        let added = world.run(&["server", "add", "late", "--base-url", &world.apple.url, "--paused"]).exits(0);
        added.complains("--default any=PROFILE");
        let defaults = |world: &World| world.object(&["server", "show", "lab"])["defaults"].clone();
        let before = defaults(&world);
        assert_eq!(before, json!({ "any": "standard" }));
        world.run(&["server", "set", "lab", "--delta-interval", "20m"]).exits(0);
        world.run(&["server", "set", "lab", "--default", "mac=nothing", "--drift", "report"]).exits(2);
        world.run(&["sync", "lab"]).exits(0);
        world.run(&["sync", "lab", "--full", "--force"]).exits(0);
        world.run(&["server", "pause", "lab"]).exits(0);
        world.run(&["server", "resume", "lab"]).exits(0);
        assert_eq!(defaults(&world), before);
        assert_eq!(world.object(&["server", "show", "lab"])["settings"]["drift"], Value::from("repair"));
    }
}
