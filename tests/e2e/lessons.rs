//! What has broken elsewhere and belongs to no other scenario.

use std::collections::BTreeMap;

use adelie_simulator::{Fault, Settings};
use serde_json::Value;

use crate::harness::{World, eventually};

const FETCH: &str = "/server/devices";
const PROFILE: &str = "/profile";

/// What is wanted for each device, and how it stands.
fn decisions(world: &World) -> BTreeMap<String, Value> {
    let decision = |(serial, mut device): (String, Value)| {
        // Why it stands so may be said in other words once Apple has listed it.
        device["assignment"]["reason"].take();
        (serial, device["assignment"].take())
    };
    world.table("lab").into_iter().map(decision).collect()
}

on_both_databases! {
    /// L13: cursors as long as Apple's can be are kept and sent whole, in both phases and over processes.
    fn cursors_of_a_thousand_characters(database) {
        let settings = Settings { devices: 25, max_limit: 10, cursor_length: 1000, ..Settings::default() };
        let world = World::synced_with(database, settings);
        world.apple.add_devices("Lab", 5).expect("devices");
        let mark = world.apple.mark();
        let report = world.object(&["sync", "lab", "--force"]);
        assert_eq!(report["sync"]["kind"], "delta", "the cursor was lost: {report}");
        let sent = world.apple.since(mark).into_iter().filter(|request| request.path == "/devices/sync");
        for request in sent {
            let body: Value = serde_json::from_str(&request.body).expect("JSON");
            assert_eq!(body["cursor"].as_str().map(str::len), Some(1000));
        }
        world.assert_exact("lab", "Lab");
    }

    /// L14: a default that is set while pages come decides the pages after it and, in the end, those before it.
    fn a_default_that_is_set_in_the_middle_of_a_sync(database) {
        let settings = Settings { devices: 60, max_limit: 5, ..Settings::default() };
        let world = World::empty(database, settings);
        world.onboard("lab", "Lab");
        world.add_profile("standard", crate::harness::STANDARD);
        world.apple.fault(Fault { path: Some(FETCH.to_owned()), times: Some(0), delay_ms: 100, ..Fault::default() });
        let sync = world.start(&["sync", "lab"]);
        eventually("the first pages are stored", || (world.table("lab").len() >= 10).then_some(()));
        world.run(&["server", "set", "lab", "--default", "any=standard"]).exits(0);
        sync.wait().exits(0);
        world.assert_exact("lab", "Lab");
        assert!(world.apple.devices("Lab").values().all(|device| device.assigns == 1));
    }

    /// L15: while Apple keeps a sync waiting, everybody else can write: no transaction waits with it.
    fn nothing_is_locked_while_apple_thinks(database) {
        let world = World::synced(database, 12);
        world.apple.fault(Fault { path: Some(FETCH.to_owned()), delay_ms: 60_000, ..Fault::default() });
        let mark = world.apple.mark();
        let mut sync = world.start(&["sync", "lab", "--full", "--force"]);
        eventually("the sync has begun", || (world.apple.count(mark, "GET", "/account") > 0).then_some(()));
        let serial = world.apple.some("Lab", 1).remove(0);
        world.run(&["server", "set", "lab", "--default", "mac=standard"]).exits(0);
        world.run(&["assign", "hold", &serial]).exits(0);
        assert_eq!(world.state(&serial), "held");
        assert!(!sync.has_ended(), "Apple was to keep it waiting:\n{}", sync.log());
        sync.kill();
    }

    /// L26: a full sync decides nothing anew: what was held, unmatched or assigned by whatever default stays so.
    fn a_full_sync_changes_no_decision(database) {
        let world = World::synced(database, 20);
        let held = world.apple.some("Lab", 2);
        world.run(&["assign", "hold", &held[0], &held[1]]).exits(0);
        let (before, mark) = (decisions(&world), world.apple.mark());
        world.run(&["sync", "lab", "--full", "--force"]);
        assert_eq!(decisions(&world), before);
        assert_eq!(world.apple.count(mark, "POST", "/profile/devices"), 0);
    }

    /// L31: `false` reaches Apple, what is not set stays out, and a key that nobody knows yet passes through.
    fn profiles_reach_apple_as_they_were_written(database) {
        let world = World::empty(database, Settings { devices: 3, ..Settings::default() });
        world.onboard("lab", "Lab");
        world.add_profile(
            "strict",
            r#"{ "profile_name": "Strict", "url": "https://mdm.example.org/enroll", "is_supervised": true,
                 "allow_pairing": false, "a_key_of_next_year": { "depth": [1, 2] } }"#,
        );
        world.run(&["server", "set", "lab", "--default", "any=strict"]).exits(0);
        world.run(&["sync", "lab"]).exits(0);
        let defined = world.apple.since(0).into_iter().find(|request| request.path == PROFILE);
        let body: Value = serde_json::from_str(&defined.expect("it was defined").body).expect("JSON");
        assert_eq!(body["allow_pairing"], false);
        assert_eq!(body["a_key_of_next_year"], serde_json::json!({ "depth": [1, 2] }));
        let keys: Vec<_> = body.as_object().expect("an object").keys().filter(|key| *key != "devices").collect();
        assert_eq!(keys.len(), 5, "{body}");
    }
}
