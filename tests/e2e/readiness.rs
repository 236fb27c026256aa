//! "Will this device enroll if I switch it on now?", and asking Apple about single devices.

use adelie_simulator::control::{AddDevices, ChangeDevices};
use adelie_simulator::{Arrival, Command, Departure};
use serde_json::json;

use crate::harness::{World, text, these};

const DETAILS: &str = "/devices";

on_both_databases! {
    /// Ready is only what Apple itself shows with the wanted profile when asked; everything else has its reason and
    /// the next step.
    fn ready_is_what_apple_shows(database) {
        let world = World::synced(database, 6);
        // What the first assignments did comes back with this one.
        world.run(&["sync", "lab", "--force"]).exits(0);
        let serials = world.apple.some("Lab", 3);
        let mark = world.apple.mark();
        let run = world.run(&["device", "ready", &serials[0], &serials[1]]).exits(0);
        assert!(run.stdout.contains("ready") && !run.stdout.contains("NOT READY"), "{run}");
        assert!(!run.stdout.contains('\u{1b}'), "colours are for a terminal: {run}");
        assert!(world.apple.count(mark, "POST", DETAILS) >= 1, "Apple is asked");

        // Somebody takes the profile away and Adelie has not heard of it.
        let set = json!({ "profile_status": "removed" });
        world.apple.tell(Command::ChangeDevices(ChangeDevices {
            choice: these(&serials[..1]),
            set: set.as_object().cloned().expect("an object"),
            silent: true,
            ..ChangeDevices::default()
        }));
        world.apple.remove_devices("Lab", &serials[1..2], Departure::Silent).expect("a release");
        let file = world.write("some.csv", format!("serial\n{}\n", serials.join("\n")));
        let answers =
            world.run(&["device", "ready", "NOSUCHDEVICE", "--file", &file, "--json"]).exits(1).objects();
        let told: Vec<_> = answers.iter().map(|one| (one["ready"] == true, text(one, "code"))).collect();
        assert_eq!(told[0], (false, "unknown"));
        assert!(!told[1].0 && told[2] == (false, "not_here") && told[3] == (true, "ready"), "{answers:?}");
        for answer in &answers[..3] {
            assert!(!text(answer, "reason").is_empty() && !text(answer, "next_step").is_empty(), "{answer}");
        }
        // What Apple showed is stored, so that the next sync brings the profile back.
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.run(&["device", "ready", &serials[0]]).exits(0);
        let table = world.run(&["device", "ready", &serials[1], &serials[2]]).exits(1).stdout;
        assert!(table.contains("NOT READY") && table.contains("next: ") && table.contains("1 of 2 devices ready"));
    }

    /// An Apple that does not answer makes nothing ready.
    fn ready_is_nothing_when_apple_does_not_answer(database) {
        let world = World::synced(database, 2);
        let serials = world.apple.some("Lab", 1);
        world.apple.token("Lab", adelie_simulator::TokenSwitch::Rejected);
        let answer = world.run(&["device", "ready", &serials[0], "--json"]).exits(1).object();
        assert_eq!(text(&answer, "code"), "apple_not_asked");
        assert!(text(&answer, "next_step").contains("server show lab"), "{answer}");
    }

    /// L7: a device that no sync has told of is fetched by its serial number, and gets its profile.
    fn refresh_brings_in_what_no_sync_tells(database) {
        let world = World::synced(database, 3);
        let hidden = "HIDDEN1".to_owned();
        world.apple.tell(Command::AddDevices(AddDevices {
            server: Some("Lab".to_owned()),
            serials: vec![hidden.clone()],
            arrival: Arrival::Silent,
            ..AddDevices::default()
        }));
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.run(&["device", "show", &hidden]).exits(2);
        let shown = world.object(&["device", "refresh", "hidden1"]);
        assert_eq!((text(&shown, "shown"), text(&shown, "state")), ("device", "due"), "{shown}");
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
        let shown = world.object(&["device", "refresh", &hidden]);
        assert_eq!((text(&shown, "profile_status"), text(&shown, "profile")), ("assigned", "standard"), "{shown}");
        let table = world.run(&["device", "refresh", &hidden]).exits(0).stdout;
        assert!(table.contains("AT APPLE") && table.contains("standard"), "{table}");

        world.apple.remove_devices("Lab", std::slice::from_ref(&hidden), Departure::Silent).expect("a release");
        let gone = world.run(&["device", "refresh", &hidden, "--json"]).exits(1).object();
        assert_eq!((text(&gone, "shown"), text(&gone, "state")), ("not_at_this_server", "removed"), "{gone}");
    }

    /// Where there are several MDM servers, an unknown serial number needs the name of one.
    fn an_unknown_device_needs_a_server(database) {
        let world = World::synced(database, 2);
        world.apple.add_server("Branch").expect("a new MDM server");
        world.onboard("branch", "Branch");
        let mark = world.apple.mark();
        world.run(&["device", "refresh", "NOSUCHDEVICE"]).exits(2).complains("--server NAME");
        assert_eq!(world.apple.mark(), mark);
        let guest = world.apple.add_devices("Branch", 1).expect("devices").remove(0);
        let shown = world.object(&["device", "refresh", &guest, "--server", "branch"]);
        assert_eq!((text(&shown, "server"), text(&shown, "shown")), ("branch", "device"), "{shown}");
        assert_eq!(text(&world.device(&guest), "server"), "branch");
    }
}
