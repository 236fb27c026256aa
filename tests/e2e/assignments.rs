//! What Apple answers to an assignment, and what becomes of each device.

use std::collections::BTreeMap;

use adelie_simulator::{Departure, Fault, Settings};
use serde_json::Value;

use crate::harness::{STANDARD, World, text};

const ASSIGN: &str = "/profile/devices";
const DEFINE: &str = "/profile";

fn on_assign(fault: Fault) -> Fault {
    Fault { method: Some("POST".to_owned()), path: Some(ASSIGN.to_owned()), ..fault }
}

/// Seconds from now to a moment in JSON.
#[expect(clippy::disallowed_methods, reason = "the binary under test reads the real clock")]
fn seconds_ahead(moment: &Value) -> i64 {
    let text = moment.as_str().expect("a moment");
    let at = text.parse::<chrono::DateTime<chrono::Utc>>().expect("RFC 3339");
    (at - chrono::Utc::now()).num_seconds()
}

on_both_databases! {
    /// L20: FAILED inside a 200 is kept for the device that it is about, and tried again in an hour, not at once.
    fn failed_is_stored_for_each_device(database) {
        let world = World::synced(database, 5);
        let new = world.apple.add_devices("Lab", 4).expect("devices");
        world.apple.fail(&new[..2], 1);
        let report = world.run(&["sync", "lab", "--force", "--json"]).exits(1).object();
        assert_eq!((&report["assigned"], &report["not_assigned"]["failed"]), (&2.into(), &2.into()), "{report}");
        for serial in &new[..2] {
            let assignment = &world.device(serial)["assignment"];
            assert_eq!((text(assignment, "state"), &assignment["attempts"]), ("failed", &1.into()));
            assert!(text(assignment, "reason").contains("FAILED"), "{assignment}");
            assert!((3500..=3600).contains(&seconds_ahead(&assignment["next_attempt_at"])), "{assignment}");
        }
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--force"]).exits(1).complains("2 devices failed");
        assert_eq!(world.apple.count(mark, "POST", ASSIGN), 0, "nothing is sent before its time");
        assert_eq!(world.objects(&["device", "list", "--state", "failed"]).len(), 2);
    }

    /// L21: a throttled device is left alone for as long as Apple says, by every later process; a changed default
    /// does not shorten it.
    fn a_throttled_device_is_left_alone(database) {
        let world = World::synced(database, 5);
        let new = world.apple.add_devices("Lab", 3).expect("devices");
        world.apple.throttle(&new[..1], Some(7200));
        let run = world.run(&["sync", "lab", "--force"]).exits(0);
        assert!(run.stdout.contains("1 throttled"), "{run}");
        let assignment = world.device(&new[0])["assignment"].clone();
        assert_eq!(text(&assignment, "state"), "throttled");
        assert!((7100..=7200).contains(&seconds_ahead(&assignment["next_attempt_at"])), "{assignment}");

        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.run(&["sync", "lab", "--full", "--force"]).exits(0);
        world.add_profile("other", &STANDARD.replace("Standard", "Other"));
        world.run(&["server", "set", "lab", "--default", "any=other"]).exits(0);
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.apple.mentions(mark, ASSIGN, &new[0]), 0, "it was sent during its cool-down");
        assert_eq!(world.apple.mentions(mark, ASSIGN, &new[1]), 1, "the others follow the new default");
        assert_eq!(text(&world.device(&new[0]), "wanted_profile"), "other");
        let later = world.device(&new[0])["assignment"].clone();
        assert_eq!(later["next_attempt_at"], assignment["next_attempt_at"]);
    }

    /// L28: Apple says NOT_ACCESSIBLE for a device that has left: it is asked about it, and remembers it as removed.
    fn a_device_that_has_left_is_not_accessible(database) {
        let world = World::synced(database, 6);
        let gone = world.apple.some("Lab", 2);
        world.apple.remove_devices("Lab", &gone, Departure::Silent).expect("a release");
        world.add_profile("other", &STANDARD.replace("Standard", "Other"));
        world.run(&["server", "set", "lab", "--default", "any=other"]).exits(0);
        world.run(&["sync", "lab", "--force"]).exits(0);
        for serial in &gone {
            assert_eq!(world.state(serial), "removed");
        }
        world.assert_exact("lab", "Lab");
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.apple.count(mark, "POST", ASSIGN), 0, "it is no longer in the work list");
    }

    /// L23: a device that Apple's answer does not mention counts as failed, and has a time. L24: before it is sent again,
    /// Apple is asked what it shows.
    fn a_device_that_the_answer_leaves_out(database) {
        // No page tells of what Apple did.
        let untold = Settings { devices: 3, own_changes_in_sync: false, ..Settings::default() };
        let world = World::synced_with(database, untold);
        let new = world.apple.add_devices("Lab", 2).expect("devices");
        let mark = world.apple.mark();
        let body = format!(r#"{{"profile_uuid":"X","devices":{{"{}":"SUCCESS"}}}}"#, new[0]);
        world.apple.fault(on_assign(Fault { status: Some(200), body: Some(body), effect: true, ..Fault::default() }));
        world.run(&["sync", "lab", "--force"]).exits(1);
        let states: Vec<_> = new.iter().map(|serial| world.state(serial)).collect();
        assert_eq!(states, ["assigned", "failed"]);
        assert!(world.device(&new[1])["assignment"]["next_attempt_at"].is_string());

        world.run(&["assign", "retry", &new[1]]).exits(0);
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.state(&new[1]), "assigned");
        assert_eq!(world.apple.mentions(mark, ASSIGN, &new[1]), 1, "Apple had given it its profile");
        let history = world.run(&["device", "history", &new[1]]).exits(0).stdout;
        assert!(history.contains("it was not confirmed; Apple shows the profile when asked"), "{history}");
        world.assert_exact("lab", "Lab");
    }

    /// A new device gets its profile, although Apple does not say what it shows for one that was refused.
    fn an_apple_that_tells_nothing_of_a_refused_device(database) {
        let world = World::synced(database, 3);
        let refused = world.apple.add_devices("Lab", 1).expect("a device");
        world.apple.fail(&refused, 1);
        world.run(&["sync", "lab", "--force"]).exits(1);
        world.run(&["assign", "retry", &refused[0]]).exits(0);
        let new = world.apple.add_devices("Lab", 1).expect("a device");
        let path = Some("/devices".to_owned());
        world.apple.fault(Fault { path, times: Some(0), status: Some(400), ..Fault::default() });
        world.run(&["sync", "lab", "--force"]).exits(1).complains("tell what it shows for devices");
        assert_eq!([world.state(&new[0]), world.state(&refused[0])], ["assigned", "failed"]);
        world.apple.clear_faults();
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// L27: a profile that Apple refuses holds its own devices only; it is not defined again and again, and it
    /// can be seen why they wait.
    fn a_refused_profile_holds_its_own_devices(database) {
        let world = World::ready(database, Settings { devices: 60, ..Settings::default() });
        world.add_profile("macs", &STANDARD.replace("Standard", "Macs"));
        world.run(&["server", "set", "lab", "--default", "mac=macs"]).exits(0);
        world.apple.fault(Fault {
            method: Some("POST".to_owned()),
            path: Some(DEFINE.to_owned()),
            status: Some(400),
            body: Some("FLAGS_INVALID".to_owned()),
            ..Fault::default()
        });
        let report = world.run(&["sync", "lab", "--json"]).exits(1).object();
        assert!(report["problems"].to_string().contains("FLAGS_INVALID"), "{report}");
        let mut by_profile: BTreeMap<String, BTreeMap<bool, u64>> = BTreeMap::new();
        let table = world.table("lab");
        assert_eq!(table.len(), 60, "the sync itself is whole");
        for device in table.values() {
            let assigned = text(&device["assignment"], "state") == "assigned";
            let profile = text(device, "wanted_profile").to_owned();
            *by_profile.entry(profile).or_default().entry(assigned).or_default() += 1;
        }
        let outcomes: Vec<_> = by_profile.values().map(|counts| counts.keys().copied().collect::<Vec<_>>()).collect();
        assert!(outcomes == [[true], [false]] || outcomes == [[false], [true]], "{by_profile:?}");

        let (refused, _) = by_profile.iter().find(|(_, counts)| counts.contains_key(&false)).expect("one of them");
        assert!(world.run(&["profile", "show", refused]).exits(0).stdout.contains("FLAGS_INVALID"));
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--force"]).exits(1).complains("devices held");
        assert_eq!(world.apple.count(mark, "POST", DEFINE), 0, "it is not defined again at once");
        let held = world.objects(&["device", "list", "--state", "held"]);
        assert!(held.iter().all(|device| text(&device["assignment"], "reason").contains("FLAGS_INVALID")), "{held:?}");
    }

    /// A profile that Apple no longer knows is defined anew, once, and assigned.
    fn an_unknown_profile_is_defined_anew(database) {
        let world = World::synced(database, 4);
        let before = world.profile_uuid("standard", "lab");
        world.apple.add_devices("Lab", 2).expect("devices");
        let body = Some("NOT_FOUND".to_owned());
        world.apple.fault(on_assign(Fault { status: Some(404), body, ..Fault::default() }));
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.apple.count(mark, "POST", DEFINE), 1);
        assert_ne!(world.profile_uuid("standard", "lab"), before);
        // Devices with the old one are brought to the new one at the latest by the next sync.
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// A profile that is never known does not become a loop of definitions.
    fn a_profile_that_stays_unknown_is_no_loop(database) {
        let world = World::ready(database, Settings { devices: 4, ..Settings::default() });
        let body = Some("NOT_FOUND".to_owned());
        world.apple.fault(on_assign(Fault { status: Some(404), body, times: Some(0), ..Fault::default() }));
        let mark = world.apple.mark();
        world.run(&["sync", "lab"]).exits(1);
        assert!(world.apple.count(mark, "POST", DEFINE) <= 2);
        assert!(world.apple.count(mark, "POST", ASSIGN) <= 2);
        assert_eq!(world.table("lab").len(), 4);
    }

    /// L29: the connection is cut after the assignment took effect: it is read back and not sent again.
    fn a_cut_after_the_effect_is_read_back(database) {
        let world = World::synced(database, 3);
        let new = world.apple.add_devices("Lab", 5).expect("devices");
        world.apple.fault(on_assign(Fault { cut: true, effect: true, ..Fault::default() }));
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.apple.count(mark, "POST", ASSIGN), 1);
        assert!(world.apple.count(mark, "POST", "/devices") >= 1, "it must have asked what Apple shows");
        assert!(new.iter().all(|serial| world.apple.truth_of(serial).expect("there").assigns == 1));
        world.assert_exact("lab", "Lab");
    }

    /// L29: cut before it took effect: what Apple shows still differs, so that it is sent again.
    fn a_cut_before_the_effect_is_sent_again(database) {
        let world = World::synced(database, 3);
        let new = world.apple.add_devices("Lab", 5).expect("devices");
        world.apple.fault(on_assign(Fault { cut: true, ..Fault::default() }));
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert!(new.iter().all(|serial| world.apple.truth_of(serial).expect("there").assigns == 1));
        world.assert_exact("lab", "Lab");
    }

    /// A busy Apple that has done nothing is given its time, also by the next process; nothing is lost.
    fn a_busy_apple_is_given_time(database) {
        let world = World::synced(database, 3);
        let new = world.apple.add_devices("Lab", 2).expect("devices");
        let busy = Fault { status: Some(429), retry_after_seconds: Some(600), ..Fault::default() };
        world.apple.fault(on_assign(busy));
        world.run(&["sync", "lab", "--force"]).exits(1);
        let assignment = &world.device(&new[0])["assignment"];
        assert!((500..=600).contains(&seconds_ahead(&assignment["next_attempt_at"])), "{assignment}");
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--force"]);
        assert_eq!(world.apple.count(mark, "POST", ASSIGN), 0, "Apple asked for ten minutes");
    }

    /// The same when it is open whether Apple has done it: the read-back waits as long as Apple asks for.
    fn a_failing_apple_is_given_time(database) {
        let world = World::synced(database, 3);
        let new = world.apple.add_devices("Lab", 2).expect("devices");
        let failing = Fault { status: Some(503), retry_after_seconds: Some(600), ..Fault::default() };
        world.apple.fault(on_assign(failing));
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--force"]).exits(1);
        assert_eq!(world.apple.count(mark, "POST", ASSIGN), 1);
        assert_eq!(world.apple.count(mark, "POST", "/devices"), 0, "Apple asked for ten minutes");
        // The time is stored, with the device or with the server, so that the next process knows it too.
        let (device, server) = (world.device(&new[0]), world.object(&["server", "show", "lab"]));
        let stored = [&device["assignment"]["next_attempt_at"], &server["wait_until"]];
        let longest = stored.into_iter().filter(|moment| moment.is_string()).map(seconds_ahead).max();
        assert!(longest.is_some_and(|seconds| (500..=610).contains(&seconds)), "{device}\n{server}");
    }

    /// L29: an Apple that goes on failing is not asked again and again; the devices wait a minute.
    fn an_apple_that_goes_on_failing_is_not_pestered(database) {
        let world = World::synced(database, 3);
        let new = world.apple.add_devices("Lab", 2).expect("devices");
        world.apple.fault(on_assign(Fault { status: Some(500), times: Some(50), ..Fault::default() }));
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--force"]);
        assert_eq!(world.apple.count(mark, "POST", ASSIGN), 2, "once, and once more after reading back");
        let assignment = &world.device(&new[0])["assignment"];
        assert!((30..=60).contains(&seconds_ahead(&assignment["next_attempt_at"])), "{assignment}");
    }

    /// L22: at most 1000 serial numbers in a request, and every device gets its turn.
    fn at_most_a_thousand_in_a_request(database) {
        let world = World::ready(database, Settings { devices: 2300, ..Settings::default() });
        world.run(&["sync", "lab"]).exits(0);
        let assigns = world.apple.requests().into_iter().filter(|request| request.path == ASSIGN);
        let sizes: Vec<_> = assigns.filter_map(|request| request.devices).collect();
        assert!(sizes.iter().all(|size| *size <= 1000), "{sizes:?}");
        assert_eq!(sizes.iter().sum::<usize>(), 2300, "{sizes:?}");
        world.assert_exact("lab", "Lab");
    }

    /// Somebody else gives a device another profile: it is seen, said, and repaired once.
    fn drift_is_repaired(database) {
        let world = World::synced(database, 5);
        let drifted = world.apple.some("Lab", 1);
        let set = serde_json::json!({ "profile_uuid": "SOMEBODYELSES", "profile_status": "assigned" });
        world.apple.tell(adelie_simulator::Command::ChangeDevices(adelie_simulator::control::ChangeDevices {
            choice: crate::harness::these(&drifted),
            set: set.as_object().cloned().expect("an object"),
            ..Default::default()
        }));
        let report = world.object(&["sync", "lab", "--force"]);
        assert_eq!(report["assigned"], 1, "{report}");
        world.assert_exact("lab", "Lab");
    }
}
