//! What changes in the portal between two syncs.

use adelie_simulator::control::{
    AddDevices, ChangeDevices, FetchProfile, InjectEvents, InjectedEvent, RemoveDevices,
};
use adelie_simulator::{Arrival, Command, Departure, Fault};
use serde_json::{Map, Value, json};

use crate::harness::{Apple, World, text, these};

fn event(serial: &str, op_type: &str, set: Value) -> InjectedEvent {
    let set = set.as_object().cloned().unwrap_or_default();
    InjectedEvent { serial: serial.to_owned(), op_type: op_type.to_owned(), set, ..InjectedEvent::default() }
}

fn inject(apple: &Apple, events: Vec<InjectedEvent>) {
    apple.tell(Command::InjectEvents(InjectEvents { server: Some("Lab".to_owned()), events }));
}

fn set(pairs: Value) -> Map<String, Value> {
    pairs.as_object().cloned().expect("an object")
}

on_both_databases! {
    /// One delta sync with everything in it: bought, moved away, moved here, released, changed, switched on.
    fn a_delta_brings_every_kind_of_change(database) {
        let world = World::synced(database, 40);
        let apple = &world.apple;
        apple.add_server("Branch").expect("a new MDM server");
        let guests = apple.add_devices("Branch", 4).expect("devices");
        let known = apple.some("Lab", 40);
        let (moved, released, changed, on) = (&known[..3], &known[3..6], &known[6..9], &known[9..12]);

        let bought = apple.add_devices("Lab", 5).expect("devices");
        apple.move_devices("Lab", "Branch", moved, Arrival::Added).expect("a move");
        apple.move_devices("Branch", "Lab", &guests, Arrival::Added).expect("a move");
        apple.remove_devices("Lab", released, Departure::Deleted).expect("a release");
        let color = set(json!({ "color": "CERULEAN", "asset_tag": "A-1" }));
        let choice = these(changed);
        apple.tell(Command::ChangeDevices(ChangeDevices { choice, set: color, ..ChangeDevices::default() }));
        apple.tell(Command::FetchProfile(FetchProfile { choice: these(on), silent: false }));

        let report = world.object(&["sync", "lab", "--force"]);
        assert_eq!(report["sync"]["kind"], "delta");
        assert_eq!((&report["sync"]["added"], &report["sync"]["removed"]), (&9.into(), &6.into()), "{report}");
        assert_eq!(report["assigned"], 9, "{report}");
        world.assert_exact("lab", "Lab");
        for serial in bought.iter().chain(&guests) {
            assert_eq!(apple.truth_of(serial).expect("it is there").assigns, 1, "{serial}");
        }
        for serial in moved.iter().chain(released) {
            let device = world.device(serial);
            assert_eq!(text(&device["assignment"], "state"), "removed");
            assert!(text(&device, "removed_at").ends_with('Z'), "{device}");
        }
        for serial in changed {
            let device = world.device(serial);
            assert_eq!((text(&device, "color"), text(&device, "asset_tag")), ("CERULEAN", "A-1"));
        }
        for serial in on {
            assert_eq!(world.state(serial), "pushed");
        }
    }

    /// L4: added and modified of one device in one page are folded; the later one wins, on a tie the later in
    /// the page.
    fn two_events_of_one_device_in_one_page(database) {
        let world = World::synced(database, 5);
        let new = world.apple.add_devices("Lab", 3).expect("devices");
        let events = new.iter().flat_map(|serial| {
            [
                event(serial, "modified", json!({ "color": "LATE", "op_date": "2030-01-01T00:00:02Z" })),
                event(serial, "modified", json!({ "color": "EARLY", "op_date": "2030-01-01T00:00:01Z" })),
            ]
        });
        inject(&world.apple, events.collect());
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
        for serial in &new {
            assert_eq!(world.apple.truth_of(serial).expect("it is there").assigns, 1);
            assert_eq!(text(&world.device(serial), "color"), "LATE");
        }
    }

    /// L5: a device that is given to the same MDM server again comes as `modified` with `removed` beside the
    /// UUID that we want, and needs its profile all the same.
    fn removed_means_that_a_profile_is_needed(database) {
        let world = World::synced(database, 6);
        let again = world.apple.some("Lab", 2);
        let status = set(json!({ "profile_status": "removed" }));
        world.apple.tell(Command::ChangeDevices(ChangeDevices {
            choice: these(&again),
            set: status,
            ..ChangeDevices::default()
        }));
        let uuid = world.profile_uuid("standard", "lab");
        for serial in &again {
            let truth = world.apple.truth_of(serial).expect("it is there");
            assert_eq!((truth.profile_status.as_str(), truth.profile_uuid.as_ref()), ("removed", Some(&uuid)));
        }
        let report = world.object(&["sync", "lab", "--force"]);
        assert_eq!(report["assigned"], 2, "{report}");
        world.assert_exact("lab", "Lab");
    }

    /// L6: a moved device arrives as `modified` only, never as `added`.
    fn a_moved_device_arrives_as_modified(database) {
        let world = World::synced(database, 5);
        world.apple.add_server("Branch").expect("a new MDM server");
        let guests = world.apple.add_devices("Branch", 3).expect("devices");
        world.apple.move_devices("Branch", "Lab", &guests, Arrival::Modified).expect("a move");
        let report = world.object(&["sync", "lab", "--force"]);
        assert_eq!((&report["sync"]["added"], &report["assigned"]), (&3.into(), &3.into()), "{report}");
        world.assert_exact("lab", "Lab");
    }

    /// L10: a device that left and came back gets its profile again, although it had the wanted one before.
    fn removed_and_added_again(database) {
        let world = World::synced(database, 5);
        let gone = world.apple.some("Lab", 2);
        let back = |apple: &Apple| {
            apple.tell(Command::AddDevices(AddDevices {
                server: Some("Lab".to_owned()),
                serials: gone.clone(),
                ..AddDevices::default()
            }));
        };
        // Once seen from both sides,
        let choice = these(&gone);
        world.apple.tell(Command::RemoveDevices(RemoveDevices { choice, departure: Departure::Deleted }));
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.state(&gone[0]), "removed");
        back(&world.apple);
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
        // and once both in one page.
        let choice = these(&gone);
        world.apple.tell(Command::RemoveDevices(RemoveDevices { choice, departure: Departure::Deleted }));
        back(&world.apple);
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
        for serial in &gone {
            assert_eq!(world.apple.truth_of(serial).expect("it is there").assigns, 3, "{serial}");
            assert!(world.device(serial)["removed_at"].is_null());
        }
    }

    /// L11: events that Apple reports twice lead to no second assignment, and L24: stale news of a device that
    /// was assigned since are checked with Apple before anything is sent.
    fn a_repeated_event_changes_nothing(database) {
        let world = World::synced(database, 5);
        world.apple.add_devices("Lab", 4).expect("devices");
        let redeliver = Fault { path: Some("/devices/sync".to_owned()), redeliver: 4, ..Fault::default() };
        world.apple.fault(redeliver);
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--force"]).exits(0);
        let again = world.apple.since(mark);
        let devices: usize = again.iter().filter(|r| r.path == "/devices/sync").filter_map(|r| r.devices).sum();
        assert!(devices >= 4, "the events should have come again: {again:?}");
        assert_eq!(world.apple.count(mark, "POST", "/profile/devices"), 0);
        assert!(world.apple.devices("Lab").values().all(|device| device.assigns == 1));
        world.assert_exact("lab", "Lab");
    }

    /// L12: null, "" and absent are the same; in a sync record they erase nothing; unknown words are kept.
    fn odd_records_do_no_harm(database) {
        let world = World::synced(database, 6);
        let serials = world.apple.some("Lab", 3);
        let model = text(&world.device(&serials[0]), "model").to_owned();
        let before = world.device(&serials[0]);
        inject(&world.apple, vec![
            event(&serials[0], "modified", json!({ "model": null, "color": "", "description": null })),
            event(&serials[1], "teleported", json!({ "future_field": { "a": [1] } })),
            event(&serials[2], "modified", json!({ "device_family": "Toaster", "os": "toastOS" })),
        ]);
        world.run(&["sync", "lab", "--force"]).exits(0);
        let after = world.device(&serials[0]);
        assert_eq!((text(&after, "model"), &after["color"]), (model.as_str(), &before["color"]));
        assert_eq!(world.device(&serials[1])["extra"]["future_field"], json!({ "a": [1] }));
        let toaster = world.device(&serials[2]);
        assert_eq!((text(&toaster, "device_family"), text(&toaster, "os")), ("Toaster", "toastOS"));
    }
}
