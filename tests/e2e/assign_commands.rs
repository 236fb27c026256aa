//! What a person sees of assignments, and does to them by hand.

use adelie_simulator::Fault;
use adelie_simulator::control::ChangeDevices;
use serde_json::{Value, json};

use crate::harness::{World, text, these};

const ASSIGN: &str = "/profile/devices";

/// The one trouble of a state in `assign status --json`.
fn trouble(world: &World, code: i32, state: &str) -> Value {
    let status = world.run(&["assign", "status", "--server", "lab", "--json"]).exits(code).object();
    let troubles = status["troubles"].as_array().expect("a list");
    let found: Vec<_> = troubles.iter().filter(|one| one["state"] == state).collect();
    assert_eq!(found.len(), 1, "one group of {state} was expected in {status}");
    found[0].clone()
}

fn give_another_profile(world: &World, serials: &[String]) {
    let set = json!({ "profile_uuid": "SOMEBODYELSES", "profile_status": "assigned" });
    world.apple.tell(adelie_simulator::Command::ChangeDevices(ChangeDevices {
        choice: these(serials),
        set: set.as_object().cloned().expect("an object"),
        ..ChangeDevices::default()
    }));
}

on_both_databases! {
    /// L20: what failed is one look away: how many, why, since when tried again, an example, and what to do. A retry
    /// by hand does not wait for its time, and is no second request for those that are well.
    fn what_failed_is_shown_and_tried_again(database) {
        let world = World::synced(database, 5);
        assert_eq!(world.object(&["assign", "status"])["states"], json!({ "assigned": 5 }));
        let new = world.apple.add_devices("Lab", 3).expect("devices");
        world.apple.fail(&new[..2], 1);
        world.run(&["sync", "lab", "--force"]).exits(1).complains("assign status --server lab");

        let failed = trouble(&world, 1, "failed");
        assert_eq!((&failed["devices"], text(&failed, "reason")), (&2.into(), "Apple answered FAILED"));
        assert!(text(&failed, "next_attempt_at").ends_with('Z'), "{failed}");
        assert!(text(&failed, "remedy").contains("assign retry --server lab"), "{failed}");
        assert!(new.iter().any(|serial| failed["example"] == serial.as_str()), "{failed}");
        let table = world.run(&["assign", "status"]).exits(1).stdout;
        assert!(table.contains("lab: 8 devices: 6 assigned, 2 failed"), "{table}");
        assert!(table.contains("REASON") && table.contains("what to do:"), "{table}");

        let mark = world.apple.mark();
        let done = world.objects(&["assign", "retry", "--server", "lab"]);
        assert_eq!(done.len(), 2, "{done:?}");
        for one in &done {
            assert_eq!((text(one, "server"), text(one, "outcome")), ("lab", "done"), "{one}");
        }
        world.run(&["sync", "lab"]);
        world.assert_exact("lab", "Lab");
        let due = world.run(&["assign", "retry", &new[2]]).exits(0);
        assert!(due.stderr.is_empty(), "nothing has changed: {due}");
        for (serial, times) in new.iter().zip([1, 1, 0]) {
            assert_eq!(world.apple.mentions(mark, ASSIGN, serial), times, "{serial}");
        }
        let run = world.run(&["assign", "retry", "--server", "lab"]).exits(0);
        assert!(run.stdout.is_empty() && run.stderr.contains("no device waits"), "{run}");
        world.run(&["assign", "status"]).exits(0);
    }

    /// L21: a retry of a throttled device is refused with the time, because asking earlier makes Apple wait longer;
    /// only --force asks all the same.
    fn a_throttled_device_is_not_retried_without_force(database) {
        let world = World::synced(database, 3);
        let new = world.apple.add_devices("Lab", 2).expect("devices");
        world.apple.throttle(&new[..1], Some(7200));
        world.run(&["sync", "lab", "--force"]).exits(0);
        let throttled = trouble(&world, 0, "throttled");
        assert!(text(&throttled, "remedy").contains("wait until"), "{throttled}");

        let mark = world.apple.mark();
        let refused = world.run(&["assign", "retry", &new[0], "--json"]).exits(1).object();
        assert_eq!(text(&refused, "outcome"), "refused");
        assert!(text(&refused, "reason").contains("UTC") && text(&refused, "reason").contains("--force"), "{refused}");
        world.run(&["assign", "retry", "--server", "lab"]).exits(0).complains("no device waits");
        world.run(&["assign", "retry", "--server", "lab", "--state", "throttled"]).exits(2).complains("--force");
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.apple.mentions(mark, ASSIGN, &new[0]), 0);

        world.apple.throttle(&new[..1], Some(0));
        world.run(&["assign", "retry", &new[0], "--force"]).exits(0);
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.apple.mentions(mark, ASSIGN, &new[0]), 1);
        world.assert_exact("lab", "Lab");
    }

    /// A held device is left alone by syncs, defaults and retries, says who holds it and why, and gets its profile when
    /// it is let go.
    fn a_held_device_waits_for_its_holder(database) {
        let world = World::synced(database, 3);
        world.add_profile("other", &crate::harness::STANDARD.replace("Standard", "Other"));
        let held = world.apple.some("Lab", 1);
        let run = world.run(&["assign", "hold", &held[0].to_lowercase(), "--reason", "in repair"]).exits(0);
        assert_eq!(run.stdout, format!("{} at lab: held\n", held[0]));
        let again = world.object(&["assign", "hold", &held[0], "--reason", "in repair"]);
        assert_eq!(text(&again, "outcome"), "unchanged");
        // A hold without a reason is no word against the reason that is there; another reason is.
        let again = world.run(&["assign", "hold", &held[0]]).exits(0);
        assert_eq!(again.stdout, format!("{} at lab: nothing to do: it is held already\n", held[0]));
        assert!(text(&world.device(&held[0]), "hold").ends_with(": in repair"));
        let other = world.run(&["assign", "hold", &held[0], "--reason", "lost"]).exits(0).stdout;
        assert!(other.contains("held, in place of \"held by ") && other.contains(": in repair\""), "{other}");
        world.run(&["assign", "hold", &held[0], "--reason", "in repair"]).exits(0);
        let device = world.device(&held[0]);
        assert_eq!(text(&device["assignment"], "state"), "held");
        assert!(text(&device, "hold").starts_with("held by ") && text(&device, "hold").ends_with(": in repair"));
        // Somebody has decided that, so that it needs nobody.
        assert!(text(&trouble(&world, 0, "held"), "remedy").contains("unhold"));

        let mark = world.apple.mark();
        world.run(&["server", "set", "lab", "--default", "any=other"]).exits(0);
        world.run(&["sync", "lab", "--force"]);
        let refused = world.run(&["assign", "retry", &held[0], "--json"]).exits(1).object();
        assert!(text(&refused, "reason").contains("assign unhold"), "{refused}");
        assert_eq!(world.apple.mentions(mark, ASSIGN, &held[0]), 0);
        let shown = world.run(&["device", "show", &held[0]]).exits(0).stdout;
        assert!(shown.contains(&format!("assign unhold {}", held[0])) && shown.contains("lately"), "{shown}");

        world.run(&["assign", "unhold", &held[0]]).exits(0).complains("adelie sync lab");
        let again = world.run(&["assign", "unhold", &held[0]]).exits(0);
        assert!(again.stderr.is_empty(), "nothing has changed: {again}");
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.apple.mentions(mark, ASSIGN, &held[0]), 1);
        world.assert_exact("lab", "Lab");
    }

    /// L27: a profile that Apple refuses is shown once with all its devices, and `retry` tries it again.
    fn a_refused_profile_is_tried_again(database) {
        let world = World::ready(database, adelie_simulator::Settings { devices: 4, ..Default::default() });
        world.apple.fault(Fault {
            method: Some("POST".to_owned()),
            path: Some("/profile".to_owned()),
            status: Some(400),
            body: Some("FLAGS_INVALID".to_owned()),
            ..Fault::default()
        });
        world.run(&["sync", "lab"]).exits(1);
        let held = trouble(&world, 1, "held");
        assert_eq!(held["devices"], 4);
        assert!(text(&held, "reason").contains("FLAGS_INVALID") && text(&held, "remedy").contains("profile validate"));
        world.run(&["assign", "retry", "--server", "lab"]).exits(0).complains("1 profile that Apple refused");
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// Drift that is reported only needs a person, who says `retry` or makes repairing the rule.
    fn reported_drift_waits_for_a_word(database) {
        let world = World::synced(database, 4);
        world.run(&["server", "set", "lab", "--drift", "report"]).exits(0);
        let drifted = world.apple.some("Lab", 2);
        give_another_profile(&world, &drifted);
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--force"]);
        world.run(&["sync", "lab", "--force"]);
        assert_eq!(world.apple.count(mark, "POST", ASSIGN), 0, "it is reported only");
        let told = trouble(&world, 1, "drifted");
        assert_eq!(told["devices"], 2);
        assert!(text(&told, "reason").contains("SOMEBODYELSES") && text(&told, "remedy").contains("--drift repair"));

        let shown = world.run(&["device", "show", &drifted[0]]).exits(0).stdout;
        assert!(shown.contains(&format!("adelie assign retry {}", drifted[0])), "{shown}");
        let due = world.run(&["assign", "retry", &drifted[0]]).exits(0).complains("adelie sync lab");
        assert_eq!(due.stdout, format!("{} at lab: due now\n", drifted[0]));
        world.run(&["sync", "lab", "--force"]);
        let repaired = [world.state(&drifted[0]), world.state(&drifted[1])];
        assert_eq!(repaired, ["assigned", "drifted"]);
        world.run(&["server", "set", "lab", "--drift", "repair"]).exits(0);
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// Serial numbers from a reseller's file: titled column, semicolons, small letters, repeats; what is not here is
    /// told, and more than twenty make a summary.
    fn serial_numbers_come_from_a_file(database) {
        let world = World::synced(database, 25);
        let serials = world.apple.some("Lab", 25);
        let mut csv = "\u{feff}Model;Serial Number\r\n".to_owned();
        for serial in serials.iter().chain(&serials[..2]) {
            csv.push_str(&format!("\"Mac; 14\";{}\r\n", serial.to_lowercase()));
        }
        csv.push_str("Mac;NOSUCHDEVICE\r\n");
        let file = world.write("delivery.csv", csv);
        let run = world.run(&["assign", "hold", "--file", &file]).exits(1);
        assert_eq!(run.stdout, "NOSUCHDEVICE: unknown here\n25 devices held, 1 unknown\n");
        let objects = world.run(&["assign", "unhold", "--file", &file, "--json"]).exits(1).objects();
        assert_eq!(objects.len(), 26);
        assert_eq!((text(&objects[25], "outcome"), &objects[25]["server"]), ("unknown", &Value::Null));
        assert!(objects[..25].iter().zip(&serials).all(|(told, serial)| told["serial"] == serial.as_str()));
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// A device that is deleted although Apple still lists it is put away, and comes back with the next full sync.
    fn a_deleted_device_comes_back_with_a_full_sync(database) {
        let world = World::synced(database, 8);
        // What the first assignments did comes back with this one.
        world.run(&["sync", "lab", "--force"]).exits(0);
        let gone = world.apple.some("Lab", 1);
        world.run(&["device", "delete", &gone[0]]).exits(0).complains("full sync");
        assert_eq!(world.state(&gone[0]), "removed");
        let again = world.run(&["device", "delete", &gone[0]]).exits(1);
        assert!(!again.stderr.contains("full sync"), "nothing was put away: {again}");
        let shown = world.run(&["device", "show", &gone[0]]).exits(0).stdout;
        assert!(shown.contains("last seen as") && shown.contains("assigned standard ("), "{shown}");
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.state(&gone[0]), "removed", "a delta does not tell of it");
        world.run(&["sync", "lab", "--full", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// L9: the devices that the removal guard holds are shown with the others that need somebody.
    fn held_removals_are_shown(database) {
        let world = World::synced(database, 30);
        let gone = world.apple.some("Lab", 20);
        world.apple.remove_devices("Lab", &gone, adelie_simulator::Departure::Silent).expect("a release");
        world.run(&["sync", "lab", "--full", "--force"]).exits(1);
        let held = trouble(&world, 1, "removals_held");
        assert!(text(&held, "reason").contains("20 of 30"), "{held}");
        assert!(text(&held, "remedy").contains("`adelie sync lab --accept-removals`"), "{held}");
        assert_eq!(held["needs_person"], true);
        let told = world.run(&["assign", "status"]).exits(1).stdout;
        assert!(told.contains("removals_held at lab: "), "{told}");
        assert_eq!(told.matches("--accept-removals").count(), 1, "{told}");
        let shown = world.run(&["server", "show", "lab"]).exits(0).stdout;
        assert_eq!(shown.matches("--accept-removals").count(), 1, "{shown}");
        // A sync that is refused is refused, whatever else is wrong.
        let early = world.run(&["sync", "lab"]).exits(3);
        assert!(early.stdout.is_empty() && early.stderr.contains("--force"), "{early}");
        world.run(&["sync", "lab", "--accept-removals"]).exits(0);
        world.run(&["assign", "status"]).exits(0);
    }
}
